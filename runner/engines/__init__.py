"""The engine that runs the trials: the requested one, or the first one that answers."""

import os
import platform
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.engines import docker
from runner.engines.docker.address import Address, podman_address
from runner.errors import EngineError
from runner.records.environment import Image
from runner.system.retry import Note

if TYPE_CHECKING:
    from runner.engines.protocol import Engine


def connect(choice: str, machine: str, note: Note) -> "Engine":
    """Return the chosen engine; for ``auto`` the first that answers of docker, podman and venv.

    ``machine`` labels everything that this machine's runs leave on the engine. EngineError if the
    chosen engine does not answer.
    """
    errors = []
    for address in _addresses(choice):
        try:
            return docker.connect(machine, address)
        except EngineError as error:
            errors.append(error)
    if choice not in {"auto", "venv"}:
        raise errors[0]
    return _venv(machine, note, errors)


def images(choice: str, machine: str) -> tuple[Image, ...] | None:
    """Return this user's images; None if no engine answers."""
    for address in _addresses(choice):
        with suppress(EngineError):
            return docker.list_images(machine, address)
    if choice not in {"auto", "venv"}:
        return None
    from runner.engines.venv.cache import Environments, cache  # noqa: PLC0415  seldom needed

    return Environments(cache(machine)).images() if platform.system() == "Linux" else None


def _addresses(choice: str) -> list[Address | None]:
    """Return where to look for a container engine; None is where the docker program would look.

    podman is looked for on its own socket, unless DOCKER_HOST names an engine.
    """
    socket = None if os.environ.get("DOCKER_HOST") else podman_address()
    podman: list[Address | None] = [] if socket is None else [Address(url=socket)]
    places = {"auto": [None, *podman], "podman": podman or [None], "venv": []}
    return places.get(choice, [None])


def _venv(machine: str, note: Note, errors: list[EngineError]) -> "Engine":
    """Return the venv engine; say how it isolates trials, and why no container engine does."""
    from runner.engines.venv import connect as connect_venv  # noqa: PLC0415  seldom needed

    engine = connect_venv(machine)
    reason = f"{errors[0]} " if errors else ""
    note(f"{reason}Trials run as processes. Isolation: {engine.describe().isolation}")
    return engine
