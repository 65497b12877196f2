"""Engines that accept connections and never answer completely."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TRICKLE_S = 0.02


class SilentEngine:
    """Accepts connections, and then sends at most a byte now and then.

    ``sent`` is what each connection gets first; further ones get the same as the last.
    """

    def __init__(self, listening: socket.socket, sent: Sequence[bytes]) -> None:
        self._listening = listening
        self._sent = sent
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                sent = self._sent[min(len(self._connections), len(self._sent) - 1)]
                self._connections.append(connection)
                threading.Thread(target=self._answer, args=(connection, sent), daemon=True).start()

    def _answer(self, connection: socket.socket, sent: bytes) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            while sent:
                time.sleep(TRICKLE_S)
                connection.sendall(b" ")

    def close(self) -> None:
        """Close all connections."""
        for one in (self._listening, *self._connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextlib.contextmanager
def silent_engine(scheme: str, folder: Path, *sent: bytes) -> Iterator[str]:
    """Have such an engine on a Unix socket or on TCP, and return its address."""
    if scheme == "unix":
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(folder / "socket"))
        listening.listen()
        address = f"unix://{folder / 'socket'}"
    else:
        listening = socket.create_server(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    engine = SilentEngine(listening, sent)
    try:
        yield address
    finally:
        engine.close()
