"""What a local engine answers without the SDK, and when the SDK is asked instead."""

import gc
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from runner.engines import base
from runner.engines.docker import connect, labels
from runner.engines.docker.address import Address
from runner.engines.docker.client import client_at
from runner.engines.docker.local import LocalEngine
from runner.engines.docker.trials import DockerEngine
from runner.errors import EngineError, EngineLostError
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind
from tests.support.studies import ROOT

# The SDK leaves a socket to Python if it cannot connect.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

PYTHON = Interpreter(path=Path(sys.executable), version="3.11.7")
NAMED = {"Id": "sha256:n", "RepoDigests": ["python@sha256:d"]}
OWNER = labels.owner_labels("m")
RUN = {labels.RUN: "run-1", **OWNER}
ENVIRONMENT = {
    "Id": "sha256:i",
    "Labels": {
        **OWNER,
        labels.LABEL + "environment": "e" * 64,
        labels.LABEL + "label": "numpy=1.0",
        labels.LABEL + "base-kind": "pulled",
        labels.LABEL + "base-name": "python:3.11-slim",
        labels.CONTENT: "sha256:b",
    },
    "Size": 7,
    "RepoTags": ["matrix-runner/environment:1"],
}
OF_OTHERS = {**ENVIRONMENT, "Id": "sha256:o", "Labels": {**ENVIRONMENT["Labels"], labels.USER: "x"}}  # type: ignore[dict-item]
CONTAINERS = [
    {"Id": "c1", "Labels": RUN},
    {"Id": "c2", "Labels": {labels.RUN: "run-2"}},
]
VOLUMES = [{"Name": "v1", "Labels": {**RUN, labels.BYTES: "12"}}]
REFUSALS = {404: "No such image: python", 500: "no"}
WITHOUT_SDK = """
import sys
from pathlib import Path
from runner.engines.docker import connect
from runner.engines.docker.address import Address
from runner.python.interpreters import Interpreter
engine = connect("m", Address(url=sys.argv[1]))
python = Interpreter(path=Path(sys.executable), version="3.11.7")
engine.describe(), engine.cores(), engine.images(), engine.owned(), engine.base("auto", python)
engine.close()
print({"docker", "requests", "urllib3"} & sys.modules.keys())
"""


class Fake(socketserver.ThreadingUnixStreamServer):
    """An engine on a Unix socket that only answers questions: ``answers`` are by their paths."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Handler)
        self.url = f"unix://{path}"
        self.answers: dict[str, Any] = {
            "/version": {"ApiVersion": "1.41", "Components": [{"Name": "Engine"}]},
            "/info": {
                "ServerVersion": "20.10.1",
                "Driver": "overlay2",
                "CgroupVersion": "2",
                "NCPU": 10_000,
                "MemTotal": 1,
                "Architecture": "x86_64",
                "KernelVersion": "6",
                "OperatingSystem": "none",
                "Name": "here",
            },
            "/images/python:3.11-slim/json": NAMED,
            "/containers/json": CONTAINERS,
            "/volumes": {"Volumes": VOLUMES},
        }
        self.images: list[dict[str, Any]] = [ENVIRONMENT, OF_OTHERS]
        self.refuses = False

    def answer(self, path: str, filters: dict[str, list[str]]) -> Any:
        """Return the answer to a question; None if there is no such thing."""
        if self.refuses and path != "/version":
            return 500
        if path == "/images/json":
            return [one for one in self.images if fits(one, filters)]
        return self.answers.get(path)


def fits(image: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    """Whether an image has the labels and the repository of the filters."""
    names = [f"{name}={value}" for name, value in image["Labels"].items()] + [*image["Labels"]]
    repositories = [name.rpartition(":")[0] for name in image["RepoTags"]]
    return all(label in names for label in filters.get("label", ())) and all(
        one in repositories for one in filters.get("reference", ())
    )


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Fake

    def do_GET(self) -> None:
        """Answer a question of any version of the API."""
        url = urlsplit(self.path)
        path = unquote(url.path).removeprefix("/v1.41")
        filters = parse_qs(url.query).get("filters", ["{}"])[0]
        answer = self.server.answer(path, json.loads(filters))
        status = answer if isinstance(answer, int) else 404 if answer is None else 200
        content = json.dumps(answer if status == 200 else {"message": REFUSALS[status]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def address_string(self) -> str:
        """Return who asks."""
        return "test"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def fake() -> Iterator[Fake]:
    """Return an engine on a socket."""
    with TemporaryDirectory(dir="/tmp") as folder, Fake(Path(folder, "socket")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    gc.collect()


@pytest.fixture
def local(fake: Fake) -> Iterator[LocalEngine]:
    """Return the engine as the program sees it."""
    with closing(connect("m", Address(url=fake.url))) as engine:
        assert isinstance(engine, LocalEngine)
        yield engine


@pytest.fixture
def whole(fake: Fake) -> Iterator[DockerEngine]:
    """Return the same engine, which is asked with the SDK."""
    with closing(DockerEngine(client_at(Address(url=fake.url))[0], "m")) as engine:
        yield engine


def assembled_from(python: Interpreter, api: str = "") -> tuple[dict[str, Any], Base]:
    """Return an image that was assembled from an interpreter, and the base that it is."""
    made_of = base.fingerprint(python)
    name = api + labels.base_tag("3.11", "sha256:c", made_of, "m")
    marks = {labels.FINGERPRINT: made_of, labels.CONTENT: "sha256:c", labels.LABEL + "base": "3.11"}
    image = {"Id": "sha256:a", "Labels": {**marks, **OWNER}, "RepoTags": [name], "Size": 3}
    return image, Base(kind=BaseKind.ASSEMBLED, name=name, digest="sha256:c")


def test_the_answers_are_those_of_the_sdk(
    fake: Fake, local: LocalEngine, whole: DockerEngine
) -> None:
    """Facts, cores, images, and what this user's runs left, of nobody else."""
    fake.images.append(assembled_from(PYTHON)[0])
    assert local.describe() == whole.describe()
    assert local.cores() == whole.cores() == tuple(range(10_000))
    assert local.images() == whole.images()
    assert [one.id for one in local.images()] == ["sha256:i"]
    assert local.owned() == whole.owned()
    found = [(one.kind, one.id, one.size_bytes, one.run) for one in local.owned()]
    assert found == [
        ("container", "c1", None, "run-1"),
        ("volume", "v1", 12, "run-1"),
        ("image", "sha256:i", 7, None),
        ("image", "sha256:a", 3, None),
    ]


def test_an_image_of_a_bundle_is_owned_by_its_name(
    fake: Fake, local: LocalEngine, whole: DockerEngine
) -> None:
    """It has none of our labels."""
    name = f"{labels.bundled_base_repository('m')}:1"
    fake.images.append({"Id": "sha256:l", "Labels": {}, "RepoTags": [name, "a:1"], "Size": 5})
    assert local.owned() == whole.owned()
    assert local.owned()[-1].id == name


@pytest.mark.parametrize("podman", [False, True])
@pytest.mark.parametrize("wanted", ["auto", "host", "pull", "python:{python}-slim"])
def test_a_base_that_exists_is_the_one_of_the_sdk(
    fake: Fake, local: LocalEngine, whole: DockerEngine, wanted: str, podman: bool
) -> None:
    """A named image comes before an assembled base, and podman has full names."""
    if podman:
        fake.answers["/version"]["Components"] = [{"Name": "Podman Engine"}]
        local = LocalEngine(Address(url=fake.url), "m")
    image, expected = assembled_from(PYTHON, "localhost/" if podman else "")
    fake.images.append(image)
    named = Base(kind=BaseKind.PULLED, name="python:3.11-slim", digest="sha256:d")
    assert local.base(wanted, PYTHON) == (expected if wanted == "host" else named)
    assert local.base(wanted, PYTHON) == whole.base(wanted, PYTHON)
    del fake.answers["/images/python:3.11-slim/json"]
    if wanted in {"auto", "host"}:
        assert local.base(wanted, PYTHON) == whole.base(wanted, PYTHON) == expected


def test_the_questions_of_a_complete_run_load_no_sdk(fake: Fake) -> None:
    """Loading it takes longer than all of them."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SDK, fake.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_a_missing_base_is_provided_with_the_sdk(fake: Fake, local: LocalEngine) -> None:
    """Only the SDK pulls."""
    del fake.answers["/images/python:3.11-slim/json"]
    with pytest.raises(EngineError, match=r"cannot find or pull the base python:3\.11-slim"):
        local.base("pull", PYTHON)


def test_once_the_sdk_is_loaded_it_answers(fake: Fake, local: LocalEngine) -> None:
    """It knows what it has begun. The facts stay those that the run began with."""
    facts = local.describe()
    fake.answers["/info"]["ServerVersion"] = "20.10.2"
    assert local.of_others()[0].id == "c2"
    assert local.owned()[0].id == "c1"
    assert local.describe() == facts


QUESTIONS: dict[str, Callable[[Any], object]] = {
    "describe itself": lambda engine: engine.describe(),
    "list images": lambda engine: engine.images(),
    "list what belongs": lambda engine: engine.owned(),
    "find the base": lambda engine: engine.base("auto", PYTHON),
}


@pytest.mark.parametrize("step", QUESTIONS)
def test_a_refusal_is_reported_by_the_sdk(fake: Fake, local: LocalEngine, step: str) -> None:
    """Its sentence says what the engine could not do."""
    fake.refuses = True
    with pytest.raises(EngineLostError, match=f"the engine could not {step}"):
        QUESTIONS[step](local)


@pytest.mark.parametrize("step", QUESTIONS)
def test_an_engine_that_is_gone_is_lost(fake: Fake, local: LocalEngine, step: str) -> None:
    """The pipeline waits for one that answered before."""
    Path(fake.url.removeprefix("unix://")).unlink()
    with pytest.raises(EngineLostError, match=r"no Docker engine answers at .*No such file"):
        QUESTIONS[step](local)


@pytest.mark.parametrize("version", [[], {}, {"ApiVersion": "none"}, "Docker", 500])
def test_whatever_is_not_docker_is_no_engine(fake: Fake, version: object) -> None:
    """Anything may listen on a socket."""
    fake.answers["/version"] = version
    fake.answers["/info"] = []
    with (
        pytest.raises(EngineError),
        closing(connect("m", Address(url=fake.url))) as engine,
    ):
        engine.describe()
