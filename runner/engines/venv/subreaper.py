"""Keeps the processes of a trial together where no namespace does, so that none outlives it.

A program of its own, between the runner and the launcher, that imports nothing of the runner:
every orphan among its descendants becomes its child. When the launcher ends, or the runner does,
which closes our stdin, it kills all of them and ends as the launcher did. A script of the same user
can kill it.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
ROUND_S = 0.005


def main() -> int:
    """Execute the program in the arguments; return how it ended, as a shell tells it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    program = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    ended: dict[int, int] = {}
    while program not in ended:
        ready, _, _ = select.select([0, awake], [], [])
        if awake in ready:
            os.read(awake, 4096)
            reap(ended)
        if 0 in ready:
            break
    end_all(ended)
    code = os.waitstatus_to_exitcode(ended.get(program, signal.SIGKILL))
    return 128 - code if code < 0 else code


def reap(ended: dict[int, int]) -> bool:
    """Take note of the children that ended; return whether there are others."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return True
            ended[pid] = status
    except ChildProcessError:
        return False


def end_all(ended: dict[int, int]) -> None:
    """Kill all descendants. They are stopped first: what forks on would always be one ahead."""
    while reap(ended):
        stopped: set[int] = set()
        while new := descendants() - stopped:
            tell(new, signal.SIGSTOP)
            stopped |= new
        tell(stopped, signal.SIGKILL)
        time.sleep(ROUND_S)


def tell(processes: set[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in processes:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def descendants() -> set[int]:
    """Return the processes below this one."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


if __name__ == "__main__":
    sys.exit(main())
