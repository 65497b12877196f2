"""The only thread pool: a few calls at a time that Ctrl-C does not wait for."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from runner.system import child

AT_ONCE = 2
"""Installing and resolving wait for the disk, the network or the engine half of their time."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_parallel(
    work: Callable[[_Item], _Result], items: Iterable[_Item], at_once: int = AT_ONCE
) -> Iterator[_Result]:
    """Yield the result of each item, in order.

    After an exception no further item begins; it is raised once those in progress are done. An
    interruption kills the child programs in progress and waits for nothing.
    """
    calls = [(item, Future[_Result]()) for item in items]
    waiting = deque(calls)

    def take_calls() -> None:
        with suppress(IndexError):
            while True:
                item, future = waiting.popleft()
                try:
                    future.set_result(work(item))
                except BaseException as error:  # noqa: BLE001 (raised by future.result)
                    waiting.clear()
                    future.set_exception(error)

    # The interpreter would wait for the threads of a ThreadPoolExecutor before it exits.
    threads = [threading.Thread(target=take_calls, daemon=True) for _ in range(at_once)]
    try:
        for thread in threads:
            thread.start()
        for _, future in calls:
            yield future.result()
    except Exception:  # which has emptied the queue
        for thread in threads:
            thread.join()
        raise
    except BaseException:
        waiting.clear()
        child.kill_all()
        raise
