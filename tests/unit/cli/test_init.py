"""init: the files of a first study."""

import io
import json
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.read import read
from runner.records.study import AxisKind, Origin

GIVEN = ("init", "--package", "lib", "--versions", "1.0,2.0", "--script", "bench.py")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_study_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """The matrix can be read, and its script delivers its metrics."""
    assert main(GIVEN) == Exit.OK
    matrix = read(Path("matrix.yaml"))
    assert [cell.id for cell in matrix.cells] == ["lib=1.0", "lib=2.0"]
    assert matrix.axes[0].kind is AxisKind.VERSION
    assert matrix.experiment.script == "bench.py"
    assert [one.name for one in matrix.metrics] == ["work_seconds", "import_seconds"]
    assert capsys.readouterr().out.splitlines() == [
        "wrote matrix.yaml",
        "wrote bench.py",
        "next: python -m runner try  (one trial, now)",
        "then: python -m runner run  (the whole study)",
    ]
    lines = Path("matrix.yaml").read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=./matrix.schema.json"
    assert max(map(len, lines)) <= 100
    assert len(Path("bench.py").read_text().splitlines()) < 20


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("package", "files", "module"),
    [
        ("My.Lib-x", ["my_lib_x/__init__.py", "a/__init__.py"], "my_lib_x"),
        ("scikit-thing", ["../bin/sk,", "_own/__init__.py", "skthing/__init__.py"], "skthing"),
        ("fastjson", ["fastjson_c.abi3.so", "fastjson_c/deep/__init__.py"], "fastjson_c"),
        ("nothing-known", [], "nothing_known"),
    ],
)
def test_the_script_finds_the_module_of_a_package(
    package: str, files: Sequence[str], module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many packages have modules of another name."""
    assert main([*GIVEN[:2], package, *GIVEN[3:]]) == Exit.OK
    for name in ("my_lib_x", "a", "_own", "skthing", "fastjson_c", "nothing_known"):
        Path("site", name).mkdir(parents=True)
        Path("site", name, "__init__.py").write_text("")
    record = Path("site", f"{package.replace('-', '_')}-1.0.dist-info", "RECORD")
    record.parent.mkdir()
    record.write_text("".join(f"{file},sha256=x,1\n" for file in files))
    monkeypatch.setattr(sys, "path", [str(Path("site").resolve()), *sys.path])
    monkeypatch.setenv("RESULT_PATH", "result.json")
    ran = runpy.run_path("bench.py")
    assert ran["package"].__name__ == module
    result = json.loads(Path("result.json").read_text())
    assert result["format"] == 1
    assert result["values"].keys() == {"import_seconds"}
    assert len(result["series"]["work_seconds"]) == 20


def test_a_script_that_exists_is_kept_and_measured_from_outside() -> None:
    """Nobody knows what it writes."""
    Path("bench.py").write_text("mine")
    assert main(GIVEN) == Exit.OK
    assert Path("bench.py").read_text() == "mine"
    metrics = read(Path("matrix.yaml")).metrics
    assert [one.source.origin for one in metrics] == [
        Origin.WALL_TIME,
        Origin.CPU_TIME,
        Origin.PEAK_MEMORY,
    ]


def test_a_range_of_versions_is_kept() -> None:
    """The lock asks for its versions later."""
    assert main([*GIVEN[:4], ">=1.0,<3", *GIVEN[5:]]) == Exit.OK
    assert 'versions: ">=1.0,<3", take: latest-minor' in Path("matrix.yaml").read_text()


def test_a_matrix_is_never_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is written then."""
    Path("matrix.yaml").write_text("mine")
    assert main(GIVEN) == Exit.CONFIG
    assert "matrix.yaml exists and is kept" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["matrix.yaml"]


@pytest.mark.parametrize(
    ("package", "versions", "script", "said"),
    [
        ("a b", "1,2", "b.py", "is not the name of a package"),
        ("a", "1", "b.py", "cannot be compared"),
        ("a", "1,x y", "b.py", "cannot be compared"),
        ("a", "1,2", "../b.py", "is no script in this folder"),
        ("a", "1,2", "b.sh", "is no script in this folder"),
    ],
)
def test_wrong_answers_are_refused(
    package: str, versions: str, script: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    words = ("init", "--package", package, "--versions", versions, "--script", script)
    assert main(words) == Exit.CONFIG
    assert said in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_terminal_asks_three_questions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script has a default."""
    stdin = io.StringIO("lib\n1.0, 2.0\n\n")
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["init"]) == Exit.OK
    assert capsys.readouterr().out.startswith("Which package? Which versions")
    matrix = read(Path("matrix.yaml"))
    assert [cell.id for cell in matrix.cells] == ["lib=1.0", "lib=2.0"]
    assert Path("bench.py").exists()


def test_without_a_terminal_it_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    """It waits for nobody."""
    assert main(["init", "--package", "lib"]) == Exit.CONFIG
    assert "there is nobody to ask; give --versions VERSIONS" in capsys.readouterr().err
