"""The thread pool keeps the order, stops at the first error, and does not delay Ctrl-C."""

import os
import signal
import threading
import time

import pytest

from runner.errors import EngineLostError
from runner.system import child
from runner.system.parallel import AT_ONCE, in_parallel


def test_results_come_in_order_and_work_overlaps() -> None:
    """The first item can end last."""
    together = threading.Barrier(AT_ONCE)

    def work(item: int) -> int:
        together.wait(30)
        return item * item

    assert list(in_parallel(work, range(2 * AT_ONCE))) == [0, 1, 4, 9]
    assert list(in_parallel(work, ())) == []


def test_after_an_error_no_further_item_begins() -> None:
    """The item in progress ends before the error is raised."""
    begun, ended = [], []
    both = threading.Barrier(2)

    def work(item: int) -> None:
        begun.append(item)
        both.wait(30)
        if item == 0:
            raise EngineLostError("the engine went away")
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(EngineLostError, match="the engine went away"):
        list(in_parallel(work, range(9)))
    assert sorted(begun) == [0, 1]
    assert ended == [1]


def test_an_interruption_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Child programs are killed, and nothing else begins."""
    released = threading.Event()
    begun: list[int] = []
    killed: list[bool] = []
    monkeypatch.setattr(child, "kill_all", lambda: killed.append(True))

    def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            os.kill(os.getpid(), signal.SIGINT)
        released.wait(30)

    with pytest.raises(KeyboardInterrupt):
        list(in_parallel(work, range(9)))
    assert killed == [True]
    released.set()
    assert sorted(begun) == [0, 1]
