"""Work side by side: one thread for each place, of which there are only a few.

The threads are daemons. Only the main thread is interrupted, so it ends what they still do.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from runner.errors import EngineError

ENDING_S = 30.0
"""How long what is still in progress may take to end, once it was told to."""
ROUND_S = 0.5

_Work = TypeVar("_Work")
_Place = TypeVar("_Place")
_Done = TypeVar("_Done")


def side_by_side(
    works: Iterable[_Work],
    places: Sequence[_Place],
    do: Callable[[_Work, _Place], _Done],
    end: Callable[[], None],
) -> Iterator[_Done]:
    """Do each work in a place that is free, and yield what that gives as soon as it is done.

    Works begin in their order. Whatever one raises is raised here. If the iteration ends early,
    ``end`` has to end the works that are in progress; it may have to be called again, because one
    may just have begun.
    """
    waiting, free = iter(works), list(places)
    done: SimpleQueue[tuple[threading.Thread, _Place, _Done | None, BaseException | None]]
    done = SimpleQueue()
    running: set[threading.Thread] = set()

    def work_at(place: _Place, work: _Work) -> None:
        result, problem = None, None
        try:
            result = do(work, place)
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            problem = error
        done.put((threading.current_thread(), place, result, problem))

    try:
        while True:
            while free and (work := next(waiting, None)) is not None:
                thread = threading.Thread(target=work_at, args=(free.pop(), work), daemon=True)
                running.add(thread)
                thread.start()
            if not running:
                return
            thread, place, result, problem = done.get()
            running.remove(thread)
            free.append(place)
            if problem is not None:
                raise problem
            assert result is not None  # noqa: S101 (or there would be a problem)
            yield result
    finally:
        _end(running, end)


def _end(running: Iterable[threading.Thread], end: Callable[[], None]) -> None:
    """End threads, or leave them alone if the engine does not answer in time."""
    deadline = time.monotonic() + ENDING_S
    while (left := [one for one in running if one.is_alive()]) and time.monotonic() < deadline:
        with suppress(EngineError):
            end()
        for thread in left:
            thread.join(ROUND_S)
