"""Runs of a small matrix with chosen measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from runner.judge import judge
from runner.judge.records import Comparison, Judgement
from runner.plan import make_plan
from runner.records.environment import EnvironmentRequest
from runner.records.run import Guards, Plan, Trial, TrialResult
from runner.records.study import (
    Axis,
    Better,
    Cell,
    Experiment,
    Limits,
    Matrix,
    Metric,
    Pair,
    Scale,
    Status,
)
from runner.runs.folder import StoredRun
from tests.support.fakes import QUIET
from tests.support.samples import founding_run

SECONDS = Metric(name="seconds", unit="s", better=Better.LOWER, title="time", cpu_time="cpu")
CPU = Metric(name="cpu", unit="s", better=Better.LOWER, title="CPU time")
ACCURACY = Metric(
    name="accuracy",
    unit="%",
    better=Better.HIGHER,
    title="accuracy",
    scale=Scale.DIFFERENCE,
    margin=0.2,
)
Numbers = Mapping[str, Sequence[float | None]]
"""One number for each block, by cell (``a``, ``b``); ``None`` for a trial that failed."""


def matrix(
    cells: Sequence[str] = ("a", "b"), blocks: int = 7, metrics: tuple[str, ...] = ("seconds",)
) -> Matrix:
    """Return a matrix of one axis; the first cell is the baseline of all others."""
    made = tuple(
        Cell(
            coordinates=(("v", cell),),
            request=EnvironmentRequest(requirements=()),
            parameters={},
            timeout_s=60.0,
        )
        for cell in cells
    )
    return Matrix(
        name="small",
        axes=(Axis(name="v", values=tuple(cells)),),
        cells=made,
        experiment=Experiment(script="run.py"),
        metrics=(SECONDS, CPU, ACCURACY),
        limits=Limits(),
        blocks=blocks,
        baseline=(("v", cells[0]),),
        compare=tuple(Pair(of=cell.id, against=made[0].id, metrics=metrics) for cell in made[1:]),
        quick={},
    )


def plan_of(study: Matrix, blocks: int | None = None) -> Plan:
    """Return the plan of a matrix without controls; most tests have no numbers for them."""
    plan = make_plan(study, seed=1, blocks=blocks)
    return replace(plan, trials=tuple(trial for trial in plan.trials if not trial.control))


def results_of(
    plan: Plan, numbers: Mapping[str, Numbers], disturbed: Sequence[int] = ()
) -> tuple[TrialResult, ...]:
    """Return a result for each trial of a plan. ``numbers`` are by metric and cell, one per block.

    Trials of the blocks in ``disturbed`` were disturbed by the machine.
    """
    return tuple(_result(trial, numbers, trial.block in disturbed) for trial in plan.trials)


def _result(trial: Trial, numbers: Mapping[str, Numbers], disturbed: bool) -> TrialResult:
    name = trial.cell.removeprefix("v=")
    values = {metric: by_cell[name][trial.block - 1] for metric, by_cell in numbers.items()}
    sound = {metric: value for metric, value in values.items() if value is not None}
    return TrialResult(
        trial=trial,
        status=Status.OK if sound else Status.FAILED,
        values=sound,
        series={},
        environment={},
        reading=QUIET,
        disturbed="other processes took 50% of the measured core" if disturbed else None,
        started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        duration_s=1.0,
    )


def judged(
    numbers: Mapping[str, Numbers], study: Matrix | None = None, disturbed: Sequence[int] = ()
) -> Judgement:
    """Judge a run with these numbers."""
    cells = list(next(iter(numbers.values())))
    blocks = len(next(iter(next(iter(numbers.values())).values())))
    study = study or matrix(cells, metrics=tuple(numbers), blocks=min(blocks, 7))
    plan = replace(plan_of(study, blocks), guards=Guards())
    return judge(study, plan, results_of(plan, numbers, disturbed))


def only(judgement: Judgement, metric: str = "seconds") -> Comparison:
    """Return the one named comparison in a metric."""
    [found] = [one for one in judgement.comparisons if one.named and one.metric.name == metric]
    return found


def stored(
    measured: Numbers | None = None,
    *,
    accuracies: Numbers | None = None,
    blocks: int = 7,
    disturbed: Sequence[int] = (),
    compared: bool = True,
) -> StoredRun:
    """Return a run of 7 planned blocks with these seconds and accuracies in its first blocks.

    The seconds are also its CPU time. Comparisons are named only if ``compared``.
    """
    given = {"seconds": measured or {}, "cpu": measured or {}, "accuracy": accuracies or {}}
    given = {name: numbers for name, numbers in given.items() if numbers}
    study = matrix(list(next(iter(given.values()))))
    study = study if compared else replace(study, compare=())
    plan = plan_of(study)
    plan = replace(plan, trials=tuple(one for one in plan.trials if one.block <= blocks))
    results = results_of(plan, given, disturbed)
    return StoredRun(
        run=founding_run(study), plan=plan_of(study), images=(), results=results, logs={}
    )
