"""Attempts: which attempt of a trial counts."""

from dataclasses import replace
from itertools import permutations

import pytest

from runner.records.attempts import Attempts
from runner.records.run import Trial, TrialResult
from runner.records.study import Status
from tests.support.samples import failed_result, ok_result

CELL = "tensorflow=2.0.0,model=sequential"


def trial(block: int = 1, attempt: int = 1, *, control: bool = False) -> Trial:
    """Return a trial of one cell."""
    return Trial(cell=CELL, block=block, position=1, seed=1, attempt=attempt, control=control)


def ended(status: Status, attempt: int, block: int = 1) -> TrialResult:
    """Return an attempt that ended with this status."""
    one = trial(block, attempt)
    return ok_result(one, {"x": 1.0}, {}) if status is Status.OK else failed_result(one, status)


@pytest.mark.parametrize(
    ("statuses", "counts"),
    [
        ([Status.OK], 1),
        ([Status.OK, Status.OK], 2),
        ([Status.OK, Status.FAILED], 2),
        ([Status.ENGINE_LOST, Status.OK], 2),
        ([Status.OK, Status.NO_IMAGE], 1),
        ([Status.OK, Status.ENGINE_LOST], 1),
        ([Status.FAILED, Status.NO_IMAGE, Status.ENGINE_LOST], 1),
        ([Status.NO_IMAGE], 1),
        ([Status.ENGINE_LOST, Status.NO_IMAGE], 2),
    ],
)
def test_the_newest_attempt_that_says_something_counts(statuses: list[Status], counts: int) -> None:
    """A lost engine and a missing image say nothing: they never replace a result."""
    results = [ended(status, number) for number, status in enumerate(statuses, start=1)]
    for order in permutations(results):
        [counting] = Attempts(order).counting()
        assert counting.trial.attempt == counts


def test_attempts_are_grouped_by_trial() -> None:
    """Cell, block and control make a trial; its attempts are in order."""
    first, second = ended(Status.FAILED, 1), ended(Status.OK, 2)
    other = ended(Status.OK, 1, block=2)
    control = ok_result(trial(control=True), {"x": 1.0}, {})
    attempts = Attempts([second, other, control, first])
    assert attempts.of(trial()) == (first, second)
    assert attempts.of(trial(control=True)) == (control,)
    assert attempts.of(trial(block=3)) == ()
    assert attempts.counting() == (second, other, control)


def test_the_next_attempt_is_one_higher_than_the_last() -> None:
    """Gaps are never filled, and a trial without a result keeps its number."""
    attempts = Attempts([ended(Status.ENGINE_LOST, 4), ended(Status.ENGINE_LOST, 2)])
    assert attempts.next(trial()).attempt == 5
    assert attempts.next(trial(block=2)) == trial(block=2)


@pytest.mark.parametrize(
    ("status", "expected", "says"),
    [
        (Status.OK, Status.OK, True),
        (Status.FAILED, Status.OK, True),
        (Status.NO_IMAGE, Status.OK, False),
        (Status.NO_IMAGE, Status.NO_IMAGE, True),
        (Status.ENGINE_LOST, Status.OK, False),
        (Status.ENGINE_LOST, Status.ENGINE_LOST, False),
    ],
)
def test_an_attempt_says_something_about_its_cell(
    status: Status, expected: Status, says: bool
) -> None:
    """A missing image does only where the cell expects it."""
    assert ended(status, 1).says_something(expected) is says


def too_slow(attempt: int) -> TrialResult:
    """Return an attempt that reached its time limit while it was disturbed."""
    return replace(ended(Status.TIMED_OUT, attempt), disturbed="others took the core")


def test_a_time_out_of_a_disturbed_trial_is_the_fault_of_the_machine() -> None:
    """It says nothing about its cell, even where a time-out is expected."""
    assert not too_slow(1).says_something()
    assert not too_slow(1).says_something(Status.TIMED_OUT)
    assert ended(Status.TIMED_OUT, 1).says_something()


def test_a_time_out_of_a_disturbed_trial_never_replaces_a_result() -> None:
    """The disturbed attempt that was ok still has its values."""
    ok = replace(ended(Status.OK, 1), disturbed="others took the core")
    for order in permutations((ok, too_slow(2))):
        assert Attempts(order).counting() == (ok,)
