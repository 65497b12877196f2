"""A Docker daemon of the tests' own, which may be stopped, killed and started again.

It has network, mounts and processes to itself, so all that it started dies with it and the
machine's own daemon never notices.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import docker
import docker.errors

PROGRAMS = ("dockerd", "setpriv", "unshare", "nsenter")
POSSIBLE = os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))
REASON = "a second Docker daemon needs root, dockerd, setpriv, unshare and nsenter"

NAMESPACES = (
    "setpriv --pdeathsig KILL -- unshare --net --mount --pid --fork --kill-child --mount-proc"
)
FIRST_PROCESS = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody else reaps what loses its parent
while True:
    signal.pause()
"""
COMMAND = """
nsenter --target {target} --net --mount --pid
dockerd --host {address} --bridge none --iptables=false --config-file {folder}/config.json
        --data-root {storage}
        --exec-root {runtime}/exec --pidfile {runtime}/pid
"""


class Server(Protocol):
    """What tests start, and end with all that it started."""

    def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    def die(self) -> None:
        """End it."""
        ...


_Lent = TypeVar("_Lent", bound=Server)


@contextmanager
def lent(make: Callable[[Path], _Lent]) -> Iterator[_Lent]:
    """Lend a server, started, in a folder of its own; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="matrix-runner-test-", dir="/tmp") as folder:
        server = make(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.die()


class Daemon:
    """A Docker daemon on a machine of its own; its images stay whatever happens to it."""

    def __init__(
        self, folder: Path, *, live_restore: bool = False, words: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        # The name of a socket is at most 107 bytes long, and the folder's may take them all.
        self._runtime = Path(tempfile.mkdtemp(prefix="daemon-", dir="/tmp"))
        self.socket = self._runtime / "socket"
        self.address = f"unix://{self.socket}"
        self.words = [*words, *["--live-restore"] * live_restore]
        self._machine: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.storage.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")

    def start(self) -> None:
        """Start it, and its machine where that was off, and wait until it answers."""
        if self._machine is None:  # as after a crash: nothing of the last time runs
            shutil.rmtree(self._runtime, ignore_errors=True)
            command = [*shlex.split(NAMESPACES), sys.executable, "-c", FIRST_PROCESS]
            self._machine = subprocess.Popen(command)
        self._runtime.mkdir(exist_ok=True)
        (self._runtime / "pid").unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        target = _child(self._machine)
        self.wire(target)
        command = shlex.split(
            COMMAND.format(
                target=target,
                folder=self.folder,
                storage=self.storage,
                runtime=self._runtime,
                address=self.address,
            )
        )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            if self._process is None or self._process.poll() is not None:
                # A busy machine may take longer than a daemon waits for its own parts.
                with (self.folder / "log").open("ab") as log:
                    words = [*command, *self.words]
                    self._process = subprocess.Popen(words, stdout=log, stderr=log)
            time.sleep(0.1)

    def wire(self, target: int) -> None:
        """Connect its machine, of which ``target`` is a process, with others: here with none."""

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            if attempt.connect_ex(str(self.socket)) != 0:
                return False
        try:
            docker.DockerClient(self.address).close()  # returns once it is answered
        except docker.errors.DockerException:
            return False
        return True

    def stop(self, number: signal.Signals) -> None:
        """Send it a signal of which it ends; its machine goes on."""
        if self._process is not None:
            os.kill(_child(self._process), number)
            self._process.wait()
            self._process = None

    def suspend(self, seconds: float) -> None:
        """Have it do nothing for a while."""
        assert self._process is not None
        process = _child(self._process)
        os.kill(process, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process, signal.SIGCONT)
        self._process.send_signal(signal.SIGCONT)  # nsenter stops itself with what it began

    def kill(self, name: str) -> bool:
        """Kill what it started by that name, or one first process of a container: ``init``.

        Return whether there was any.
        """
        assert self._machine is not None
        machine, killed = _namespace(_child(self._machine)), False
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                pid, words = int(path.name), (path / "stat").read_text().rpartition(")")[2].split()
                if name == "init":
                    found = _namespace(int(words[1])) == machine != _namespace(pid)
                else:
                    found = _namespace(pid) == machine
                    found = found and (path / "comm").read_text().strip() == name
                if found:
                    os.kill(pid, signal.SIGKILL)
                    killed = True
        return killed

    def die(self) -> None:
        """Kill its machine with all that it started."""
        for process in (self._machine, self._process):
            if process is not None:
                process.kill()
                process.wait()
        self._machine = self._process = None
        shutil.rmtree(self._runtime, ignore_errors=True)


def _namespace(pid: int) -> str:
    """Return whose processes a process sees."""
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def _child(process: subprocess.Popen[bytes]) -> int:
    """Return the process that one which enters namespaces has begun."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(100):
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} has begun nothing")
