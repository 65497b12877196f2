"""Which engine executes the trials: the one that was asked for, or the first one that answers."""

import os
import platform
from collections.abc import Mapping
from contextlib import closing

from runner.engine import Engine
from runner.errors import EngineError
from runner.isolation import told
from runner.model import Image
from runner.patience import Note

LOCAL = "unix:///var/run/docker.sock"

# ruff: noqa: PLC0415 (the SDK is loaded only where it is used, so that a plan is instant)


def connect(choice: str, machine: str, note: Note) -> Engine:
    """Return the engine of that name; ``auto`` is Docker where it answers, else venv.

    ``machine`` marks what this machine's runs leave there. EngineError if there is none.
    """
    if choice == "venv":
        return _venv(machine, note, "")
    from runner.docker_engine import connect as connect_docker

    try:
        return connect_docker(machine)
    except EngineError as error:
        if choice != "auto":
            raise
        return _venv(machine, note, f"{error} ")


def images(choice: str) -> Mapping[str, Image] | None:
    """Return the images that exist, at a glance; ``None`` where no engine answers."""
    if choice != "venv":
        try:
            return _images_of_docker()
        except EngineError:
            if choice != "auto":
                return None
    from runner.environments import Environments, cache

    return Environments(cache()).images() if platform.system() == "Linux" else None


def _venv(machine: str, note: Note, why: str) -> Engine:
    from runner.venv_engine import connect as connect_venv

    engine = connect_venv(machine)
    facts = engine.describe()
    note(f"{why}Trials are processes, isolation: {told(facts.version, facts.cgroup)}")
    return engine


def _images_of_docker() -> Mapping[str, Image]:
    """Return what the engine lists; a local one is asked without its SDK."""
    from runner import glance

    scheme, _, path = (os.environ.get("DOCKER_HOST") or LOCAL).partition("://")
    if scheme == "unix":
        return glance.images(path)
    from runner.docker_engine import connect as connect_docker
    from runner.host import host

    with closing(connect_docker(host().id)) as engine:
        return engine.images()
