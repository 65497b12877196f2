"""A Docker daemon that tests may stop, kill and restart.

It runs in its own network, name, mount and process namespaces. So everything that it started dies
with it, and the daemon of this machine is not affected.
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
    "setpriv --pdeathsig KILL -- unshare --net --uts --mount --pid --fork --kill-child --mount-proc"
)
FIRST_PROCESS = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no other process reaps orphans
while True:
    signal.pause()
"""
COMMAND = """
nsenter --target {target} --net --uts --mount --pid
dockerd --host {address} --bridge none --iptables=false --config-file {folder}/config.json
        --data-root {storage}
        --exec-root {runtime}/exec --pidfile {runtime}/pid
"""


class Server(Protocol):
    """A server that tests start and end."""

    def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    def die(self) -> None:
        """Kill it and everything that it started."""
        ...


_Server = TypeVar("_Server", bound=Server)


@contextmanager
def lent(make: Callable[[Path], _Server]) -> Iterator[_Server]:
    """Start a server in its own folder, and remove both afterwards."""
    with tempfile.TemporaryDirectory(prefix="matrix-runner-test-", dir="/tmp") as folder:
        server = make(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.die()


class Daemon:
    """A Docker daemon in its own namespaces, its *machine*; its images survive it."""

    def __init__(
        self, folder: Path, *, live_restore: bool = False, arguments: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        # The path of a socket has at most 107 bytes, and the folder's path may be longer.
        self._runtime = Path(tempfile.mkdtemp(prefix="daemon-", dir="/tmp"))
        self.socket = self._runtime / "socket"
        self.address = f"unix://{self.socket}"
        self.arguments = [*arguments, *["--live-restore"] * live_restore]
        self._machine: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.storage.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")

    def start(self) -> None:
        """Start it, and its machine if necessary, and wait until it answers."""
        if self._machine is None:  # as after a crash: nothing is running
            shutil.rmtree(self._runtime, ignore_errors=True)
            command = [*shlex.split(NAMESPACES), sys.executable, "-c", FIRST_PROCESS]
            self._machine = subprocess.Popen(command)
        self._runtime.mkdir(exist_ok=True)
        (self._runtime / "pid").unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        target = child_of(self._machine)
        self.connect_network(target)
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
                # On a busy machine a daemon may give up before its own parts have started.
                with (self.folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(
                        [*command, *self.arguments], stdout=log, stderr=log
                    )
            time.sleep(0.1)

    @property
    def machine(self) -> int:
        """The first process of its machine."""
        assert self._machine is not None
        return child_of(self._machine)

    def connect_network(self, target: int) -> None:
        """Connect the machine of the process ``target`` to a network. By default it has none."""

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            if attempt.connect_ex(str(self.socket)) != 0:
                return False
        try:
            docker.DockerClient(self.address).close()  # raises if there is no answer
        except docker.errors.DockerException:
            return False
        return True

    def stop(self, number: signal.Signals) -> None:
        """End it with a signal; its machine keeps running."""
        if self._process is not None:
            os.kill(child_of(self._process), number)
            self._process.wait()
            self._process = None

    def suspend(self, seconds: float) -> None:
        """Stop its process for a while."""
        assert self._process is not None
        process = child_of(self._process)
        os.kill(process, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process, signal.SIGCONT)
        self._process.send_signal(signal.SIGCONT)  # nsenter stops together with its child

    def kill(self, name: str) -> bool:
        """Kill the processes with that name; ``init`` is the first process of each container.

        Return whether there were any.
        """
        assert self._machine is not None
        machine, killed = _namespace(child_of(self._machine)), False
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                pid, parent = int(path.name), int(fields[1])
                if name == "init":
                    found = _namespace(parent) == machine != _namespace(pid)
                else:
                    found = _namespace(pid) == machine
                    found = found and (path / "comm").read_text().strip() == name
                if found:
                    os.kill(pid, signal.SIGKILL)
                    killed = True
        return killed

    def die(self) -> None:
        """Kill its machine and everything that it started."""
        for process in (self._machine, self._process):
            if process is not None:
                process.kill()
                process.wait()
        self._machine = self._process = None
        shutil.rmtree(self._runtime, ignore_errors=True)


def _namespace(pid: int) -> str:
    """Return the process namespace of a process."""
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def child_of(process: subprocess.Popen[bytes]) -> int:
    """Return the child of a process that enters namespaces."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(100):
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} has no child")
