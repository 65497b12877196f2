"""How many infrastructure failures a run tolerates."""

from dataclasses import replace

import pytest

from runner.errors import EngineError, EngineLostError
from runner.pipeline import Tolerance
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.system.retry import WAITS_S
from tests.support.samples import founding_results

LOST = EngineLostError("the engine went away.")


def results(*statuses: Status) -> list[TrialResult]:
    """Return results of these statuses."""
    some = founding_results()[0]
    return [replace(some, status=status, reason="a reason") for status in statuses]


def test_a_completed_trial_restores_the_tolerance() -> None:
    """Only losses in a row use up the waits, and the first error of the row is raised."""
    tolerance = Tolerance(lambda _: None)
    for result in results(Status.OK):
        for number in range(len(WAITS_S)):
            tolerance.wait(EngineLostError(f"trouble {number}"))
        tolerance.count(result)
    for number in range(len(WAITS_S)):
        tolerance.wait(EngineLostError(f"more {number}"))
    with pytest.raises(EngineLostError, match="more 0"):
        tolerance.wait(LOST)


def test_an_engine_that_stays_away_counts_once() -> None:
    """Trials that it could not begin are one loss; trials that it lost count each."""
    tolerance = Tolerance(lambda _: None)
    [lost] = results(Status.ENGINE_LOST)
    for _ in WAITS_S:
        tolerance.count(replace(lost, duration_s=None))
        tolerance.wait(LOST)
    for _ in range(2):
        tolerance.count(lost)
    with pytest.raises(EngineError, match="4 of 4 trials were lost"):
        tolerance.count(lost)


@pytest.mark.parametrize(("fine", "lost"), [(0, 4), (6, 4), (7, 4), (20, 11)])
def test_a_run_stops_when_more_than_a_third_is_lost(fine: int, lost: int) -> None:
    """Three losses are bad luck, and a failed cell is no loss."""
    tolerance = Tolerance(lambda _: None)
    *before, last = results(*[Status.FAILED] * fine, *[Status.ENGINE_LOST] * lost)
    for result in before:
        tolerance.count(result)
    if lost * 3 <= fine + lost:
        tolerance.count(last)
        return
    with pytest.raises(
        EngineError, match=rf"{lost} of {fine + lost} trials were lost .* because a reason\."
    ):
        tolerance.count(last)
