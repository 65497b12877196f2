"""Docker and podman: hostile scripts, interference from outside, peculiarities of the SDK."""

import io
import json
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import Mock

import docker
import pytest
from docker import DockerClient
from docker.models.containers import Container, ContainerCollection
from docker.models.volumes import Volume

from runner.engines.docker.address import Address, engine_address
from runner.engines.docker.labels import LABEL
from runner.engines.docker.local import LocalEngine
from runner.engines.docker.trials import DockerEngine
from runner.engines.protocol import BuildContext
from runner.errors import EngineError, EngineLostError
from runner.execute import clear
from runner.execute.result import parse_outcome
from runner.prepare.context import write_context
from runner.python import interpreters
from runner.records.environment import Base, BaseKind
from runner.records.study import Status
from runner.system.digest import of_file
from tests.support.served import Served
from tests.support.trials import (
    INTERPRETER,
    LIMITS,
    METRICS,
    NUMBER,
    RUN,
    Execute,
    executed,
    launch,
    plain_environment,
    stage,
)

pytestmark = pytest.mark.engine

ENVIRONMENT = "e" * 64
LABELS_ONLY = """
ARG BASE
FROM ${BASE}
ARG OWNER_MACHINE
ARG OWNER_USER
ARG BASE_NAME
ARG BASE_KIND
ARG BASE_DIGEST
ARG ENVIRONMENT
ARG LABEL
ARG BUNDLE
LABEL matrix-runner.environment=${ENVIRONMENT} matrix-runner.label=${LABEL} \\
      matrix-runner.base-name=${BASE_NAME} matrix-runner.base-kind=${BASE_KIND} \\
      matrix-runner.base-digest=${BASE_DIGEST} matrix-runner.bundle=${BUNDLE} \\
      matrix-runner.machine=${OWNER_MACHINE} matrix-runner.user=${OWNER_USER}
"""
WAITS = "import time; print('on'); time.sleep(60)"


def in_container(client: DockerClient, act: Callable[[Container], object]) -> Callable[[str], None]:
    """Return a watcher that acts on the container from outside at its first line of output."""

    def watch(_: str) -> None:
        for container in client.containers.list(filters={"label": f"{LABEL}run={RUN}"}):
            act(container)

    return watch


@pytest.fixture
def empty(served: Served) -> Iterator[str]:
    """Return the id of an empty image."""
    client = served.client
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    repository, tag = "localhost/matrix-runner/test", "empty"  # podman requires this prefix
    name = f"{repository}:{tag}"
    answer = client.api.import_image_from_data(content.getvalue())
    client.api.tag(json.loads(answer.splitlines()[-1])["status"], repository, tag)
    yield str(client.images.get(name).id)
    if client.images.list(name):
        client.images.remove(name)


# --- scripts that attack the launcher ------------------------------------------------------------

SIGNALS = f"""
import os, signal, time
for number in range(1, signal.NSIG):
    if number not in {{signal.SIGALRM, *range(32, 34)}}:  # the time limit, the C library
        os.kill(os.getppid(), number)
time.sleep(0.5)
{NUMBER}
"""


def test_a_launcher_ignores_the_signals_of_its_script(execute: Execute) -> None:
    """It is the first process of the container, so nothing inside can stop or kill it."""
    outcome, result, _ = execute(SIGNALS)
    assert (result.status, result.reason) == (Status.OK, None), outcome.log


def test_ended_orphans_are_reaped(execute: Execute) -> None:
    """Otherwise they would count against the limit on processes."""
    script = (
        "import os, time\n"
        f"for _ in range({2 * LIMITS.pids}):\n"
        "    if os.fork() == 0:\n"
        "        os.fork()\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    time.sleep(0.001)\n"
    )
    outcome, result, _ = execute(script + NUMBER)
    assert (result.status, result.reason) == (Status.OK, None), outcome.log


def test_a_script_can_only_shorten_its_own_time(execute: Execute) -> None:
    """The launcher takes the signal of the time limit from everybody."""
    script = f"import os, signal, time; {NUMBER}; os.kill(os.getppid(), signal.SIGALRM)"
    _, result, _ = execute(f"{script}; time.sleep(60)")
    assert (result.status, result.values) == (Status.TIMED_OUT, {})


# --- interference from outside -------------------------------------------------------------------


def stop(container: Container) -> None:
    """Stop a container with more grace time than its trial has; it must not need any."""
    container.stop(timeout=50)


@pytest.mark.parametrize("ended", [Container.kill, stop], ids=["killed", "stopped"])
def test_a_container_killed_from_outside_is_lost(
    execute: Execute, served: Served, ended: Callable[[Container], None]
) -> None:
    """The exit code is not the script's."""
    _, result, _ = execute(WAITS, timeout_s=30.0, watch=in_container(served.client, ended))
    assert result.status is Status.ENGINE_LOST
    assert result.reason == "the container was killed from outside while the trial ran"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can kill a process of a container")
def test_a_launcher_killed_behind_the_engine_is_lost(execute: Execute, served: Served) -> None:
    """Only a process outside the container can kill the launcher."""

    def kill(container: Container) -> None:
        container.reload()
        os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)

    if served.podman:
        pytest.skip("this podman has its own process namespace")
    _, result, _ = execute(WAITS, watch=in_container(served.client, kill))
    assert result.status is Status.ENGINE_LOST
    assert result.reason == "the container was killed from outside while the trial ran"


def test_a_container_that_does_not_end_is_lost(
    execute: Execute, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its launcher would have ended in time, but the container is paused."""
    monkeypatch.setattr("runner.engines.protocol.GRACE_S", 1.0)
    pause = in_container(served.client, Container.pause)
    _, result, _ = execute(WAITS, timeout_s=1.0, watch=pause)
    assert result.status is Status.ENGINE_LOST
    assert result.reason == "the container was killed because its launcher did not stop in time"


def test_a_container_removed_from_outside_is_lost(execute: Execute, served: Served) -> None:
    """That is not the script's fault, even while the removal is still in progress."""
    removals: list[Thread] = []

    def remove(container: Container) -> None:
        removals.append(Thread(target=container.remove, kwargs={"force": True}))
        removals[-1].start()

    _, result, _ = execute(WAITS, watch=in_container(served.client, remove))
    removals[0].join()
    assert result.status is Status.ENGINE_LOST
    # podman kills it first, and shows the removal a moment later.
    endings = ["removed", "killed"] if served.podman else ["removed"]
    reasons = [f"the container was {end} from outside while the trial ran" for end in endings]
    assert result.reason in reasons


def test_an_image_removed_before_its_trial_is_one_sentence(
    served: Served, tmp_path: Path, empty: str
) -> None:
    """Staging and executing both say what is gone and what to do."""
    stage(served.engine, empty, tmp_path, NUMBER)
    served.client.images.remove(empty)
    for attempt in (
        lambda: served.engine.execute(launch(empty), print),
        lambda: stage(served.engine, empty, tmp_path, NUMBER),
    ):
        with pytest.raises(EngineError, match=r"^an image .* is gone .*build it again\.$"):
            attempt()


def input_volumes(served: Served) -> list[Volume]:
    """Return the volumes of the tests' run."""
    return served.client.volumes.list(filters={"label": f"{LABEL}run={RUN}"})


def test_a_removed_input_volume_is_not_the_fault_of_the_cell(
    served: Served, tmp_path: Path
) -> None:
    """The engine recreates it as an empty one, which is noticed and removed."""
    stage(served.engine, served.image.id, tmp_path, NUMBER)
    known = {volume.name for volume in served.client.volumes.list()}
    (volume,) = input_volumes(served)
    volume.remove()
    with pytest.raises(EngineLostError, match="input volume was removed"):
        served.engine.execute(launch(served.image.id), print)
    assert {one.name for one in served.client.volumes.list()} <= known - {volume.name}
    assert not [one for one in served.engine.owned() if one.run == RUN]
    stage(served.engine, served.image.id, tmp_path, NUMBER)
    outcome = served.engine.execute(launch(served.image.id), print)
    assert parse_outcome(outcome, launch(served.image.id), METRICS).status is Status.OK


def test_an_input_volume_that_is_removed_while_it_is_filled(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The carrier gets an empty volume then, which no trial may use."""
    creates = ContainerCollection.create

    def create(*arguments: Any, **settings: Any) -> Any:
        for volume in input_volumes(served):
            volume.remove()
        return creates(*arguments, **settings)

    monkeypatch.setattr(ContainerCollection, "create", create)
    with pytest.raises(EngineLostError, match="input volume was removed"):
        stage(served.engine, served.image.id, tmp_path, NUMBER)
    assert not [one for one in served.engine.owned() if one.run == RUN]
    assert input_volumes(served) == []


def test_a_recreated_volume_has_our_labels(served: Served, tmp_path: Path) -> None:
    """If the runner is killed before it looks, the next start removes the volume."""
    if served.podman:
        pytest.skip("podman ignores the labels of a mount")
    stage(served.engine, served.image.id, tmp_path, NUMBER)
    (volume,) = input_volumes(served)
    volume.remove()

    class Killed(BaseException):
        """What ends the runner."""

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(docker.APIClient, "inspect_volume", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            served.engine.execute(launch(served.image.id), print)
    assert {one.kind for one in served.engine.owned() if one.run == RUN} == {"container", "volume"}
    clear(served.engine, RUN)
    assert input_volumes(served) == []


def test_staged_inputs_can_only_be_read_by_trials(execute: Execute) -> None:
    """Nobody else in a container can read them, and no trial can change them."""
    script = (
        "import os, stat\n"
        "for folder, folders, files in os.walk('/inputs'):\n"
        "    for name in (*folders, *files):\n"
        "        path = os.path.join(folder, name)\n"
        "        found = os.stat(path)\n"
        "        assert (found.st_uid, found.st_mode & 0o277) == (65534, 0), (path, found)\n"
        "try:\n"
        "    os.chmod('/inputs/launcher.py', 0o600)\n"
        "except OSError as error:\n"
        "    assert error.strerror == 'Read-only file system'\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    outcome, result, _ = execute(script + NUMBER)
    assert (result.status, result.reason) == (Status.OK, None), outcome.log


def test_a_removed_base_is_provided_again(served: Served, tmp_path: Path) -> None:
    """The engine that provided it notices that it is gone, also just before a build."""
    context = write_context(plain_environment(2004), "host", served.engine, tmp_path / "context")
    prefix = "localhost/" if served.podman else ""
    name = f"{prefix}matrix-runner/test:gone"
    gone = replace(context.base, name=name)
    with pytest.raises(EngineLostError, match=f"the base {name} was removed from the engine"):
        served.engine.build(replace(context, base=gone))
    for image in served.client.images.list(context.base.name):
        for tag in image.tags:
            served.client.images.remove(tag)
    again = served.engine.base("host", interpreters.find(INTERPRETER.minor))
    assert again == context.base
    assert served.client.images.list(again.name)


def test_an_image_without_python_says_so(served: Served, tmp_path: Path, empty: str) -> None:
    """No trial can run in it; that is one sentence, and not a result."""
    stage(served.engine, served.image.id, tmp_path, NUMBER)
    with pytest.raises(EngineError, match=r"model=a@b1\.1: .*not found.*; fix that"):
        served.engine.execute(launch(empty), print)
    clear(served.engine, RUN)  # it is removed in the background, and still uses the image


# --- peculiarities of the SDK --------------------------------------------------------------------


def test_silence_does_not_break_the_stream(served: Served, tmp_path: Path) -> None:
    """A script may be silent for longer than the timeout of the SDK."""
    engine = DockerEngine(served.connect(timeout=5), "engine-tests")
    try:
        script = f"import time; time.sleep(9); {NUMBER}"
        _, result, _ = executed(engine, served.image, tmp_path, script)
    finally:
        engine.close()
    assert (result.status, result.reason) == (Status.OK, None)


def test_an_engine_answers_the_same_without_the_sdk(served: Served) -> None:
    """So a run stays the same run, and leftovers are found, however the engine is asked."""
    address = engine_address() if served.address is None else Address(url=served.address)
    with (
        closing(LocalEngine(address, "engine-tests")) as local,
        closing(DockerEngine(served.connect(), "engine-tests")) as whole,
    ):
        assert local.describe() == whole.describe()
        assert local.cores() == whole.cores()
        assert served.image in local.images()
        assert set(local.images()) == set(whole.images())
        assert set(local.owned()) == set(whole.owned())
        assert local.base("auto", INTERPRETER) == whole.base("auto", INTERPRETER)
        assert local.base("host", INTERPRETER) == whole.base("host", INTERPRETER)


def test_everything_of_ours_is_listed_once(served: Served) -> None:
    """An environment has its base's label, too."""
    listed = [thing.id for thing in served.engine.owned()]
    assert served.image.id in listed
    assert len(listed) == len(set(listed))


def labelled_only(folder: Path, base: Base, bundle: str | None = None) -> BuildContext:
    """Return a build context of which only the labels matter."""
    (folder / "Dockerfile").write_text(LABELS_ONLY)
    return BuildContext(folder=folder, environment=ENVIRONMENT, label="x", base=base, bundle=bundle)


def test_images_on_other_bases_and_from_bundles_are_kept_apart(
    served: Served, tmp_path: Path, empty: str
) -> None:
    """None replaces another one, and each says what it was built on."""
    first = Base(kind=BaseKind.LOCAL, name=empty, digest=empty)
    second = served.engine.base("host", INTERPRETER)
    contexts = [labelled_only(tmp_path, base) for base in (first, second)]
    contexts.append(labelled_only(tmp_path, second, "b" * 64))
    built = [served.engine.build(context) for context in contexts]
    try:
        assert [image.base for image in built] == [first, second, second]
        assert [image.bundle for image in built] == [None, None, "b" * 64]
        found = [one for one in served.engine.images() if one.environment == ENVIRONMENT]
        assert sorted(found, key=built.index) == built
    finally:
        for image in built:
            served.client.images.remove(image.id)


def test_only_the_files_of_a_context_are_sent(served: Served, tmp_path: Path, empty: str) -> None:
    """A bundle may have folders, links and pipes next to them."""
    context = labelled_only(tmp_path, Base(kind=BaseKind.LOCAL, name=empty, digest=empty))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/shadow")
    os.mkfifo(tmp_path / "pipe")
    image = served.engine.build(context)
    served.client.images.remove(image.id)


def test_nothing_runs_when_an_image_is_built(client: DockerClient, tmp_path: Path) -> None:
    """The base comes from a stranger, as does the matrix that names it."""
    engine = DockerEngine(client, "engine-tests")
    with (
        changed(client, "ONBUILD RUN true") as base,
        pytest.raises(EngineError, match=r"during a build.* without ONBUILD"),
    ):
        engine.build(labelled_only(tmp_path, base))


@pytest.mark.parametrize(
    "config",
    [
        b'{"config": {"OnBuild": ["RUN true"]}}',
        b'{"config": {"onbuild": ["RUN true"]}, "x": "\xff"} more',
        b'{"config": {"OnBuild": ["RUN true"]}, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_a_base_of_a_bundle_runs_nothing(served: Served, tmp_path: Path, config: bytes) -> None:
    """Podman would run the commands, but does not show them."""
    file, base = tmp_path / "base.tar", Base(kind=BaseKind.LOCAL, name="x", digest="sha256:0")
    manifest = json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": []}]).encode()
    with tarfile.open(file, "w") as tar:
        for name, content in (("manifest.json", manifest), ("c.json", config)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(EngineError, match="would run commands during a build"):
        served.engine.load_base(base, INTERPRETER.minor, file)


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        ("VOLUME /data", "would give trials a disk without limits: .* without VOLUME"),
        (f"LABEL {LABEL}run=a-dead-run", "look like the leftovers of a run: .* without LABEL"),
    ],
)
def test_a_base_can_only_provide_files(
    served: Served, tmp_path: Path, change: str, effect: str
) -> None:
    """Every image that is built on it would have the same settings."""
    with changed(served.client, change) as base, pytest.raises(EngineError, match=effect):
        served.engine.build(labelled_only(tmp_path, base))


@contextmanager
def changed(client: DockerClient, change: str) -> Iterator[Base]:
    """Have an image without files as a base that has one more instruction."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(change.partition(" ")[0]))
    answer = client.api.import_image_from_data(content.getvalue(), changes=[change])
    identity = str(client.images.get(json.loads(answer.splitlines()[-1])["status"]).id)
    yield Base(kind=BaseKind.LOCAL, name=identity, digest=identity)
    client.images.remove(identity, force=True)


def test_a_base_that_was_rebuilt_under_its_name_is_another_base(
    served: Served, tmp_path: Path, empty: str
) -> None:
    """It is noticed before a run, and between finding the base and building on it."""
    engine, client = served.engine, served.client
    name = f"{'localhost/' if served.podman else ''}bases-of-tests/rebuilt:1"
    client.images.get(served.image.base.name).tag(*name.rsplit(":", 1))
    try:
        before = engine.base(name, INTERPRETER)
        client.images.get(empty).tag(*name.rsplit(":", 1))
        after = engine.base(name, INTERPRETER)
        assert before.digest != after.digest
        with pytest.raises(EngineError, match=r"rebuilt:1 was replaced by another image"):
            engine.build(labelled_only(tmp_path, before))
    finally:
        client.images.remove(name)


def test_an_assembled_base_is_found_without_assembling_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of the same interpreter; another interpreter needs another one."""
    before = served.engine.base("host", INTERPRETER)

    def assemble(*_: object) -> None:
        raise EngineError("assembled")

    monkeypatch.setattr("runner.engines.base.assemble", assemble)
    assert served.engine.base("host", INTERPRETER) == before
    with pytest.raises(EngineError, match="assembled"):
        served.engine.base("host", replace(INTERPRETER, version=f"{INTERPRETER.minor}.99"))


def test_an_assembled_base_is_saved_as_it_is(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not assembled again: the interpreter may have written bytecode since."""
    base = served.engine.base("host", INTERPRETER)
    monkeypatch.setattr("runner.engines.base.assemble", None)
    saved = served.engine.save_base(base, INTERPRETER, tmp_path / "base.tar")
    assert saved == base
    assert f"sha256:{of_file(tmp_path / 'base.tar')}" == base.digest


def test_a_base_runs_nothing_while_an_image_is_built(served: Served, tmp_path: Path) -> None:
    """It may come with a bundle, or be named by the matrix of a stranger."""
    if served.podman:
        pytest.skip("podman commits images without ONBUILD")
    name = "bases-of-tests/triggers:1"
    container = served.client.containers.create(served.image.id)
    try:
        made = container.commit(*name.rsplit(":", 1), changes="ONBUILD RUN python -c pass")
    finally:
        container.remove()
    try:
        base = Base(kind=BaseKind.LOCAL, name=name, digest=str(made.id))
        context = BuildContext(folder=tmp_path, environment="0" * 64, label="x", base=base)
        with pytest.raises(EngineError, match="would run commands during a build"):
            served.engine.build(context)
    finally:
        served.client.images.remove(name)


def test_a_named_base_can_be_saved_and_loaded(served: Served, tmp_path: Path) -> None:
    """It gets a name of ours, so that neither the base nor its archive replaces another image."""
    engine, client = served.engine, served.client
    prefix = "localhost/" if served.podman else ""
    name, file = f"{prefix}bases-of-tests/named:1", tmp_path / "base.tar"
    client.images.get(served.image.id).tag(*name.rsplit(":", 1))
    try:
        base = engine.base(name, INTERPRETER)
        assert base.kind in {BaseKind.LOCAL, BaseKind.PULLED}  # podman gives every image a digest
        saved = engine.save_base(base, INTERPRETER, file)
        assert saved == replace(base, digest=served.image.id)
        client.images.get(served.image.base.name).tag(*name.rsplit(":", 1))
        loaded = engine.load_base(saved, INTERPRETER.minor, file)
        assert loaded.name != name
        assert loaded.digest == client.images.get(loaded.name).id == served.image.id
        assert engine.base(name, INTERPRETER).digest != loaded.digest
        (thing,) = [one for one in engine.owned() if one.id == loaded.name]
        engine.discard(thing)
        assert client.images.get(served.image.id).id == served.image.id
        assert not client.images.list(loaded.name)
        with file.open("wb") as target:
            for piece in client.images.get(name).save(named=True):
                target.write(piece)
        other = client.images.get(served.image.id)
        other.tag(*name.rsplit(":", 1))
        loaded = engine.load_base(base, INTERPRETER.minor, file)
        assert loaded.name != name
        assert client.images.get(name).id == other.id
        engine.discard(next(one for one in engine.owned() if one.id == loaded.name))
        with tarfile.open(file, "w") as tar:
            entry = tarfile.TarInfo("manifest.json")
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"[{}]"))
        with pytest.raises(EngineError, match="is not an archive of the base"):
            engine.load_base(base, INTERPRETER.minor, file)
    finally:
        client.images.remove(name)
