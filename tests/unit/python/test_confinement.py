"""What the build of a source package can see and do, on an index of this machine."""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.errors import PackagesError
from runner.python import confinement, interpreters, packages, uv
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    Package,
    Requirement,
    Unsupported,
)
from runner.system import child
from runner.system.privileges import NOBODY
from tests.support.locking import resolved
from tests.support.packages import index, spy

NEED = Requirement(axis="spy", distributions=("spy",), version="1.0")
SOURCE_HASH = "sha256:" + "0" * 64
SECRET = "a token"


@pytest.fixture(params=confinement.KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Confine builds with one kind; skip if this machine does not permit it."""
    monkeypatch.setattr(confinement, "KINDS", (request.param,))
    python = interpreters.available()[0].path
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="confinement-tests-") as folder:
        Path(folder).chmod(0o755)  # nobody can enter it, unlike the folders of pytest
        monkeypatch.setenv("TMPDIR", folder)
        confinement.find.cache_clear()
        try:
            confinement.find(Path(uv.binary()), python)
        except PackagesError:
            pytest.skip(f"builds cannot be confined with {request.param} here")
        yield str(request.param)
        confinement.find.cache_clear()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder in which every user could write."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "secret").write_text(SECRET)
    return folder


@pytest.fixture
def _index(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    home = tmp_path / "home"
    for folder in (home, tmp_path / "cache" / "matrix-runner" / "uv" / "downloads"):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    (home / "id_ed25519").write_text(SECRET)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SSH_AUTH_SOCK", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    paths = {
        "read": [str(outside / "secret"), str(home / "id_ed25519"), "/etc/shadow"],
        "list": [str(home)],
        "write": [
            str(outside / "planted"),
            str(uv.cache_folder() / "planted"),
            "/usr/planted",
        ],
    }
    with index({"spy-1.0.tar.gz": spy(paths)}) as address:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        yield


def _request(policy: str = "build") -> EnvironmentRequest:
    newest = interpreters.available()[0].minor
    return EnvironmentRequest(requirements=(NEED,), python=newest, source_packages=policy)


@pytest.mark.usefixtures("_index")
def test_a_build_sees_and_changes_nothing_outside(kind: str, outside: Path, tmp_path: Path) -> None:
    """Locking and installing run the build without home, tokens, other files and privileges."""
    locked = resolved(_request())
    assert isinstance(locked, Environment), locked
    assert [package.source for package in locked.packages] == [True]
    packages.install(locked, interpreters.find(locked.python), tmp_path / "tree")
    site = tmp_path / "tree" / "lib" / f"python{locked.python}" / "site-packages"
    seen = json.loads((site / "spy.json").read_text())

    assert SECRET not in seen["environment"].values()
    assert str(tmp_path / "home") not in seen["environment"].values()
    assert seen["home"] == []
    assert (seen["uid"] == NOBODY) or os.geteuid() != 0
    assert not (uv.cache_folder() / "planted").exists() or kind == "plain"
    assert not Path("/usr/planted").exists()
    assert not os.path.lexists(site / "link.txt")
    if kind == "plain":
        return
    assert SECRET not in seen["read"].values()
    assert seen["listed"] == {str(tmp_path / "home"): "FileNotFoundError"}
    assert "written" not in seen["written"].values()
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert Path("/proc/self/cmdline").read_text() not in seen["commands"]


@pytest.mark.usefixtures("_index", "kind")
def test_the_settings_of_the_user_lead_to_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A confined call uses the index that uv.toml names, like every other call."""
    settings = tmp_path / "home" / ".config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    address = os.environ["UV_DEFAULT_INDEX"]
    settings.write_text(f'[[index]]\nurl = "{address}"\ndefault = true\n')
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    assert isinstance(resolved(_request()), Environment)


@pytest.mark.usefixtures("_index", "kind")
def test_nothing_that_was_built_stays_in_the_cache(tmp_path: Path) -> None:
    """Neither the wheel nor its content is in the cache that later calls use."""
    locked = resolved(_request())
    assert isinstance(locked, Environment)
    packages.install(locked, interpreters.find(locked.python), tmp_path / "tree")
    assert not [*uv.cache_folder().rglob("spy.json"), *uv.cache_folder().rglob("spy*.whl")]


@pytest.mark.usefixtures("_index", "kind")
def test_installed_files_belong_to_the_runner(tmp_path: Path) -> None:
    """What a build made is copied: regular files of the runner's user, without special modes."""
    locked = resolved(_request())
    assert isinstance(locked, Environment)
    packages.install(locked, interpreters.find(locked.python), tmp_path / "tree")
    files = [path for path in tmp_path.joinpath("tree").rglob("*") if not path.is_dir()]
    assert files
    for path in files:
        about = path.lstat()
        assert stat.S_ISREG(about.st_mode)
        assert about.st_uid == os.geteuid()
        assert not about.st_mode & 0o7022


@pytest.mark.usefixtures("_index")
def test_source_packages_can_be_refused(outside: Path) -> None:
    """Nothing is built, and the reason names the source package and the setting."""
    entry = resolved(_request("refuse"))
    assert isinstance(entry, Unsupported)
    assert "spy=1.0 cannot be resolved as of 2020-01-02" in entry.reason
    assert "spy==1.0 has no usable wheels" in entry.reason
    assert "set `source_packages: build`" in entry.reason
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


@pytest.mark.usefixtures("_index", "kind")
def test_a_source_package_that_the_lock_does_not_mark_is_not_built(
    outside: Path, tmp_path: Path
) -> None:
    """Whoever looks for the marks in a stranger's lock sees everything that is built."""
    locked = resolved(_request())
    assert isinstance(locked, Environment)
    (package,) = locked.packages
    unmarked = replace(locked, packages=(replace(package, source=False),))
    (outside / "planted").unlink(missing_ok=True)  # plain processes built it while it was locked
    with pytest.raises(PackagesError, match="only packages that the lock marks as source"):
        packages.install(unmarked, interpreters.find(locked.python), tmp_path / "tree")
    assert not list(tmp_path.joinpath("tree").rglob("spy.json"))
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


@pytest.mark.usefixtures("_index")
def test_refused_source_packages_are_not_installed(outside: Path, tmp_path: Path) -> None:
    """A lock cannot have a package built that its request refuses to build."""
    package = Package(name="spy", version="1.0", hashes=(SOURCE_HASH,), source=True)
    locked = Environment(
        request=_request("refuse"),
        python=interpreters.available()[0].minor,
        platform=interpreters.machine_platform(),
        as_of=datetime(2020, 1, 2, tzinfo=timezone.utc),
        packages=(package,),
    )
    with pytest.raises(PackagesError, match="the matrix forbids to build them"):
        packages.install(locked, interpreters.available()[0], tmp_path / "tree")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_without_confinement_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no kind works, the sentence says what to install."""
    monkeypatch.setattr(confinement, "KINDS", ())
    with pytest.raises(PackagesError, match="Install bubblewrap"):
        confinement.find(Path("/bin/uv"), Path("/bin/python"))


def test_nothing_is_confined_with_privileges_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own namespaces a build is root, and without setpriv it could undo them."""
    found = child.program
    monkeypatch.setattr(child, "program", lambda name: None if name == "setpriv" else found(name))
    monkeypatch.setattr(confinement, "KINDS", ("unshare",))
    confinement.find.cache_clear()
    with pytest.raises(PackagesError, match="cannot be built safely"):
        confinement.find(Path(uv.binary()), interpreters.available()[0].path)


def test_no_other_user_reads_the_folder_of_a_build(tmp_path: Path) -> None:
    """There is a copy of the user's settings in it, which may contain passwords."""
    work = tmp_path / "call" / "content"
    (work / "settings").mkdir(parents=True)
    confinement.prepare(work, ("home",))
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    assert (work / "home").is_dir()
