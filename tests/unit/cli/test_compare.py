"""compare: from one line to a study, its run and its verdict."""

from pathlib import Path

import pytest
import yaml

from runner.cli import main
from runner.cli.arguments import parse
from runner.cli.compare import as_matrix
from runner.errors import ConfigError, Exit
from runner.lock.file import lock_path, write_lock
from runner.plan import looks_of
from runner.read import read
from runner.records.environment import Lock
from runner.records.study import AxisKind, Better, Matrix
from runner.runs.folder import RunFolder
from tests.support.whole_runs import WatchedEngine, environment, reachable

SCRIPT = """\
import json, os
values = {"x": 2.5}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""
LINE = ("compare", "lib==1.0", "lib==2.0", "--metric", "x")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bench.py").write_text(SCRIPT)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    return reachable(monkeypatch)


def asked(*words: str) -> Matrix:
    """Return the study that a line asks for."""
    options = as_matrix(parse(("compare", *words)))
    return read(options.matrix, root=options.folder)


def locked(engine: WatchedEngine, *words: str) -> None:
    """Lock the study of a line as an index would, and add its images to the engine."""
    options = as_matrix(parse(words))
    requests = read(options.matrix, root=options.folder).requests
    entries = tuple(environment(request) for request in requests)
    write_lock(lock_path(options.matrix), Lock(entries=entries))
    for entry in entries:
        engine.add_image(entry)


# --- what is compared ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "ids"),
    [
        ("lib==1.0 lib==2.0", AxisKind.VERSION, ["lib=1.0", "lib=2.0"]),
        ("lib==1 lib==2 lib==3", AxisKind.VERSION, ["lib=1", "lib=2", "lib=3"]),
        ("yes==1.0 yes==2.0", AxisKind.VERSION, ["yes=1.0", "yes=2.0"]),
        (
            "new==1.0 old==1.0",
            AxisKind.PACKAGES,
            ["package=new==1.0", "package=old==1.0"],
        ),
        (
            "lib==1.0 lib[fast]==1.0",
            AxisKind.PACKAGES,
            ["package=lib==1.0", "package=lib[fast]==1.0"],
        ),
        ("python==3.10 python==3.12", AxisKind.PYTHON, ["python=3.10", "python=3.12"]),
    ],
)
def test_values_become_an_axis(values: str, kind: AxisKind, ids: list[str]) -> None:
    """The first value is the baseline."""
    matrix = asked(*values.split(), "--", "bench.py")
    assert matrix.axes[0].kind is kind
    assert [cell.id for cell in matrix.cells] == ids
    baseline = matrix.baseline_cell()
    assert baseline is not None
    assert baseline.id == ids[0]


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        (
            "git:main:a/uv.lock uv.lock",
            {"lock": {"main a uv.lock": "git:main:a/uv.lock", "uv.lock": "uv.lock"}},
        ),
        (
            ".@v1.0 .@feature/x .@worktree",
            {
                "project": ".",
                "at": {"v1.0": "v1.0", "feature x": "feature/x", "worktree": "worktree"},
            },
        ),
    ],
)
def test_files_and_revisions_have_names(values: str, axis: object) -> None:
    """Ids contain no slashes."""
    Path("uv.lock").write_text("")
    options = as_matrix(parse(("compare", *values.split(), "--", "bench.py")))
    (found,) = yaml.safe_load(options.matrix.read_text())["axes"].values()
    assert found == axis


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lib==1 -- bench.py", "lib==1 alone compares nothing; give two or more values"),
        ("lib==1 lib==1 -- bench.py", "each value can be given once"),
        ("lib=1 lib==2 -- bench.py", "did you mean lib==1?"),
        ("lib==1 nonsense -- bench.py", '"nonsense" is not a version of a package'),
        ("python==2.7 python==3.12 -- bench.py", '"python==2.7" is not a version'),
        ("lib==1 python==3.12 -- bench.py", "differ in kind"),
        ("a@v1 b@v1 -- bench.py", "revisions of one project"),
        ("lib==1 lib==2", "there is nothing to run; end the line with `-- SCRIPT"),
        ("lib==1 lib==2 --", "there is nothing to run"),
        ("lib==1 lib==2 -- absent.py", 'there is no script "absent.py" here'),
        ("lib==1 lib==2 -- ../elsewhere.py", "elsewhere.py is outside of this folder"),
        ("git:a:uv.lock git:b:uv.lock --with x -- bench.py", "remove --with"),
        ("lib==1 lib==2 --with -r a.txt --with -r b.txt -- bench.py", "one file of requirements"),
        ("lib==1 lib==2 --save sub/m.yaml -- bench.py", "save it here"),
    ],
)
def test_a_wrong_line_is_refused(line: str, said: str, tmp_path: Path) -> None:
    """The message says what to write instead."""
    (tmp_path.parent / "elsewhere.py").write_text("")
    with pytest.raises(ConfigError) as raised:
        as_matrix(parse(("compare", *line.split())))
    assert said in str(raised.value)


def test_with_needs_a_package(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is ignored silently."""
    with pytest.raises(SystemExit):
        parse(("compare", "lib==1", "lib==2", "--with", "--", "bench.py"))
    assert "--with: expected a package, or -r FILE" in capsys.readouterr().err


# --- what runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command", "files"),
    [
        ("bench.py", ["python", "bench.py"], []),
        ("python3 ./bench.py --n 3", ["python", "bench.py", "--n", "3"], []),
        ("python -m timeit pass", ["python", "-m", "timeit", "pass"], []),
        (
            "pytest tests/bench.py::one",
            ["python", "-m", "pytest", "tests/bench.py::one"],
            ["tests/bench.py"],
        ),
        (
            "bench.py data --to=data/a.csv ../x /etc/passwd",
            ["python", "bench.py", "data", "--to=data/a.csv", "../x", "/etc/passwd"],
            ["data/a.csv", "data/b.csv"],
        ),
    ],
)
def test_the_rest_of_the_line_is_the_experiment(
    line: str, command: list[str], files: list[str]
) -> None:
    """What it names goes along, if it is in this folder."""
    for name in ("data/a.csv", "data/b.csv", "tests/bench.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("")
    matrix = asked("lib==1", "lib==2", "--", *line.split())
    assert list(matrix.experiment.command) == command
    assert list(matrix.experiment.files) == files


def test_braces_stay_as_they_are() -> None:
    """A line of a terminal has no placeholders."""
    words = ("{seed}", "{{x}}", '{"a": 1}', "{}")
    matrix = asked("lib==1", "lib==2", "--", "bench.py", *words)
    assert matrix.experiment.command_of(matrix.cells[0], 7)[2:] == words


def test_options_become_keys() -> None:
    """Packages, files, metrics and their direction."""
    Path("requirements.txt").write_text("scipy\n")
    Path("one.py").write_text("")
    matrix = asked(
        *("lib==1", "lib==2", "--with", "numpy<2", "--with", "-r", "requirements.txt"),
        *("--metric", "accuracy=acc: ([0-9.]+)", "--metric", "x", "--metric", "wall_time"),
        *("--better", "higher", "--files", "*.py", "--gate", "--", "bench.py"),
    )
    assert [(one.name, one.source.origin.value) for one in matrix.metrics] == [
        ("accuracy", "stdout"),
        ("x", "result"),
        ("wall_time", "wall_time"),
    ]
    assert {one.better for one in matrix.metrics} == {Better.HIGHER}
    assert matrix.files == ("requirements.txt",)
    assert matrix.experiment.files == ("one.py",)
    assert [(one.metric, one.change) for one in matrix.policy] == [("accuracy", -0.03)]
    assert all("numpy<2" in cell.request.packages for cell in matrix.cells)


# --- from the line to the verdict ----------------------------------------------------------------


def test_a_line_runs_and_is_continued(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same line says that it is complete. With --blocks it adds blocks to the same run."""
    locked(engine, *LINE, "--", "bench.py")
    assert main([*LINE, "--blocks", "1", "--", "bench.py"]) == Exit.OK
    assert main([*LINE, "--blocks", "1", "--", "bench.py"]) == Exit.OK
    assert "is complete: nothing is left to do" in capsys.readouterr().out
    assert main([*LINE, "--", "bench.py"]) == Exit.OK
    (folder,) = (path.parent for path in Path("reports").glob("2*/run.json"))
    results = RunFolder(folder).results()
    assert len(results) == 3 * 7
    assert {one.values["x"] for one in results} == {2.5}
    said = capsys.readouterr().out
    assert "lib 2.0 against 1.0" in said


def test_a_saved_study_is_the_same_study(engine: WatchedEngine) -> None:
    """It keeps lock and run, and `run` continues it."""
    line = (*LINE, "--blocks", "1")
    locked(engine, *line, "--", "bench.py")
    assert main([*line, "--", "bench.py"]) == Exit.OK
    assert main([*line, "--save", "study.yaml", "--", "bench.py"]) == Exit.OK
    assert main(["--matrix", "study.yaml", "--blocks", "1"]) == Exit.OK
    (folder,) = (path.parent for path in Path("reports").glob("2*/run.json"))
    run = RunFolder(folder).run()
    assert run.matrix == read(Path("study.yaml"))
    (hidden,) = Path("reports/compare").glob("*/matrix.yaml")
    assert read(hidden, root=Path()) == read(Path("study.yaml"))
    assert Path("study.lock").exists()


def test_saving_replaces_nothing() -> None:
    """Another study of that name stays as it is."""
    Path("study.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="exists and is another study"):
        as_matrix(parse((*LINE, "--save", "study.yaml", "--", "bench.py")))
    assert Path("study.yaml").read_text() == "mine"


def test_gate_stops_an_upgrade_that_costs_more(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit is 3 % of the first metric."""
    Path("bench.py").write_text(
        "import json, os, random\n"
        'order = json.load(open(os.environ["PARAMS_PATH"]))\n'
        'x = float(order["cell"]["lib"]) + random.random() / 100\n'
        'json.dump({"format": 1, "values": {"x": x}}, open(os.environ["RESULT_PATH"], "w"))\n'
    )
    line = (*LINE, "--gate")
    locked(engine, *line, "--", "bench.py")
    assert main([*line, "--", "bench.py"]) == Exit.HOLD
    assert "hold" in capsys.readouterr().out


# --- looks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "looks"),
    [
        ("", (7, 14, 21, 28)),
        ("--blocks 14", (7, 14, 21, 28)),
        ("--blocks 6", (6, 12, 18, 24)),
        ("--blocks 5", (5, 10, 15, 20)),
        ("--blocks 4", (7, 14, 21, 28)),
    ],
)
def test_few_blocks_have_a_look_at_their_end(words: str, looks: tuple[int, ...]) -> None:
    """If they are enough for a verdict. The study is the same, so blocks can be added."""
    line = ("lib==1.0", "lib==2.0", *words.split(), "--", "bench.py")
    assert looks_of(asked(*line)) == looks
    usual = as_matrix(parse(("compare", "lib==1.0", "lib==2.0", "--", "bench.py")))
    assert as_matrix(parse(("compare", *line))).matrix == usual.matrix


def test_five_blocks_give_a_verdict_and_keep_their_looks(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looks are fixed before the first trial: more blocks are read at the next of them."""
    locked(engine, *LINE, "--", "bench.py")
    assert main([*LINE, "--blocks", "5", "--", "bench.py"]) == Exit.OK
    said = capsys.readouterr().out
    assert "no verdict" not in said.lower()
    assert "identical" in said
    assert main([*LINE, "--blocks", "7", "--", "bench.py"]) == Exit.OK
    plan = RunFolder(Path("reports/latest")).plan()
    assert (plan.blocks, plan.looks) == (7, (5, 10, 15, 20))


def test_too_few_blocks_for_a_verdict_are_announced(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first trial."""
    locked(engine, *LINE, "--", "bench.py")
    assert main([*LINE, "--blocks", "3", "--", "bench.py"]) == Exit.OK
    said = capsys.readouterr().out
    warning = (
        "a comparison needs 5 blocks, so 3 give no verdict; write `blocks: 5` or more, or give --"
    )
    assert 0 < said.index(warning) < said.index("[1/9]")
