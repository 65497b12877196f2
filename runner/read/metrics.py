"""Metrics: where each one comes from, how it is reduced and compared, and the problems of that."""

from collections.abc import Iterator

from runner.read.problems import Problem, unknown
from runner.read.schema import (
    BenchmarkSource,
    CsvSource,
    Document,
    JsonSource,
    MetricSection,
    ResultSource,
    StdoutSource,
)
from runner.records.study import (
    WARM_UP_ENTRIES,
    Better,
    Metric,
    MetricSource,
    Origin,
    Reduction,
    Scale,
)
from runner.text import listed

RATIO_MARGIN = 0.03
POINTS_MARGIN = 0.2
UNITS = {
    Origin.WALL_TIME: "s",
    Origin.CPU_TIME: "s",
    Origin.PEAK_MEMORY: "MB",
    Origin.BENCHMARK: "s",
}
"""The units of what the script does not report itself. All of it is better if it is lower."""
AFTER_WARM_UP = {Reduction.MEDIAN, Reduction.MEAN}
OF_ROUNDS = (Reduction.MEDIAN, Reduction.MEAN, Reduction.BEST)
"""What the file of pytest-benchmark says about the rounds of a benchmark."""


def make_metric(name: str, section: MetricSection) -> Metric:
    """Return the metric that a section declares."""
    source = _source(section)
    scale = _scale(section)
    reduce = section.reduce or Reduction.MEDIAN
    warmup = WARM_UP_ENTRIES if reduce in AFTER_WARM_UP else 0
    default_margin = RATIO_MARGIN if scale is Scale.RATIO else POINTS_MARGIN
    return Metric(
        name=name,
        unit=UNITS.get(source.origin, "") if section.unit is None else section.unit,
        better=section.better or Better.LOWER,
        title=section.title or name.replace("_", " ").replace("cpu", "CPU"),
        source=source,
        warmup=warmup if section.warmup is None else section.warmup,
        reduce=reduce,
        scale=scale,
        margin=section.margin[0] if section.margin else default_margin,
        cpu_time=section.cpu_time,
        paired=section.paired,
        timed=section.timed,
    )


def _source(section: MetricSection) -> MetricSource:
    match section.source:
        case ResultSource(result=name):
            return MetricSource(selects=(name,))
        case StdoutSource(stdout=pattern, series=series):
            return MetricSource(origin=Origin.STDOUT, selects=(pattern,), series=series)
        case JsonSource(file=file, at=at, series=series):
            return MetricSource(origin=Origin.JSON, file=file, selects=at, series=series)
        case CsvSource(file=file, column=column, series=series):
            return MetricSource(origin=Origin.CSV, file=file, selects=(column,), series=series)
        case BenchmarkSource(file=file, name=name):
            return MetricSource(origin=Origin.BENCHMARK, file=file, selects=(name,))
        case measured:
            return MetricSource(origin=Origin(measured))


def _scale(section: MetricSection) -> Scale:
    """Return how a metric is compared: percentages by differences, all others by ratios."""
    return section.scale or (Scale.DIFFERENCE if section.unit == "%" else Scale.RATIO)


def metric_problems(document: Document) -> Iterator[Problem]:
    """Yield the problems of ``metrics``."""
    for name, metric in document.metrics.items():
        yield from _source_problems(name, metric, document)
        yield from _reduction_problems(name, metric)
        yield from _cpu_time_problems(name, metric, document)
        if metric.paired is False and _scale(metric) is Scale.RATIO:
            sentence = "ratios are always formed within blocks; remove this, or compare the metric "
            yield Problem(("metrics", name, "paired"), f"{sentence}by `scale: difference`")
        if metric.margin is not None:
            path, scale = ("metrics", name, "margin"), _scale(metric)
            margin, relative = metric.margin
            if margin <= 0:
                yield Problem(path, "expected a margin above 0, such as 3%")
            if relative is not (scale is Scale.RATIO):
                expected = "a number in the metric's unit" if relative else "a share such as 3%"
                yield Problem(path, f"expected {expected}, on the scale `{scale.value}`")


def _source_problems(name: str, metric: MetricSection, document: Document) -> Iterator[Problem]:
    source = _source(metric)
    origin = source.origin
    if metric.better is None and origin not in UNITS:
        sentence = "the key is missing; write `lower`, `higher` or `neither`"
        yield Problem(("metrics", name, "better"), sentence)
    if origin in UNITS and metric.unit not in {None, UNITS[origin]}:
        sentence = f"this is measured in {UNITS[origin]}; remove the unit"
        yield Problem(("metrics", name, "unit"), sentence)
    other = document.metrics.get("".join(source.selects)) if origin is Origin.RESULT else None
    if other is not None and _is_output(_source(other)):
        sentence = "the metric of this name comes from elsewhere; give that metric another name"
        yield Problem(("metrics", name, "from", "result"), sentence)


def _is_output(source: MetricSource) -> bool:
    """Whether a number comes from what a script prints or from a file that it writes."""
    return source.origin is Origin.STDOUT or source.origin.from_file


def _reduction_problems(name: str, metric: MetricSection) -> Iterator[Problem]:
    source = _source(metric)
    given = [key for key in ("warmup", "reduce") if getattr(metric, key) is not None]
    if source.origin.from_launcher:
        sentence = "this is one number in each trial, and no series; remove this"
        yield from (Problem(("metrics", name, key), sentence, at_key=True) for key in given)
    elif source.origin is Origin.BENCHMARK:
        if metric.warmup is not None:
            sentence = "pytest-benchmark drops the rounds of its own warm-up; remove this"
            yield Problem(("metrics", name, "warmup"), sentence, at_key=True)
        if metric.reduce not in {None, *OF_ROUNDS}:
            words = listed([f"`{one.value}`" for one in OF_ROUNDS], "or")
            yield Problem(("metrics", name, "reduce"), f"for rounds of a benchmark, write {words}")
    elif source.origin is not Origin.RESULT and not source.series:
        sentence = "only a series is reduced; add `series: true` to `from`, or remove this"
        yield from (Problem(("metrics", name, key), sentence, at_key=True) for key in given)
    if metric.reduce is Reduction.BEST and metric.better is Better.NEITHER:
        sentence = "no direction is better, so none of the numbers is the best"
        yield Problem(("metrics", name, "reduce"), f"{sentence}; write another reduction")


def _cpu_time_problems(name: str, metric: MetricSection, document: Document) -> Iterator[Problem]:
    path = ("metrics", name, "cpu_time")
    if metric.cpu_time is None:
        return
    yield from unknown("metric", metric.cpu_time, document.metrics, path)
    if metric.cpu_time == name:
        yield Problem(path, "a metric cannot be its own CPU time; name another one")
    elif metric.cpu_time in document.metrics:
        cpu_time = make_metric(metric.cpu_time, document.metrics[metric.cpu_time])
        trouble = cpu_time.why_not_cpu_time_of(make_metric(name, metric))
        if trouble is not None:
            yield Problem(path, f"both must be times of the same work, but {trouble}; remove this")
