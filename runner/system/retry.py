"""Retrying, with longer and longer waits, while the machine is at fault and not the request."""

import time
from collections.abc import Callable
from typing import TypeVar

from runner.errors import EngineError, RunnerError
from runner.records.run import TrialResult
from runner.records.study import Status

WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""The waits before each retry: half a minute in total, enough for a daemon to restart."""

FEWEST_LOST = 4
MOST_LOST = 1 / 3

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


class Patience:
    """How much of a machine's trouble one run bears.

    It ends when the waits are used up without one trial that came through, and when more than a
    third of the trials were lost. Trials that an engine does not begin while it is waited for are
    one loss.
    """

    def __init__(self, note: Note) -> None:
        self._note = note
        self._waits = iter(WAITS_S)
        self._first: RunnerError | None = None
        self._executed = 0
        self._lost = 0

    def hear(self, result: TrialResult) -> None:
        """Count a trial; EngineError if too many of them were lost."""
        if result.status is not Status.ENGINE_LOST:
            self._executed += 1
            self._waits = iter(WAITS_S)
            self._first = None
            return
        if result.duration_s is None and self._first is not None:  # not even begun, once more
            return
        self._executed += 1
        self._lost += 1
        if self._lost >= FEWEST_LOST and self._lost > MOST_LOST * self._executed:
            what = str(result.reason).partition(";")[0]  # and not what to do about it
            raise EngineError(
                f"{self._lost} of {self._executed} trials were lost to the machine, the last one "
                f"because {what}: the run stops here. Repair that and repeat the command: "
                "finished trials are kept."
            )

    def wait(self, error: RunnerError) -> None:
        """Wait a little longer than the last time; once that is enough, raise the first error."""
        self._first = self._first or error
        wait_s = next(self._waits, None)
        if wait_s is None:
            raise self._first
        note_and_wait(str(error), wait_s, self._note)
