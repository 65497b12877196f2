"""Retrying, with longer and longer waits, while the machine is at fault and not the request."""

import time
from collections.abc import Callable
from typing import TypeVar

from runner.errors import RunnerError

WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""The waits before each retry: half a minute in total, enough for a daemon to restart."""

Note = Callable[[str], None]
_T = TypeVar("_T")


def retry(
    attempt: Callable[[], _T],
    errors: type[RunnerError] | tuple[type[RunnerError], ...],
    note: Note,
    may_pass: Callable[[RunnerError], bool] = lambda _: True,
) -> _T:
    """Return the attempt's result; wait and repeat it after errors that may pass."""
    for wait_s in WAITS_S:
        try:
            return attempt()
        except errors as error:
            if not may_pass(error):
                raise
            note_and_wait(str(error), wait_s, note)
    return attempt()


def note_and_wait(trouble: str, wait_s: float, note: Note) -> None:
    """Say what went wrong, and wait."""
    note(f"{trouble} Trying again in {wait_s:.0f} s.")
    time.sleep(wait_s)
