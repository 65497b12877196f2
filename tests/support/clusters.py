"""A Dask scheduler on this machine, workers on hosts of their own, and certificates for both."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from tests.support import hosts
from tests.support.hosts import HERE, Host
from tests.support.remote import make_certificates
from tests.support.studies import CALM, ROOT

POSSIBLE = hosts.POSSIBLE and find_spec("distributed") is not None
REASON = f"{hosts.REASON}; a cluster also needs distributed"
PORT = 8786
DASK = Path(sys.executable).with_name("dask")
NO_SETTINGS: Mapping[str, str] = {}
ROLES = ("SCHEDULER", "WORKER", "CLIENT")


def certificates(folder: Path) -> Mapping[str, str]:
    """Make certificates in a folder; return the variables that name them for all roles."""
    make_certificates(folder, HERE)
    found = {"CA_FILE": "ca.pem"}
    for role in ROLES:
        found |= {f"{role}__CERT": "cert.pem", f"{role}__KEY": "key.pem"}
    return {
        f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(folder / one) for name, one in found.items()
    }


class Cluster:
    """A scheduler, and the hosts with their workers."""

    def __init__(
        self, folder: Path, hosts: Sequence[Host], settings: Mapping[str, str] = NO_SETTINGS
    ) -> None:
        self.folder = folder
        self.hosts = hosts
        self.url = f"tls://{HERE}:{PORT}"
        self.variables = {**certificates(folder / "certificates"), **settings}
        self._programs: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the scheduler, and a worker on each host."""
        words = ["scheduler", "--host", HERE, "--port", str(PORT), "--protocol", "tls"]
        with (self.folder / "scheduler.log").open("ab") as log:
            self._programs.append(
                subprocess.Popen(
                    [str(DASK), *words, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
                    env={**os.environ, **self.variables, "PYTHONPATH": str(ROOT)},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        self.await_line("scheduler.log", "Scheduler at:", 1)
        for host in self.hosts:
            self.start_worker(host)
        for host in self.hosts:
            self.await_line(f"{host.name}.log", "is a worker of", 1)

    def start_worker(
        self, host: Host, url: str | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a worker on a host."""
        own = self.variables if variables is None else variables
        program = host.start_program(
            [sys.executable, "-c", CALM, "worker", url or self.url],
            {**own, "PYTHONPATH": str(ROOT)},
            self.folder / f"{host.name}.log",
        )
        self._programs.append(program)
        return program

    def run(
        self,
        study: Path,
        *words: str,
        url: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a run of a study on the cluster."""
        own = self.variables if variables is None else variables
        return subprocess.Popen(
            [sys.executable, "-c", CALM, "run", "--cluster", url or self.url, *words],
            cwd=study,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_line(self, log: str, text: str, count: int, timeout_s: float = 60.0) -> None:
        """Wait until a log contains a text so often."""
        deadline = time.monotonic() + timeout_s
        while self.log(log).count(text) < count:
            assert time.monotonic() < deadline, self.log(log)
            time.sleep(0.1)

    def log(self, name: str) -> str:
        """Return a log so far."""
        with suppress(FileNotFoundError):
            return (self.folder / name).read_text()
        return ""

    def end(self) -> None:
        """End everything that was started here; the hosts stay."""
        for program in self._programs:
            if program.poll() is None:
                program.kill()
            program.wait()


@contextmanager
def lent_cluster(
    folder: Path, count: int = 3, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[Cluster]:
    """Start hosts with workers and their scheduler, and remove everything afterwards."""
    with hosts.lent_hosts(count) as some:
        cluster = Cluster(folder, some, settings)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.end()
