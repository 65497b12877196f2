"""The console of a shell: the user's terminal, or standard input and output without one.

What a shell shows is passed on as it is, with all control characters, as a terminal does.
"""

import json
import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from runner.errors import Exit
from runner.inside.launcher import write_all

CHUNK_BYTES = 4096
END, RESIZED = b"e", b"r"
LAST_S = 1.0
"""How long the end of a shell waits for input that is on its way to it."""


class Console:
    """The streams of this process. With a terminal, each key reaches the shell at once."""

    def __init__(self) -> None:
        self.is_terminal = os.isatty(0) and os.isatty(1)

    @contextmanager
    def typing(self, send: Callable[[bytes], None]) -> Iterator[None]:
        """Send what comes on stdin, and each new size of the terminal."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        relay = threading.Thread(target=_relay, args=(send, woken), daemon=True)
        with ExitStack() as at_the_end:
            if self.is_terminal:
                at_the_end.enter_context(_raw())
                at_the_end.enter_context(_watched(wake))
            relay.start()
            try:
                yield
            finally:
                os.write(wake, END)
                relay.join(LAST_S)
        if not relay.is_alive():
            os.close(woken)
        os.close(wake)

    def show(self, out: bytes | None, errors: bytes | None) -> None:
        """Pass on both streams; SystemExit if nobody reads them any more."""
        try:
            write_all(1, out or b"")
            write_all(2, errors or b"")
        except BrokenPipeError:
            raise SystemExit(Exit.INTERRUPTED) from None


def _relay(send: Callable[[bytes], None], woken: int) -> None:
    """Send input and sizes until ``woken`` has the end."""
    sources = [0, woken]
    with suppress(OSError):  # the shell reads no more, or the terminal is gone
        while True:
            ready = select.select(sources, [], [])[0]
            if woken in ready:
                if END in os.read(woken, CHUNK_BYTES):
                    return
                columns, rows = os.get_terminal_size(1)
                send(_message(size=[rows, columns]))
            if 0 in ready:
                chunk = os.read(0, CHUNK_BYTES)
                send(_message(input=chunk.decode("latin-1")))
                if not chunk:
                    sources.remove(0)


def _message(**content: object) -> bytes:
    """Return a line that the launcher reads (``launcher.run_shell``)."""
    return json.dumps(content).encode() + b"\n"


@contextmanager
def _raw() -> Iterator[None]:
    """Have the terminal pass on each key, also Ctrl-C, and show nothing by itself."""
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSADRAIN)
        yield
    finally:
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextmanager
def _watched(wake: int) -> Iterator[None]:
    """Announce the size of the terminal, and each change."""

    def announce(*_: object) -> None:
        with suppress(BlockingIOError):  # it is announced already
            os.write(wake, RESIZED)

    before = signal.signal(signal.SIGWINCH, announce)
    announce()
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
