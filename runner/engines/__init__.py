"""The engine that runs the trials: the requested one, or the one that something here points to."""

import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from runner.engines import docker
from runner.engines.docker.address import ANSWER_S, Address, Pointer, podman_address, pointers
from runner.errors import EngineError
from runner.records.environment import Image
from runner.system.retry import Note

if TYPE_CHECKING:
    from runner.engines.protocol import Engine

T = TypeVar("T")
NOTHING = "Nothing here points to Docker or podman. "


def connect(choice: str, machine: str, note: Note) -> "Engine":
    """Return the chosen engine; for ``auto`` Docker or podman if anything here points to one.

    ``machine`` labels everything that this machine's runs leave on the engine. EngineError if the
    engine does not answer: only the user decides to run trials as processes instead.
    """
    if choice in {"docker", "podman"}:
        return docker.connect(machine, _address(choice))
    if choice == "auto" and (found := pointers()):
        return _first(found, partial(docker.connect, machine), note)
    return _venv(machine, note, NOTHING if choice == "auto" else "")


def images(choice: str, machine: str) -> tuple[Image, ...] | None:
    """Return this user's images; None if the engine does not answer."""
    try:
        if choice in {"docker", "podman"}:
            return docker.list_images(machine, _address(choice))
        if choice == "auto" and (found := pointers()):
            return _first(found, partial(docker.list_images, machine), lambda _: None)
    except EngineError:
        return None
    from runner.engines.venv.cache import Environments, cache  # noqa: PLC0415  seldom needed

    return Environments(cache(machine)).images() if platform.system() == "Linux" else None


def _address(choice: str) -> Address | None:
    """Return where to look for a container engine; None is where the docker program would look."""
    return podman_address() if choice == "podman" else None


def _first(found: Sequence[Pointer], ask: Callable[[Address | None], T], note: Note) -> T:
    """Return the first answer; EngineError says what was found and why none answers."""
    errors: list[str] = []
    for one in found:
        began = time.monotonic()
        try:
            answer = ask(one.address)
        except EngineError as error:
            errors.append(f"{one.clause}, but {error}")
        else:
            for problem in errors:
                note(f"{problem} Trials run on {one.address}.")
            return answer
        if time.monotonic() - began >= ANSWER_S:  # it is there, but silent: nobody waits twice
            break
    raise EngineError(" ".join((*errors, "To run trials as processes, use --engine venv.")))


def _venv(machine: str, note: Note, why: str) -> "Engine":
    """Return the venv engine; say why it is used, and how it isolates trials."""
    from runner.engines.venv import connect as connect_venv  # noqa: PLC0415  seldom needed

    engine = connect_venv(machine)
    note(f"{why}Trials run as processes. Isolation: {engine.describe().isolation}")
    return engine
