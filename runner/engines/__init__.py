"""Which engine executes the trials: the one that was asked for, or the first one that answers."""

import os
import platform
from collections.abc import Mapping
from contextlib import closing

from runner.engines.docker.address import Address, engine_address, podman_address
from runner.engines.protocol import Engine
from runner.errors import EngineError
from runner.records.environment import Image
from runner.records.run import isolation
from runner.system.retry import Note

# ruff: noqa: PLC0415 (the SDK is loaded only where it is used, so that a plan is instant)


def connect(choice: str, machine: str, note: Note) -> Engine:
    """Return the engine of that name; ``auto`` is the first that answers: docker, podman, venv.

    ``machine`` marks what this machine's runs leave there. EngineError if there is none.
    """
    if choice == "venv":
        return _venv(machine, note, "")
    from runner.engines.docker.engine import connect as connect_docker

    troubles = []
    for address in _addresses(choice):
        try:
            return connect_docker(machine, address)
        except EngineError as error:
            troubles.append(error)
    if choice != "auto":
        raise troubles[0]
    return _venv(machine, note, f"{troubles[0]} ")


def images(choice: str) -> Mapping[str, Image] | None:
    """Return the images that exist, at a glance; ``None`` where no engine answers."""
    for address in _addresses(choice):
        try:
            return _images_at(address)
        except EngineError:
            continue
    if choice not in {"auto", "venv"}:
        return None
    from runner.engines.venv.cache import Environments, cache

    return Environments(cache()).images() if platform.system() == "Linux" else None


def _addresses(choice: str) -> list[Address | None]:
    """Return where to ask for a container engine, None: where Docker's own program would.

    podman is asked on its own socket, unless somebody has named an engine.
    """
    socket = None if os.environ.get("DOCKER_HOST") else podman_address()
    podman: list[Address | None] = [] if socket is None else [Address(url=socket)]
    match choice:
        case "venv":
            return []
        case "podman":
            return podman or [None]
        case "auto":
            return [None, *podman]
        case _:
            return [None]


def _venv(machine: str, note: Note, why: str) -> Engine:
    from runner.engines.venv import connect as connect_venv

    engine = connect_venv(machine)
    facts = engine.describe()
    note(f"{why}Trials are processes, isolation: {isolation(facts.version, facts.cgroup)}")
    return engine


def _images_at(address: Address | None) -> Mapping[str, Image]:
    """Return what an engine lists; a local one is asked without its SDK."""
    from runner.engines.docker import glance

    socket = (address or engine_address()).socket
    if socket is not None:
        return glance.images(socket)
    from runner.engines.docker.engine import connect as connect_docker
    from runner.system.host import this_host

    with closing(connect_docker(this_host().id, address)) as engine:
        return engine.images()
