"""An engine that dies: a second Docker daemon, in namespaces of its own, that may be killed."""

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import docker
import pytest

from runner.labels import LABEL
from runner.model import Status
from tests.studies import ended, results, run_folders, started, write_study
from tests.trials import NUMBER, plain_environment

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        os.geteuid() != 0 or not (shutil.which("dockerd") and shutil.which("unshare")),
        reason="a second Docker daemon needs root, dockerd and unshare",
    ),
]

SLOW = f"import time; time.sleep(1); {NUMBER}"
COMMAND = """
unshare --net --mount --pid --fork --kill-child --mount-proc
dockerd --host {address} --bridge none --iptables=false --config-file {folder}/config.json
        --data-root {folder}/storage
        --exec-root {folder}/runtime/exec --pidfile {folder}/runtime/pid
"""


class Daemon:
    """A Docker daemon that starts and dies as often as a test wants; its images stay.

    It has network, mounts and processes to itself, so all that it started dies with it and the
    machine's own daemon never notices.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "config.json").write_text("{}")

    def start(self) -> None:
        """Start it as after a crash of its machine, and wait until it answers."""
        runtime = self.folder / "runtime"
        shutil.rmtree(runtime, ignore_errors=True)
        runtime.mkdir()
        command = shlex.split(COMMAND.format(folder=self.folder, address=self.address))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._listens():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)
        docker.DockerClient(self.address).close()  # returns once it is answered

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(self.address.removeprefix("unix://")) == 0

    def die(self) -> None:
        """Kill it and all that it started."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def storage() -> Iterator[Path]:
    """Return a folder for a daemon; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="matrix-runner-test-") as folder:
        yield Path(folder)


@pytest.fixture
def daemon(storage: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """Return the second daemon, which the program takes for the only one."""
    daemon = Daemon(storage)
    monkeypatch.setenv("DOCKER_HOST", daemon.address)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.die()


def test_an_engine_that_dies_in_a_trial(daemon: Daemon, tmp_path: Path) -> None:
    """One sentence and exit code 5; what was finished is kept, and the run goes on later."""
    write_study(tmp_path, plain_environment(), SLOW)
    with closing(docker.DockerClient(daemon.address)) as client:
        wanted = {"event": "start", "label": LABEL + "trial"}
        starts = client.events(decode=True, filters=wanted)
        program = started(tmp_path)
        assert len(list(islice(starts, 2))) == 2
        daemon.die()
    code, out, err = ended(program)
    assert (code, err.count("\n")) == (5, 1), err
    assert err.startswith("the engine went away while it was to execute size=")
    assert "finished trials are kept" in err
    kept, lost = results(tmp_path).values()
    assert (kept.status, lost.status) == (Status.OK, Status.ENGINE_LOST)
    assert "report: " in out

    daemon.start()
    code, out, err = ended(started(tmp_path))
    assert (code, err) == (0, ""), out
    assert len(run_folders(tmp_path)) == 1
    found = results(tmp_path)
    assert found.pop(lost.trial.id) == lost
    assert found.pop(kept.trial.id) == kept
    (again,) = found.values()
    assert (again.status, again.trial.attempt) == (Status.OK, 2)
    with closing(docker.DockerClient(daemon.address)) as client:
        assert client.containers.list(all=True) == client.volumes.list() == []


def test_an_engine_that_dies_while_building(daemon: Daemon, tmp_path: Path) -> None:
    """One sentence and exit code 5; nothing is executed, and the same command completes it."""
    write_study(tmp_path, plain_environment(2006), NUMBER)
    with closing(docker.DockerClient(daemon.address)) as client:
        steps = client.events(decode=True, filters={"type": "container", "event": "create"})
        program = started(tmp_path)
        assert next(steps)
        daemon.die()
    code, _, err = ended(program)
    assert (code, err.count("\n")) == (5, 1), err
    assert err.startswith("the engine went away while it was to build the image of no packages")
    assert results(tmp_path) == {}

    daemon.start()
    code, out, err = ended(started(tmp_path))
    assert (code, err) == (0, ""), out
    assert {result.status for result in results(tmp_path).values()} == {Status.OK}
