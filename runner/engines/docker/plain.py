"""Questions to an engine behind a Unix socket, without the SDK, which takes longer to load."""

import errno
import json
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from runner.engines.docker.address import ANSWER_S

Filters = Mapping[str, Sequence[str]]

CHUNK_BYTES = 1 << 16
LARGEST_BYTES = 1 << 26
"""No answer is larger."""


class RefusedError(ValueError):
    """The engine refused to answer; the text is its status, and ``reason`` what it says."""

    def __init__(self, status: bytes, reason: bytes) -> None:
        super().__init__(status.decode(errors="replace"))
        self.reason = reason.decode(errors="replace")


def ask(path: str, question: str, filters: Filters | None = None, **options: str) -> Any:
    """Return what the engine at a socket answers to a GET request.

    OSError if no complete answer comes in time, RefusedError if it is not a success, and any other
    ValueError if it is not JSON.
    """
    if filters:
        options["filters"] = json.dumps(filters)
    # An HTTP/1.0 response comes in one piece, and the engine closes the connection.
    request = f"GET /{quote(question, safe='/:')}?{urlencode(options)} HTTP/1.0\r\n\r\n"
    try:
        head, _, body = _response(path, request.encode()).partition(b"\r\n\r\n")
    except TimeoutError as error:
        raise TimeoutError(f"no complete answer within {ANSWER_S:g} s") from error
    status = head.partition(b"\r\n")[0]
    if not status.endswith(b" 200 OK"):
        raise RefusedError(status, body)
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError from error


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
                raise TimeoutError
            connection.settimeout(left_s)
    return bytes(response)
