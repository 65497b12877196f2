"""One container: create it, and run it to its end, or until its time is up.

These functions use the SDK's low-level client where the other one asks the engine more often.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container
from docker.utils.socket import STDERR, STDOUT, frames_iter

from runner.engines.docker.client import engine_at_work, interrupt
from runner.engines.protocol import GRACE_S

VARIABLES = {"HOME": "/tmp", "TMPDIR": "/tmp", "KERAS_HOME": "/tmp/keras"}  # noqa: S108
"""The variables of every container; the image's own ones are kept, too."""


HOST_SETTINGS = {
    *("network_mode", "ipc_mode", "read_only", "cap_drop", "security_opt", "pids_limit"),
    *("mem_limit", "memswap_limit", "cpuset_cpus", "tmpfs", "init", "ulimits", "log_config"),
    "mounts",
}
"""What the low-level client takes as the configuration of the host."""


def create(client: docker.DockerClient, image: str, **settings: Any) -> Container:
    """Create a container; the settings have the names of the SDK's ``containers.create``."""
    host = {name: value for name, value in settings.items() if name in HOST_SETTINGS}
    own = {name: value for name, value in settings.items() if name not in HOST_SETTINGS}
    made = client.api.create_container(
        image, host_config=client.api.create_host_config(**host), **own
    )
    return client.containers.prepare_model(made)


def remove(container: Container) -> None:
    """Remove a container, whether or not it runs."""
    with may_be_gone():
        container.remove(v=True, force=True)


def run_to_end(
    client: docker.DockerClient,
    container: Container,
    add: Callable[[bytes | None, bytes | None], None],
    *,
    step: str,
    longest_s: float,
) -> bool:
    """Start a container, pass on its two streams, and return whether it had to be killed."""
    streams = {"stdout": 1, "stderr": 1, "stream": 1}
    attached: Any = client.api.attach_socket(str(container.id), streams)
    response = attached._response  # noqa: SLF001 (closing the socket alone fails on ssh)
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
        for stream, chunk in frames_iter(attached, tty=False):  # type: ignore[no-untyped-call]
            add(chunk if stream == STDOUT else None, chunk if stream == STDERR else None)
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
