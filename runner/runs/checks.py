"""Which stored results count: those that nobody edited, and that belong to their run.

A stored file contains the digest of the rest of it. The digest makes an edited number visible. It
is no signature: somebody who also computes a new digest is not noticed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from runner.records.run import Plan, Run, TrialResult
from runner.records.study import Metric, Status
from runner.runs.files import SEALED, file_name
from runner.summarise import metric_value


@dataclass(frozen=True, slots=True)
class Refused:
    """A stored result that does not count: its name, and why."""

    name: str
    reason: str
    edited: bool = False
    """Whether it was edited after it was saved."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the results of a run must agree with."""

    format: int
    cells: frozenset[str]
    metrics: tuple[Metric, ...]
    seeds: Mapping[tuple[str, int, bool], int]
    """By slot of a planned trial."""
    images: frozenset[str]


def expected(run: Run, plan: Plan, images: Collection[str]) -> Expected:
    """Return what the results of a run with these images must agree with."""
    return Expected(
        format=run.format,
        cells=frozenset(cell.id for cell in run.matrix.cells),
        metrics=run.matrix.metrics,
        seeds={trial.slot: trial.seed for trial in plan.trials},
        images=frozenset(images),
    )


def refusals(result: TrialResult, name: str, run: Expected) -> Iterator[str]:
    """Yield why the result in the file ``name`` does not belong to a run.

    A trial that is no longer planned is not refused: others ignore it. Its position is not checked,
    because it changes if cells of the same block leave the plan.
    """
    trial = result.trial
    if name != f"{file_name(trial.id)}.json":
        yield f"it is the result of {trial.id}"
    if trial.cell not in run.cells:
        yield "the run has no such cell"
    if trial.seed != run.seeds.get(trial.slot, trial.seed):
        yield "its seed is not the one in the plan"
    if result.status is Status.OK:
        lacking = [one.name for one in run.metrics if metric_value(result, one) is None]
        yield from (f"it lacks the metric {one}" for one in sorted(lacking))
    if run.format >= SEALED:
        if result.image is not None and result.image not in run.images:
            yield "its image is not one of the run"
        if result.status is Status.OK and (result.reading is None or result.image is None):
            yield "nothing was executed, although it is ok"
