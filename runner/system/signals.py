"""The first signal asks for an orderly end, the second one ends the program immediately.

The first signal raises KeyboardInterrupt: the trial is stopped, and everything that belongs to the
run is removed from the engine. After an immediate end, the next start removes it.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_S = 0.1
"""Signals this close together count as one: ``timeout`` signals a process and then its group."""

ORDERLY = b"\r\x1b[KStopping. Press Ctrl-C again to quit immediately.\r\n"
IMMEDIATE = b"Stopped immediately. Run the same command to resume; it also cleans up the engine.\n"
SHOW_CURSOR = b"\x1b[?25h"


class _Interruption:
    """The interruption of this process. Python runs signal handlers in the main thread only."""

    def __init__(self) -> None:
        self.received_at: float | None = None
        self.deferrals = 0
        self.pending = False

    def receive(self, *_: int | FrameType | None) -> None:
        """Handle a signal."""
        now = time.monotonic()
        if self.received_at is None:
            self.received_at = now
            if sys.stderr.isatty():  # a log gets only the final sentence
                os.write(2, ORDERLY)
            if not self.deferrals:
                raise KeyboardInterrupt
            self.pending = True
        elif now - self.received_at > SAME_S:
            cursor = SHOW_CURSOR if sys.stdout.isatty() else b""  # the progress line hides it
            os.write(2, cursor + IMMEDIATE)
            os._exit(128 + signal.SIGINT)


_INTERRUPTION = _Interruption()


def listen() -> None:
    """Handle the signals that end a program, except those that ``nohup`` or a shell ignores."""
    _INTERRUPTION.received_at = None
    for number in SIGNALS:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _INTERRUPTION.receive)


def ignore() -> None:
    """Ignore further signals while the program exits, so that its exit code stays its own."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def deferred() -> Iterator[None]:
    """Delay Ctrl-C until this critical section is over. A second signal still ends the program.

    In nested sections it is delivered when the outermost one ends. Other threads than the main one
    are never interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _INTERRUPTION.deferrals += 1
    try:
        yield
    finally:
        _INTERRUPTION.deferrals -= 1
        if _INTERRUPTION.pending and not _INTERRUPTION.deferrals:
            _INTERRUPTION.pending = False
            raise KeyboardInterrupt
