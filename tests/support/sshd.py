"""An ssh server for the tests, with its own keys."""

import os
import pwd
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

REASON = "an ssh server for the tests needs root, sshd, ssh, ssh-keygen and docker"

SERVER = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/own.pub
PidFile none
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM yes
"""
CLIENT = """\
Host *
  IdentityFile {folder}/own
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  BatchMode yes
"""


def possible() -> bool:
    """Whether sshd can be started now. CI installs it while other tests run."""
    needed = ("ssh", "ssh-keygen", "docker")
    return os.geteuid() == 0 and bool(_program()) and all(map(shutil.which, needed))


def _program() -> str | None:
    """Return the path of sshd, which must be started by its full path."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


class Sshd:
    """An ssh server; the folder ``client`` has an ``ssh`` that knows its keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = folder / "client"
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make its keys, start it, and wait until it answers."""
        for name in ("host", "own"):
            make = f"ssh-keygen -q -t ed25519 -N '' -f {self.folder}/{name}"
            subprocess.run(shlex.split(make), check=True)
        key = (self.folder / "host.pub").read_text()
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {key}")
        (self.folder / "server").write_text(SERVER.format(folder=self.folder, port=self.port))
        (self.folder / "settings").write_text(CLIENT.format(folder=self.folder))
        self.client.mkdir()
        real = shutil.which("ssh")
        (self.client / "ssh").write_text(f'#!/bin/sh\nexec {real} -F {self.folder}/settings "$@"\n')
        (self.client / "ssh").chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)  # usually its package creates this folder
        command = [str(_program()), "-D", "-e", "-f", str(self.folder / "server")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0

    def die(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
