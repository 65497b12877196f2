"""summarise: from results to numbers. Decides nothing and shows nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from runner.records import Record
from runner.records.attempts import Attempts
from runner.records.run import Reading, Trial, TrialResult
from runner.records.study import (
    CPU_TIME,
    Better,
    Matrix,
    Metric,
    Origin,
    Reduction,
    Scale,
    Status,
)

BYTES_PER_MB = 1e6
MOST_CURVES = 12
"""The cells whose learning curves are drawn: the first ones of the matrix."""
MOST_CURVE_BLOCKS = 30
"""The blocks whose learning curves are drawn: nobody tells more lines apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Record):
    """The numbers of one cell and one metric, in the metric's unit.

    ``n`` counts the trials with a number, ``n_failed`` those that did not end ok. ``low`` and
    ``high`` are the smallest and largest number. They and the median are ``None`` if ``n`` is 0.
    """

    cell: str
    metric: str
    n: int
    n_failed: int
    median: float | None
    low: float | None
    high: float | None


def metric_value(result: TrialResult, metric: Metric) -> float | None:
    """Return the number of one trial: a value as it is, or a series as the metric reduces it.

    ``None`` if the trial is not ok or has no such number.
    """
    if result.status is not Status.OK:
        return None
    if metric.source.origin.from_launcher:
        return _measured(result.reading, metric.source.origin)
    name = metric.stored_as
    if name in result.values:
        return result.values[name]
    series = result.series.get(name, ())
    return reduced(series, metric) if series else None


def _measured(reading: Reading | None, origin: Origin) -> float | None:
    """Return what the launcher measured, in seconds or MB."""
    if reading is None:
        return None
    match origin:
        case Origin.WALL_TIME:
            return reading.wall_s
        case Origin.CPU_TIME:
            return reading.script_cpu_s
        case _:
            peak = reading.script_peak_bytes
            return None if peak is None else peak / BYTES_PER_MB


def reduced(series: Sequence[float], metric: Metric) -> float:
    """Return the number that a series of at least one number is reduced to."""
    steady = series[min(metric.warmup, len(series) - 1) :]
    match metric.reduce:
        case Reduction.MEDIAN:
            return median(steady)
        case Reduction.MEAN:
            return fmean(steady)
        case Reduction.FIRST:
            return steady[0]
        case Reduction.LAST:
            return steady[-1]
        case Reduction.BEST:
            return max(steady) if metric.better is Better.HIGHER else min(steady)


def condenser(matrix: Matrix, *, curves: bool = False) -> Callable[[TrialResult], TrialResult]:
    """Return what replaces the series of a result by the numbers that they are reduced to.

    Series take most of the memory of a result. In matched mode all of them are compared, so they
    stay. With ``curves``, a result whose learning curves are drawn keeps them.
    """
    metrics = tuple(
        one
        for metric in matrix.metrics
        for one in (metric, metric.own_cpu_time)
        if not one.source.origin.from_launcher
    )

    def condensed(result: TrialResult) -> TrialResult:
        if matrix.matched or not result.series or (curves and is_drawn(result.trial, matrix)):
            return result
        numbers: dict[str, set[float]] = {}
        for metric in metrics:
            if series := result.series.get(metric.stored_as):
                numbers.setdefault(metric.stored_as, set()).add(reduced(series, metric))
        single = {name: found.pop() for name, found in numbers.items() if len(found) == 1}
        several = {name: result.series[name] for name in numbers.keys() - single.keys()}
        return replace(result, values={**single, **result.values}, series=several)

    return condensed


def is_drawn(trial: Trial, matrix: Matrix) -> bool:
    """Whether the learning curves of a trial are drawn."""
    drawn = (cell.id for cell in matrix.cells[:MOST_CURVES])
    return trial.block <= MOST_CURVE_BLOCKS and trial.cell in drawn


def learning_curves(
    matrix: Matrix, results: Iterable[TrialResult]
) -> Mapping[str, Mapping[int, Sequence[float]]]:
    """Return the series of a cell by name and block, except times and other ratios."""
    ratios = {metric.stored_as for metric in matrix.metrics if metric.scale is Scale.RATIO}
    found: dict[str, dict[int, Sequence[float]]] = {}
    for result in results:
        for name, series in result.series.items() if result.status is Status.OK else ():
            is_time = name.endswith(CPU_TIME) or name + CPU_TIME in result.series
            if series and name not in ratios and not is_time:
                found.setdefault(name, {})[result.trial.block] = series
    return found


def summarise(matrix: Matrix, results: Iterable[TrialResult]) -> tuple[Summary, ...]:
    """Summarise every cell and metric in the order of the matrix, with or without results.

    Controls do not count. What is lost to the machine is not a failure of the cell.
    """
    by_cell: dict[str, list[TrialResult]] = {}
    for result in Attempts(results).counting():
        if not result.trial.control:
            by_cell.setdefault(result.trial.cell, []).append(result)
    return tuple(
        _summary(cell.id, metric, by_cell.get(cell.id, []))
        for cell in matrix.cells
        for metric in matrix.metrics
    )


def _summary(cell: str, metric: Metric, results: list[TrialResult]) -> Summary:
    numbers = [number for result in results if (number := metric_value(result, metric)) is not None]
    return Summary(
        cell=cell,
        metric=metric.name,
        n=len(numbers),
        n_failed=sum(one.status is not Status.OK and not one.is_lost for one in results),
        median=median(numbers) if numbers else None,
        low=min(numbers, default=None),
        high=max(numbers, default=None),
    )
