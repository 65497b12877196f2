"""The processes of a trial: begun on the measured cores, followed to their end, and ended."""

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from runner.system import signals
from runner.engines.streams import TrialOutput

DRAIN_S = 5.0  # what the streams get to come to their end once the process is dead
KEEPER_S = 10.0  # what a keeper gets to kill all that it keeps
PIECE_BYTES = 1 << 16


def started(
    command: Sequence[str], variables: Mapping[str, str], cores: Sequence[int], kept: bool
) -> subprocess.Popen[bytes]:
    """Start a trial on these cores, with these variables and no others.

    One that is ``kept`` has a keeper before it.
    """
    program: subprocess.Popen[bytes] | None = None
    try:
        with signals.deferred(), _on(cores):
            program = subprocess.Popen(
                command,
                bufsize=0,
                cwd="/",
                env=variables,
                stdin=subprocess.PIPE,  # its end tells keeper and launcher that we are gone
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
    except KeyboardInterrupt:
        if program is not None:
            _end(program, kept)
        raise
    return program


def followed(program: subprocess.Popen[bytes], output: TrialOutput, timeout_s: float, kept: bool) -> bool:
    """Relay both streams of a trial to its end; return whether it ended in time."""
    streams = cast("tuple[IO[bytes], IO[bytes]]", (program.stdout, program.stderr))
    with selectors.DefaultSelector() as waiting, streams[0], streams[1]:
        waiting.register(streams[0], selectors.EVENT_READ, "document")
        waiting.register(streams[1], selectors.EVENT_READ, "log")
        end = os.pidfd_open(program.pid)
        try:
            waiting.register(end, selectors.EVENT_READ)
            in_time = _relayed(waiting, output, timeout_s)
        finally:
            with contextlib.suppress(KeyError):
                waiting.unregister(end)
            os.close(end)
            _end(program, kept)
        _relayed(waiting, output, DRAIN_S)
    return in_time


def _end(program: subprocess.Popen[bytes], kept: bool) -> None:
    """End a trial, unless it has ended: what is tied to it dies with it, a keeper kills first."""
    cast("IO[bytes]", program.stdin).close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(KEEPER_S if kept else 0)
    program.kill()
    program.wait()


def _relayed(waiting: selectors.BaseSelector, output: TrialOutput, seconds: float) -> bool:
    """Relay until the process ends or both streams do; return whether that was in time."""
    deadline = time.monotonic() + seconds
    while waiting.get_map():
        ready = waiting.select(max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        for key, _ in ready:
            chunk = os.read(key.fd, PIECE_BYTES) if key.data else b""
            if key.data == "document":
                output.add(chunk, None)
            else:
                output.add(None, chunk)
            if not chunk:
                waiting.unregister(key.fileobj)
                if key.data is None:
                    return True
    return True


@contextlib.contextmanager
def _on(cores: Sequence[int]) -> Iterator[None]:
    """Have what this thread starts begin on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def count(user: int) -> int:
    """Return how many processes and threads a user has: a limit on them counts all of them."""
    count = 0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == user:
                count += sum(1 for _ in (path / "task").iterdir())
    return count
