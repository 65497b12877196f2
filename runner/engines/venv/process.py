"""The processes of a trial: started, followed to their end, and ended."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, cast

from runner.engines.protocol import Console
from runner.engines.venv import subreaper
from runner.inside.launcher import write_all
from runner.system import child, signals

DRAIN_S = 5.0  # for reading what is left in the streams of a dead process
KILL_S = 10.0  # for the subreaper to kill everything
CHUNK_BYTES = 1 << 16


def run(
    command: Sequence[str],
    variables: Mapping[str, str],
    add: Callable[[bytes | None, bytes | None], None],
    *,
    cores: Sequence[int],
    cgroups: Iterable[Path] = (),
    processes: int | None = None,
    timeout_s: float,
    console: Console | None = None,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> tuple[int, bool]:
    """Run a command with its descendants; return its exit code and whether it ended in time.

    ``add`` gets what comes on its two streams, and ``processes`` limits the processes of its user.
    It gets these variables and no others, and reads what is typed on a ``console``. ``started``
    gets a function with which another thread can end it.
    """
    first = child.program(command[0]) or command[0]  # the trial has another PATH
    with contextlib.ExitStack() as cleanup:
        stdin, send = cleanup.enter_context(_pipe()) if console else (None, None)
        spec = {
            "command": [first, *command[1:]],
            "cores": cores,
            "cgroups": list(map(str, cgroups)),
            "processes": processes,
            "stdin": stdin,
        }
        with signals.deferred():
            program = subprocess.Popen(
                [sys.executable, "-I", "-S", subreaper.__file__, json.dumps(spec)],
                bufsize=0,
                cwd="/",
                env=variables,
                stdin=subprocess.PIPE,  # closes when this process ends
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=() if stdin is None else (stdin,),
            )
            cleanup.enter_context(program)
            cleanup.callback(_end, program)
        if started is not None:  # the subreaper ends everything when its stdin closes
            started(cast("IO[bytes]", program.stdin).close)
        selector = cleanup.enter_context(selectors.DefaultSelector())
        document, log = cast("tuple[IO[bytes], IO[bytes]]", (program.stdout, program.stderr))
        selector.register(document, selectors.EVENT_READ, lambda chunk: add(chunk, None))
        selector.register(log, selectors.EVENT_READ, lambda chunk: add(None, chunk))
        end = os.pidfd_open(program.pid)
        cleanup.callback(os.close, end)
        selector.register(end, selectors.EVENT_READ)
        with console.typing(send) if console and send else contextlib.nullcontext():
            in_time = _relay(selector, timeout_s)
        selector.unregister(end)
        _end(program)
        _relay(selector, DRAIN_S)
    return program.returncode, in_time


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, Callable[[bytes], None]]]:
    """Return the end of a pipe that a program can read, and what sends bytes to it."""
    read, write = os.pipe()
    try:
        yield read, partial(write_all, write)
    finally:
        os.close(read)
        os.close(write)


def _relay(selector: selectors.BaseSelector, timeout_s: float) -> bool:
    """Relay the streams until the program or both streams end; return whether that was in time."""
    deadline = time.monotonic() + timeout_s
    while selector.get_map() and (left_s := deadline - time.monotonic()) > 0:
        for key, _ in selector.select(left_s):
            if key.data is None:
                return True
            chunk = os.read(key.fd, CHUNK_BYTES)
            key.data(chunk)
            if not chunk:
                selector.unregister(key.fileobj)
    return not selector.get_map()


def _end(program: subprocess.Popen[bytes]) -> None:
    """End the subreaper, which first kills its descendants."""
    cast("IO[bytes]", program.stdin).close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(KILL_S)
    program.kill()
    program.wait()


def count(user: int) -> int:
    """Return the number of processes and threads of a user, which a limit counts together."""
    count = 0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == user:
                count += sum(1 for _ in (path / "task").iterdir())
    return count
