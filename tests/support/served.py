"""A real engine that several tests share."""

from dataclasses import dataclass

import docker

from runner.engines.protocol import Engine
from runner.records.environment import Image


@dataclass(frozen=True)
class Served:
    """A real engine, its image without packages, and a second connection to it."""

    engine: Engine
    image: Image
    address: str | None
    client: docker.DockerClient

    def connect(self, timeout: int = 60) -> docker.DockerClient:
        """Return a third connection."""
        if self.address is None:
            return docker.from_env(timeout=timeout)
        return docker.DockerClient(self.address, timeout=timeout)

    @property
    def podman(self) -> bool:
        """Whether it is podman."""
        return self.engine.describe().name == "podman"
