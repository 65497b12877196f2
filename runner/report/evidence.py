"""What a report is made from: a stored run, sorted by cell, with its verdicts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runner.judge import judge, strata_of
from runner.judge.records import Comparison, Judgement, Stratum
from runner.records.attempts import Attempts
from runner.records.environment import Environment, EnvironmentRequest, Image
from runner.records.run import Host, Plan, Reading, Run, TrialResult
from runner.records.study import Cell, Status
from runner.runs.checks import Refused
from runner.runs.folder import StoredRun
from runner.summarise import Summary, summarise
from runner.system.host import runs_here
from runner.text import shortened


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run sorted: results that count by cell, ends of logs by trial id.

    ``images`` are those in which trials ran, or before the first trial those with the label of the
    environment. An environment has several images if one was rebuilt during the run.
    """

    run: Run
    plan: Plan
    cells: tuple[Cell, ...]
    """The cells of the plan, in the order of the matrix."""
    by_id: Mapping[str, Cell]
    """Every cell of the matrix, by its id."""
    images: Mapping[EnvironmentRequest, tuple[Image, ...]]
    results: Mapping[str, Sequence[TrialResult]]
    summaries: Mapping[tuple[str, str], Summary]
    planned: Mapping[str, int]
    logs: Mapping[str, str]
    judgement: Judgement
    strata: tuple[Stratum, ...]
    """The machines that are judged separately: one unless the run was merged."""
    every: tuple[TrialResult, ...]
    """Every attempt, also of the control, in order of its start."""
    lost: tuple[TrialResult, ...]
    """Every attempt whose engine was lost, in order of its start."""
    done: frozenset[tuple[str, int, bool]]
    """The planned trials that have a result, with those of the control."""
    refused: tuple[Refused, ...]
    """The results that do not count, because they were edited or do not belong to the run."""
    edited: tuple[str, ...]
    """The names of the other files that were edited."""

    @property
    def here(self) -> bool:
        """Whether the runner's own machine was measured."""
        return runs_here(self.run.host, self.run.engine)

    @property
    def machine(self) -> Host:
        """The machine that was measured. If it is elsewhere, its trials report the processor."""
        host, engine = self.run.host, self.run.engine
        if self.here:
            return host
        return replace(
            host,
            cpu_model=shortened("; ".join(self.processors)) or "unknown processor",
            cpu_flags=self.readings[-1].cpu_flags if self.readings else (),
            cores=engine.cpus,
            memory_bytes=engine.memory_bytes,
            system=engine.system,
            kernel=engine.kernel,
        )

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What was measured in the trials, in the order of the cells."""
        results = (result for cell in self.cells for result in self.settled(cell))
        return tuple(result.reading for result in results if result.reading is not None)

    @property
    def processors(self) -> tuple[str, ...]:
        """The processors that the trials reported."""
        return tuple(dict.fromkeys(one.processor for one in self.readings if one.processor))

    def settled(self, cell: Cell) -> tuple[TrialResult, ...]:
        """The results that say something about the cell: all that were not lost to the machine."""
        return tuple(one for one in self.results.get(cell.id, ()) if not one.is_lost)

    def ok(self, cell: Cell) -> tuple[TrialResult, ...]:
        """The results of the cell that are ok, and so may have numbers."""
        return tuple(one for one in self.results.get(cell.id, ()) if one.status is Status.OK)

    def as_expected(self, cell: Cell) -> bool:
        """Whether every result of the cell has the status that the matrix expects."""
        return all(result.status is cell.expect for result in self.settled(cell))

    def cell(self, cell_id: str) -> Cell:
        """The cell with this id; KeyError if there is none."""
        return self.by_id[cell_id]

    def pair(self, comparison: Comparison) -> tuple[Cell, Cell]:
        """The two cells of a comparison."""
        return self.by_id[comparison.of], self.by_id[comparison.against]

    def environment(self, request: EnvironmentRequest) -> Environment | None:
        """The locked environment of a request; ``None`` if it has none."""
        entry = self.run.lock.entry(request)
        return entry if isinstance(entry, Environment) else None


def gather(stored: StoredRun) -> Evidence:
    """Sort a stored run."""
    run, plan = stored.run, stored.plan
    strata = strata_of(run, stored.results)
    planned = {trial.slot for trial in plan.trials if not trial.control}
    trials = Counter(cell for cell, _, _ in planned)
    results = [one for one in stored.results if one.trial.slot in planned]
    by_cell: dict[str, list[TrialResult]] = {}
    for result in Attempts(results).counting():
        by_cell.setdefault(result.trial.cell, []).append(result)
    return Evidence(
        run=run,
        plan=plan,
        cells=tuple(cell for cell in run.matrix.cells if cell.id in trials),
        by_id={cell.id: cell for cell in run.matrix.cells},
        images=_by_request(run, stored.images, by_cell),
        results=by_cell,
        summaries={(one.cell, one.metric): one for one in summarise(run.matrix, results)},
        planned=trials,
        logs=stored.logs,
        judgement=judge(run.matrix, plan, stored.results, strata),
        strata=strata,
        done=_done(plan, stored.results),
        every=stored.results,
        lost=tuple(one for one in stored.results if one.status is Status.ENGINE_LOST),
        refused=stored.refused,
        edited=stored.edited,
    )


def _done(plan: Plan, results: Sequence[TrialResult]) -> frozenset[tuple[str, int, bool]]:
    planned = {trial.slot for trial in plan.trials}
    counting = Attempts(one for one in results if one.trial.slot in planned).counting()
    return frozenset(one.trial.slot for one in counting if not one.is_lost)


def _by_request(
    run: Run, images: tuple[Image, ...], results: Mapping[str, Sequence[TrialResult]]
) -> Mapping[EnvironmentRequest, tuple[Image, ...]]:
    used: dict[EnvironmentRequest, set[str | None]] = {}
    for cell in run.matrix.cells:
        used.setdefault(cell.request, set()).update(one.image for one in results.get(cell.id, ()))
    return {
        request: tuple(image for image in images if image.id in ids)
        or tuple(image for image in images if image.label == request.label)
        for request, ids in used.items()
    }
