"""A Slurm of some nodes on this machine: each has its own network, name and processes.

A cable leads from each node to this machine, where the controller runs, and nowhere else.
Everything on a node dies with its first process, which dies with the process of the test.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.support.daemons import FIRST_PROCESS, NAMESPACES, child_of
from tests.support.studies import CALM, ROOT

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "mungekey", "setpriv", "nsenter", "ip")
SEARCHED = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
REASON = "Slurm needs root, slurmctld, slurmd, slurm-client, munge, setpriv, nsenter and ip"

NETWORK = f"198.18.{os.getpid() % 256}"
HERE = f"{NETWORK}.101"
PORTS = (20000 + os.getpid() % 10000, 30000 + os.getpid() % 2000)
"""Those of the controller and of all nodes."""
SETTINGS = """\
ClusterName=test
SlurmctldHost={name}({here})
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
SlurmdTimeout=6
InactiveLimit=0
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_min_interval=0,sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/linear
ReturnToService=1
"""
MACHINE_ID = Path("/etc/machine-id")


def possible() -> bool:
    """Whether Slurm can be started now. CI installs it while other tests run."""
    return os.geteuid() == 0 and all(shutil.which(one, path=SEARCHED) for one in PROGRAMS)


class Node:
    """A machine of the cluster."""

    def __init__(self, folder: Path, number: int) -> None:
        self.name = f"n{number}"
        self.address = f"{NETWORK}.{110 + number}"
        self._machine_id = folder / f"{self.name}.machine-id"
        self._machine_id.write_text(f"{number:032x}\n")
        self._cable = f"ms{os.getpid()}n{number}"
        self._machine = subprocess.Popen(
            [*shlex.split(NAMESPACES), sys.executable, "-c", FIRST_PROCESS]
        )
        first = child_of(self._machine)
        self.enter = shlex.split(f"nsenter --target {first} --net --uts --mount --pid --")
        _run(f"ip link add {self._cable} type veth peer name eth0 netns {first}")
        _run(f"ip addr add {HERE} peer {self.address} dev {self._cable}")
        _run(f"ip link set {self._cable} up")
        for line in (
            f"hostname {self.name}",
            f"ip addr add {self.address} peer {HERE} dev eth0",
            "ip link set eth0 up",
            "ip link set lo up",
            *([f"mount --bind {self._machine_id} {MACHINE_ID}"] * MACHINE_ID.exists()),
        ):
            _run(line, self.enter)

    def die(self) -> None:
        """Kill everything on the node at once, as if its power failed."""
        self._machine.kill()
        self._machine.wait()


class Slurm:
    """The controller and its nodes."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.nodes = [Node(folder, number) for number in range(1, count + 1)]
        self.variables = {
            "PATH": f"{folder / 'bin'}{os.pathsep}{SEARCHED}",
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder / "home"),
            "MATRIX_RUNNER_CACHE": str(folder / "home"),
        }
        self._programs: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start everything, and wait until all nodes are idle."""
        self._write_files()
        self._start("munged", "--foreground", "--force", *self._munge_options())
        until((self.folder / "munge.socket").exists, "munged does not start", self.logs)
        self._start("slurmctld", "-D", "-c")
        for node in self.nodes:
            self._start("slurmd", "-D", within=node.enter, log=node.name)
        until(lambda: self._count("idle") == len(self.nodes), "the nodes are not idle", self.logs)

    def _write_files(self) -> None:
        for name in ("bin", "home", "state", *(node.name for node in self.nodes)):
            (self.folder / name).mkdir()
        program = self.folder / "bin" / "matrix-runner"
        program.write_text(f"#!{sys.executable}{CALM}")
        program.chmod(0o755)
        controller, node = PORTS
        settings = SETTINGS.format(
            name=os.uname().nodename,
            here=HERE,
            controller=controller,
            node=node,
            folder=self.folder,
        )
        lines = [f"NodeName={one.name} NodeAddr={one.address} CPUs=1" for one in self.nodes]
        lines += ["PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP"]
        (self.folder / "slurm.conf").write_text("\n".join([settings, *lines, ""]))
        (self.folder / "cgroup.conf").write_text("IgnoreSystemd=yes\n")
        self._done("mungekey", "--create", "--keyfile", f"{self.folder}/munge.key")

    def _munge_options(self) -> list[str]:
        names = {
            "key-file": "key",
            "log-file": "log",
            "pid-file": "pid",
            "seed-file": "seed",
            "socket": "socket",
        }
        return [f"--{option}={self.folder}/munge.{name}" for option, name in names.items()]

    def _count(self, state: str) -> int:
        return self.told("sinfo", "-h", "-N", "-o", "%t").split().count(state)

    def shell(self, study: Path, line: str) -> "subprocess.CompletedProcess[str]":
        """Run a line of bash in the folder of a study, as a user does."""
        return self._run(["bash", "-c", line], study)

    def await_end(self, number: str, timeout_s: float = 60) -> None:
        """Wait until all tasks of a job have ended."""
        until(
            lambda: not self.told("squeue", "-h", "-j", number),
            f"{number} does not end",
            self.logs,
            timeout_s,
        )

    def told(self, *words: str) -> str:
        """Return what a command prints, also if it fails."""
        return self._run(words, self.folder).stdout

    def _done(self, *words: str) -> None:
        done = self._run(words, self.folder)
        assert done.returncode == 0, done.stderr

    def _run(self, words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words, cwd=folder, env=self._env(), capture_output=True, text=True, check=False
        )

    def _env(self) -> Mapping[str, str]:
        return {**os.environ, **self.variables}

    def _start(self, *words: str, within: Sequence[str] = (), log: str = "") -> None:
        path = self.folder / f"{log or words[0]}.log"
        with path.open("ab") as output:
            self._programs.append(
                subprocess.Popen(
                    [*within, shutil.which(words[0], path=SEARCHED) or words[0], *words[1:]],
                    env=self._env(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            )

    def logs(self) -> str:
        """Return what all daemons have logged, and the state of all nodes and jobs."""
        logs = [path.read_text(errors="replace")[-4000:] for path in self.folder.glob("*.log")]
        return "\n".join([*logs, self.told("sinfo", "-N", "-l"), self.told("squeue", "--array")])

    def end(self) -> None:
        """End everything that was started here."""
        for node in self.nodes:
            node.die()
        for program in reversed(self._programs):
            with suppress(ProcessLookupError):
                program.send_signal(signal.SIGKILL)
            program.wait()


@contextmanager
def lent_slurm(folder: Path, count: int) -> Iterator[Slurm]:
    """Start a Slurm, and remove everything of it afterwards."""
    slurm = Slurm(folder, count)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.end()


_T = TypeVar("_T")


def until(
    found: Callable[[], _T],
    problem: str,
    more: Callable[[], str] = str,
    timeout_s: float = 30,
) -> _T:
    """Wait for something, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (result := found()):
        assert time.monotonic() < deadline, f"{problem}\n{more()}"
        time.sleep(0.2)
    return result


def _run(line: str, within: Sequence[str] = ()) -> None:
    subprocess.run([*within, *shlex.split(line)], check=True, capture_output=True)
