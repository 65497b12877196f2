"""summarise: a number for each trial, a summary for each cell and metric."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.records.run import Trial, TrialResult
from runner.records.study import Better, Matrix, Metric, Status
from runner.summarise import Summary, metric_value, summarise
from tests.support.samples import failed_result, founding_matrix, founding_results, ok_result

CELL = "tensorflow=2.0.0,model=sequential"
EPOCH_SECONDS = founding_matrix().metric("epoch_seconds")
PLAIN = Metric(name="s", unit="", better=Better.HIGHER, title="s")
FINITE = st.floats(min_value=-1e9, max_value=1e9)


def trial(block: int, attempt: int = 1) -> Trial:
    """Return a trial of the only cell of these tests."""
    return Trial(cell=CELL, block=block, position=0, seed=1, attempt=attempt)


def result(block: int, seconds: float, attempt: int = 1) -> TrialResult:
    """Return the result of a trial that measured these seconds."""
    return ok_result(trial(block, attempt), {"epoch_seconds": seconds}, {})


def summary_of(*results: TrialResult) -> Summary:
    """Return the summary of the only cell and metric."""
    found = summarise(founding_matrix(), results)
    return next(s for s in found if (s.cell, s.metric) == (CELL, "epoch_seconds"))


def test_a_value_is_not_changed() -> None:
    """A metric that the script wrote as a value keeps that value."""
    assert metric_value(result(1, 0.834), EPOCH_SECONDS) == 0.834


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ((9.0,), 9.0),
        ((9.0, 5.0), 5.0),
        ((9.0, 5.0, 2.0), 2.0),
        ((9.0, 5.0, 1.0, 2.0, 4.0), 2.0),
        ((9.0, 5.0, 1.0, 2.0), 1.5),
    ],
)
def test_a_series_is_reduced_by_its_steady_median(
    series: tuple[float, ...], expected: float
) -> None:
    """It is the median without the first two entries; the last entry is never left out."""
    assert metric_value(ok_result(trial(1), {}, {"s": series}), PLAIN) == expected


def test_a_missing_metric_is_none() -> None:
    """A metric without a value, or with an empty series, is never zero."""
    empty = ok_result(trial(1), {}, {"s": ()})
    assert metric_value(empty, PLAIN) is None
    assert metric_value(empty, EPOCH_SECONDS) is None


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_a_failed_trial_has_no_number(status: Status) -> None:
    """Its numbers are not used, even if it wrote some."""
    assert metric_value(replace(result(1, 0.8), status=status), EPOCH_SECONDS) is None


def test_a_summary_has_the_median_and_the_range_of_its_trials() -> None:
    """It also counts the trials that have a number."""
    found = summary_of(result(1, 3.0), result(2, 1.0), result(3, 2.0), failed_result(trial(4)))
    assert (found.n, found.n_failed) == (3, 1)
    assert (found.median, found.low, found.high) == (2.0, 1.0, 3.0)


def test_without_an_ok_trial_all_numbers_are_missing() -> None:
    """They are None and not zero."""
    for found in (summary_of(), summary_of(failed_result(trial(1)))):
        assert found.n == 0
        assert (found.median, found.low, found.high) == (None, None, None)


def test_only_the_newest_attempt_counts() -> None:
    """A repeated trial replaces its earlier attempt, in any order of results."""
    first, second = failed_result(trial(1)), result(1, 7.0, attempt=2)
    assert summary_of(second, first) == summary_of(first, second) == summary_of(second)


@pytest.mark.parametrize("status", [Status.NO_IMAGE, Status.ENGINE_LOST])
def test_an_attempt_that_never_ran_does_not_count(status: Status) -> None:
    """The earlier attempt keeps its number, and the cell has no failure."""
    later = failed_result(trial(1, attempt=2), status)
    assert summary_of(result(1, 7.0), later) == summary_of(result(1, 7.0))


def test_a_lost_engine_is_not_a_failure() -> None:
    """A trial that lost its engine counts neither as a number nor as a failure of its cell."""
    lost = failed_result(trial(2), Status.ENGINE_LOST)
    assert summary_of(result(1, 1.0), lost) == summary_of(result(1, 1.0))


def test_every_cell_and_metric_has_a_summary_in_order() -> None:
    """The order is that of the matrix, even if nothing was executed."""
    matrix: Matrix = founding_matrix()
    order = [(cell.id, metric.name) for cell in matrix.cells for metric in matrix.metrics]
    for results in ((), founding_results()):
        assert [(s.cell, s.metric) for s in summarise(matrix, results)] == order


@given(st.lists(FINITE, min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_the_order_of_results_does_not_matter(numbers: list[float], random: Random) -> None:
    """Every order gives the same summary."""
    results = [result(block, number) for block, number in enumerate(numbers)]
    shuffled = sorted(results, key=lambda _: random.random())
    found = summary_of(*shuffled)
    assert found == summary_of(*results)
    assert found.low is not None
    assert found.median is not None
    assert found.high is not None
    assert found.low <= found.median <= found.high
