"""summarise: a number for each trial, a summary for each cell and metric."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.records.run import Trial, TrialResult
from runner.records.study import (
    CPU_TIME,
    Better,
    Matrix,
    Metric,
    MetricSource,
    Origin,
    Reduction,
    Scale,
    Status,
)
from runner.summarise import (
    MOST_CURVE_BLOCKS,
    Summary,
    condenser,
    learning_curves,
    metric_value,
    summarise,
)
from tests.support.fakes import QUIET
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


LOSSES = (9.0, 5.0, 1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("reduce", "warmup", "better", "expected"),
    [
        (Reduction.MEDIAN, 0, Better.LOWER, 4.0),
        (Reduction.MEDIAN, 1, Better.LOWER, 3.0),
        (Reduction.MEAN, 0, Better.LOWER, 4.2),
        (Reduction.MEAN, 3, Better.LOWER, 3.0),
        (Reduction.FIRST, 0, Better.LOWER, 9.0),
        (Reduction.FIRST, 2, Better.LOWER, 1.0),
        (Reduction.LAST, 0, Better.LOWER, 4.0),
        (Reduction.LAST, 4, Better.LOWER, 4.0),
        (Reduction.BEST, 0, Better.LOWER, 1.0),
        (Reduction.BEST, 0, Better.HIGHER, 9.0),
        (Reduction.BEST, 1, Better.HIGHER, 5.0),
        *((reduce, 5, Better.LOWER, 4.0) for reduce in Reduction),
        *((reduce, 10**6, Better.LOWER, 4.0) for reduce in Reduction),
    ],
)
def test_a_series_is_reduced_as_the_metric_says(
    reduce: Reduction, warmup: int, better: Better, expected: float
) -> None:
    """The first entries do not count, but the last entry always does."""
    metric = replace(PLAIN, reduce=reduce, warmup=warmup, better=better)
    assert metric_value(ok_result(trial(1), {}, {"s": LOSSES}), metric) == expected
    value = ok_result(trial(1), {"s": 7.0}, {})
    assert metric_value(value, metric) == 7.0


def test_several_metrics_reduce_one_series() -> None:
    """Each names it in its source; the name of the metric plays no part."""
    of_series = replace(PLAIN, name="other", source=MetricSource(selects=("s",)))
    steady, first = of_series, replace(of_series, reduce=Reduction.FIRST, warmup=0)
    found = ok_result(trial(1), {"other": 0.0}, {"s": LOSSES})
    assert [metric_value(found, one) for one in (steady, first)] == [2.0, 9.0]


def from_outside(origin: Origin) -> Metric:
    """Return a metric that the launcher measures."""
    return replace(PLAIN, name=origin.value, source=MetricSource(origin=origin))


@pytest.mark.parametrize(
    ("origin", "expected"),
    [(Origin.WALL_TIME, 2.5), (Origin.CPU_TIME, 1.5), (Origin.PEAK_MEMORY, 123.0)],
)
def test_a_metric_from_outside_is_in_the_reading(origin: Origin, expected: float) -> None:
    """What the script says under the same name does not count; memory is in MB."""
    metric = from_outside(origin)
    reading = replace(QUIET, wall_s=2.5, script_cpu_s=1.5, script_peak_bytes=123_000_000)
    measured = replace(ok_result(trial(1), {origin.value: 9.0}, {}), reading=reading)
    assert metric_value(measured, metric) == expected
    assert metric_value(replace(measured, reading=None), metric) is None
    assert metric_value(replace(measured, status=Status.FAILED), metric) is None
    old = replace(measured, reading=QUIET)  # before the launcher measured the script alone
    assert (metric_value(old, metric) is None) is (origin is not Origin.WALL_TIME)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (replace(from_outside(Origin.WALL_TIME), unit="s"), True),
        (replace(from_outside(Origin.CPU_TIME), unit="s"), False),
        (replace(from_outside(Origin.PEAK_MEMORY), unit="MB"), False),
        (replace(from_outside(Origin.BENCHMARK), unit="s"), True),
        (replace(PLAIN, unit="s").own_cpu_time, False),
        (replace(from_outside(Origin.CPU_TIME), unit="s", timed=True), True),
        (replace(PLAIN, unit="s"), True),
        (PLAIN, True),
        (replace(PLAIN, scale=Scale.DIFFERENCE), False),
    ],
    ids=lambda one: one.name if isinstance(one, Metric) else str(one),
)
def test_a_busy_host_changes_times_but_no_cpu_time(metric: Metric, expected: bool) -> None:
    """The source of a metric decides before its unit does."""
    matrix = replace(founding_matrix(), metrics=(metric,))
    assert matrix.depends_on_speed(metric) is expected


def test_a_condensed_result_has_the_same_numbers() -> None:
    """A series stays if two metrics reduce it to different numbers, or if it is compared."""
    matrix = founding_matrix()
    twice = replace(matrix.metrics[0], name="first", reduce=Reduction.FIRST)
    twice = replace(twice, source=MetricSource(selects=(matrix.metrics[0].name,)))
    for one in (matrix, replace(matrix, metrics=(*matrix.metrics, twice))):
        condensed = condenser(one)
        for whole in founding_results():
            short = condensed(whole)
            for metric in (*one.metrics, *(each.own_cpu_time for each in one.metrics)):
                assert metric_value(short, metric) == metric_value(whole, metric)
            assert set(short.series) <= ({matrix.metrics[0].name} if one is not matrix else set())
    for whole in founding_results():
        assert condenser(replace(matrix, matched=True))(whole) == whole


def test_results_keep_the_curves_that_are_drawn() -> None:
    """Those of the first blocks."""
    condensed = condenser(founding_matrix(), curves=True)
    for whole in founding_results():
        assert condensed(whole) == whole
        later = replace(whole, trial=replace(whole.trial, block=MOST_CURVE_BLOCKS + 1))
        assert condensed(later).series == {}


def test_times_are_no_learning_curves() -> None:
    """Neither are the CPU times of the same work, nor other series that are compared by ratios."""
    series = {
        "loss": LOSSES,
        "epoch": LOSSES,
        f"epoch{CPU_TIME}": LOSSES,
        f"other{CPU_TIME}": LOSSES,
        "rate": LOSSES,
        "empty": (),
    }
    rate = replace(PLAIN, name="per_second", source=MetricSource(selects=("rate",)))
    matrix = replace(founding_matrix(), metrics=(rate,))
    results = [ok_result(trial(block), {}, series) for block in (1, 2)]
    assert learning_curves(matrix, [*results, failed_result(trial(3))]) == {
        "loss": {1: LOSSES, 2: LOSSES}
    }


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
