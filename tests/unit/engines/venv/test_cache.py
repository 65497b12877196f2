"""Environments in a cache are complete or not there, and found again by their digest."""

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


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build environments as an ordinary user, who also runs the trials."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    """An empty cache."""
    found = Environments(tmp_path / "cache")
    found.prepare()
    return found


def context(folder: Path, key: str) -> BuildContext:
    """Return the build context of an environment."""
    folder.mkdir(exist_ok=True)
    (folder / "pyvenv.cfg").write_text("home = /usr/local/bin\n")
    (folder / "python").unlink(missing_ok=True)
    (folder / "python").symlink_to("/usr/local/bin/python3")
    with tarfile.open(folder / "environment.tar", "w") as tar:
        tar.add(folder / "pyvenv.cfg", "pyvenv.cfg")
        tar.add(folder / "python", "bin/python")
    return BuildContext(folder=folder, environment=key, label="a label", base=BASE)


def test_an_environment_uses_its_interpreter(environments: Environments, tmp_path: Path) -> None:
    """It is unpacked, linked to its interpreter, and found again."""
    image = environments.add(context(tmp_path / "context", "key"), INTERPRETER.path)
    assert environments.images() == {"key": image}
    assert (image.base, image.label) == (BASE, "a label")
    folder = environments.path(image.id)
    assert (folder / "bin/python").readlink() == INTERPRETER.path
    assert f"home = {INTERPRETER.path.parent}\n" in (folder / "pyvenv.cfg").read_text()
    assert folder.stat().st_mode & 0o777 == 0o755
    again = environments.add(context(tmp_path / "context", "key"), INTERPRETER.path)
    assert environments.images() == {"key": again}
    environments.remove(folder)
    environments.remove(folder)
    assert environments.images() == {}
    assert list(folder.parent.iterdir()) == []


def test_a_trial_can_read_its_environment_with_any_umask(
    environments: Environments, tmp_path: Path
) -> None:
    """The umask of root may keep other users out."""
    package = tmp_path / "package"
    package.mkdir(mode=0o755)
    there = context(tmp_path / "context", "key")
    with tarfile.open(there.folder / "environment.tar", "a") as tar:
        tar.add(package, "lib")
    before = os.umask(0o077)
    try:
        folder = environments.path(environments.add(there, INTERPRETER.path).id)
    finally:
        os.umask(before)
    inside = [path for path in folder.rglob("*") if not path.is_symlink()]
    assert [path for path in inside if not path.stat().st_mode & 0o004] == []


def test_an_unusable_environment_is_not_found(environments: Environments, tmp_path: Path) -> None:
    """It is built again if its interpreter was removed or its record is damaged."""
    python = tmp_path / "python"
    python.write_text("")
    image = environments.add(context(tmp_path / "context", "key"), python)
    assert environments.images() == {"key": image}
    python.unlink()
    assert environments.images() == {}
    python.write_text("")
    (environments.path(image.id) / "image.json").write_text("{")
    assert environments.images() == {}


def test_a_damaged_context_makes_no_environment(environments: Environments, tmp_path: Path) -> None:
    """Nothing is left behind."""
    broken = context(tmp_path / "context", "key")
    (broken.folder / "environment.tar").write_text("no tar" * 1000)
    with pytest.raises(ImageBuildError, match="the environment of a label could not be built"):
        environments.add(broken, INTERPRETER.path)
    assert list((environments.folder / "environments").iterdir()) == []


def test_an_environment_that_a_killed_process_left_is_removed(environments: Environments) -> None:
    """An environment that a living process is building is locked and stays."""
    built = environments.folder / "environments"
    left = built / f"{tempdir.PREFIX}left"
    left.mkdir()
    (left / tempdir.LOCK).write_text("")
    with tempdir.folder(built) as living:
        environments.prepare()
        assert not left.exists()
        assert living.exists()


def test_root_needs_a_cache_that_others_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the runner is root, trials run as another user."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EngineError, match=r"who cannot enter .* Set MATRIX_RUNNER_CACHE to"):
        Environments(closed / "cache").prepare()


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The message names the obstacle."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"environments cannot be kept in .*file"):
        Environments(tmp_path / "file" / "cache").prepare()


def test_the_cache_has_a_place_for_users_and_one_for_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everybody can read the one of root."""
    monkeypatch.delenv("MATRIX_RUNNER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache() == tmp_path / "matrix-runner"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cache() == Path("/var/cache/matrix-runner")
