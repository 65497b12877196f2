"""The plan: which trials, in which order, with which seeds."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigError, NothingSelectedError
from runner.plan import (
    EPOCH_S,
    IMAGE_S,
    STARTUP_S,
    TRIAL_S,
    estimate,
    make_plan,
    pending,
    quick,
    to_repeat,
    whole_blocks,
)
from runner.plan import select as select_cells
from runner.records import Scalar
from runner.records.environment import EnvironmentRequest, Requirement
from runner.records.run import Plan, Shard, Trial, TrialResult
from runner.records.study import Axis, AxisKind, Cell, Experiment, Limits, Matrix, Status

VERSIONS = ("1.15.0", "2.0.0", "2.10.1")
MODELS = ("sequential", "functional")
AS_PUBLISHED = "tensorflow=1.15.0,model=as-published"


def make_cell(
    version: str,
    model: str,
    parameters: Mapping[str, Scalar] | None = None,
    timeout_s: float = 900.0,
    blocks: int | None = None,
) -> Cell:
    """Return a cell of the two axes of these tests."""
    requirement = Requirement(axis="tensorflow", distributions=("tensorflow-cpu",), version=version)
    return Cell(
        coordinates=(("tensorflow", version), ("model", model)),
        request=EnvironmentRequest(requirements=(requirement,)),
        parameters={"epochs": 50, "batch": 32} if parameters is None else parameters,
        timeout_s=timeout_s,
        blocks=blocks,
    )


def make_matrix(*cells: Cell, blocks: int = 7) -> Matrix:
    """Return a matrix of those cells."""
    return Matrix(
        name="test",
        axes=(
            Axis(
                name="tensorflow",
                kind=AxisKind.VERSION,
                values=VERSIONS,
                distributions=("tensorflow-cpu",),
            ),
            Axis(name="model", values=MODELS),
        ),
        cells=cells,
        experiment=Experiment(script="experiments/any.py"),
        metrics=(),
        limits=Limits(),
        blocks=blocks,
        quick={"epochs": 3},
    )


def make_result(trial: Trial, status: Status = Status.OK, duration_s: float = 10.0) -> TrialResult:
    """Return a result of a trial."""
    return TrialResult(
        trial=trial,
        status=status,
        values={},
        series={},
        environment={},
        started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        duration_s=duration_s,
    )


MATRIX = make_matrix(
    *(make_cell(version, model) for version in VERSIONS for model in MODELS),
    make_cell("1.15.0", "as-published", timeout_s=60.0, blocks=1),
)


def ids(matrix: Matrix) -> list[str]:
    """Return the ids of the cells."""
    return [cell.id for cell in matrix.cells]


def order(plan: Plan, block: int) -> list[str]:
    """Return the cells of a block in the order of its trials."""
    return [trial.cell for trial in plan.trials if trial.block == block]


@pytest.mark.parametrize(
    ("selections", "kept"),
    [
        ((), ids(MATRIX)),
        (("model=as-published",), [AS_PUBLISHED]),
        (
            ("tensorflow=1.*,2.0.0", "model=seq*"),
            ["tensorflow=1.15.0,model=sequential", "tensorflow=2.0.0,model=sequential"],
        ),
        (
            ("tensorflow=1.*", "model=seq*", "tensorflow = 2.0.0"),
            ["tensorflow=1.15.0,model=sequential", "tensorflow=2.0.0,model=sequential"],
        ),
        (
            ("tensorflow=2.?.0",),
            ["tensorflow=2.0.0,model=sequential", "tensorflow=2.0.0,model=functional"],
        ),
    ],
)
def test_select_keeps_matching_cells(selections: tuple[str, ...], kept: list[str]) -> None:
    """Giving an axis twice widens a selection; different axes narrow it."""
    assert ids(select_cells(MATRIX, selections)) == kept


def test_select_reads_values_as_people_write_them() -> None:
    """True and 7 are selected as ``true`` and ``7``."""
    cell = replace(make_cell("2.0.0", "x"), coordinates=(("tensorflow", True), ("model", 7)))
    assert ids(select_cells(make_matrix(cell), ["tensorflow=true", "model=7"])) == [cell.id]


def test_select_changes_nothing_but_cells() -> None:
    """Axes, claims and everything else of the matrix stay as they are."""
    assert replace(select_cells(MATRIX, ["model=seq*"]), cells=MATRIX.cells) == MATRIX


def test_select_reports_every_unreadable_selection() -> None:
    """All problems are reported at once, with the axis that was probably meant."""
    with pytest.raises(ConfigError) as caught:
        select_cells(MATRIX, ["tensorflo=2.0.0", "2.0.0", "model=", "model=a,,b", "x=1"])
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert "did you mean `tensorflow`?" in lines[0]
    assert all("axis=value" in line for line in lines[1:4])
    assert "the axes are tensorflow, model" in lines[4]


def test_select_refuses_a_value_that_no_cell_has() -> None:
    """The message names the values, even if another value selects cells."""
    with pytest.raises(NothingSelectedError, match=r"tensorflow=2\.0\.O .* 1\.15\.0, 2\.0\.0"):
        select_cells(MATRIX, ["tensorflow=1.15.0,2.0.O"])


def test_select_lists_the_cells_if_a_combination_is_empty() -> None:
    """Each value exists, but no cell has all of them."""
    with pytest.raises(NothingSelectedError) as caught:
        select_cells(MATRIX, ["tensorflow=2.0.0", "model=as-published"])
    assert AS_PUBLISHED in str(caught.value)


def test_quick_shortens_every_cell() -> None:
    """A quick matrix has its quick parameters, keeps the others, and has one block."""
    small = quick(MATRIX)
    assert small.blocks == 1
    assert {tuple(cell.parameters.items()) for cell in small.cells} == {
        (("epochs", 3), ("batch", 32))
    }
    assert len(make_plan(small, seed=1).trials) == len(MATRIX.cells)
    assert ids(small) == ids(MATRIX)


def test_blocks_are_complete() -> None:
    """Each block holds each cell once; a cell with ``blocks: 1`` is in the first only."""
    plan = make_plan(MATRIX, seed=1)
    assert plan.blocks == 7
    assert sorted(order(plan, 1)) == sorted(ids(MATRIX))
    for block in range(2, 8):
        assert sorted(order(plan, block)) == sorted(set(ids(MATRIX)) - {AS_PUBLISHED})
    assert [trial.position for trial in plan.trials if trial.block == 1] == [*range(1, 8)]
    assert len({trial.id for trial in plan.trials}) == len(plan.trials)


def test_each_block_has_its_own_order() -> None:
    """The order differs between blocks and between seeds."""
    orders = {tuple(order(make_plan(MATRIX, seed), block)) for seed in (1, 2) for block in (2, 3)}
    assert len(orders) == 4


@given(seed=st.integers(), fewer=st.integers(1, 6), more=st.integers(0, 6))
def test_adding_blocks_changes_no_earlier_trial(seed: int, fewer: int, more: int) -> None:
    """A longer plan begins with the shorter one."""
    short = make_plan(MATRIX, seed, fewer).trials
    assert make_plan(MATRIX, seed, fewer + more).trials[: len(short)] == short


@given(cells=st.permutations(MATRIX.cells))
def test_order_does_not_come_from_the_matrix(cells: list[Cell]) -> None:
    """The order of cells in the matrix has no influence on the plan."""
    assert make_plan(replace(MATRIX, cells=tuple(cells)), 5) == make_plan(MATRIX, 5)


def test_positions_are_fair() -> None:
    """Over many blocks every cell comes first about equally often."""
    blocks = 6000
    firsts = [
        trial.cell for trial in make_plan(MATRIX, 3, blocks).trials[7:] if trial.position == 1
    ]
    for cell in set(ids(MATRIX)) - {AS_PUBLISHED}:
        assert abs(firsts.count(cell) - blocks / 6) < 5 * (blocks * 1 / 6 * 5 / 6) ** 0.5


def test_seed_belongs_to_the_block() -> None:
    """Trials of a block share a 31-bit seed, other blocks and runs have others."""
    seeds = {
        (seed, trial.block, trial.seed)
        for seed in (1, 2)
        for trial in make_plan(MATRIX, seed).trials
    }
    assert len(seeds) == 14
    assert len({seed for _, _, seed in seeds}) == 14
    assert all(0 <= seed < 2**31 for _, _, seed in seeds)


def test_seed_and_order_are_stable() -> None:
    """The plan of a seed is the same on every machine and Python, forever."""
    plan = make_plan(MATRIX, seed=20, blocks=1)
    assert plan.trials[0].seed == 2015339102
    assert order(plan, 1)[:3] == [
        "tensorflow=2.10.1,model=sequential",
        "tensorflow=2.0.0,model=functional",
        "tensorflow=1.15.0,model=functional",
    ]


def test_planning_a_thousand_cells_is_instant() -> None:
    """1,000 cells in 7 blocks take less than a fifth of a CPU second."""
    matrix = make_matrix(*(make_cell(f"2.{number}", "x") for number in range(1000)))
    began = time.process_time()
    plan = make_plan(matrix, seed=1)
    assert len(plan.trials) == 7000
    assert time.process_time() - began < 0.2


def test_pending_omits_trials_with_a_result() -> None:
    """Every result except a lost engine is final, even a failure; the order stays."""
    plan = make_plan(MATRIX, seed=1)
    results = [make_result(plan.trials[0]), make_result(plan.trials[2], Status.FAILED)]
    assert pending(MATRIX, plan, results) == (plan.trials[1], *plan.trials[3:])
    assert pending(MATRIX, plan, []) == plan.trials
    assert pending(MATRIX, plan, map(make_result, plan.trials)) == ()


def test_pending_tries_again_after_a_lost_engine() -> None:
    """A trial that lost its engine gets another attempt; a trial with a result is done."""
    plan = make_plan(MATRIX, seed=1, blocks=1)
    first, second, *rest = plan.trials
    results = [
        make_result(replace(first, attempt=2), Status.ENGINE_LOST),
        make_result(first, Status.ENGINE_LOST),
        make_result(replace(second, attempt=2)),
        make_result(second, Status.ENGINE_LOST),
    ]
    assert pending(MATRIX, plan, results) == (replace(first, attempt=3), *rest)


def test_an_expected_missing_image_is_final() -> None:
    """If it is unexpected, the next command tries to build it again."""
    plan = make_plan(MATRIX, seed=1, blocks=1)
    absent = make_result(plan.trials[0], Status.NO_IMAGE)
    cells = (replace(cell, expect=Status.NO_IMAGE) for cell in MATRIX.cells)
    expecting = replace(MATRIX, cells=tuple(cells))
    assert pending(expecting, plan, [absent]) == plan.trials[1:]
    assert pending(MATRIX, plan, [absent])[0] == replace(plan.trials[0], attempt=2)


def test_lost_trials_are_repeated_in_their_block_at_most_twice() -> None:
    """After three losses, the next command repeats it. A trial that failed is not repeated."""
    plan = make_plan(MATRIX, seed=1, blocks=1)
    first, second, *rest = plan.trials
    results = [make_result(second, Status.FAILED), *map(make_result, rest)]
    for attempt in (1, 2, 3):
        results.append(make_result(replace(first, attempt=attempt), Status.ENGINE_LOST))
        again = (replace(first, attempt=attempt + 1),) if attempt < 3 else ()
        assert to_repeat(MATRIX, plan, 1, results) == again
    assert pending(MATRIX, plan, results) == (replace(first, attempt=4),)


@pytest.mark.parametrize("repeats", [0, 1, 2])
def test_a_disturbed_time_out_is_repeated_like_any_disturbed_trial(repeats: int) -> None:
    """Then the next command tries again, for it says nothing about its cell."""
    plan = make_plan(replace(MATRIX, repeats=repeats), seed=1, blocks=1)
    first, *rest = plan.trials
    results = [*map(make_result, rest)]
    for attempt in range(1, repeats + 2):
        one = make_result(replace(first, attempt=attempt), Status.TIMED_OUT)
        results.append(replace(one, disturbed="others took the core"))
        again = (replace(first, attempt=attempt + 1),) if attempt <= repeats else ()
        assert to_repeat(MATRIX, plan, 1, results) == again
    assert pending(MATRIX, plan, results) == (replace(first, attempt=repeats + 2),)


def test_a_disturbed_time_out_after_a_disturbed_result_is_one_of_its_repeats() -> None:
    """The result stays, and nothing is repeated without end."""
    plan = make_plan(MATRIX, seed=1, blocks=1)
    first, *rest = plan.trials
    tries = [make_result(first)]
    tries += [make_result(replace(first, attempt=n), Status.TIMED_OUT) for n in (2, 3)]
    tries = [replace(one, disturbed="others took the core") for one in tries]
    assert pending(MATRIX, plan, [*map(make_result, rest), *tries]) == ()


def test_lost_and_disturbed_attempts_together_end() -> None:
    """However they alternate, one command repeats a trial only a few times."""
    plan = make_plan(MATRIX, seed=1, blocks=1)
    first, *rest = plan.trials
    results = [*map(make_result, rest)]
    for attempt in range(1, 20):
        lost = make_result(replace(first, attempt=attempt), Status.ENGINE_LOST)
        late = replace(lost, status=Status.TIMED_OUT, disturbed="others took the core")
        results.append(lost if attempt % 2 else late)
        if not to_repeat(MATRIX, plan, 1, results):
            break
    assert attempt <= 6


def test_estimate_without_history_is_rough() -> None:
    """Epochs and images are counted, and no trial takes longer than its timeout."""
    epochs, none, short = "epochs", "none", "short"
    matrix = make_matrix(
        make_cell("2.0.0", epochs),
        make_cell("2.0.0", none, parameters={}),
        make_cell("2.0.0", short, timeout_s=5.0),
        blocks=2,
    )
    one_block = STARTUP_S + 50 * EPOCH_S + TRIAL_S + 5.0
    seconds = estimate(matrix, make_plan(matrix, 1).trials, [], images_to_build=3)
    assert seconds == pytest.approx(2 * one_block + 3 * IMAGE_S)


def test_estimate_prefers_history() -> None:
    """A cell takes the median of its earlier durations."""
    cell, other = make_cell("2.0.0", "a"), make_cell("2.0.0", "b", parameters={})
    matrix = make_matrix(cell, other, blocks=1)
    trials = make_plan(matrix, 1).trials
    mine = next(trial for trial in trials if trial.cell == cell.id)
    history = [
        *(make_result(mine, duration_s=seconds) for seconds in (10.0, 12.0, 90.0)),
        *(make_result(mine, Status.ENGINE_LOST, 0.1) for _ in range(9)),
    ]
    assert estimate(matrix, trials, history, images_to_build=0) == 12.0 + TRIAL_S
    assert estimate(matrix, [], history, images_to_build=0) == 0


# --- shards --------------------------------------------------------------------------------------


def test_a_shard_executes_only_its_blocks_of_the_whole_plan() -> None:
    """The order and the seeds of a block do not depend on the shard."""
    plan = make_plan(MATRIX, seed=1)
    shard = replace(plan, shard=Shard(2, 3))
    waiting = pending(MATRIX, shard, ())
    assert {trial.block for trial in waiting} == shard.own_blocks == {2, 5}
    assert waiting == tuple(trial for trial in plan.trials if trial.block in {2, 5})


def test_a_block_is_whole_if_nothing_of_it_is_missing_or_will_be_repeated() -> None:
    """A lost trial is missing; a disturbed one is repeated first."""
    plan = make_plan(MATRIX, seed=1, blocks=4)
    results = [make_result(trial) for trial in plan.trials]
    assert whole_blocks(MATRIX, plan, results) == {1, 2, 3, 4}
    first = {one.trial.block: at for at, one in reversed(list(enumerate(results)))}
    changed = [*results]
    changed[first[2]] = replace(results[first[2]], status=Status.ENGINE_LOST)
    changed[first[3]] = replace(results[first[3]], disturbed="other processes took the core")
    changed[first[4]] = replace(results[first[4]], status=Status.FAILED)
    assert whole_blocks(MATRIX, plan, changed[1:]) == {4}
    assert whole_blocks(MATRIX, plan, changed) == {1, 4}
    again = replace(results[first[3]].trial, attempt=2)
    assert whole_blocks(MATRIX, plan, [*changed, make_result(again)]) == {1, 3, 4}
    assert whole_blocks(MATRIX, replace(plan, shard=Shard(1, 2)), results) == {1, 2, 3, 4}
