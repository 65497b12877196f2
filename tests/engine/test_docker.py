"""What is particular to Docker: hostile scripts, hands from outside, and what the SDK does."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import docker
import pytest
from docker.models.containers import Container

from runner import docker_engine as module
from runner.docker_engine import DockerEngine
from runner.engine import BuildContext
from runner.errors import EngineError
from runner.labels import LABEL
from runner.model import Base, Image, Status
from tests.trials import NUMBER, RUN, Execute, executed, launch, stage

pytestmark = pytest.mark.engine

ENVIRONMENT = "e" * 64
LABELS_ONLY = """
ARG BASE
FROM ${BASE}
ARG BASE
ARG BASE_KIND
ARG BASE_DIGEST
ARG ENVIRONMENT
ARG LABEL
LABEL matrix-runner.environment=${ENVIRONMENT} matrix-runner.label=${LABEL} \\
      matrix-runner.base-name=${BASE} matrix-runner.base-kind=${BASE_KIND} \\
      matrix-runner.base-digest=${BASE_DIGEST}
"""
WAITS = "import time; print('on'); time.sleep(60)"


def in_container(
    client: docker.DockerClient, act: Callable[[Container], object]
) -> Callable[[str], None]:
    """Return a watcher that does something to the container from outside at its first line."""

    def watch(_: str) -> None:
        for container in client.containers.list(filters={"label": f"{LABEL}run={RUN}"}):
            act(container)

    return watch


@pytest.fixture
def empty(client: docker.DockerClient) -> Iterator[str]:
    """Return the id of an image with nothing in it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    name = "matrix-runner/test:empty"
    client.api.import_image_from_data(content.getvalue(), *name.split(":"))
    yield str(client.images.get(name).id)
    if client.images.list(name):
        client.images.remove(name)


# --- scripts that turn against the launcher -------------------------------------------------------


def test_killing_the_launcher_is_a_failure(execute: Execute) -> None:
    """Without a document there is no result, whatever the script wrote."""
    script = f"import os, signal; {NUMBER}; os.kill(os.getppid(), signal.SIGKILL)"
    _, result, _ = execute(script)
    assert (result.status, result.values) == (Status.FAILED, {})
    assert result.reason == (
        "the launcher sent no document; container killed by SIGKILL, and the log is empty"
    )


@pytest.mark.parametrize(
    ("speaks_as", "then", "status"),
    [
        ("os.getppid()", "raise SystemExit(1)", Status.FAILED),
        ("os.getppid()", "os.kill(os.getppid(), signal.SIGKILL)", Status.FAILED),
        ("1", "os.kill(os.getppid(), signal.SIGTERM)", Status.FAILED),
        ("1", "os.kill(os.getppid(), signal.SIGSTOP); time.sleep(60)", Status.TIMED_OUT),
    ],
    ids=["fails", "kills", "ends", "stops"],
)
def test_a_forged_document_is_not_believed(
    execute: Execute, monkeypatch: pytest.MonkeyPatch, speaks_as: str, then: str, status: Status
) -> None:
    """A script that speaks in the launcher's name and silences it gets no number."""
    monkeypatch.setattr(module, "GRACE_S", 2.0)
    honest, _, _ = execute(NUMBER)
    script = (
        "import os, signal, time\n"
        f"open(f'/proc/{{{speaks_as}}}/fd/1', 'wb', 0).write({honest.document!r})\n{then}\n"
    )
    outcome, result, _ = execute(script, timeout_s=2.0)
    assert outcome.document is not None
    assert outcome.document.startswith(honest.document or b"nothing")
    assert (result.status, result.values) == (status, {})


# --- hands from outside ---------------------------------------------------------------------------


@pytest.mark.parametrize("ended", [Container.kill, Container.stop], ids=["killed", "stopped"])
def test_a_container_killed_from_outside_is_lost(
    execute: Execute, client: docker.DockerClient, ended: Callable[[Container], None]
) -> None:
    """Somebody did it and not the script, whatever the exit code looks like."""
    _, result, _ = execute(WAITS, watch=in_container(client, ended))
    assert result.status is Status.ENGINE_LOST
    assert result.reason == "the container was killed from outside while the trial ran"


def test_a_container_removed_from_outside_is_lost(
    execute: Execute, client: docker.DockerClient
) -> None:
    """It is the machine's fault and not the script's, also while the removal still goes on."""
    removals: list[Thread] = []

    def remove(container: Container) -> None:
        removals.append(Thread(target=container.remove, kwargs={"force": True}))
        removals[-1].start()

    _, result, _ = execute(WAITS, watch=in_container(client, remove))
    removals[0].join()
    assert result.status is Status.ENGINE_LOST
    assert result.reason == "the container was removed from outside while the trial ran"


def test_an_image_removed_before_its_trial_is_one_sentence(
    docker_engine: DockerEngine, client: docker.DockerClient, tmp_path: Path, empty: str
) -> None:
    """Neither staging nor executing tells more than what is gone and what to do."""
    stage(docker_engine, empty, tmp_path, NUMBER)
    client.images.remove(empty)
    for attempt in (
        lambda: docker_engine.execute(launch(empty), print),
        lambda: stage(docker_engine, empty, tmp_path, NUMBER),
    ):
        with pytest.raises(EngineError, match=r"^an image is gone .*build it again\.$"):
            attempt()


def test_an_image_without_python_says_so(
    docker_engine: DockerEngine, docker_image: Image, tmp_path: Path, empty: str
) -> None:
    """What the container's init says of a command that it cannot start is in the log."""
    stage(docker_engine, docker_image.id, tmp_path, NUMBER)
    outcome = docker_engine.execute(launch(empty), print)
    assert outcome.exit_code == 127
    assert "exec python failed: No such file or directory" in outcome.log


# --- what the SDK does ----------------------------------------------------------------------------


def test_silence_does_not_break_the_stream(docker_image: Image, tmp_path: Path) -> None:
    """A script may be silent for longer than the SDK waits for an answer."""
    engine = DockerEngine(docker.from_env(timeout=5), "engine-tests")
    try:
        script = f"import time; time.sleep(9); {NUMBER}"
        _, result, _ = executed(engine, docker_image, tmp_path, script)
    finally:
        engine.close()
    assert (result.status, result.reason) == (Status.OK, None)


def test_everything_of_ours_is_told_once(docker_engine: DockerEngine, docker_image: Image) -> None:
    """An environment and the base it stands on are among what is ours, each one time."""
    told = [thing.id for thing in docker_engine.owned()]
    assert docker_image.id in told
    assert len(told) == len(set(told))


def test_an_image_built_on_another_base_replaces_the_first(
    docker_engine: DockerEngine, client: docker.DockerClient, tmp_path: Path, empty: str
) -> None:
    """The newest image of an environment is the one that is found, so nothing is built twice."""
    (tmp_path / "Dockerfile").write_text(LABELS_ONLY)
    bases = [Base(kind="given", name=empty, digest=digest) for digest in ("first", "second")]
    built = [
        docker_engine.build(
            BuildContext(folder=tmp_path, environment=ENVIRONMENT, label="x", base=base)
        )
        for base in bases
    ]
    try:
        assert [image.base for image in built] == bases
        assert docker_engine.images()[ENVIRONMENT] == built[1]
    finally:
        for image in built:
            client.images.remove(image.id)
