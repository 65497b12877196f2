"""Measured cores: which ones a run takes, and turns among the runs that share one.

Runs on one machine coordinate through abstract Unix sockets named after the cores. Such a name
needs no file and no permission, works between users and engines, and is free again as soon as its
process ends. A process in another network namespace does not see it.

A run *reserves* the cores it measures on for as long as it lasts, so that the next run chooses
others. Where none are left, runs take *turns*: one trial at a time measures on a core.
"""

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.inside.launcher import text_in
from runner.system.topology import Core, Group, numbers, shared_out, siblings, usable
from runner.text import cut, one_line

PATIENCE_S = 3600.0
"""How long a trial waits for its turn. A process that never ends its turn can only cause this."""
GIVE_WAY_S = 0.1
"""How long a run that others waited for leaves them the core before it asks again."""
RETRY_S = 0.01
LONGEST_NAME = 200
MOST_WAITING = 64
"""Connections beyond these are closed, so that nobody can use up our file descriptors."""

ALLOWED = frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ())
"""The cores that this process was allowed to use when it started."""

PREFIX = "matrix-runner/"
"""How the names begin; tests have their own."""


def highest() -> int:
    """Return the core with the highest number that this process was allowed to use."""
    return max(ALLOWED, default=(os.cpu_count() or 1) - 1)


def online(root: Path = Path("/")) -> tuple[int, ...]:
    """Return the numbers of the cores that are online, of which some may be missing in between."""
    return numbers(text_in(str(root / "sys/devices/system/cpu/online")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How a trial got its cores: after how many seconds, and who did not leave them to it."""

    waited_s: float = 0.0
    occupied_by: str | None = None


@contextlib.contextmanager
def reserved(
    cores: Sequence[Core], cpus: int, count: int = 1, machine: str = ""
) -> Iterator[tuple[Group, ...]]:
    """Reserve ``cpus`` cores for each of ``count`` trials, which no other run measures on.

    If too few are left, cores are shared with other runs. The machine must have so many cores.
    ``machine`` distinguishes an engine elsewhere.
    """
    free = usable(cores, cpus * count)
    groups = every = shared_out(free, cpus, count)
    while groups is not None:
        with contextlib.ExitStack() as sockets:
            wanted = [core for group in groups for core in group]
            names = {core: f"{PREFIX}{machine}run/{core}" for core in wanted}
            refused = {core for core in wanted if not _taken(sockets, names[core])}
            if not refused:
                yield groups
                return
        free = tuple(core for core in free if core.threads[0] not in refused)
        groups = shared_out(free, cpus, count)
    assert every is not None  # noqa: S101 (the limits were checked)
    yield every


def claimed(sockets: contextlib.ExitStack, name: str) -> bool:
    """Whether this process got a name that only one process can have, until the sockets close."""
    return _taken(sockets, f"{PREFIX}{name}")


def _taken(sockets: contextlib.ExitStack, name: str) -> bool:
    """Whether this process got the name. Where such names do not exist, it always does."""
    one = sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    try:
        one.bind(f"\0{name}")
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def measured(machine: str = "") -> set[int]:
    """Return the cores that runs have reserved."""
    names = text_in("/proc/net/unix").split()
    marker = f"@{PREFIX}{machine}run/"
    numbers = {name.removeprefix(marker) for name in names if name.startswith(marker)}
    return {int(number) for number in numbers if number.isdecimal()}


def keep_off_measured(own: Collection[int] = ()) -> None:
    """Keep this process and its children off the cores that runs on this machine measure on.

    It also leaves the other threads of their physical cores free, if any other core remains.
    ``own`` are the cores of our own run. Nothing happens if no other core would remain.
    """
    theirs = measured().union(own)
    others = (ALLOWED - theirs - siblings(theirs)) or (ALLOWED - theirs)
    for thread in Path("/proc/self/task").iterdir() if others else ():
        with contextlib.suppress(OSError):  # the thread has ended, or the core is gone
            os.sched_setaffinity(int(thread.name), others)


class Turns:
    """The turns of one run on its cores. ``name`` tells others who measures there."""

    def __init__(
        self,
        cores: Collection[int],
        name: str,
        note: Callable[[str], None],
        machine: str = "",
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.cores = sorted(cores)  # all runs ask in the same order, so none blocks another
        self._name = name
        self._note = note
        self._machine = machine
        self._patience_s = patience_s
        self._refused: str | None = None
        self._named: set[tuple[int, str]] = set()
        self._others_waited = False

    def on(self, cores: Collection[int]) -> "Turns":
        """Return the turns of the same run on other cores."""
        return Turns(cores, self._name, self._note, self._machine, self._patience_s)

    @contextlib.contextmanager
    def turn(self) -> Iterator[Turn]:
        """Have the cores to oneself, after those that use them now."""
        if self._others_waited:
            self._give_way()
        began = time.monotonic()
        occupied_by = None
        held: list[_Held] = []
        try:
            for core in self.cores:
                holder = self._take(core, held, began + self._patience_s)
                occupied_by = occupied_by or holder
            yield Turn(waited_s=time.monotonic() - began, occupied_by=occupied_by)
        finally:
            waited = [one.release() for one in held]
            self._others_waited = any(waited)

    def _give_way(self) -> None:
        """Wait until one of those that waited has its turn, or for a moment if none takes it."""
        deadline = time.monotonic() + GIVE_WAY_S
        while time.monotonic() < deadline:
            time.sleep(RETRY_S)
            with _connected(self._address(self.cores[0]), deadline) as (_, holder):
                if holder is not None:
                    return

    def _address(self, core: int) -> str:
        return f"\0{PREFIX}{self._machine}core/{core}"

    def _take(self, core: int, held: "list[_Held]", deadline: float) -> str | None:
        """Wait for a core, and hold it; return who holds it if that does not end in time."""
        address = self._address(core)
        while True:
            try:
                held.append(_Held(address, self._name))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:  # this system has no such names
                    return None
            else:
                return None
            with _connected(address, deadline) as (connection, answer):
                holder = answer or "another process"
                if self._refused == holder or time.monotonic() >= deadline:
                    self._refused = holder
                    return holder
                if (core, holder) not in self._named:  # or each trial would repeat it
                    self._note(f"waiting for core {core}, on which {holder} measures")
                    self._named.add((core, holder))
                _wait_for_end(connection, deadline)
            time.sleep(RETRY_S)  # so that nobody can keep us busy


class _Held:
    """A name that this process holds. It tells whoever connects who it is, until it lets go."""

    def __init__(self, address: str, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(address)
            self._socket.listen()
        except OSError:
            self._socket.close()
            raise
        self._name = name.encode()[:LONGEST_NAME]
        self._waiting: list[socket.socket] = []
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):  # the socket was shut down
            while True:
                connection, _ = self._socket.accept()
                if len(self._waiting) == MOST_WAITING:
                    connection.close()
                    continue
                self._waiting.append(connection)
                with contextlib.suppress(OSError):  # it has gone already
                    connection.sendall(self._name)

    def release(self) -> bool:
        """Let go, and return whether anybody waited for it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        for connection in self._waiting:
            connection.close()
        return bool(self._waiting)


@contextlib.contextmanager
def _connected(address: str, deadline: float) -> Iterator[tuple[socket.socket, str | None]]:
    """Connect to the process that holds a name, and return who it says it is.

    It is untrusted, and so is its answer; ``None`` if it gives none.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        answer = b""
        with contextlib.suppress(OSError):  # it ended just now, or it does not answer
            connection.settimeout(max(min(1.0, deadline - time.monotonic()), RETRY_S))
            connection.connect(address)
            answer = connection.recv(LONGEST_NAME)
        text = one_line(answer.decode(errors="replace")).strip()
        yield connection, cut(text, LONGEST_NAME) or None


def _wait_for_end(connection: socket.socket, deadline: float) -> None:
    """Wait until the other side closes the connection, for the process ended or let go."""
    with contextlib.suppress(OSError):  # also a timeout
        while (left_s := deadline - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv(LONGEST_NAME):
                return
