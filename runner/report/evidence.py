"""What a report is made from, sorted by cell, and the few questions that every section asks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from runner.judge import judge
from runner.judge.records import Judgement
from runner.records import Value, shown
from runner.records.attempts import Attempts
from runner.records.environment import EnvironmentRequest, Image
from runner.records.run import Plan, Run, TrialResult
from runner.records.study import Axis, Cell, Metric, Status
from runner.report.wording import NOTHING, number, spread
from runner.summarise import Summary, summarise
from runner.system.host import runs_here
from runner.text import shortened, size, unbroken

UNEXPECTED = "\N{CROSS MARK}"
"""Marks what was not expected to fail."""

_NO_RESULTS: tuple[TrialResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The machine that was measured. Where it is not the runner's, trials told its processor."""

    cpu_model: str
    cpu_flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    kernel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run sorted: the results that count, by cell, ends of logs by trial id.

    ``images`` are those that trials ran in, and before the first trial those of that name. There
    are several for one environment if an image was rebuilt in the middle of the run.
    """

    run: Run
    plan: Plan
    images: Mapping[EnvironmentRequest, tuple[Image, ...]]
    results: Mapping[str, tuple[TrialResult, ...]]
    summaries: Mapping[tuple[str, str], Summary]
    planned: Mapping[str, int]
    logs: Mapping[str, str]
    judgement: Judgement
    lost: tuple[TrialResult, ...]
    """Every attempt that was lost to the machine, in order of its start."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that the plan holds, in the order of the matrix."""
        return tuple(cell for cell in self.run.matrix.cells if cell.id in self.planned)

    @property
    def here(self) -> bool:
        """Whether the runner's own machine was measured."""
        return runs_here(self.run.host, self.run.engine)

    @property
    def measured(self) -> Measured:
        """The machine that was measured."""
        host, engine = self.run.host, self.run.engine
        if self.here:
            return Measured(
                cpu_model=host.cpu_model,
                cpu_flags=host.cpu_flags,
                cores=host.cores,
                memory_bytes=host.memory_bytes,
                system=host.system,
                kernel=host.kernel,
            )
        results = (result for cell in self.cells for result in self.settled(cell.id))
        readings = [result.reading for result in results if result.reading is not None]
        models = dict.fromkeys(one.processor for one in readings if one.processor)
        return Measured(
            cpu_model=shortened("; ".join(models)) or "a processor that no trial has told",
            cpu_flags=readings[-1].cpu_flags if readings else (),
            cores=engine.cpus,
            memory_bytes=engine.memory_bytes,
            system=engine.system,
            kernel=engine.kernel,
        )

    def settled(self, cell_id: str) -> tuple[TrialResult, ...]:
        """The results that say something about the cell: all but those of a lost engine."""
        results = self.results.get(cell_id, _NO_RESULTS)
        return tuple(result for result in results if result.status is not Status.ENGINE_LOST)

    def median(self, cell_id: str, metric: Metric) -> str:
        """The median of our trials as text, or a dash."""
        return number(self.summaries[cell_id, metric.name].median, metric.unit)

    def median_and_range(self, cell: Cell, metric: Metric) -> str:
        """The median and, in a second line, the smallest and largest; without any, a status."""
        summary = self.summaries[cell.id, metric.name]
        if summary.n == 0:
            statuses = {result.status for result in self.settled(cell.id)} - {Status.OK}
            return " ".join([NOTHING, *sorted(status.value for status in statuses)])
        if summary.n == 1:
            return number(summary.median, metric.unit)
        between = spread(summary.low, summary.high, metric.unit, summary.median)
        return f"{number(summary.median, metric.unit)}\n({between})"

    def executed(self, cell_id: str) -> str:
        """How many of the planned trials gave numbers: ``7 of 7``."""
        ok = sum(result.status is Status.OK for result in self.settled(cell_id))
        return f"{ok} of {self.planned.get(cell_id, 0)}"

    def image_size(self, cell: Cell) -> str:
        """The size of the image of a cell, or a dash."""
        sizes = dict.fromkeys(
            unbroken(size(image.size_bytes)) for image in self.images[cell.request]
        )
        return ", ".join(sizes) or NOTHING


def gather(
    run: Run,
    plan: Plan,
    images: tuple[Image, ...],
    results: tuple[TrialResult, ...],
    logs: Mapping[str, str],
) -> Evidence:
    """Sort what a run folder holds."""
    by_cell: dict[str, tuple[TrialResult, ...]] = {}
    planned = {(trial.cell, trial.block) for trial in plan.trials if not trial.control}
    every = results
    results = tuple(
        one
        for one in results
        if (one.trial.cell, one.trial.block) in planned and not one.trial.control
    )
    for result in Attempts(results).counting():
        by_cell[result.trial.cell] = (*by_cell.get(result.trial.cell, ()), result)
    summaries = summarise(run.matrix, results)
    return Evidence(
        run=run,
        plan=plan,
        images=_by_request(run, images, by_cell),
        results=by_cell,
        summaries={(summary.cell, summary.metric): summary for summary in summaries},
        planned=Counter(cell for cell, _ in planned),
        logs=logs,
        judgement=judge(run.matrix, plan, every),
        lost=tuple(one for one in every if one.status is Status.ENGINE_LOST),
    )


def _by_request(
    run: Run, images: tuple[Image, ...], results: Mapping[str, tuple[TrialResult, ...]]
) -> Mapping[EnvironmentRequest, tuple[Image, ...]]:
    used: dict[EnvironmentRequest, set[str | None]] = {}
    for cell in run.matrix.cells:
        ids = used.setdefault(cell.request, set())
        ids.update(result.image for result in results.get(cell.id, _NO_RESULTS))
    return {
        request: tuple(image for image in images if image.id in ids)
        or tuple(image for image in images if image.label == request.label)
        for request, ids in used.items()
    }


def as_expected(evidence: Evidence, cell: Cell) -> bool:
    """Whether nothing that we know of the cell differs from what the matrix expects of it."""
    return all(result.status is cell.expect for result in evidence.settled(cell.id))


def standing(evidence: Evidence, cell: Cell) -> str:
    """Say how the trials of a cell ended: ``ok``, ``failed, as expected``, ``2 of 7 failed``."""
    results = evidence.settled(cell.id)
    if not results:
        lost = bool(evidence.results.get(cell.id))
        return "engine lost, to be repeated" if lost else "not executed yet"
    if as_expected(evidence, cell):
        return "ok" if cell.expect is Status.OK else f"{cell.expect.value}, as expected"
    counts = Counter(result.status for result in results)
    if len(counts) == 1:
        words = results[0].status.value
    else:
        words = ", ".join(
            f"{count} of {len(results)} {status.value}"
            for status, count in counts.items()
            if status is not cell.expect
        )
    return f"{UNEXPECTED} {words}, expected: {cell.expect.value}"


def places(axes: tuple[Axis, ...], cell: Cell) -> tuple[str, ...]:
    """Return the value of the cell on each axis, for the first columns of a table."""
    values: Mapping[str, Value] = dict(cell.coordinates)
    return tuple(shown(values[axis.name]) if axis.name in values else NOTHING for axis in axes)
