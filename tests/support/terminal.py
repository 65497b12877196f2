"""A terminal that records a program: all that it wrote, and what a person sees in the end.

The program runs on a pseudo-terminal of a given size. pyte moves the cursor as a terminal would,
and keeps the lines that scroll away.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyte

ROWS = 40
MOST_LINES = 10_000
OPENED = 'exec "$@" <"$0" >"$0" 2>&1'
"""Opened by the first process of a session, a terminal belongs to it: its Ctrl-C is a signal."""
UNSET = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TTY_COMPATIBLE")


@dataclass(frozen=True, slots=True)
class Recording:
    """A program on a terminal: its exit code, what it wrote, and the lines that are left to see."""

    code: int
    written: bytes
    lines: tuple[str, ...]
    colours: Mapping[str, str]
    """The colour of each line that has one, by its text."""


def environment(*, colour: bool = True, **others: str) -> dict[str, str]:
    """Return the variables of an ordinary terminal."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    plain = {} if colour else {"NO_COLOR": "1"}
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", **plain, **others}


def seen_on(columns: int, written: bytes) -> tuple[str, ...]:
    """Return the lines that a person sees after a program has written this to a terminal."""
    screen = pyte.HistoryScreen(columns, ROWS, history=MOST_LINES, ratio=0.5)
    pyte.ByteStream(screen).feed(written)
    return tuple(text for text, _ in _seen(screen))


def recorded(
    command: Sequence[str],
    *,
    folder: Path,
    columns: int,
    variables: Mapping[str, str] | None = None,
    interrupt_at: str | None = None,
    timeout_s: float = 300.0,
) -> Recording:
    """Run a program on a terminal of that width until it ends.

    Once ``interrupt_at`` is on the screen, Ctrl-C is typed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    screen = pyte.HistoryScreen(columns, ROWS, history=MOST_LINES, ratio=0.5)
    stream = pyte.ByteStream(screen)
    program = subprocess.Popen(
        ["bash", "-c", OPENED, os.ttyname(theirs), *command],
        cwd=folder,
        env=dict(variables or environment()),
        start_new_session=True,
    )
    written, deadline, pressed = b"", time.monotonic() + timeout_s, interrupt_at is None
    while time.monotonic() < deadline:
        is_over = program.poll() is not None
        if select.select([ours], [], [], 0.1)[0]:
            chunk = os.read(ours, 65536)
            written += chunk
            stream.feed(chunk)
        elif is_over:
            break
        if not pressed and interrupt_at and interrupt_at in "\n".join(screen.display):
            os.write(ours, b"\x03")
            pressed = True
    else:
        os.killpg(program.pid, signal.SIGKILL)
    os.close(ours)
    os.close(theirs)
    seen = _seen(screen)
    colours = {text: colour for text, colour in seen if colour}
    return Recording(program.wait(), written, tuple(text for text, _ in seen), colours)


def _seen(screen: pyte.HistoryScreen) -> list[tuple[str, str]]:
    """Return the lines of a screen and their colours, with those that have scrolled away."""
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(screen.lines))]
    seen = [(_text(row, screen.columns), _colour(row, screen.columns)) for row in rows]
    while seen and not seen[-1][0]:
        seen.pop()
    return seen


def _text(row: Any, columns: int) -> str:
    return "".join(row[column].data for column in range(columns)).rstrip()


def _colour(row: Any, columns: int) -> str:
    """Return the first colour of a line, or that it is bold; nothing if it is plain."""
    for column in range(columns):
        cell = row[column]
        if cell.data.strip() and (cell.fg != "default" or cell.bold):
            return "bold" if cell.fg == "default" else str(cell.fg)
    return ""
