"""Docker and podman: each trial runs in a fresh container.

Importing the docker SDK takes a third of the time that ``plan`` needs for everything else. It is
imported only where it is used, and the images of a local engine are listed without it.
"""

import errno
import json
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from runner.engines.docker import labels
from runner.engines.docker.address import ANSWER_S, Address, engine_address
from runner.errors import EngineError
from runner.records.environment import Image
from runner.text import why

if TYPE_CHECKING:
    from runner.engines.protocol import Engine

CHUNK_BYTES = 1 << 16
LARGEST_BYTES = 1 << 26
"""No list of images is larger."""


def connect(machine: str, address: Address | None = None) -> "Engine":
    """Return the engine at an address, or the chosen one; EngineError if it does not answer."""
    from runner.engines.docker.client import client_at  # noqa: PLC0415  loads the SDK
    from runner.engines.docker.trials import DockerEngine  # noqa: PLC0415

    where = address or engine_address()
    client, tunnel = client_at(where)
    return DockerEngine(client, machine, tunnel, local=where.socket is not None)


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
    filters = quote(json.dumps(labels.OF_ENVIRONMENTS))
    # An HTTP/1.0 response comes in one piece, and the engine closes the connection.
    request = f"GET /images/json?filters={filters} HTTP/1.0\r\n\r\n"
    try:
        head, _, body = _response(path, request.encode()).partition(b"\r\n\r\n")
    except OSError as error:
        raise EngineError(f"no engine answers on {path} ({why(error)}): start Docker.") from error
    status = head.partition(b"\r\n")[0]
    if not status.endswith(b" 200 OK"):
        raise EngineError(
            f"the engine on {path} could not list its images ({status.decode(errors='replace')}): "
            "restart it."
        )
    try:
        return labels.images(json.loads(body), machine)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise EngineError(
            f"whatever listens on {path} answers, but not like Docker: start Docker, or name an "
            "engine in DOCKER_HOST."
        ) from error


def _response(path: str, request: bytes) -> bytes:
    """Return the whole response; OSError if it is not complete in time, or too large."""
    deadline, response = time.monotonic() + ANSWER_S, bytearray()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(path)
        connection.sendall(request)
        while chunk := connection.recv(CHUNK_BYTES):
            response += chunk
            if len(response) > LARGEST_BYTES:
                raise OSError(errno.EFBIG, f"its answer is larger than {LARGEST_BYTES} bytes")
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no complete answer within {ANSWER_S:g} s")
            connection.settimeout(left_s)
    return bytes(response)
