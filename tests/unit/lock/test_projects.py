"""Wheels of the project under test, built with a backend that needs no package index."""

import os
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

from runner.errors import ConfigError, PackagesError
from runner.lock import projects
from runner.lock.projects import WORKTREE, Wheel, source
from runner.python import interpreters, uv
from runner.python.interpreters import Interpreter
from tests.support.repositories import ask, commit, set_traps

PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    version = os.environ["SETUPTOOLS_SCM_PRETEND_VERSION"]
    tag = open("tag").read() if os.path.exists("tag") else "py3-none-any"
    facts = f"Metadata-Version: 2.1\\nName: lib\\nVersion: {version}\\n"
    files = {
        "lib.py": open("lib.py").read(),
        "environment.txt": os.environ["SOURCE_DATE_EPOCH"],
        "files.txt": "\\n".join(sorted(os.listdir("."))),
        f"lib-{version}.dist-info/METADATA": facts,
        f"lib-{version}.dist-info/WHEEL": f"Wheel-Version: 1.0\\nTag: {tag}\\n",
        f"lib-{version}.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(os.path.join(folder, f"lib-{version}-{tag}.whl"), "w") as packed:
        for name, text in files.items():
            packed.writestr(zipfile.ZipInfo(name), text)
    return f"lib-{version}-{tag}.whl"
"""
FIRST = {"pyproject.toml": PROJECT, "backend.py": BACKEND, "lib.py": "SPEED = 1\n"}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return the folder of a study: a repository of a small library with two tags."""
    top = tmp_path / "lib"
    ask(tmp_path, "init", "--quiet", "--initial-branch=main", str(top))
    commit(
        top, {**FIRST, ".gitignore": "*.log\n", "tools/run": "#!/bin/sh\n"}, executable="tools/run"
    )
    ask(top, "tag", "v1.0")
    commit(top, {"lib.py": "SPEED = 2\n"})
    ask(top, "tag", "-a", "-m", "x", "v1.1rc1")
    return top


@cache
def python() -> Interpreter:
    """Return the interpreter of the tests."""
    found = interpreters.examine(Path(sys.executable))
    assert found is not None
    return found


def build(root: Path, at: str) -> Wheel:
    """Identify the sources, and build them."""
    return projects.wheel(root, source(root, ".", at), python(), compiler=False)


def content(wheel: Wheel, name: str = "lib.py") -> str:
    """Return a file of a wheel."""
    with zipfile.ZipFile(wheel.path) as packed:
        return packed.read(name).decode()


def test_each_revision_has_its_wheel(study: Path) -> None:
    """A tag names the version, and another commit has a version that names it."""
    old, new, same = (build(study, at) for at in ("v1.0", "v1.1rc1", "HEAD"))
    assert (content(old), content(new), content(same)) == ("SPEED = 1\n", *["SPEED = 2\n"] * 2)
    assert [one.version for one in (old, new)] == ["1.0", "1.1rc1"]
    assert same.version == f"0+g{ask(study, 'rev-parse', 'HEAD')[:7]}"
    assert old.name == "lib"
    assert uv.wheels_folder() in old.path.parents
    assert ".git" not in content(old, "files.txt").split()
    assert source(study, ".", "v1.0").commit == ask(study, "rev-parse", "v1.0")


def test_a_clean_working_tree_has_the_sources_of_its_commit(study: Path) -> None:
    """Names, modes and contents count, and nothing else."""
    clean = source(study, ".", WORKTREE)
    assert (clean.commit, clean.digest) == (None, source(study, ".", "HEAD").digest)
    os.utime(study / "lib.py", (1, 1))
    for ignored in ("trace.log", "__pycache__/lib.pyc", "lib.egg-info/PKG-INFO", ".venv/x"):
        (study / ignored).parent.mkdir(exist_ok=True)
        (study / ignored).write_text("x")
    assert source(study, ".", WORKTREE) == clean
    (study / "tools" / "run").chmod(0o644)
    assert source(study, ".", WORKTREE).digest != clean.digest


def test_the_working_tree_counts_what_is_not_committed(study: Path) -> None:
    """Edited, untracked and removed files."""
    seen = [source(study, ".", WORKTREE).digest]
    (study / "lib.py").write_text("SPEED = 3\n")
    seen.append(source(study, ".", WORKTREE).digest)
    (study / "new.py").touch()
    seen.append(source(study, ".", WORKTREE).digest)
    (study / "tools" / "run").unlink()
    seen.append(source(study, ".", WORKTREE).digest)
    assert len(set(seen)) == 4
    built = build(study, WORKTREE)
    assert content(built) == "SPEED = 3\n"
    assert built.version == f"0+d{seen[-1][:7]}"
    assert {"new.py", "lib.py"} < set(content(built, "files.txt").split()) - {"tools"}


def test_a_wheel_is_built_once(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sources with the same version have one wheel, for every Python if it is pure."""
    built, found = build(study, "v1.0"), source(study, ".", "v1.0")
    monkeypatch.setattr(uv, "binary", lambda: pytest.fail("it was built again"))
    assert build(study, "refs/tags/v1.0") == built
    other = Interpreter(path=Path("/nonexistent"), version="3.99.1")
    assert projects.wheel(study, found, other, compiler=False) == built
    with pytest.raises(pytest.fail.Exception):
        projects.wheel(study, found, python(), compiler=True)


def test_a_wheel_with_compiled_code_is_for_one_python(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not given to another one."""
    (study / "tag").write_text(f"cp3{sys.version_info[1]}-abi3-linux_x86_64")
    found = source(study, ".", WORKTREE)
    built = projects.wheel(study, found, python(), compiler=True)
    monkeypatch.setattr(uv, "binary", lambda: pytest.fail("it was built again"))
    assert projects.wheel(study, found, python(), compiler=True) == built
    other = Interpreter(path=python().path, version="3.99.1")
    with pytest.raises(pytest.fail.Exception):
        projects.wheel(study, found, other, compiler=True)


def test_equal_sources_give_equal_wheels(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds see one date."""
    built = build(study, "v1.0")
    assert content(built, "environment.txt") == projects.EARLIEST
    monkeypatch.setenv("XDG_CACHE_HOME", str(study.parent / "other"))
    again = build(study, "v1.0")
    assert (again.path != built.path, again.sha256) == (True, built.sha256)


def test_nothing_in_the_repository_starts_a_program(study: Path, tmp_path: Path) -> None:
    """Neither while the files are read nor while they are built."""
    commit(study, {".gitattributes": "* filter=evil\n"})
    set_traps(study, tmp_path / "started")
    inner = study / "inner"
    ask(tmp_path, "init", "--quiet", str(inner))
    commit(inner, {"a": "1"})
    set_traps(inner, tmp_path / "started")
    os.utime(study / "lib.py", (1, 1))
    for at in ("v1.0", "HEAD", WORKTREE):
        build(study, at)
    assert not (tmp_path / "started").exists()


def test_a_project_may_lie_beside_the_study(study: Path, tmp_path: Path) -> None:
    """It lies in the same repository, or below a study without one."""
    commit(study, {"study/matrix.yaml": "x", "study/sub/setup.py": ""})
    assert source(study / "study", "..", "v1.0").digest == source(study, ".", "v1.0").digest
    assert source(study / "study", "../", WORKTREE).digest == source(study, ".", "HEAD").digest
    assert (
        source(study / "study", "sub", "HEAD").digest == source(study, "study/sub", "HEAD").digest
    )
    plain = tmp_path / "plain"
    plain.mkdir()
    for project in ("../lib", "/etc"):
        with pytest.raises(ConfigError, match="it is outside the repository; name a folder"):
            source(plain, project, WORKTREE)


def test_a_folder_without_a_repository_has_its_sources(tmp_path: Path) -> None:
    """Without what tools leave there. A revision needs a repository."""
    (tmp_path / "setup.py").touch()
    plain = source(tmp_path, ".", WORKTREE)
    for name in ("__pycache__", ".venv", "build", "dist", "a.egg-info", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    assert source(tmp_path, ".", WORKTREE) == plain
    (tmp_path / "new.py").touch()
    assert source(tmp_path, ".", WORKTREE) != plain
    with pytest.raises(ConfigError, match=r'project "." at "main": main cannot be read: .* no git'):
        source(tmp_path, ".", "main")


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../outside", "tools/../../outside", "here/../../outside"]
)
@pytest.mark.parametrize("at", ["HEAD", WORKTREE])
def test_a_link_that_leads_out_is_refused(study: Path, target: str, at: str) -> None:
    """Also through another link."""
    (study / "here").symlink_to(".")
    (study / "inside").symlink_to("tools/run")
    (study / "gone").symlink_to("nothing")
    commit(study, {"x": ""})
    assert content(build(study, at)) == "SPEED = 2\n"
    (study / "link").symlink_to(target)
    commit(study, {"y": ""})
    with pytest.raises(ConfigError, match='the link "link" leads out of the project; replace it'):
        source(study, ".", at)


def test_only_files_of_bounded_size_are_sources(study: Path, tmp_path: Path) -> None:
    """Neither a data set nor a FIFO is read."""
    with (study / "large").open("wb") as file:
        file.truncate(1 << 27)
    with pytest.raises(ConfigError, match="larger than the limit"):
        source(study, ".", WORKTREE)
    (study / "large").unlink()
    os.mkfifo(study / "fifo")  # git does not list it
    assert source(study, ".", WORKTREE).digest == source(study, ".", "HEAD").digest
    os.mkfifo(tmp_path / "setup.py")
    with pytest.raises(ConfigError, match="is not a regular file"):
        source(tmp_path, ".", WORKTREE)


def test_a_file_behind_a_link_is_not_read(study: Path, tmp_path: Path) -> None:
    """A tracked folder may have been replaced by a link."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "run").write_text("secret")
    (study / "tools" / "run").unlink()
    (study / "tools").rmdir()
    (study / "tools").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match='the link "tools" leads out'):
        source(study, ".", WORKTREE)


@pytest.mark.parametrize(
    ("project", "at", "says"),
    [
        (".", "v1.00", r'no branch, tag or commit "v1.00"; did you mean `v1.0`\?'),
        (".", "--all", "is no revision: write a branch, a tag or a commit"),
        ("nothing", "HEAD", 'HEAD has no folder "nothing"'),
        ("nothing", WORKTREE, "it is not a folder, or a link leads there"),
        ("tools", "HEAD", "neither a pyproject.toml nor a setup.py; name the folder"),
        ("tools", WORKTREE, "neither a pyproject.toml nor a setup.py; name the folder"),
        ("..", "HEAD", "leads out of the repository"),
        ("..", WORKTREE, "it is outside the repository"),
    ],
)
def test_missing_sources_are_reported(study: Path, project: str, at: str, says: str) -> None:
    """The message names the project, the revision and what to do."""
    with pytest.raises(ConfigError, match=says):
        source(study, project, at)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("pyproject.toml", "[build-system", "TOML parse error at line 1, column 14"),
        (
            "pyproject.toml",
            PROJECT + "[project]\nname = 3\n",
            "invalid type: integer `3`, expected",
        ),
        ("backend.py", "import nothing\n", "ModuleNotFoundError: No module named 'nothing'"),
        (
            "backend.py",
            "raise SystemExit('\\x1b[1merror: no\\nmore')",
            "Python 3.[0-9]+: more; make",
        ),
        ("backend.py", "def build_wheel(*_): return 'x.whl'", "cannot be built"),
        ("lib.py", None, "No such file or directory: 'lib.py'"),
    ],
)
def test_a_build_failure_is_one_sentence(
    study: Path, file: str, text: str | None, says: str
) -> None:
    """It contains the last line of the build, and no path of ours."""
    if text is None:
        (study / file).unlink()
    else:
        (study / file).write_text(text)
    with pytest.raises(PackagesError, match=says) as raised:
        build(study, WORKTREE)
    assert str(raised.value).startswith("the wheel of . at worktree cannot be built for Python 3.")
    assert "\n" not in str(raised.value)
    assert "compile: true" in str(raised.value)


def test_files_that_change_are_noticed(study: Path) -> None:
    """The wheel is that of the sources that were identified."""
    found = source(study, ".", WORKTREE)
    (study / "lib.py").write_text("SPEED = 4\n")
    with pytest.raises(PackagesError, match=r"the files of \. at worktree have changed since"):
        projects.wheel(study, found, python(), compiler=False)
