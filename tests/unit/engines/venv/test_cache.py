"""Environments in a cache are complete or not there, and found again by their digest."""

import os
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from runner.engines.protocol import BuildContext
from runner.engines.venv.cache import Environments, cache
from runner.engines.venv.sandbox import find
from runner.errors import EngineError, ImageBuildError
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind
from runner.system import tempdir
from tests.support.sandboxes import bubblewrap_or_skip
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
    assert environments.images() == (image,)
    assert (image.base, image.label) == (BASE, "a label")
    folder = environments.path(image.id)
    assert (folder / "bin/python").readlink() == INTERPRETER.path
    assert f"home = {INTERPRETER.path.parent}\n" in (folder / "pyvenv.cfg").read_text()
    assert folder.stat().st_mode & 0o777 == 0o755
    again = environments.add(context(tmp_path / "context", "key"), INTERPRETER.path)
    assert environments.images() == (again,)
    environments.remove(folder)
    environments.remove(folder)
    assert environments.images() == ()
    assert list(folder.parent.iterdir()) == []


def test_environments_on_other_bases_and_from_bundles_are_kept_apart(
    environments: Environments, tmp_path: Path
) -> None:
    """None replaces another one, and each says what it was built on."""
    plain = context(tmp_path / "context", "key")
    other = replace(plain, base=replace(BASE, digest="sha256:1"))
    bundled = replace(plain, bundle="b" * 64)
    built = [environments.add(one, INTERPRETER.path) for one in (plain, other, bundled)]
    assert sorted(environments.images(), key=built.index) == built
    assert [one.bundle for one in built] == [None, None, "b" * 64]


def an_interpreter(folder: Path) -> Interpreter:
    """Return a copy of this interpreter that can be changed."""
    folder.mkdir()
    python = folder / f"python{INTERPRETER.minor}"
    python.write_text(f'#!/bin/sh\nexec {INTERPRETER.path} "$@"\n')
    python.chmod(0o755)
    return replace(INTERPRETER, path=python)


def test_an_interpreter_that_was_replaced_at_its_path_is_another_base(
    environments: Environments, tmp_path: Path
) -> None:
    """An upgrade in place gives another digest, so environments are built again."""
    found = an_interpreter(tmp_path / "bin")
    path, before = environments.interpreter(found)
    assert environments.interpreter(found) == (path, before)
    with path.open("a") as file:
        file.write("# a newer one\n")
    assert environments.interpreter(found)[1] != before
    assert environments.interpreter(replace(found, version="9"))[1] != before


def test_a_copied_interpreter_is_identified_by_all_its_files(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that was made when the standard library was another one is another base."""
    monkeypatch.setattr(sys.modules[Environments.__module__], "can_execute", lambda *_: False)
    libraries = iter(("one", "two", "one"))

    def copied(_: Interpreter, folder: Path) -> None:
        (folder / "library").write_text(next(libraries))

    monkeypatch.setattr("runner.engines.base.copy", copied)
    digests = []
    for _ in range(3):
        path, digest = environments.interpreter(INTERPRETER)
        assert environments.is_copy(path)
        digests.append(digest)
        environments.remove(path.parents[1])
    assert digests[0] == digests[2] != digests[1]


def test_the_interpreter_of_a_bundle_is_tried_in_the_sandbox(
    environments: Environments, tmp_path: Path
) -> None:
    """It is any program of whoever made the bundle."""
    bubblewrap_or_skip()
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n: > {tmp_path}/planted || true\n")
    program.chmod(0o755)
    with tarfile.open(tmp_path / "base.tar", "w") as tar:
        tar.add(program, "usr/local/bin/python3.11")
    path, _ = environments.unpacked(tmp_path / "base.tar", "3.11", find())
    assert path.read_text() == program.read_text()
    assert not (tmp_path / "planted").exists()


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
    assert environments.images() == (image,)
    python.unlink()
    assert environments.images() == ()
    python.write_text("")
    (environments.path(image.id) / "image.json").write_text("{")
    assert environments.images() == ()


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


def test_a_cache_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Another user of a shared cache may have made it, and it may lead to anything."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (tmp_path / "cache").symlink_to(private)
    with pytest.raises(EngineError, match="Set MATRIX_RUNNER_CACHE to another folder"):
        Environments(tmp_path / "cache").prepare()
    assert private.stat().st_mode & 0o777 == 0o700
    assert list(private.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make the folder of another user")
def test_a_cache_of_another_user_is_refused(tmp_path: Path) -> None:
    """They could replace environments in it."""
    (tmp_path / "cache").mkdir()
    os.chown(tmp_path / "cache", 4711, 4711)
    with pytest.raises(EngineError, match="belongs to another user"):
        Environments(tmp_path / "cache").prepare()


def test_the_cache_has_a_place_for_users_and_one_for_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everybody can read the one of root."""
    monkeypatch.delenv("MATRIX_RUNNER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cache("m") == tmp_path / "matrix-runner" / "m-1000"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cache("m") == Path("/var/cache/matrix-runner/m-0")
