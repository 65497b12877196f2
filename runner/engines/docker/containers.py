"""One container: run it to its end, or until its time is up."""

import contextlib
import threading
from collections.abc import Iterator

import docker
import docker.errors
import requests
from docker.models.containers import Container

from runner.engines.docker.client import engine_at_work, interrupt
from runner.engines.protocol import GRACE_S
from runner.engines.streams import TrialOutput

VARIABLES = {"HOME": "/tmp", "TMPDIR": "/tmp", "KERAS_HOME": "/tmp/keras"}  # noqa: S108
"""The variables of every container; the image's own ones are kept, too."""


def run_to_end(
    client: docker.DockerClient,
    container: Container,
    output: TrialOutput,
    *,
    step: str,
    longest_s: float,
) -> bool:
    """Start a container, collect its output, and return whether it had to be killed."""
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
            output.add(document, log)
    finally:
        timer.cancel()
        ended.set()
        response.close()
    return overdue.is_set()


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
