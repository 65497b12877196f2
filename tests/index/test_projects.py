"""Projects that are built with backends from the real package index."""

import sys
import zipfile
from pathlib import Path

import pytest

from runner.errors import PackagesError
from runner.lock import projects
from runner.lock.projects import WORKTREE, Wheel
from runner.python import interpreters
from tests.support.repositories import ask, commit

pytestmark = pytest.mark.index

SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
BACKENDS = {
    "setuptools-scm": """
[build-system]
requires = ["setuptools>=61", "setuptools-scm>=8"]
build-backend = "setuptools.build_meta"
[project]
name = "lib"
dynamic = ["version"]
[tool.setuptools_scm]
[tool.setuptools]
py-modules = ["lib"]
""",
    "hatch-vcs": """
[build-system]
requires = ["hatchling", "hatch-vcs"]
build-backend = "hatchling.build"
[project]
name = "lib"
dynamic = ["version"]
[tool.hatch.version]
source = "vcs"
[tool.hatch.build]
include = ["lib.py"]
""",
    "pdm": """
[build-system]
requires = ["pdm-backend"]
build-backend = "pdm.backend"
[project]
name = "lib"
dynamic = ["version"]
[tool.pdm.version]
source = "scm"
""",
    "poetry": """
[build-system]
requires = ["poetry-core>=1", "poetry-dynamic-versioning>=1"]
build-backend = "poetry_dynamic_versioning.backend"
[tool.poetry]
name = "lib"
version = "0"
description = ""
authors = []
[tool.poetry-dynamic-versioning]
enable = true
""",
    "uv": """
[build-system]
requires = ["hatchling", "uv-dynamic-versioning"]
build-backend = "hatchling.build"
[project]
name = "lib"
dynamic = ["version"]
[tool.hatch.version]
source = "uv-dynamic-versioning"
[tool.hatch.build]
include = ["lib.py"]
""",
}


def build(root: Path, at: str, *, compiler: bool = False) -> Wheel:
    """Identify the sources, and build them."""
    python = interpreters.examine(Path(sys.executable))
    assert python is not None
    found = projects.source(root, ".", at)
    return projects.wheel(root, found, python, compiler=compiler)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_that_asks_git_for_the_version_gets_it(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tags and an edited working tree have three versions, and each has its own files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = tmp_path / "lib"
    ask(tmp_path, "init", "--quiet", str(top))
    commit(top, {"pyproject.toml": BACKENDS[backend], "lib.py": "SPEED = 1\n"})
    ask(top, "tag", "v1.0")
    commit(top, {"lib.py": "SPEED = 2\n"})
    ask(top, "tag", "lib-2")
    (top / "lib.py").write_text("SPEED = 3\n")
    built = [build(top, at) for at in ("v1.0", "lib-2", WORKTREE)]
    assert [one.version for one in built] == [
        "1.0",
        f"0+g{ask(top, 'rev-parse', 'HEAD')[:7]}",
        f"0+d{projects.source(top, '.', WORKTREE).digest[:7]}",
    ]
    for speed, one in enumerate(built, 1):
        with zipfile.ZipFile(one.path) as packed:
            assert packed.read("lib.py").decode() == f"SPEED = {speed}\n"


def test_equal_sources_give_equal_wheels_with_setuptools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dates of files and of the build have no effect."""
    setup = "import setuptools\nsetuptools.setup(name='lib', version='1', py_modules=['lib'])\n"
    hashes = set()
    for name in ("one", "two"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        top = tmp_path / "projects" / name
        top.mkdir(parents=True)
        (top / "setup.py").write_text(setup)
        (top / "lib.py").touch()
        hashes.add(build(top, WORKTREE).sha256)
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("compiler", "says"),
    [
        (False, r"no-compiler-in-reach.*, or set `compile: true`"),
        (True, r"3\.[0-9]+: x\.c:1:1: error: .*this.*; make"),
    ],
)
def test_a_project_that_cannot_be_compiled_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: bool, says: str
) -> None:
    """The sentence has the last line of setuptools, or of the compiler."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    extension = "setuptools.Extension('x', ['x.c'])"
    top = tmp_path / "lib"
    top.mkdir()
    (top / "pyproject.toml").write_text(SETUPTOOLS)
    (top / "setup.py").write_text(
        f"import setuptools\nsetuptools.setup(name='lib', ext_modules=[{extension}])\n"
    )
    (top / "x.c").write_text("this is not C")
    with pytest.raises(PackagesError, match=says):
        build(top, WORKTREE, compiler=compiler)


def test_a_missing_build_tool_is_reported(tmp_path: Path) -> None:
    """The index is fine, so this is a mistake of the project."""
    wrong = SETUPTOOLS.replace('"setuptools"', '"setuptools==0.0.1"')
    (tmp_path / "pyproject.toml").write_text(wrong)
    with pytest.raises(PackagesError, match=r"cannot be built .*no version of setuptools==0\.0\.1"):
        build(tmp_path, WORKTREE)
