"""A podman service for the tests, with the settings that a bare machine needs.

Debian's podman expects systemd, cgroup version 2 and programs that its package only recommends. The
settings here replace them. Storage, sockets and settings are in one folder, so the machine's own
podman is not affected.
"""

import os
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

import docker

from tests.support.daemons import NAMESPACES

PROGRAMS = ("podman", "conmon", "runc", "setpriv", "unshare")
"""Set in CI: without podman its tests fail instead of being skipped."""
REASON = "a podman service for the tests needs root, podman, conmon and runc"

SETTINGS = """\
[network]
network_config_dir = "{folder}/networks"
"""


def possible() -> bool:
    """Whether podman can be started now. CI installs it while other tests run."""
    return os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


class Podman:
    """A podman service that listens on a socket in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = self.folder / "containers.conf"
        settings.write_text(SETTINGS.format(folder=self.folder))
        command = [
            *shlex.split(NAMESPACES),
            *("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"),
            *("--root", f"{self.folder}/storage", "--runroot", f"{self.folder}/running"),
            *("--tmpdir", f"{self.folder}/state", "--storage-driver", "overlay"),
            *("--events-backend", "file"),
            *("system", "service", "--time", "0", self.address),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,  # conmon writes a file here when memory runs out
                env={**os.environ, "CONTAINERS_CONF": str(settings)},
            )
        deadline = time.monotonic() + 60
        while not self._listens():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)
        docker.DockerClient(self.address).close()  # raises if there is no answer

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(self.address.removeprefix("unix://")) == 0

    def die(self) -> None:
        """Kill it and everything that it started, and unmount its folders."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
