"""Cores: which ones a run takes, and turns among the runs that share one.

Numbers far above those of any machine keep these tests apart from real runs.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from runner.system import cores
from runner.system.cores import Turns, keep_off_measured, online, reserved
from runner.system.topology import separate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
CORE = 900_000 + os.getpid() % 1000


def address() -> str:
    """Return the name of the core."""
    return f"\0{cores.PREFIX}core/{CORE}"


@contextlib.contextmanager
def squatter(*, listening: bool) -> Iterator[socket.socket]:
    """A process that occupies the core's name without measuring."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.bind(address())
        if listening:
            one.listen()
        yield one


def test_a_free_core_is_had_at_once() -> None:
    """A turn ends with its block, and the next one follows."""
    notes: list[str] = []
    turns = Turns([CORE], "one", notes.append)
    for _ in range(3):
        with turns.turn() as turn:
            assert turn.occupied_by is None
            assert turn.waited_s < 1
    assert notes == []


def test_turns_exclude_each_other_and_alternate() -> None:
    """Two runs that want a core all the time get it by turns, and say whom they wait for."""
    order: list[str] = []
    notes: list[str] = []
    inside = threading.Lock()

    def measure(name: str) -> None:
        turns = Turns([CORE, CORE + 1], name, notes.append)
        for _ in range(5):
            with turns.turn():
                assert inside.acquire(blocking=False)
                order.append(name)
                time.sleep(0.05)
                inside.release()

    threads = [threading.Thread(target=measure, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(order) == ["one"] * 5 + ["two"] * 5
    changes = sum(before != after for before, after in pairwise(order))
    assert changes >= 7
    assert notes.count(f"waiting for core {CORE}, on which one measures") == 1


def test_a_killed_process_lets_go() -> None:
    """Its name is free again as soon as it has ended, however it ended."""
    program = (
        "import sys, time; from runner.system import cores; from runner.system.cores import Turns\n"
        f"cores.PREFIX = {cores.PREFIX!r}\n"
        f"with Turns([{CORE}], 'killed', print).turn():\n"
        "    print('holds', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"holds\n"
    threading.Timer(0.3, holder.kill).start()
    notes: list[str] = []
    with Turns([CORE], "waits", notes.append, patience_s=30).turn() as turn:
        assert turn.occupied_by is None
        assert 0.1 < turn.waited_s < 20
    holder.wait()
    holder.stdout.close()
    assert notes == [f"waiting for core {CORE}, on which killed measures"]


@pytest.mark.parametrize("listening", [True, False])
def test_a_process_that_never_lets_go_only_delays(listening: bool) -> None:
    """After its patience the trial goes ahead and is marked, and the next one does not wait."""
    turns = Turns([CORE], "waits", lambda _: None, patience_s=0.5)
    with squatter(listening=listening):
        with turns.turn() as turn:
            assert turn.occupied_by == "another process"
            assert 0.4 < turn.waited_s < 20
        with turns.turn() as turn:
            assert turn.occupied_by == "another process"
    with turns.turn() as turn:
        assert turn.occupied_by is None


def test_the_name_of_a_stranger_is_harmless() -> None:
    """It is untrusted: one short line without control characters, however much it sends."""
    notes: list[str] = []

    def flood(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                while True:
                    connection.sendall(b"\x1b[2J evil\n" * 1000)

    with squatter(listening=True) as listener:
        thread = threading.Thread(target=flood, args=(listener,), daemon=True)
        thread.start()
        with Turns([CORE], "waits", notes.append, patience_s=0.5).turn() as turn:
            assert turn.occupied_by
            assert len(turn.occupied_by) <= cores.LONGEST_NAME
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert all(note.isprintable() and len(note) < 300 for note in notes)


def test_many_connections_do_not_use_up_our_files() -> None:
    """The name stays held, and only some connections stay open."""
    with contextlib.ExitStack() as strangers, Turns([CORE], "one", lambda _: None).turn():
        answer = b"none"
        for _ in range(3 * cores.MOST_WAITING):
            stranger = strangers.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            stranger.connect(address())
            answer = stranger.recv(10)
        assert answer == b""
        assert len(list(Path("/proc/self/fd").iterdir())) < 5 * cores.MOST_WAITING + 50


def test_runs_reserve_different_cores_while_some_are_left() -> None:
    """From the highest downwards; the lowest stays with the runners, and then cores are shared."""
    available = separate(range(CORE, CORE + 4))
    with contextlib.ExitStack() as runs:
        taken = [runs.enter_context(reserved(available, 1)) for _ in range(4)]
        assert taken == [((CORE + 3,),), ((CORE + 2,),), ((CORE + 1,),), ((CORE + 3,),)]
    with reserved(available, 2) as pair, reserved(available, 2) as other:
        assert (pair, other) == (((CORE + 2, CORE + 3),),) * 2
    with reserved(available, 4) as every:
        assert every == (tuple(range(CORE, CORE + 4)),)
    with reserved(available, 1, machine="elsewhere/") as one, reserved(available, 1) as two:
        assert one == two


def test_a_run_reserves_cores_for_each_of_its_trials() -> None:
    """Another run gets what is left, or shares all of its cores if that is too little."""
    available = separate(range(CORE, CORE + 6))
    with reserved(available, 1, 2) as two, reserved(available, 1, 2) as others:
        assert two == ((CORE + 5,), (CORE + 4,))
        assert others == ((CORE + 3,), (CORE + 2,))
    with reserved(available, 2, 2) as pairs, reserved(available, 1, 2) as shared:
        assert pairs == ((CORE + 4, CORE + 5), (CORE + 2, CORE + 3))
        assert shared == ((CORE + 5,), (CORE + 4,))


def test_the_runner_avoids_measured_cores() -> None:
    """Its own and those of other runs, unless no other core remains."""
    before = os.sched_getaffinity(0)
    try:
        keep_off_measured(cores.ALLOWED)
        assert os.sched_getaffinity(0) == before
        highest = max(cores.ALLOWED)
        keep_off_measured([highest])
        assert os.sched_getaffinity(0) == (cores.ALLOWED - {highest} or before)
        with reserved(separate(cores.ALLOWED), 1) as ((core,),):
            keep_off_measured()
            assert os.sched_getaffinity(0) == (cores.ALLOWED - {core} or before)
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("listed", "numbers"),
    [("0-3\n", (0, 1, 2, 3)), ("0,2-3,5\n", (0, 2, 3, 5)), ("1\n", (1,)), ("", ())],
)
def test_offline_cores_are_not_counted(
    tmp_path: Path, listed: str, numbers: tuple[int, ...]
) -> None:
    """The kernel lists the numbers of the cores that are online."""
    folder = tmp_path / "sys/devices/system/cpu"
    folder.mkdir(parents=True)
    (folder / "online").write_text(listed)
    assert online(tmp_path) == numbers


def test_turns_are_taken_in_the_order_of_the_cores() -> None:
    """Whatever the order in which they are given, so that no two runs wait for each other."""
    assert Turns([CORE], "one", lambda _: None).on([CORE + 3, CORE, CORE + 1]).cores == [
        CORE, CORE + 1, CORE + 3
    ]  # fmt: skip
