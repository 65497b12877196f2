"""How much trouble of its machine a run bears."""

from dataclasses import replace

import pytest

from runner.errors import EngineError, EngineLostError, NoSpaceError
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.system.retry import WAITS_S, Patience, retry
from tests.support.samples import founding_results

LOST = EngineLostError("the engine went away.")


def results(*statuses: Status) -> list[TrialResult]:
    """Return results of these statuses."""
    some = founding_results()[0]
    return [replace(some, status=status, reason="a reason") for status in statuses]


def test_an_error_that_passes_is_retried() -> None:
    """Each wait is announced."""
    told: list[str] = []
    troubles = [NoSpaceError("full.")] * 2

    def attempt() -> str:
        if troubles:
            raise troubles.pop()
        return "saved"

    assert retry(attempt, NoSpaceError, told.append) == "saved"
    assert told == ["full. Trying again in 0 s."] * 2


def test_an_error_that_stays_is_raised_after_the_last_retry() -> None:
    """Each wait is used once; other errors are raised immediately."""
    told: list[str] = []

    def full() -> None:
        raise NoSpaceError("full.")

    with pytest.raises(NoSpaceError):
        retry(full, NoSpaceError, told.append)
    assert len(told) == len(WAITS_S)
    with pytest.raises(NoSpaceError):
        retry(full, EngineLostError, told.append)
    assert len(told) == len(WAITS_S)


def test_a_trial_that_comes_through_renews_the_patience() -> None:
    """What counts is a row without one; the first trouble of the row is the one that is told."""
    borne = Patience(lambda _: None)
    for result in results(Status.OK):
        for number in range(len(WAITS_S)):
            borne.wait(EngineLostError(f"trouble {number}"))
        borne.hear(result)
    for number in range(len(WAITS_S)):
        borne.wait(EngineLostError(f"more {number}"))
    with pytest.raises(EngineLostError, match="more 0"):
        borne.wait(LOST)


def test_an_engine_that_stays_away_is_one_trouble() -> None:
    """However many trials it does not begin while it is waited for; those that it loses count."""
    borne = Patience(lambda _: None)
    [lost] = results(Status.ENGINE_LOST)
    for _ in WAITS_S:
        borne.hear(replace(lost, duration_s=None))
        borne.wait(LOST)
    for _ in range(2):
        borne.hear(lost)
    with pytest.raises(EngineError, match=r"^4 of 4 trials were lost"):
        borne.hear(lost)


@pytest.mark.parametrize(("fine", "lost"), [(0, 4), (6, 4), (7, 4), (20, 11)])
def test_a_run_stops_when_more_than_a_third_is_lost(fine: int, lost: int) -> None:
    """Three losses are bad luck; a failure of the cell is none."""
    borne = Patience(lambda _: None)
    *before, last = results(*[Status.FAILED] * fine, *[Status.ENGINE_LOST] * lost)
    for result in before:
        borne.hear(result)
    if lost * 3 <= fine + lost:
        borne.hear(last)
        return
    with pytest.raises(
        EngineError, match=rf"^{lost} of {fine + lost} trials were lost .* a reason"
    ):
        borne.hear(last)
