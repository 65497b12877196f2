"""An engine behind ssh: each connection to a local socket becomes one ``ssh`` process.

The system's own ssh knows the user's keys, host names and jump hosts. As with the docker program,
``docker system dial-stdio`` on the other machine connects it to the engine there.
"""

import os
import socket
import subprocess
import tempfile
import threading
from urllib.parse import urlsplit

from runner.system import child

MOST_ERROR_BYTES = 2**16
END_S = 5.0
OPTIONS = ("-T", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15")


class Tunnel:
    """Listens until it is closed. It has no files on disk, so nothing remains if it is killed."""

    def __init__(self, url: str) -> None:
        self._arguments = command(url)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by ``close``
        self._listening = socket.socket(socket.AF_UNIX)
        with tempfile.TemporaryDirectory() as folder:
            inside = os.open(folder, os.O_PATH)
            try:
                # The path of a socket has at most 107 bytes, and that of the folder may be longer.
                path = f"/proc/self/fd/{inside}/socket"
                self._listening.bind(path)
                self._path = os.open(path, os.O_PATH)
            finally:
                os.close(inside)
        self._listening.listen()
        self.address = f"unix:///proc/self/fd/{self._path}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            self._processes = [process for process in self._processes if process.poll() is None]
            with connection:
                try:
                    process = subprocess.Popen(
                        child.located(self._arguments),
                        cwd="/",
                        env=child.variables(),
                        stdin=connection.fileno(),
                        stdout=connection.fileno(),
                        stderr=self._errors,
                        start_new_session=True,  # so that Ctrl-C reaches only the runner
                    )
                except OSError as error:
                    os.write(self._errors.fileno(), f"ssh: {error.strerror}\n".encode())
                else:
                    self._processes.append(process)

    def last_error(self) -> str | None:
        """Return the last error message of ssh, or of the program on the other machine."""
        errors = os.pread(self._errors.fileno(), MOST_ERROR_BYTES, 0)
        lines = errors.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), None)

    def close(self) -> None:
        """End all connections."""
        self._listening.shutdown(socket.SHUT_RDWR)  # ends the thread
        self._listening.close()
        self._thread.join()
        os.close(self._path)
        for process in self._processes:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._errors.close()


def command(url: str) -> list[str]:
    """Return the ssh command for an address such as ssh://me@there:22."""
    parts = urlsplit(url)
    # ``parts.hostname`` is in lower case, but the names in ssh's configuration need not be.
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
