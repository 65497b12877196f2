"""Metrics: where each one comes from, its defaults, and the mistakes in both."""

from pathlib import Path

import pytest

from runner.records.study import Better, Metric, MetricSource, Origin, Reduction, Scale
from tests.support.matrices import problems_of, study

HEAD = "format: 1\nname: small\naxes: {size: [1, 2]}\nexperiment: {script: run.py}\n"


def metric_of(folder: Path, keys: str) -> Metric:
    """Return the metric ``x`` with these keys."""
    (found,) = study(folder, f"{HEAD}metrics: {{x: {{{keys}}}}}\n").metrics
    return found


def mistakes(folder: Path, keys: str) -> list[str]:
    """Return the problems of a metric with these keys, whose first one is in column 15."""
    return problems_of(folder, f"{HEAD}metrics: {{x: {{{keys}}}}}\n")


SOURCES = {
    "wall_time": MetricSource(origin=Origin.WALL_TIME),
    "cpu_time": MetricSource(origin=Origin.CPU_TIME),
    "peak_memory": MetricSource(origin=Origin.PEAK_MEMORY),
    "result": MetricSource(),
    "{result: a b}": MetricSource(selects=("a b",)),
    "{stdout: 'acc=([0-9.]+)'}": MetricSource(origin=Origin.STDOUT, selects=("acc=([0-9.]+)",)),
    "{stdout: '(?P<n>a)(?:b)'}": MetricSource(origin=Origin.STDOUT, selects=("(?P<n>a)(?:b)",)),
    "{stdout: '[[]'}": MetricSource(origin=Origin.STDOUT, selects=("[[]",)),
    "{json: ./out//a.json, at: a.b}": MetricSource(
        origin=Origin.JSON, file="out/a.json", selects=("a", "b")
    ),
    "{json: a, at: [a.b, 0]}": MetricSource(origin=Origin.JSON, file="a", selects=("a.b", "0")),
    "{json: a, at: a.0}": MetricSource(origin=Origin.JSON, file="a", selects=("a", "0")),
    "{json: a, at: 0}": MetricSource(origin=Origin.JSON, file="a", selects=("0",)),
    "{csv: a, column: b.c}": MetricSource(origin=Origin.CSV, file="a", selects=("b.c",)),
    "{csv: a, column: b, series: true}": MetricSource(
        origin=Origin.CSV, file="a", selects=("b",), series=True
    ),
    "{pytest-benchmark: a, name: 'test_x[1]'}": MetricSource(
        origin=Origin.BENCHMARK, file="a", selects=("test_x[1]",)
    ),
}


@pytest.mark.parametrize("written", SOURCES)
def test_a_metric_has_a_source(tmp_path: Path, written: str) -> None:
    """Without one it comes from the result, under its own name."""
    assert metric_of(tmp_path, f"from: {written}, better: lower").source == SOURCES[written]
    assert metric_of(tmp_path, "better: lower").source == MetricSource()


@pytest.mark.parametrize(
    ("source", "unit"),
    [
        ("wall_time", "s"),
        ("cpu_time", "s"),
        ("peak_memory", "MB"),
        ("{pytest-benchmark: a, name: b}", "s"),
    ],
)
def test_what_is_measured_from_outside_has_a_unit_and_a_direction(
    tmp_path: Path, source: str, unit: str
) -> None:
    """Both are known, but the direction and the unit may be written."""
    found = metric_of(tmp_path, f"from: {source}")
    assert (found.unit, found.better, found.scale) == (unit, Better.LOWER, Scale.RATIO)
    assert metric_of(tmp_path, f"from: {source}, unit: {unit}, better: lower") == found
    assert metric_of(tmp_path, f"from: {source}, better: neither").better is Better.NEITHER


def test_a_study_without_metrics_is_measured_from_outside(tmp_path: Path) -> None:
    """Its metrics can be named like any others, and a busy host is judged by CPU time."""
    more = (
        "policy: {peak_memory: +5%}\n"
        "compare: [{of: {size: 2}, against: {size: 1}, metrics: [cpu_time, wall_time]}]\n"
    )
    found = study(tmp_path, HEAD + more)
    assert [(one.name, one.title, one.source.origin.value) for one in found.metrics] == [
        ("wall_time", "wall time", "wall_time"),
        ("cpu_time", "CPU time", "cpu_time"),
        ("peak_memory", "peak memory", "peak_memory"),
    ]
    assert [one.cpu_time for one in found.metrics] == ["cpu_time", None, None]
    assert found.compare[0].metrics == ("cpu_time", "wall_time")
    assert [limit.metric for limit in found.policy] == ["peak_memory"]
    assert study(tmp_path, HEAD).compare[0].metrics == ("wall_time",)
    assert problems_of(tmp_path, f"{HEAD}policy: {{wall_tim: +5%}}\n") == [
        "5:10: policy.wall_tim: unknown metric; did you mean `wall_time`?"
    ]


@pytest.mark.parametrize(
    ("keys", "warmup", "reduce"),
    [
        ("better: lower", 2, "median"),
        ("better: lower, reduce: mean", 2, "mean"),
        ("better: lower, reduce: first", 0, "first"),
        ("better: lower, reduce: last", 0, "last"),
        ("better: lower, reduce: best", 0, "best"),
        ("better: lower, reduce: best, warmup: 3", 3, "best"),
        ("better: lower, warmup: 0", 0, "median"),
        ("from: {csv: a, column: b, series: true}, better: lower, reduce: last", 0, "last"),
        ("from: {pytest-benchmark: a, name: b}, reduce: mean", 2, "mean"),
    ],
)
def test_a_series_has_a_reduction(tmp_path: Path, keys: str, warmup: int, reduce: str) -> None:
    """The first two entries do not count where all entries together make one number."""
    found = metric_of(tmp_path, keys)
    assert (found.warmup, found.reduce) == (warmup, Reduction(reduce))


ANY_SOURCE = (
    "expected `wall_time`, `cpu_time`, `peak_memory`, or one of the keys `stdout`, `json`, `csv`, "
    "`pytest-benchmark` and `result`, found "
)
NO_DIRECTION = "better: the key is missing; write `lower`, `higher` or `neither`"
NO_SERIES = "this is one number in each trial, and no series; remove this"
PATH = "expected a path in the working folder of the script, found "
KEYS = "expected keys such as `eval.accuracy`, or a list of keys, found "
MISTAKES = {
    "from: wall_time, unit: ms": "5:38: unit: this is measured in s; remove the unit",
    "from: peak_memory, unit: ''": "5:40: unit: this is measured in MB; remove the unit",
    "unit: s": f"5:14: {NO_DIRECTION}",
    "from: {stdout: a}": f"5:14: {NO_DIRECTION}",
    "better: lover": (
        '5:23: better: expected lower, higher or neither, found "lover"; did you mean `lower`?'
    ),
    "from: wall_time, warmup: 1, reduce: last": (
        f"5:32: warmup: {NO_SERIES}\n5:43: reduce: {NO_SERIES}"
    ),
    "better: lower, from: {json: a, at: b}, reduce: last": (
        "5:54: reduce: only a series is reduced; add `series: true` to `from`, or remove this"
    ),
    "better: lower, from: {stdout: a, series: false}, warmup: 0": (
        "5:64: warmup: only a series is reduced; add `series: true` to `from`, or remove this"
    ),
    "better: neither, reduce: best": (
        "5:40: reduce: no direction is better, so none of the numbers is the best; write another "
        "reduction"
    ),
    "from: {pytest-benchmark: a, name: b}, reduce: first": (
        "5:61: reduce: for rounds of a benchmark, write `median`, `mean` or `best`"
    ),
    "from: {pytest-benchmark: a, name: b}, warmup: 1": (
        "5:53: warmup: pytest-benchmark drops the rounds of its own warm-up; remove this"
    ),
    "better: lower, reduce: worst": (
        '5:38: reduce: expected median, mean, first, last or best, found "worst"; '
        "did you mean `first`?"
    ),
    "better: lower, warmup: -1": "5:38: warmup: expected at least 0, found -1",
    "better: lower, warmup: 0.5": "5:38: warmup: expected a whole number, found 0.5",
    "from: wall_tim, better: lower": f'5:21: from: {ANY_SOURCE}"wall_tim"',
    "from: csv, better: lower": f'5:21: from: {ANY_SOURCE}"csv"',
    "from: {}, better: lower": f"5:21: from: {ANY_SOURCE}keys with values",
    "from: [csv], better: lower": f"5:21: from: {ANY_SOURCE}a list",
    "from: {stdout: a, serie: true}, better: lower": (
        "5:33: from.serie: unknown key; did you mean `series`?"
    ),
    "from: {csv: a, colum: b}, better: lower": (
        "5:21: from.column: the key is missing; add it\n"
        "5:30: from.colum: unknown key; did you mean `column`?"
    ),
    "from: {json: a, at: b, column: c}, better: lower": (
        "5:38: from.column: unknown key; expected json, at or series"
    ),
    "from: {pytest-benchmark: a, name: b, series: true}": (
        "5:52: from.series: unknown key; expected pytest-benchmark or name"
    ),
    "from: {json: /a, at: b}, better: lower": f'5:28: from.json: {PATH}"/a"',
    "from: {csv: a/../../b, column: b}, better: lower": f'5:27: from.csv: {PATH}"a/../../b"',
    "from: {pytest-benchmark: .., name: b}": f'5:40: from.pytest-benchmark: {PATH}".."',
    "from: {json: ., at: b}, better: lower": f'5:28: from.json: {PATH}"."',
    "from: {json: a}, better: lower": "5:21: from.at: the key is missing; add it",
    "from: {json: a, at: a..b}, better: lower": f'5:35: from.at: {KEYS}"a..b"',
    "from: {json: a, at: []}, better: lower": f"5:35: from.at: {KEYS}a list",
    "from: {json: a, at: [[a]]}, better: lower": f"5:35: from.at: {KEYS}a list",
    "from: {json: a, at: [true]}, better: lower": f"5:35: from.at: {KEYS}a list",
    "from: {json: a, at: 1.5}, better: lower": (
        '5:35: from.at: 1.5 is a YAML float; quote it: "1.5"'
    ),
    "from: {stdout: '('}, better: lower": (
        "5:30: from.stdout: expected a regular expression (missing ), unterminated subpattern at "
        'position 0), found "("'
    ),
    "from: {stdout: '(?u)(?a)x'}, better: lower": (
        "5:30: from.stdout: expected a regular expression (ASCII and UNICODE flags are "
        'incompatible), found "(?u)(?a)x"'
    ),
    "from: {stdout: '(a)(b)'}, better: lower": (
        "5:30: from.stdout: expected at most one group in parentheses, for the number; write "
        '(?:...) elsewhere, found "(a)(b)"'
    ),
    "from: {stdout: ''}, better: lower": (
        '5:30: from.stdout: expected text that is not empty, found ""'
    ),
    "from: {stdout: 3}, better: lower": '5:30: from.stdout: 3 is a YAML number; quote it: "3"',
    f"from: {{stdout: {'a' * 501}}}, better: lower": (
        "5:30: from.stdout: longer than 500 characters; shorten it"
    ),
}


@pytest.mark.parametrize("keys", MISTAKES)
def test_a_wrong_metric_is_refused(tmp_path: Path, keys: str) -> None:
    """Each mistake has its line, its column and a remedy."""
    assert mistakes(tmp_path, keys) == [
        one.replace(": ", ": metrics.x.", 1) for one in MISTAKES[keys].split("\n")
    ]


def test_no_metric_replaces_a_number_of_the_result(tmp_path: Path) -> None:
    """A name means one number, whether it is printed or recorded."""
    text = HEAD + "metrics:\n  x: {from: {stdout: a}, better: lower}\n"
    alias = "  y: {from: {result: x}, better: lower}\n"
    assert problems_of(tmp_path, text + alias) == [
        (
            "7:22: metrics.y.from.result: the metric of this name comes from elsewhere; give that "
            "metric another name"
        )
    ]
    both = study(tmp_path, text.replace("{stdout: a}", "result") + alias).metrics
    assert [one.stored_as for one in both] == ["x", "x"]


def test_memory_is_no_cpu_time(tmp_path: Path) -> None:
    """The CPU time of a metric may be measured from outside, but it must be a time."""
    text = HEAD + "metrics:\n  a: {from: wall_time, cpu_time: b}\n  b: {from: cpu_time}\n"
    assert study(tmp_path, text).metric("a").cpu_time == "b"
    assert problems_of(tmp_path, text.replace("from: cpu_time", "from: peak_memory")) == [
        (
            "6:34: metrics.a.cpu_time: both must be times of the same work, but b is not a time; "
            "remove this"
        )
    ]
