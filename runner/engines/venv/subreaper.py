"""Ends a trial together with everything that it started.

The venv engine starts this program between the runner and the sandbox. It imports no other code of
the runner. It starts a command on given cores and in given control groups, and every orphan among
its descendants becomes its child. When the command ends, or when the runner ends and so closes our
stdin, it kills all descendants and ends like the command. Without a sandbox, a script of the same
user can kill this program.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ROUND_S = 0.005


def main() -> int:
    """Execute the command that the argument specifies; return its exit code."""
    spec = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    program = os.fork()
    if program == 0:
        start(spec)
    ended: dict[int, int] = {}
    end = os.pidfd_open(program)
    signal.signal(signal.SIGCHLD, lambda *_: reap(ended))  # or dead orphans would count as running
    select.select([0, end], [], [])
    kill_descendants(ended)
    code = os.waitstatus_to_exitcode(ended[program])
    if code < 0:
        os.kill(os.getpid(), -code)
    return code


def start(spec: dict[str, Any]) -> NoReturn:
    """Become the command; the kernel kills it if this program is killed."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for folder in spec["cgroups"]:
            with open(f"{folder}/cgroup.procs", "wb") as file:  # noqa: PTH123 (pathlib loads slowly)
                file.write(b"0")
        if spec["processes"] is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (spec["processes"], spec["processes"]))
        os.sched_setaffinity(0, spec["cores"])
        if spec["stdin"] is not None:
            os.dup2(spec["stdin"], 0)
            os.close(spec["stdin"])
        os.execvp(spec["command"][0], spec["command"])  # noqa: S606
    except (OSError, ValueError) as error:
        os.write(2, f"subreaper: {spec['command'][0]}: {error}\n".encode())
    os._exit(125)


def reap(ended: dict[int, int]) -> bool:
    """Record the children that ended; return whether others are still there."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return True
            ended[pid] = status
    except ChildProcessError:
        return False


def kill_descendants(ended: dict[int, int]) -> None:
    """Kill all descendants. Stop them first, or a process that keeps forking would escape."""
    while reap(ended):
        stopped: set[int] = set()
        while new := descendants() - stopped:
            send(signal.SIGSTOP, new)
            stopped |= new
        send(signal.SIGKILL, stopped)
        time.sleep(ROUND_S)


def send(number: signal.Signals, processes: set[int]) -> None:
    """Send a signal to each process that still exists."""
    for pid in processes:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def descendants() -> set[int]:
    """Return the descendants of this process."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
            parent = int(file.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


if __name__ == "__main__":
    sys.exit(main())
