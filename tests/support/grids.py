"""Finished runs of any grid of cells, with numbers that a function gives."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

from runner.plan import make_plan
from runner.records import Value
from runner.records.environment import EnvironmentRequest
from runner.records.study import Axis, Cell, Experiment, Limits, Matrix, Metric, Pair, PolicyLimit
from runner.runs.folder import StoredRun
from tests.support.fakes import QUIET
from tests.support.judging import SECONDS
from tests.support.samples import failed_result, founding_run, ok_result

Place = Mapping[str, Value]
"""The value of a cell on each axis."""
Numbers = Callable[[Place, str], float | None]
"""The usual number of a cell in a metric; ``None`` if its trials fail."""


def grid(
    axes: Mapping[str, Sequence[Value]],
    usual: Numbers,
    *,
    metrics: Sequence[Metric] = (SECONDS,),
    policy: Sequence[PolicyLimit] = (),
    compare: Sequence[tuple[str, str]] | None = None,
    cells: Sequence[Place] = (),
    noise: float = 0.005,
    blocks: int = 7,
) -> StoredRun:
    """Return a run of all cells of a grid, or of the given ``cells``.

    The first value of the first axis is the baseline. All metrics are compared in the pairs of ids
    that ``compare`` names; by default, in each cell with that of the baseline.
    """
    places = cells or [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    made = tuple(
        Cell(
            coordinates=tuple(place.items()),
            request=EnvironmentRequest(requirements=()),
            parameters={},
            timeout_s=60.0,
        )
        for place in places
    )
    matrix = Matrix(
        name="grid",
        axes=tuple(Axis(name=name, values=tuple(values)) for name, values in axes.items()),
        cells=made,
        experiment=Experiment(script="run.py"),
        metrics=tuple(metrics),
        limits=Limits(),
        blocks=blocks,
        baseline=tuple((name, values[0]) for name, values in axes.items())[:1],
        policy=tuple(policy),
        quick={},
    )
    pairs = [(of.id, against.id) for of, against in matrix.against_baseline()]
    names = tuple(metric.name for metric in metrics)
    pairs = pairs if compare is None else list(compare)
    matrix = replace(
        matrix, compare=tuple(Pair(of=of, against=to, metrics=names) for of, to in pairs)
    )
    plan = make_plan(matrix, seed=1)
    results = []
    for trial in plan.trials:
        place = dict(matrix.cell(trial.cell).coordinates)
        luck = random.Random(f"{trial.cell} {trial.block} {trial.control}")
        found = {name: usual(place, name) for name in names}
        values = {
            name: number * (1 + luck.uniform(-noise, noise))
            for name, number in found.items()
            if number is not None
        }
        one = ok_result(trial, values, {}) if values else failed_result(trial)
        results.append(replace(one, reading=QUIET, environment={}))
    return StoredRun(
        run=founding_run(matrix), plan=plan, images=(), results=tuple(results), logs={}
    )
