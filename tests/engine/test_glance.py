"""What is seen at a glance is what the SDK tells."""

import os

import pytest

from runner import glance
from runner.docker_engine import DockerEngine
from runner.model import Image

pytestmark = pytest.mark.engine

LOCAL = "unix:///var/run/docker.sock"


def test_a_glance_sees_the_same_images(docker_engine: DockerEngine, docker_image: Image) -> None:
    """The images that are listed without the SDK are those that are listed with it."""
    scheme, _, path = (os.environ.get("DOCKER_HOST") or LOCAL).partition("://")
    if scheme != "unix":
        pytest.skip("the engine is not reached through a Unix socket")
    found = glance.images(path)
    assert found[docker_image.environment] == docker_image
    assert found == docker_engine.images()
