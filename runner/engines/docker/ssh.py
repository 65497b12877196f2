"""An engine behind ssh: a socket on this machine, whose connections each are one ``ssh`` there.

The system's own ssh knows the person's keys, names and jump hosts, and ``docker system dial-stdio``
passes on to the engine on the other machine, as for Docker's own program.
"""

import os
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

MOST_SAID = 2**16
OPTIONS = ("-T", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15")


class Tunnel:
    """Listens until it is closed. Nothing of it lies on the disk, so that a kill leaves nothing."""

    def __init__(self, url: str) -> None:
        self._words = command(url)
        self._programs: list[subprocess.Popen[bytes]] = []
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._listening = socket.socket(socket.AF_UNIX)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "socket")
            self._listening.bind(str(path))
            self._place = os.open(path, os.O_PATH)
        self._listening.listen()
        self.address = f"unix:///proc/self/fd/{self._place}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:  # closed
                return
            self._programs = [one for one in self._programs if one.poll() is None]
            with line:
                try:
                    program = subprocess.Popen(
                        self._words,
                        stdin=line.fileno(),
                        stdout=line.fileno(),
                        stderr=self._said,
                        start_new_session=True,  # a Ctrl-C is for us to answer
                    )
                except OSError as error:
                    os.write(self._said.fileno(), f"ssh: {error.strerror}\n".encode())
                else:
                    self._programs.append(program)

    def last_error(self) -> str | None:
        """Return the last that ssh, or the program on the other machine, complained of."""
        said = os.pread(self._said.fileno(), MOST_SAID, 0)
        lines = said.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), None)

    def close(self) -> None:
        """End all connections."""
        self._listening.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self._listening.close()
        self._thread.join()
        os.close(self._place)
        for program in self._programs:
            program.terminate()
            program.wait()
        self._said.close()


def command(url: str) -> list[str]:
    """Return the words of a connection to the engine of an address such as ssh://me@there:22."""
    parts = urlsplit(url)
    # ``parts.hostname`` is in small letters, and names in ssh's configuration need not be.
    host = parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}").strip("[]")
    return [
        "ssh",
        *OPTIONS,
        *(("-l", parts.username) if parts.username else ()),
        *(("-p", str(parts.port)) if parts.port else ()),
        "--",
        host,
        "docker",
        *(("--host", f"unix://{parts.path}") if parts.path.strip("/") else ()),
        "system",
        "dial-stdio",
    ]
