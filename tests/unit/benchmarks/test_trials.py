"""benchmarks/trials: what it sees of a process, and what it counts."""

import os
import threading
from pathlib import Path

from benchmarks.trials import Thread, Watched, add, cores_of, threads_of


def test_it_sees_every_thread_and_its_cores() -> None:
    """A thread that waits counts, too: it may run on a core later."""
    done = threading.Event()
    waiting = threading.Thread(target=done.wait)
    waiting.start()
    seen = threads_of(os.getpid())
    done.set()
    waiting.join()
    assert {os.getpid(), waiting.native_id} <= seen.keys()
    assert seen[os.getpid()].cpu_ns > 0
    assert cores_of(Path("/proc/self")) == os.sched_getaffinity(0)


def test_only_threads_that_ran_were_on_a_core() -> None:
    """The kernel names the last core of a thread that has slept since, too."""

    def thread(turns: int, core: int) -> Thread:
        return Thread(cpu_ns=1000 * turns, turns=turns, core=core, allowed=frozenset({0, 1}))

    script = Watched(began=10.0)
    before = {1: thread(5, core=1), 2: thread(5, core=1), 3: thread(5, core=0)}
    after = {1: thread(5, core=1), 2: thread(7, core=1), 3: thread(6, core=0)}
    add(script, 12.0, before, after, frozenset({1}))
    assert (script.seconds, script.cpu_ns) == (2.0, 3000)
    assert (script.samples, script.on_core, script.allowed_on_core) == (3, 1, 3)
