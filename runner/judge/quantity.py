"""Which quantity a metric is judged by: its own values, or on a busy host the CPU time it names.

Nothing else ever replaces a metric. A rate is never judged by a time.
"""

import re
from collections.abc import Sequence

from runner.judge.samples import Samples
from runner.records import Scalar, units
from runner.records.run import TrialResult
from runner.records.study import Matrix, Metric, Status
from runner.summarise import metric_value
from runner.text import counted

CLOCK_ERROR = 0.02
"""The share by which CPU time may exceed wall time, as the kernel counts both differently."""

_PARALLEL = re.compile("(^|[^a-z])(threads?|workers?|jobs?|cpus?|cores?|proc(s|esses))($|[^a-z])")


def quantity(
    samples: Samples, metric: Metric, ours: Sequence[TrialResult], theirs: Sequence[TrialResult]
) -> Metric | str:
    """Return the metric by which two cells with these results are judged, or why there is none."""
    state = samples.disturbance
    if not (state.busy and samples.matrix.depends_on_speed(metric)):
        return metric
    busy = f"the host was too busy ({state.stayed} of {counted(state.trials, 'trial')} disturbed)"
    cpu_time = _cpu_time(samples.matrix, metric, (*ours, *theirs))
    if cpu_time is None:
        return f"{busy}; {_remedy(metric)}"
    trouble = (
        cpu_time.why_not_cpu_time_of(metric)
        or _differing(samples, ours, theirs)
        or _other_work(metric, cpu_time, (*ours, *theirs))
    )
    if trouble is not None:
        return f"{busy}, and {cpu_time.title} cannot replace {metric.title}: {trouble}"
    return cpu_time


def _cpu_time(matrix: Matrix, metric: Metric, results: Sequence[TrialResult]) -> Metric | None:
    """Return the CPU time that a metric names, or else that which all trials recorded with it."""
    declared = next((one for one in matrix.metrics if one.name == metric.cpu_time), None)
    if declared is not None or metric.cpu_time is not None:
        return declared
    own, ok = metric.own_cpu_time, [one for one in results if one.status is Status.OK]
    recorded = bool(ok) and all(metric_value(one, own) is not None for one in ok)
    return own if recorded and units.is_time(metric.unit) else None


def _remedy(metric: Metric) -> str:
    if units.is_time(metric.unit):
        return "name a `cpu_time` or free the core"
    if metric.timed or units.is_rate(metric.unit):
        return "free the core"
    return "free the core, or write `timed: false` if a slower machine gives the same numbers"


def _differing(
    samples: Samples, ours: Sequence[TrialResult], theirs: Sequence[TrialResult]
) -> str | None:
    """Return why CPU time cannot show which of two cells is faster: they use cores differently."""
    readings = [one.reading for one in (*ours, *theirs) if one.reading is not None]
    if any(len(reading.cpus) != 1 for reading in readings):
        return "with several cores, CPU time does not show how well they are used"
    differing = _parallelism(samples, ours) ^ _parallelism(samples, theirs)
    if differing:
        return f"the cells differ in {min(name for name, _ in differing)}"
    return None


def _parallelism(samples: Samples, results: Sequence[TrialResult]) -> set[tuple[str, Scalar]]:
    """Return the parameters, and the settings that scripts reported, that speak of threads."""
    cells = {one.trial.cell for one in results}
    settings = [samples.matrix.cell(cell).parameters for cell in cells]
    settings += [one.environment for one in results]
    return {
        (name, value)
        for one in settings
        for name, value in one.items()
        if _PARALLEL.search(name.lower())
    }


def _other_work(metric: Metric, cpu_time: Metric, results: Sequence[TrialResult]) -> str | None:
    """Return why the two are not times of the same work, as far as the numbers show that."""
    if metric.unit != cpu_time.unit:  # such as the time of a sample and that of an epoch
        return None
    for one in results:
        wall, cpu = metric_value(one, metric), metric_value(one, cpu_time)
        if wall is not None and cpu is not None and cpu > wall * (1 + CLOCK_ERROR):
            return "it is larger than the wall time, so it is not the CPU time of the same work"
    return None
