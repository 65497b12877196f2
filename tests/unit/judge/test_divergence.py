"""Matched cells: paired if their inputs were equal, and the epoch in which they diverge."""

from collections.abc import Mapping
from dataclasses import replace

from runner.judge import judge
from runner.judge.records import Divergence, Judgement
from runner.records.run import TrialResult
from runner.records.study import Matrix
from tests.support.judging import ACCURACY as ACCURACY_METRIC
from tests.support.judging import matrix, only, plan_of, results_of

ACCURACY = [93.0, 93.1, 92.9, 93.2, 92.8, 93.05, 92.95]
ALIKE = [value + 0.01 * (-1) ** block for block, value in enumerate(ACCURACY)]
CURVE = (0.5, 0.25, 0.125)


def matched(
    curves: Mapping[str, tuple[float, ...]], received: Mapping[str, str | None]
) -> tuple[Matrix, Judgement]:
    """Judge a matched run, with the loss of each cell and the digest of its inputs."""
    study = replace(
        matrix(metrics=("accuracy",)),
        matched=True,
        metrics=(replace(ACCURACY_METRIC, paired=False),),
    )
    plan = plan_of(study)
    numbers = {"accuracy": {"a": ACCURACY, "b": ALIKE}}
    results = [_with(one, curves, received) for one in results_of(plan, numbers)]
    return study, judge(study, plan, results)


def _with(
    result: TrialResult, curves: Mapping[str, tuple[float, ...]], received: Mapping[str, str | None]
) -> TrialResult:
    cell = result.trial.cell.removeprefix("v=")
    digest = received[cell]
    environment = {} if digest is None else {"matched": f"{digest}{result.trial.block}"}
    return replace(result, series={"loss": curves[cell]}, environment=environment)


def test_matched_cells_are_paired() -> None:
    """The noise cancels, so the interval is far narrower than over seeds."""
    same = {"a": "x", "b": "x"}
    _, found = matched({"a": CURVE, "b": CURVE}, same)
    compared = only(found, "accuracy")
    assert compared.paired
    assert compared.estimate
    assert compared.estimate.half_width < 0.02


def test_cells_with_other_inputs_are_not_paired() -> None:
    """If a metric is not paired anyway, cells with other inputs are compared over seeds."""
    wrong: list[Mapping[str, str | None]] = [
        {"a": "x", "b": "y"},
        {"a": "x", "b": None},
        {"a": None, "b": None},
    ]
    for received in wrong:
        _, found = matched({"a": CURVE, "b": CURVE}, received)
        assert not only(found, "accuracy").paired


def test_the_first_epoch_that_differs_is_named() -> None:
    """Numbers that differ only by float32 rounding count as equal."""
    other = (0.5 * (1 + 1e-8), 0.25 * (1 + 1e-4), 0.2)
    _, found = matched({"a": CURVE, "b": other}, {"a": "x", "b": "x"})
    [divergence] = found.divergences
    assert isinstance(divergence, Divergence)
    assert divergence.series == "loss"
    assert set(divergence.first.values()) == {2}


def test_cells_that_never_diverge() -> None:
    """``None`` for each block."""
    _, found = matched({"a": CURVE, "b": CURVE}, {"a": "x", "b": "x"})
    [divergence] = found.divergences
    assert set(divergence.first.values()) == {None}
    assert divergence.epochs == 3


def test_outside_matched_mode_nothing_diverges() -> None:
    """With equal seeds, versions still start from different weights, so an epoch means nothing."""
    study = matrix(metrics=("accuracy",))
    plan = plan_of(study)
    results = results_of(plan, {"accuracy": {"a": ACCURACY, "b": ALIKE}})
    assert judge(study, plan, results).divergences == ()
