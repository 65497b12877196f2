"""Fixtures of all tests. Tests without the mark ``engine`` cannot reach an engine.

``pytest --accept-gold`` rewrites the gold files.
"""

import fcntl
import gc
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from runner.errors import EngineError
from runner.records.run import Guards
from runner.system.retry import WAITS_S
from runner.system.signals import SIGNALS
from tests.support import required
from tests.support.browser import launched_or_skip
from tests.support.studies import own_prefix

# Machines of CI are sometimes slow. tests/fuzz and tests/statistics try many more examples.
settings.register_profile("unit", deadline=None, max_examples=40)
settings.load_profile("unit")

TESTS = Path(__file__).parent
GOLD = TESTS / "gold"


@pytest.fixture(autouse=True)
def no_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every unmarked test see an engine that does not exist."""
    if request.node.get_closest_marker("engine") is None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


OWN_ENGINE = (
    *("compare", "engine_lost", "founding", "real_verdicts", "remote", "replay", "several_runs"),
    *("slurm", "two_users", "untrusted_study", "venv", "zoo"),
)
"""The files of engine tests that neither clear nor count what the other files share."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute files with ``-n 2``, but engine tests as two groups.

    The tests of a group share images, and nothing of a group disturbs the other one.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 (only with -n)

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.split("/")[1] not in {"engine", "zoo"}:
                return file
            return "own" if Path(file).stem.removeprefix("test_") in OWN_ENGINE else "shared"

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run no other test at the same time as one that is marked ``alone``."""
    gate, lock = (os.open(path, os.O_RDONLY) for path in (__file__, TESTS))
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)  # nobody overtakes a test that waits to be alone
        is_alone = item.get_closest_marker("alone") is not None
        fcntl.flock(lock, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        return (yield)
    finally:
        os.close(gate)
        os.close(lock)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the engine tests, with the reason, if no engine answers."""
    marked = [item for item in items if item.get_closest_marker("engine")]
    if not marked or os.environ.get(required.ENGINE):
        return
    from runner.engines.docker import connect  # noqa: PLC0415 (only if a test needs it)

    try:
        connect("probe").close()
    except EngineError as error:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=str(error)))
    with warnings.catch_warnings():  # the SDK leaves the socket of a failed attempt open
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def calm_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no trial wait or be disturbed because this machine is busy."""
    if request.node.get_closest_marker("guarded") is None:
        calm = Guards(foreign_share=1e9, steal_share=1e9, window_s=0.0)
        monkeypatch.setattr("runner.plan.GUARDS", calm)


@pytest.fixture(autouse=True, scope="session")
def own_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests their own run registry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def own_folders(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Give every test its own working folder, temporary folder and cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MATRIX_RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
    if request.node.get_closest_marker("index") is None:  # downloads are kept for the next tests
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("packages")))
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture(autouse=True)
def unseen_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test in this process see the living processes of this machine."""
    for module in ("alive", "cores"):
        monkeypatch.setattr(f"runner.system.{module}.PREFIX", own_prefix(module))


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Restore the signal handlers after each test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handling in before.items():
        signal.signal(number, handling)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing in this process wait before a retry."""
    monkeypatch.setattr("runner.system.retry.WAITS_S", (0.0,) * len(WAITS_S))


@pytest.fixture(scope="session")
def readable() -> Iterator[Path]:
    """Return a folder that every user can read, like the cache of the venv engine."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="venv-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return the browser that all tests of a file share, or skip the test.

    It ends with them: even an idle browser disturbs tests that measure.
    """
    with launched_or_skip() as browser:
        yield browser


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites gold files instead of comparing with them."""
    parser.addoption(
        "--accept-gold",
        action="store_true",
        help="rewrite tests/gold/ instead of comparing with it",
    )


@pytest.fixture
def gold(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares a text with a gold file, or rewrites the file."""
    accept = request.config.getoption("--accept-gold", default=False)

    def compare(name: str, text: str) -> None:
        path = GOLD / name
        if accept:
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name}: see --accept-gold"

    return compare
