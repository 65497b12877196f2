"""The images that are listed without the SDK are those that the SDK lists."""

import pytest

from runner.engines import docker
from runner.engines.docker.address import engine_address
from runner.engines.protocol import Engine
from runner.records.environment import Image

pytestmark = pytest.mark.engine


def test_images_are_the_same_without_the_sdk(docker_engine: Engine, docker_image: Image) -> None:
    """A local engine is asked over its socket."""
    if engine_address().socket is None:
        pytest.skip("the engine is not reached through a Unix socket")
    found = docker.list_images("engine-tests")
    assert docker_image in found
    assert found == docker_engine.images()
