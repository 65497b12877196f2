"""Signals: the first one asks for an orderly end, the second one ends the program at once.

An orderly end is a KeyboardInterrupt: the trial is stopped, and what the run holds on the engine is
removed. What a program that ended at once leaves is removed by the next start.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_S = 0.1
"""Two signals within this time are one: ``timeout`` tells a process, and then its whole group."""

ORDERLY = b"\r\x1b[KStopping; the same key again leaves at once.\r\n"
AT_ONCE = b"Left at once. The same command goes on, and removes what is left on the engine.\n"
SHOW_CURSOR = b"\x1b[?25h"


class _Ear:
    """What was heard so far; one for the process, because signals are."""

    def __init__(self) -> None:
        self.heard_at: float | None = None
        self.holding = False

    def hear(self, *_: int | FrameType | None) -> None:
        """Take a signal."""
        now = time.monotonic()
        if self.heard_at is None:
            self.heard_at = now
            if sys.stderr.isatty():  # for a person: a log gets one sentence, at the end
                os.write(2, ORDERLY)
            if not self.holding:
                raise KeyboardInterrupt
        elif now - self.heard_at > SAME_S:
            shown = SHOW_CURSOR if sys.stdout.isatty() else b""  # the live line hides it
            os.write(2, shown + AT_ONCE)
            os._exit(128 + signal.SIGINT)


_EAR = _Ear()


def listen() -> None:
    """Take the signals that end a program; what ``nohup`` or a shell ignores stays ignored."""
    _EAR.heard_at = None
    for ending in ENDINGS:
        if signal.getsignal(ending) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(ending, _EAR.hear)


def hear_no_more() -> None:
    """Let nothing disturb the way out: a process that is ending would die of its signal."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Put an interruption off to the end of a short step of which one half would be lost track of.

    A second signal ends the program also then.
    """
    _EAR.holding = True
    before = _EAR.heard_at
    try:
        yield
    finally:
        _EAR.holding = False
        if before is None and _EAR.heard_at is not None:
            raise KeyboardInterrupt
