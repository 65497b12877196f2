"""Fixtures for the engine tests: engines, and an image without packages."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import docker
import pytest

from runner.engines.docker import connect
from runner.engines.docker.trials import DockerEngine
from runner.engines.protocol import Engine
from runner.engines.venv import VenvEngine
from runner.engines.venv import connect as connect_venv
from runner.engines.venv.cache import CACHE
from runner.errors import EngineError
from runner.execute import clear
from runner.records.environment import Image
from runner.system.host import this_host
from tests.support import required
from tests.support.daemons import lent
from tests.support.podman import REASON, Podman, possible
from tests.support.served import Served
from tests.support.trials import RUN, Execute, build, executed, plain_environment

collect_ignore = ["scripts"]
"""What users run in trials."""


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """Return the real engine; afterwards it is cleared of the tests' run."""
    engine = connect("engine-tests")
    yield engine
    clear(engine, RUN)
    engine.close()


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Return a running podman service for the tests; afterwards nothing of it is left."""
    if not possible():
        assert not os.environ.get(required.PODMAN), f"CI needs it: {REASON}"
        pytest.skip(REASON)
    with lent(Podman) as podman:
        yield podman


@pytest.fixture(scope="session")
def podman_engine(podman: Podman) -> Iterator[DockerEngine]:
    """Return the engine on podman."""
    engine = DockerEngine(docker.DockerClient(podman.address), "engine-tests")
    yield engine
    clear(engine, RUN)
    engine.close()


@pytest.fixture(scope="session")
def docker_image(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Return the image without packages; it is kept for the next tests."""
    return build(docker_engine, plain_environment(), tmp_path_factory.mktemp("context"))


@pytest.fixture(scope="session")
def programs_engine() -> Iterator[Engine]:
    """Return the engine as the program sees it; it does not see what the other tests own."""
    with closing(connect(this_host().id)) as engine:
        yield engine


@pytest.fixture(scope="session")
def programs_image(programs_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Return the image without packages that the program finds."""
    return build(programs_engine, plain_environment(), tmp_path_factory.mktemp("context"))


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """Return a second connection, to look at the engine from outside."""
    with closing(docker.from_env()) as client:
        yield client


@pytest.fixture(scope="session", params=["docker", "podman"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Return each real engine in turn."""
    engine = request.getfixturevalue(f"{request.param}_engine")
    address = None
    if request.param == "podman":
        address = request.getfixturevalue("podman").address
    image = build(engine, plain_environment(), tmp_path_factory.mktemp("context"))
    with closing(docker.DockerClient(address) if address else docker.from_env()) as client:
        yield Served(engine, image, address, client)


@pytest.fixture
def execute(served: Served, tmp_path: Path) -> Execute:
    """Execute a script as a trial on a real engine."""
    return partial(executed, served.engine, served.image, tmp_path)


@pytest.fixture(scope="session")
def venv_engines(readable: Path) -> Callable[[str], VenvEngine]:
    """Return a function that connects to venv with one kind of isolation, or skips the test."""

    def make(kind: str) -> VenvEngine:
        try:
            with pytest.MonkeyPatch.context() as patched:
                patched.setenv(CACHE, str(readable / "cache"))
                return connect_venv("engine-tests", (kind,))
        except EngineError as error:
            pytest.skip(str(error))

    return make
