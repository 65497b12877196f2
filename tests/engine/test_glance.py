"""What is seen at a glance is what the SDK tells."""

import pytest

from runner.engines.docker import glance
from runner.engines.docker.address import engine_address
from runner.engines.docker.engine import DockerEngine
from runner.records.environment import Image

pytestmark = pytest.mark.engine


def test_a_glance_sees_the_same_images(docker_engine: DockerEngine, docker_image: Image) -> None:
    """The images that are listed without the SDK are those that are listed with it."""
    path = engine_address().socket
    if path is None:
        pytest.skip("the engine is not reached through a Unix socket")
    found = glance.images(path)
    assert found[docker_image.environment] == docker_image
    assert found == docker_engine.images()
