"""What source builds made is kept, and comes back in the same environment only."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest

from runner.python import interpreters, packages, uv
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    IndexSettings,
    Package,
    Requirement,
)
from runner.system.parallel import in_parallel
from runner.system.privileges import NOBODY
from tests.support.packages import index, spy

SOURCE = spy({"read": ["/nothing"], "list": [], "write": []})
DAY = datetime(2020, 1, 2, tzinfo=timezone.utc)
INTERPRETER = interpreters.available()[0]
ENVIRONMENT = Environment(
    request=EnvironmentRequest(
        requirements=(Requirement(axis="spy", distributions=("spy",), version="1.0"),),
        python=INTERPRETER.minor,
    ),
    python=INTERPRETER.minor,
    platform=interpreters.machine_platform(),
    as_of=DAY,
    packages=(
        Package(
            name="spy", version="1.0", hashes=(f"sha256:{sha256(SOURCE).hexdigest()}",), source=True
        ),
    ),
)

Install = Callable[[Environment], str]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the source package to the user, who has an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with index({"spy-1.0.tar.gz": SOURCE}) as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served)
        yield served


@pytest.fixture
def install(address: str, tmp_path: Path) -> Install:
    """Return a function that installs, and returns what the build saw: it is never the same."""
    assert address
    numbers = iter(range(100))

    def installed(environment: Environment) -> str:
        folder = tmp_path / f"tree-{next(numbers)}"
        packages.install(environment, INTERPRETER, folder)
        (found,) = folder.rglob("spy.json")
        assert list(folder.rglob("spy-1.0.dist-info/RECORD"))
        return found.read_text()

    return installed


def _kept() -> list[Path]:
    return sorted(uv.builds_folder().iterdir())


def test_nothing_is_built_twice(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same environment gets what was built for it, and needs no index."""
    first = install(ENVIRONMENT)
    monkeypatch.setattr(uv, "call", None)
    assert install(ENVIRONMENT) == first


def test_bytecode_is_kept_as_well(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was built and what comes back are the same files."""
    install(ENVIRONMENT)
    monkeypatch.setattr(uv, "call", None)
    install(ENVIRONMENT)
    built, kept = (
        {
            path.relative_to(tree): (path.read_bytes(), path.stat().st_mode)
            for path in tree.rglob("*")
            if path.is_file()
        }
        for tree in (tmp_path / "tree-0", tmp_path / "tree-1")
    )
    assert built == kept


@pytest.mark.parametrize(
    "other",
    [
        replace(ENVIRONMENT, as_of=DAY + timedelta(days=1)),
        replace(ENVIRONMENT, request=replace(ENVIRONMENT.request, constraints=("six<2",))),
    ],
    ids=["as of", "request"],
)
def test_another_environment_gets_a_build_of_its_own(install: Install, other: Environment) -> None:
    """Even if its source packages are the same."""
    assert install(ENVIRONMENT) != install(other)


def test_an_index_of_a_matrix_reaches_no_other_study(install: Install, address: str) -> None:
    """It serves build tools, so it decides on what is built."""
    named = IndexSettings(extra=(f"{address}/",))
    other = replace(ENVIRONMENT, request=replace(ENVIRONMENT.request, index=named))
    assert install(other) != install(ENVIRONMENT)


def test_another_index_of_the_user_gets_a_build_of_its_own(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock entry is the same, but the index may serve other build tools."""
    first = install(ENVIRONMENT)
    with index({"spy-1.0.tar.gz": SOURCE}) as other:
        monkeypatch.setenv("UV_DEFAULT_INDEX", other)
        assert install(ENVIRONMENT) != first


def test_other_settings_of_uv_get_a_build_of_their_own(install: Install, tmp_path: Path) -> None:
    """Some of them change builds."""
    first = install(ENVIRONMENT)
    settings = tmp_path / "config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[config-settings]\nfast = "yes"\n')
    assert install(ENVIRONMENT) != first


def test_what_a_compiler_made_is_not_kept(install: Install) -> None:
    """It depends on the libraries of this machine, too."""
    compiled = replace(ENVIRONMENT, request=replace(ENVIRONMENT.request, compile=True))
    assert install(compiled) != install(compiled)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _change(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"spy", b"spi"))


def _link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("spoil", [_cut, _change, _link])
def test_a_changed_file_is_not_used(install: Install, spoil: Callable[[Path], None]) -> None:
    """The packages are built again, and replace it."""
    first = install(ENVIRONMENT)
    (path,) = _kept()
    spoil(path)
    second = install(ENVIRONMENT)
    assert second != first
    assert install(ENVIRONMENT) == second
    assert _kept() == [path]
    assert not path.is_symlink()


def test_builds_at_the_same_time_leave_one_of_them(install: Install) -> None:
    """Each installs what it has built itself."""
    built = set(in_parallel(install, [ENVIRONMENT] * 2))
    assert len(built) == 2
    assert install(ENVIRONMENT) in built
    assert len(_kept()) == 1


def test_only_the_user_can_see_what_was_built(install: Install) -> None:
    """Names depend on the settings of uv, which may contain passwords."""
    install(ENVIRONMENT)
    assert stat.S_IMODE(uv.builds_folder().stat().st_mode) == 0o700


def test_a_cache_that_cannot_be_written_is_no_obstacle(install: Install) -> None:
    """The packages are built each time."""
    uv.builds_folder().parent.mkdir(parents=True)
    uv.builds_folder().touch()
    assert install(ENVIRONMENT) != install(ENVIRONMENT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_what_another_user_keeps_is_not_used(install: Install) -> None:
    """Others may put anything into a shared cache."""
    first = install(ENVIRONMENT)
    os.chown(uv.builds_folder(), NOBODY, NOBODY)
    assert install(ENVIRONMENT) != first


def test_clean_removes_what_was_built() -> None:
    """Like all other caches."""
    assert uv.builds_folder() in uv.cache_folders()
