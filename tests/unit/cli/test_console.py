"""The console of a shell, on a terminal of its own, and without one."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.cli.console import Console
from runner.errors import Exit
from tests.support.studies import ROOT

PROGRAM = """
import os, sys
from runner.cli.console import Console
console = Console()
print(console.is_terminal, file=sys.stderr, flush=True)
with console.typing(lambda message: os.write(2, message)):
    os.read(int(os.environ["END"]), 1)
"""


@contextmanager
def program(terminal: int, end: int) -> Iterator[subprocess.Popen[bytes]]:
    """Have a program with a console at a terminal, until the other side of ``end`` closes."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        pass_fds=(end,),
        env={**os.environ, "END": str(end), "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as started:
        yield started


def resize(terminal: int, rows: int, columns: int) -> None:
    """Give a terminal another size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


def test_each_key_and_each_size_is_sent_at_once() -> None:
    """Ctrl-C is a key as well. Afterwards the terminal is as before."""
    screen, terminal = pty.openpty()
    end, ending = os.pipe()
    before = termios.tcgetattr(terminal)
    resize(terminal, 24, 80)
    with program(terminal, end) as started:
        assert started.stderr is not None
        assert started.stderr.readline() == b"True\n"
        assert json.loads(started.stderr.readline()) == {"size": [24, 80]}
        os.write(screen, b"\xe9\x03")
        assert json.loads(started.stderr.readline()) == {"input": "\xe9\x03"}
        resize(terminal, 30, 90)
        started.send_signal(signal.SIGWINCH)
        assert json.loads(started.stderr.readline()) == {"size": [30, 90]}
        os.close(ending)
        assert started.wait(20) == 0
    assert termios.tcgetattr(terminal) == before
    for one in (screen, terminal, end):
        os.close(one)


def test_what_is_no_terminal_ends(tmp_path: Path) -> None:
    """An empty text says so; the size is nobody's business."""
    path = tmp_path / "commands"
    path.write_text("ls\n")
    end, ending = os.pipe()
    with path.open("rb") as commands, program(commands.fileno(), end) as started:
        assert started.stderr is not None
        assert started.stderr.readline() == b"False\n"
        assert json.loads(started.stderr.readline()) == {"input": "ls\n"}
        assert json.loads(started.stderr.readline()) == {"input": ""}
        os.close(ending)
        assert started.wait(20) == 0
    os.close(end)


def test_streams_are_passed_on_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A terminal understands control characters."""
    Console().show(b"\x1b[1mout\xff", b"errors")
    assert tuple(capfdbinary.readouterr()) == (b"\x1b[1mout\xff", b"errors")


def test_a_shell_ends_if_nobody_reads_what_it_shows() -> None:
    """As after ``| head``: without a message."""
    read, write = os.pipe()
    os.close(read)
    before = os.dup(1)
    os.dup2(write, 1)
    try:
        with pytest.raises(SystemExit) as ending:
            Console().show(b"line\n", None)
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(write)
    assert ending.value.code == Exit.INTERRUPTED
