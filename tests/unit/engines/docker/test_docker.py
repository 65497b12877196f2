"""The images of a local engine, listed without the SDK."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from runner.engines import docker
from runner.engines.docker.address import Address
from runner.engines.docker.labels import MACHINE, USER, owner_labels
from runner.errors import EngineError
from runner.records.environment import Base, BaseKind, Image

LABELS = {
    **owner_labels("m"),
    "matrix-runner.environment": "e" * 64,
    "matrix-runner.label": "numpy=1.0",
    "matrix-runner.base-kind": "pulled",
    "matrix-runner.base-name": "python:3.11-slim",
    "matrix-runner.base-digest": "sha256:b",
}
OURS = {
    "Id": "sha256:i",
    "Labels": LABELS,
    "Size": 7,
    "RepoTags": [f"matrix-runner/environment:{'e' * 16}"],
}
IMAGE = Image(
    environment="e" * 64,
    label="numpy=1.0",
    id="sha256:i",
    size_bytes=7,
    base=Base(kind=BaseKind.PULLED, name="python:3.11-slim", digest="sha256:b"),
)

Serve = Callable[[str, object], Address]


@pytest.fixture
def requests() -> list[str]:
    """Return the requests that the engine got."""
    return []


@pytest.fixture
def serve(requests: list[str]) -> Iterator[Serve]:
    """Return a function that starts an engine with a fixed response, and returns its address."""
    threads: list[threading.Thread] = []
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:

        def respond(response: bytes) -> None:
            connection, _ = listening.accept()
            with connection:
                requests.append(connection.recv(4096).decode())
                connection.sendall(response)

        def start(status: str, content: object) -> Address:
            path = Path(folder, "socket")
            listening.bind(str(path))
            listening.listen()
            listening.settimeout(10)
            response = f"HTTP/1.0 {status}\r\n\r\n{json.dumps(content)}".encode()
            threads.append(threading.Thread(target=respond, args=(response,)))
            threads[0].start()
            return Address(url=f"unix://{path}")

        yield start
        for thread in threads:
            thread.join()


def test_images_of_environments_are_listed(serve: Serve, requests: list[str]) -> None:
    """Only named images of environments are asked for."""
    assert docker.list_images("m", serve("200 OK", [OURS])) == (IMAGE,)
    (request,) = requests
    url = urlsplit(request.split()[1])
    assert url.path == "/images/json"
    (filters,) = parse_qs(url.query)["filters"]
    assert json.loads(filters) == {"label": ["matrix-runner.environment"], "dangling": ["false"]}


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        (["localhost/matrix-runner/environment:1"], True),
        (["matrix-runner/environment:1", "mine:1"], False),
        (["mine:1"], False),
        (["matrix-runner-of-somebody/else:1"], False),
    ],
)
def test_an_image_that_others_named_is_not_ours(serve: Serve, names: list[str], ours: bool) -> None:
    """An image that others build on ours has our labels, too."""
    entry: dict[str, Any] = {**OURS, "RepoTags": names}
    assert bool(docker.list_images("m", serve("200 OK", [entry]))) is ours


@pytest.mark.parametrize("name", [USER, MACHINE])
@pytest.mark.parametrize("owner", ["4711", None])
def test_images_of_others_are_not_listed(serve: Serve, name: str, owner: str | None) -> None:
    """Neither those of another user or machine, nor those that do not record one."""
    marks = {key: value for key, value in LABELS.items() if key != name}
    marks |= {} if owner is None else {name: owner}
    assert docker.list_images("m", serve("200 OK", [{**OURS, "Labels": marks}])) == ()


@pytest.mark.parametrize("value", ["nonsense", None])
def test_an_image_with_wrong_labels_hides_no_others(serve: Serve, value: str | None) -> None:
    """Anybody on the engine can make one that seems to be ours."""
    marks = {key: mark for key, mark in LABELS.items() if key != "matrix-runner.base-kind"}
    marks |= {} if value is None else {"matrix-runner.base-kind": value}
    assert docker.list_images("m", serve("200 OK", [{**OURS, "Labels": marks}, OURS])) == (IMAGE,)


def test_an_endless_answer_does_not_fill_the_memory(tmp_path: Path) -> None:
    """It is no answer."""

    def flood() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            while True:
                connection.sendall(bytes(1 << 20))

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        thread = threading.Thread(target=flood)
        thread.start()
        with pytest.raises(EngineError, match="its answer is larger than"):
            docker.list_images("m", Address(url=f"unix://{tmp_path / 'socket'}"))
        thread.join()


def test_an_engine_that_fails_is_one_sentence(serve: Serve) -> None:
    """The sentence has the status and says what to do."""
    with pytest.raises(EngineError, match=r"could not list its images \(HTTP/1\.0 500 .*restart"):
        docker.list_images("m", serve("500 Internal Server Error", {}))


def test_a_missing_engine_is_one_sentence() -> None:
    """The sentence names the socket and says what to do."""
    with pytest.raises(EngineError, match=r"no engine answers on /nonexistent .*: start Docker"):
        docker.list_images("m", Address(url="unix:///nonexistent"))
