"""The runner's own wheel is made of the files that run, and no index can replace it."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from runner import __version__
from runner.bundle import wheels
from tests.support.index import Index, serving, wheel

PIP = [sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check"]

AGAIN = """
from pathlib import Path
from runner.bundle.wheels import save_own_wheel
Path("again").mkdir()
print(save_own_wheel(Path("again")).name)
"""
RECIPE = "from runner.prepare.recipe import dockerfile; print(dockerfile())"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Return an index with another runner, and with the only dependency, which asks for it."""
    folder = tmp_path / "index"
    folder.mkdir()
    published = {
        "matrix-runner": [wheel(folder, "matrix-runner", "99.0")],
        "dependency": [wheel(folder, "dependency", "1.0", ["matrix-runner"])],
        "pip": [wheel(folder, "pip", metadata.version("pip"))],
    }
    with serving(folder, published) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        monkeypatch.setattr("importlib.metadata.requires", lambda _: ["dependency"])
        yield index


def test_no_index_is_asked_for_the_runner(hostile: Index, tmp_path: Path) -> None:
    """Anybody could publish a package of that name; a dependency could even require it."""
    other = "3.13" if wheels.this_python() != "3.13" else "3.12"
    (tmp_path / "wheels").mkdir()
    wheels.collect(tmp_path / "wheels", [wheels.this_python(), other])
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "wheels").iterdir()) == [
        "dependency",
        "matrix_runner",
        "pip",
    ]
    assert (tmp_path / "wheels" / f"matrix_runner-{__version__}-py3-none-any.whl").is_file()
    assert any("dependency" in one for one in hostile.requests)
    assert not [one for one in hostile.requests if "runner" in one]


def test_modules_in_the_working_folder_are_not_imported(
    hostile: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither are those on PYTHONPATH: a study may contain anything."""
    for name in ("pip", "zipfile", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'read')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "wheels").mkdir()
    wheels.collect(tmp_path / "wheels", [wheels.this_python()])
    assert hostile.requests
    assert not (tmp_path / "read").exists()


def test_the_wheel_of_the_runner_can_be_installed(tmp_path: Path) -> None:
    """Its program and its module work, and it can make the same wheel of itself."""
    path = wheels.save_own_wheel(tmp_path)
    subprocess.run(
        [sys.executable, "-I", "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True
    )
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [*PIP, "--python", str(python), "install", "--quiet", "--no-index", "--no-deps", str(path)],
        check=True,
    )
    packages = python.parents[1] / "lib" / f"python{wheels.this_python()}" / "site-packages"
    (packages / "others.pth").write_text(f"{metadata.distribution('pydantic').locate_file('')}\n")
    for command, said in (
        ([str(python.with_name("matrix-runner")), "--version"], __version__),
        ([str(python), "-I", "-m", "runner", "schema"], '"properties"'),
        ([str(python), "-I", "-c", "import runner; print(runner.__file__)"], str(packages)),
        ([str(python), "-I", "-c", RECIPE], "environment.Dockerfile"),
        ([str(python), "-I", "-c", AGAIN], f"{path.name}\n"),
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert said in done.stdout
    assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    found = metadata.Distribution.at(next(packages.glob("matrix_runner-*.dist-info")))
    needed = [one for one in metadata.requires("matrix-runner") or () if "extra ==" not in one]
    assert found.requires == needed
    assert found.metadata["Requires-Python"] == ">=3.10"
    assert all(Path(one.locate()).is_file() for one in found.files or ())


def test_equal_files_give_equal_wheels(tmp_path: Path) -> None:
    """Dates do not matter, and nothing is left out."""
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(wheels.save_own_wheel(tmp_path / name).read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "one" / f"matrix_runner-{__version__}-py3-none-any.whl") as one:
        names = one.namelist()
        assert one.testzip() is None
    assert "runner/Dockerfiles/environment.Dockerfile" in names
    assert "runner/inside/launcher.py" in names
    assert not [name for name in names if name.endswith(".pyc")]
