"""Docker and podman: each trial runs in a fresh container.

Importing the docker SDK takes a third of the time that ``plan`` needs for everything else. It is
imported only where it is used: a local engine answers simple questions without it.
"""

from contextlib import closing
from typing import TYPE_CHECKING, cast

from runner.engines.docker import labels, plain
from runner.engines.docker.address import Address, engine_address
from runner.errors import EngineError
from runner.records.environment import Image
from runner.text import why

if TYPE_CHECKING:
    from runner.engines.protocol import Engine


def connect(machine: str, address: Address | None = None) -> "Engine":
    """Return the engine at an address, or the chosen one; EngineError if it does not answer."""
    where = address or engine_address()
    if where.socket is not None:
        from runner.engines.docker.local import LocalEngine  # noqa: PLC0415  seldom needed

        return cast("Engine", LocalEngine(where, machine))
    from runner.engines.docker.client import client_at  # noqa: PLC0415  loads the SDK
    from runner.engines.docker.trials import DockerEngine  # noqa: PLC0415

    client, tunnel = client_at(where)
    return DockerEngine(client, machine, tunnel, local=False)


def list_images(machine: str, address: Address | None = None) -> tuple[Image, ...]:
    """Return what ``Engine.images`` returns, without loading the SDK if the engine is local.

    EngineError if the engine does not answer.
    """
    where = address or engine_address()
    if where.socket is not None:
        return _images_at(where.socket, machine)
    with closing(connect(machine, where)) as engine:
        return engine.images()


def _images_at(path: str, machine: str) -> tuple[Image, ...]:
    try:
        listed = plain.ask(path, "images/json", labels.OF_ENVIRONMENTS)
        return labels.images(listed, machine)
    except OSError as error:
        raise EngineError(f"no engine answers on {path} ({why(error)}): start Docker.") from error
    except plain.RefusedError as error:
        raise EngineError(
            f"the engine on {path} could not list its images ({error}): restart it."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise EngineError(
            f"whatever listens on {path} answers, but not like Docker: start Docker, or name an "
            "engine in DOCKER_HOST."
        ) from error
