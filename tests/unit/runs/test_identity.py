"""The key of a run covers everything that can change a measurement, and nothing else."""

from dataclasses import replace

import pytest

from runner.records.environment import Base, BaseKind
from runner.records.run import Run
from runner.records.study import Metric, MetricSource, Origin, Reduction, Status
from runner.runs.identity import differences, key, short
from tests.support.samples import founding_run

RUN = founding_run()
MATRIX = RUN.matrix
CELL = MATRIX.cells[0]
ANOTHER_BASE = Base(kind=BaseKind.LOCAL, name="mine:3.7", digest="sha256:1")


def with_matrix(**changes: object) -> Run:
    """Return the run with another matrix."""
    return replace(RUN, matrix=replace(MATRIX, **changes))  # type: ignore[arg-type] # any field


def with_cell(**changes: object) -> Run:
    """Return the run with another first cell."""
    cell = replace(CELL, **changes)  # type: ignore[arg-type] # any field
    return with_matrix(cells=(cell, *MATRIX.cells[1:]))


def on_base(base: str) -> Run:
    """Return the run with another base for its first environment; its name stays the same."""
    first = RUN.lock.entries[0]
    moved = replace(first, request=replace(first.request, base=base))
    return replace(RUN, lock=replace(RUN.lock, entries=(moved, *RUN.lock.entries[1:])))


def with_experiment(**changes: object) -> Run:
    """Return the run with another experiment."""
    return with_matrix(experiment=replace(MATRIX.experiment, **changes))  # type: ignore[arg-type]


def with_metric(**changes: object) -> Run:
    """Return the run with another first metric."""
    metric = replace(MATRIX.metrics[0], **changes)  # type: ignore[arg-type] # any field
    return with_matrix(metrics=(metric, *MATRIX.metrics[1:]))


def with_files(**digests: str) -> Run:
    """Return the run with more files."""
    return replace(with_experiment(files=tuple(digests)), file_digests=digests)


def renamed(metric: Metric) -> Metric:
    """Return a metric with another name."""
    return replace(metric, name="another")


@pytest.mark.parametrize(
    ("run", "path"),
    [
        (with_matrix(base="pull"), ("base",)),
        (with_matrix(base="mine:{python}"), ("base",)),
        (replace(RUN, bases={"3.7": ANOTHER_BASE}), ("bases", "3.7")),
        (replace(RUN, bundle="b" * 64), ("bundle",)),
        (with_matrix(name="another"), ("name",)),
        (with_matrix(limits=replace(MATRIX.limits, cpus=2)), ("limits", "cpus")),
        (
            with_matrix(metrics=(renamed(MATRIX.metrics[0]), *MATRIX.metrics[1:])),
            ("metrics", "another"),
        ),
        (with_matrix(cells=MATRIX.cells[1:]), ("cells", CELL.id, "timeout_s")),
        (with_cell(timeout_s=1.0), ("cells", CELL.id, "timeout_s")),
        (with_cell(parameters={"epochs": 1}), ("cells", CELL.id, "parameters", "epochs")),
        (
            replace(RUN, lock=replace(RUN.lock, entries=RUN.lock.entries[1:])),
            ("environments", CELL.request.label, "python"),
        ),
        (with_cell(variables={"A": "1"}), ("cells", CELL.id, "variables", "A")),
        (with_cell(limits=replace(MATRIX.limits, cpus=2)), ("cells", CELL.id, "limits", "cpus")),
        (on_base("img:1"), ("environments", CELL.request.label, "base")),
        (replace(RUN, script_digest="0"), ("script", "sha256")),
        (replace(RUN, data_digests={"a": "0"}), ("data", "a")),
        (with_experiment(args=("--epochs", "{epochs}")), ("command",)),
        (with_experiment(script=None, args=("pytest",)), ("command",)),
        (with_experiment(script=None, args=("pytest",)), ("script", "path")),
        (with_files(more="0"), ("files", "more")),
        (
            with_metric(source=MetricSource(selects=("another",))),
            ("metrics", MATRIX.metrics[0].name),
        ),
        (replace(RUN, own_digests={"launcher": "0"}), ("matrix-runner", "launcher")),
        (replace(RUN, host=replace(RUN.host, id="0")), ("host",)),
        (replace(RUN, engine=replace(RUN.engine, name="podman")), ("engine",)),
        (replace(RUN, engine=replace(RUN.engine, machine="far")), ("engine's machine",)),
    ],
)
def test_what_can_change_a_measurement_is_part_of_the_key(run: Run, path: tuple[str, ...]) -> None:
    """Another base, script or host is another run, and the difference is named."""
    assert key(run) != key(RUN)
    assert path in differences(RUN, run)


@pytest.mark.parametrize(
    "run",
    [
        with_matrix(title="Another", claims=(), policy=(), compare=(), published=(), blocks=1),
        with_cell(expect=Status.FAILED),
        with_metric(warmup=9, reduce=Reduction.LAST, unit="h", margin=0.5, title="Another"),
        replace(RUN, id="another", runner_version="9", git_commit=None, matrix_digest="0"),
        replace(RUN, host=replace(RUN.host, kernel="9"), engine=replace(RUN.engine, version="9")),
    ],
)
def test_everything_else_continues_the_run(run: Run) -> None:
    """Neither claims nor policy, expectations or the number of blocks change a measurement."""
    assert key(run) == key(RUN)
    assert differences(RUN, run) == {}


SOURCES = [
    MetricSource(),
    MetricSource(selects=("a",)),
    *(MetricSource(origin=origin) for origin in Origin if origin.from_launcher),
    *(MetricSource(origin=Origin.STDOUT, selects=(one,)) for one in ("a", "b")),
    *(MetricSource(origin=Origin.JSON, file=one, selects=("a", "b")) for one in ("f", "g")),
    MetricSource(origin=Origin.JSON, file="f", selects=("a.b",)),
    MetricSource(origin=Origin.CSV, file="f", selects=("a",)),
    MetricSource(origin=Origin.CSV, file="f", selects=("a",), series=True),
    MetricSource(origin=Origin.BENCHMARK, file="f", selects=("a",)),
]


def test_every_source_of_a_metric_has_its_own_key() -> None:
    """So do all arguments, names of files and contents of files."""
    runs = [with_metric(source=source) for source in SOURCES]
    runs += [with_experiment(args=args) for args in (("a b",), ("a", "b"), ("b", "a"))]
    runs += [with_files(a="0"), with_files(a="1"), with_files(b="0"), with_files(a="0", b="0")]
    assert len({key(run) for run in runs}) == len(runs)
    assert key(runs[0]) == key(RUN)


def test_the_sandbox_of_venv_is_part_of_the_key() -> None:
    """A trial without a sandbox has other times."""
    keys = {
        key(replace(RUN, engine=replace(RUN.engine, name="venv", version=version)))
        for version in ("bwrap 0.8", "bwrap 0.9", "plain")
    }
    assert len(keys) == 2


def test_a_digest_is_shortened() -> None:
    """Other values are shown as they are, and a missing one as ``none``."""
    assert short("0" * 64) == "0" * 16 + "..."
    assert short("sha256:" + "0" * 64) == "0" * 16 + "..."
    assert short("docker") == "docker"
    assert short(None) == "none"
