"""Images of environments: how they are loaded, and how they are listed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from runner.engines import docker
from runner.engines.docker.address import engine_address
from runner.engines.docker.labels import LABEL
from runner.engines.protocol import Engine
from runner.prepare.context import write_context
from runner.records.environment import Image
from runner.system.packing import Tar
from tests.support.trials import plain_environment, remove_images

pytestmark = pytest.mark.engine


@pytest.mark.alone  # other tests build images, too
def test_images_are_the_same_without_the_sdk(docker_engine: Engine, docker_image: Image) -> None:
    """A local engine is asked over its socket."""
    if engine_address().socket is None:
        pytest.skip("the engine is not reached through a Unix socket")
    found = docker.list_images("engine-tests")
    assert docker_image in found
    assert set(found) == set(docker_engine.images())  # they have the same date, so any order


LOADED = plain_environment(2012)
"""An environment of these tests alone."""


@pytest.fixture
def removed(client: DockerClient) -> Iterator[None]:
    """Remove the images of these tests afterwards."""
    yield
    remove_images(client, LOADED)


def settings(client: DockerClient, image: Image) -> dict[str, Any]:
    """Return what containers of an image get from it."""
    config = client.images.get(image.id).attrs["Config"]
    return {name: value for name, value in config.items() if value and name != "Image"}


def files(client: DockerClient, image: Image) -> list[str]:
    """Return the names and modes of everything in an image, except what containers add."""
    find = "import os; [print(p, oct(os.lstat(p).st_mode), os.lstat(p).st_uid) for d, _, n in "
    find += "sorted(os.walk('/opt')) for p in sorted([d, *(os.path.join(d, one) for one in n)])]"
    output: bytes = client.containers.run(
        image.id, ["python", "-c", find], remove=True, network_mode="none", read_only=True
    )
    return output.decode().splitlines()


@pytest.mark.usefixtures("removed")
def test_a_loaded_image_is_like_one_that_is_built(
    docker_engine: Engine,
    client: DockerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has the same files and settings; loaded twice, it is the same image.

    An image is built if the engine refuses the archive, for instance one with such a date.
    """
    context = write_context(LOADED, "host", docker_engine, tmp_path / "context")
    loaded = docker_engine.build(context)
    assert client.images.get(loaded.id).attrs["Created"].startswith("1970-01-01")
    assert docker_engine.build(context) == loaded
    found = settings(client, loaded), files(client, loaded)
    monkeypatch.setattr("runner.engines.docker.loading.CREATED", "no date")
    built = docker_engine.build(context)
    assert built.id != loaded.id
    assert (settings(client, built), files(client, built)) == found
    assert (built.base, built.label, built.environment) == (
        loaded.base,
        loaded.label,
        loaded.environment,
    )


@pytest.mark.usefixtures("removed")
def test_an_interrupted_load_leaves_nothing(
    docker_engine: Engine, client: DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image gets its name and its labels only once everything is there."""
    context = write_context(LOADED, "host", docker_engine, tmp_path / "context")
    pieces = Tar.pieces

    class Interrupted(BaseException):
        """What ends the runner."""

    def cut_off(tar: Tar) -> Iterator[bytes]:
        yield next(pieces(tar))[:100]
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(Tar, "pieces", cut_off)
        with pytest.raises(Interrupted):
            docker_engine.build(context)
    label = f"{LABEL}environment={context.environment}"
    assert client.images.list(all=True, filters={"label": label}) == []
    assert docker_engine.build(context) in docker_engine.images()
