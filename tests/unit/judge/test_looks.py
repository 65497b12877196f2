"""How the plan continues after a look."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runner.judge import judge, may_change, next_plan
from runner.judge.records import Goal, NextPlan
from runner.records.run import Plan
from runner.records.study import Claim, Matrix, PolicyLimit, Status
from tests.support.judging import Numbers, matrix, plan_of, results_of

ROOT = Path(__file__).parents[3]
NOISE = (0.004, -0.011, 0.008, -0.002, 0.013, -0.009, -0.003)
BASE = [1.0 + noise for noise in NOISE]
EQUAL = [1.0 + noise for noise in (-0.006, 0.009, -0.001, 0.012, -0.008, 0.003, -0.007)]
SLOWER = [value * 1.2 for value in EQUAL]
NOISY = [1.3, 0.8, 1.1, 0.9, 1.25, 0.7, 1.0]
"""Too noisy to be decided after seven blocks."""
ALL_DECIDED = Goal()
TWO_PER_CENT = Goal(metric="seconds", half_width=0.02)


def after_seven(
    numbers: Numbers,
    goal: Goal | None = None,
    *,
    study: Matrix | None = None,
    blocks: int = 7,
    left: Mapping[str, int] | None = None,
) -> NextPlan:
    """Return how a run of this many planned blocks continues after its look at seven."""
    study = study or matrix(list(numbers))
    plan = replace(plan_of(study, blocks), left=left or {})
    results = results_of(plan_of(study, 7), {"seconds": numbers})
    return next_plan(study, plan, judge(study, plan, results), goal)


def last_blocks(plan: Plan) -> Mapping[str, int]:
    """Return the last block of each cell."""
    return {trial.cell: trial.block for trial in plan.trials if not trial.control}


# --- which cells leave ---------------------------------------------------------------------------


def test_decided_cells_leave() -> None:
    """Once a cell is known to be slower or equivalent, it needs no more blocks."""
    found = after_seven({"a": BASE, "b": SLOWER, "c": NOISY, "d": EQUAL}, blocks=14)
    assert found.plan.left == {"v=b": 7, "v=d": 7}
    assert last_blocks(found.plan) == {"v=a": 14, "v=b": 7, "v=c": 14, "v=d": 7}
    assert found.notes == (
        "v=b leaves the plan: everything about it is decided",
        "v=d leaves the plan: everything about it is decided",
    )


def test_the_baseline_never_leaves() -> None:
    """It stays even if everything is decided, because other cells are compared with it."""
    found = after_seven({"a": BASE, "b": SLOWER}, blocks=14)
    assert found.plan.left == {"v=b": 7}
    assert last_blocks(found.plan)["v=a"] == 14


def test_a_cell_in_only_some_blocks_never_leaves() -> None:
    """The matrix sets its blocks, even if no comparison needs the cell."""
    study = matrix("abc")
    cells = (*study.cells[:2], replace(study.cells[2], blocks=10))
    study = replace(study, cells=cells, compare=study.compare[:1])
    found = after_seven({"a": BASE, "b": SLOWER, "c": SLOWER}, blocks=14, study=study)
    assert found.plan.left == {"v=b": 7}
    assert last_blocks(found.plan)["v=c"] == 10


def test_a_cell_stays_for_an_open_limit() -> None:
    """Its comparison is decided, but the limit lies inside the interval."""
    limit = PolicyLimit(metric="seconds", change=0.2, relative=True)
    study = replace(matrix(), policy=(limit,))
    assert after_seven({"a": BASE, "b": SLOWER}, blocks=14, study=study).plan.left == {}


def test_a_cell_stays_for_an_inconclusive_claim() -> None:
    """Its comparison is decided, but the claim is that it always fails, and it failed once."""
    study = replace(matrix(), claims=(Claim(id="a", text="A.", of="v=b", status=Status.FAILED),))
    numbers: Numbers = {"a": BASE, "b": [None, *SLOWER[1:]]}
    assert after_seven(numbers, blocks=14, study=study).plan.left == {}


def test_a_cell_that_left_keeps_its_last_block() -> None:
    """A later look does not change it and does not report it again."""
    numbers = {"a": BASE, "b": SLOWER, "c": EQUAL}
    found = after_seven(numbers, blocks=14, left={"v=b": 3})
    assert found.plan.left == {"v=b": 3, "v=c": 7}
    assert found.notes == ("v=c leaves the plan: everything about it is decided",)


def test_a_cell_less_precise_than_the_goal_stays() -> None:
    """Its verdict is decided, but the goal needs more precision than the cell has so far."""
    found = after_seven({"a": BASE, "b": SLOWER}, Goal(metric="seconds", half_width=0.001))
    assert found.plan.left == {}
    assert last_blocks(found.plan) == {"v=a": 14, "v=b": 14}


# --- which blocks are added ----------------------------------------------------------------------


@pytest.mark.parametrize("goal", [ALL_DECIDED, TWO_PER_CENT])
def test_an_open_goal_adds_the_blocks_up_to_the_next_look(goal: Goal) -> None:
    """It adds no more, because the goal may be reached at the next look."""
    found = after_seven({"a": BASE, "b": SLOWER, "c": NOISY}, goal)
    assert last_blocks(found.plan) == {"v=a": 14, "v=b": 7, "v=c": 14}


@pytest.mark.parametrize("goal", [ALL_DECIDED, TWO_PER_CENT, None])
def test_a_goal_that_is_reached_adds_nothing(goal: Goal | None) -> None:
    """A run without a goal adds nothing, either. The plan stays the same, without a note."""
    found = after_seven({"a": BASE, "b": SLOWER}, goal)
    assert found == NextPlan(plan=plan_of(matrix(), 7))


def test_a_goal_adds_nothing_while_planned_blocks_are_left() -> None:
    """The planned blocks come first."""
    assert after_seven({"a": BASE, "b": NOISY}, ALL_DECIDED, blocks=10).plan.blocks == 10


def test_an_open_goal_adds_nothing_after_the_last_look() -> None:
    """More looks would exceed the promised error rate. A note says so."""
    study = replace(matrix(), looks=1)
    found = after_seven({"a": BASE, "b": NOISY}, ALL_DECIDED, study=study)
    assert found.plan == plan_of(study, 7)
    assert found.notes == ("the goal is not reached, and this was the last look",)


@pytest.mark.parametrize(
    ("blocks", "complete", "goal", "may"),
    [
        (14, 7, None, True),
        (14, 6, None, False),
        (14, 8, ALL_DECIDED, False),
        (7, 7, None, False),
        (7, 7, ALL_DECIDED, True),
    ],
)
def test_the_plan_changes_only_at_a_look(
    blocks: int, complete: int, goal: Goal | None, may: bool
) -> None:
    """Nothing is judged between looks. After the last block, only a goal changes the plan."""
    assert may_change(plan_of(matrix(), blocks), complete, goal) is may


def test_a_run_far_from_a_look_loads_no_scipy() -> None:
    """Its import would delay the first trial."""
    code = "import sys, runner.pipeline; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
