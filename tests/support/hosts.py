"""Several hosts on this machine: each has its own network, name, processes and Docker daemon.

A cable leads from each host to this machine and nowhere else. Everything in a host dies with its
first process, which dies with the process of the test.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from tests.support.daemons import Daemon, lent
from tests.support.remote import POSSIBLE, REASON, run_ip

__all__ = ["HERE", "POSSIBLE", "REASON", "Host", "lent_hosts"]

NETWORK = f"198.19.{os.getpid() % 256}"
HERE = f"{NETWORK}.1"
"""The address of this machine on all cables."""
MACHINE_ID = Path("/etc/machine-id")


class Host(Daemon):
    """A host with a Docker daemon."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder)
        self.name = f"h{number}"
        self.there = f"{NETWORK}.{10 + number}"
        self._cable = f"mr{os.getpid()}h{number}"
        (folder / "home").mkdir()
        (folder / "machine-id").write_text(f"{number:032x}\n")

    def connect_network(self, target: int) -> None:
        """Name the host and make its cable, which disappears with the host."""
        inside = f"nsenter --target {target} --net --uts --mount "
        subprocess.run([*inside.split(), "hostname", self.name], check=True)
        with suppress(subprocess.CalledProcessError):  # it exists already
            run_ip(f"link add {self._cable} type veth peer name eth0 netns {target}")
            run_ip(f"addr add {HERE} peer {self.there} dev {self._cable}")
            self.plug_cable()
            run_ip(f"addr add {self.there} peer {HERE} dev eth0", inside)
            run_ip("link set eth0 up", inside)
            run_ip("link set lo up", inside)
            if MACHINE_ID.exists():
                bind = ["mount", "--bind", str(self.folder / "machine-id"), str(MACHINE_ID)]
                subprocess.run([*inside.split(), *bind], check=True)

    def plug_cable(self) -> None:
        """Connect the host to this machine."""
        run_ip(f"link set {self._cable} up")

    def pull_cable(self) -> None:
        """Cut the host off without a word: packets vanish."""
        run_ip(f"link set {self._cable} down")

    def start_program(
        self, words: Sequence[str], variables: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Start a program on the host, with a home, caches and an engine of its own."""
        home = self.folder / "home"
        own = {
            "HOME": str(home),
            "TMPDIR": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_STATE_HOME": str(home / "state"),
            "MATRIX_RUNNER_CACHE": str(home / "environments"),
            "DOCKER_HOST": self.address,
        }
        enter = ["nsenter", "--target", str(self.machine), "--net", "--uts", "--mount", "--pid"]
        with log.open("ab") as output:
            return subprocess.Popen(
                [*enter, "--", *words],
                cwd=home,
                env={**os.environ, **own, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


@contextmanager
def lent_hosts(count: int) -> Iterator[list[Host]]:
    """Start hosts, and remove them with everything on them afterwards."""
    with ExitStack() as at_the_end:
        yield [
            at_the_end.enter_context(lent(partial(Host, number=number)))
            for number in range(1, count + 1)
        ]
