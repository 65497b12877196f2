"""Environments in a cache: whole or not there, and found again by their digest."""

import os
import tarfile
from pathlib import Path

import pytest

from runner.engines.protocol import BuildContext
from runner.engines.venv.cache import Environments, cache
from runner.errors import EngineError, ImageBuildError
from runner.records.environment import Base, BaseKind
from runner.system import tempdir
from tests.support.trials import INTERPRETER

BASE = Base(kind=BaseKind.INTERPRETER, name="python 3", digest="sha256:0")


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    """An empty cache."""
    found = Environments(tmp_path / "cache")
    found.begin(as_root=False)
    return found


def context(folder: Path, key: str) -> BuildContext:
    """Return a build context with an environment that is not built yet."""
    folder.mkdir(exist_ok=True)
    (folder / "pyvenv.cfg").write_text("home = /usr/local/bin\n")
    (folder / "python").unlink(missing_ok=True)
    (folder / "python").symlink_to("/usr/local/bin/python3")
    with tarfile.open(folder / "environment.tar", "w") as tar:
        tar.add(folder / "pyvenv.cfg", "pyvenv.cfg")
        tar.add(folder / "python", "bin/python")
    return BuildContext(folder=folder, environment=key, label="a label", base=BASE)


def test_an_environment_stands_on_its_interpreter(
    environments: Environments, tmp_path: Path
) -> None:
    """It is unpacked, told where its interpreter is, and found again."""
    image = environments.add(context(tmp_path / "context", "key"), INTERPRETER.path)
    assert environments.images() == {"key": image}
    assert (image.base, image.label) == (BASE, "a label")
    folder = environments.of(image.id)
    assert (folder / "bin/python").readlink() == INTERPRETER.path
    assert f"home = {INTERPRETER.path.parent}\n" in (folder / "pyvenv.cfg").read_text()
    assert folder.stat().st_mode & 0o777 == 0o755
    again = environments.add(context(tmp_path / "context", "key"), INTERPRETER.path)
    assert environments.images() == {"key": again}
    environments.remove(folder)
    environments.remove(folder)
    assert environments.images() == {}
    assert list(folder.parent.iterdir()) == []


def test_a_trial_can_read_all_of_it_whatever_files_are_made_with(
    environments: Environments, tmp_path: Path
) -> None:
    """Root may have a umask that closes what it makes to others."""
    package = tmp_path / "package"
    package.mkdir(mode=0o755)
    there = context(tmp_path / "context", "key")
    with tarfile.open(there.folder / "environment.tar", "a") as tar:
        tar.add(package, "lib")
    before = os.umask(0o077)
    try:
        folder = environments.of(environments.add(there, INTERPRETER.path).id)
    finally:
        os.umask(before)
    inside = [path for path in folder.rglob("*") if not path.is_symlink()]
    closed = {path.name for path in inside if not path.stat().st_mode & 0o004}
    assert closed <= {"image.json"}


def test_what_cannot_be_used_is_not_found(environments: Environments, tmp_path: Path) -> None:
    """One whose interpreter was removed, or whose facts are damaged, is built again."""
    python = tmp_path / "python"
    python.write_text("")
    image = environments.add(context(tmp_path / "context", "key"), python)
    assert environments.images() == {"key": image}
    python.unlink()
    assert environments.images() == {}
    python.write_text("")
    (environments.of(image.id) / "image.json").write_text("{")
    assert environments.images() == {}


def test_a_context_that_is_damaged_is_no_environment(
    environments: Environments, tmp_path: Path
) -> None:
    """Nothing is left of it."""
    broken = context(tmp_path / "context", "key")
    (broken.folder / "environment.tar").write_text("no tar" * 1000)
    with pytest.raises(ImageBuildError, match="the environment of a label could not be built"):
        environments.add(broken, INTERPRETER.path)
    assert list((environments.folder / "environments").iterdir()) == []


def test_what_a_killed_process_left_half_built_is_removed(environments: Environments) -> None:
    """By its lock: what a living process builds stays."""
    built = environments.folder / "environments"
    left = built / f"{tempdir.PREFIX}left"
    left.mkdir()
    (left / tempdir.LOCK).write_text("")
    with tempdir.folder(built) as living:
        environments.begin(as_root=False)
        assert not left.exists()
        assert living.exists()


def test_a_cache_that_others_cannot_read_is_refused(tmp_path: Path) -> None:
    """As root trials are executed by another user."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EngineError, match=r"to whom .* is closed; name another folder in MATRIX_"):
        Environments(closed / "cache").begin(as_root=True)


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """What lies in the way is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"environments cannot be kept in .*file"):
        Environments(tmp_path / "file" / "cache").begin(as_root=False)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user's lies with other caches, root's where everybody can read it."""
    monkeypatch.delenv("MATRIX_RUNNER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cache() == tmp_path / "matrix-runner"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cache() == Path("/var/cache/matrix-runner")
