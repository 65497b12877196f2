"""One container: run it to its end, or until its time is up."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container

from runner.engines.docker.client import engine_at_work, interrupt
from runner.engines.protocol import GRACE_S

VARIABLES = {"HOME": "/tmp", "TMPDIR": "/tmp", "KERAS_HOME": "/tmp/keras"}  # noqa: S108
"""The variables of every container; the image's own ones are kept, too."""


def run_to_end(
    client: docker.DockerClient,
    container: Container,
    add: Callable[[bytes | None, bytes | None], None],
    *,
    step: str,
    longest_s: float,
) -> bool:
    """Start a container, pass on its two streams, and return whether it had to be killed."""
    stream = client.api.attach(str(container.id), stdout=True, stderr=True, stream=True, demux=True)
    # The stream's own ``close`` leaves the socket open, and fails on ssh.
    response = stream._response  # type: ignore[attr-defined]  # noqa: SLF001
    overdue, ended = threading.Event(), threading.Event()

    def stop() -> None:
        overdue.set()
        with contextlib.suppress(docker.errors.APIError, requests.RequestException):
            container.kill()
        if not ended.wait(GRACE_S):  # the engine hangs
            interrupt(response)

    timer = threading.Timer(longest_s, stop)
    timer.daemon = True
    timer.start()
    try:
        with engine_at_work(step, passing=True):
            container.start()
        for document, log in stream:
            add(document, log)
    finally:
        timer.cancel()
        ended.set()
        response.close()
    return overdue.is_set()


@contextlib.contextmanager
def stdin_of(
    client: docker.DockerClient, container: Container
) -> Iterator[Callable[[bytes], None]]:
    """Return what sends bytes to the stdin of a container, which is closed at the end.

    The connection is a second one, because a TLS connection cannot be read and written at once.
    """
    attached: Any = client.api.attach_socket(str(container.id), {"stdin": 1, "stream": 1})
    connection: socket.socket = getattr(attached, "_sock", attached)  # it wraps Unix sockets
    try:
        yield connection.sendall
    finally:
        with contextlib.suppress(OSError):  # the container has closed it
            connection.shutdown(socket.SHUT_RDWR)
        attached._response.close()  # noqa: SLF001 (it holds the socket open)
        connection.close()


@contextlib.contextmanager
def may_be_gone() -> Iterator[None]:
    """Ignore that something is gone, is being removed, or cannot be removed while it is used."""
    try:
        yield
    except docker.errors.APIError as error:
        gone = error.status_code in {requests.codes.not_found, requests.codes.conflict}
        # podman says so with a 500 while it removes a container.
        if not gone and "no such container" not in str(error.explanation):
            raise
