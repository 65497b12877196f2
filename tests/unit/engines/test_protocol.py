"""What the launcher reads for the metrics of a study."""

from runner.engines.protocol import Reads
from runner.records.study import Better, Metric, MetricSource, Origin


def metric(origin: Origin, file: str = "", *selects: str) -> Metric:
    """Return a metric with this source."""
    source = MetricSource(origin=origin, file=file, selects=selects)
    return Metric(name="x", unit="", better=Better.LOWER, title="x", source=source)


def test_each_file_is_read_once() -> None:
    """A file of pytest-benchmark is one for all of its metrics, in any order."""
    bench = metric(Origin.BENCHMARK, "bench.json", "a")
    number = metric(Origin.JSON, "bench.json", "benchmarks", "0")
    other = metric(Origin.CSV, "other.csv", "a")
    for metrics in ([bench, number, other, bench], [number, bench, other]):
        found = Reads.of(metrics)
        assert found == Reads(files=("bench.json", "other.csv"), benchmarks=("bench.json",))


def test_only_what_a_metric_needs_is_read() -> None:
    """Neither output nor memory is observed for others."""
    assert Reads.of([metric(Origin.RESULT), metric(Origin.WALL_TIME)]) == Reads()
    assert Reads.of([metric(Origin.STDOUT, "", "a")]) == Reads(stdout=True)
    assert Reads.of([metric(Origin.PEAK_MEMORY)]) == Reads(peak=True)
