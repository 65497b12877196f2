"""explain: which trials of a cell would run and why, and when a new run begins."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli.explain import explain, find_cell
from runner.errors import NothingSelectedError
from runner.plan import make_plan
from runner.records.environment import Environment, Images
from runner.records.run import Plan, Run, TrialResult
from runner.records.study import Matrix, Status
from runner.runs.folder import RunFolder, newest_run, occupied
from runner.runs.identity import key
from tests.support.samples import (
    founding_images,
    founding_matrix,
    founding_run,
    stored_results,
)

MATRIX = founding_matrix()
CELL = MATRIX.cells[0]
OTHER = MATRIX.cells[1]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """The folder of a founding run without results."""
    folder = RunFolder(tmp_path / "20260101-000000-founding")
    with occupied(folder.path):
        folder.save(founding_run())
        folder.save(Images(images=founding_images()))
    return folder


def said(now: Run, folder: RunFolder, plan: Plan | None = None) -> list[str]:
    """Return the lines about the first cell."""
    plan = plan or make_plan(now.matrix, 1, 2)
    then = founding_run()
    then, now = replace(then, key=key(then)), replace(now, key=key(now))
    return list(explain(now.matrix.cell(CELL.id), then, now, folder, plan))


def changed(matrix: Matrix) -> Run:
    """Return the founding run with another matrix."""
    return replace(founding_run(), matrix=matrix)


def result(plan: Plan, block: int, status: Status, reason: str | None = None) -> TrialResult:
    """Return a result of the first cell."""
    (trial,) = [one for one in plan.trials if one.slot == (CELL.id, block, False)]
    return replace(stored_results()[0], trial=trial, status=status, reason=reason, disturbed=None)


def test_a_resumed_run_explains_each_trial(folder: RunFolder) -> None:
    """Done, lost, disturbed, or without a result."""
    plan = make_plan(replace(MATRIX, compare=()), 1, 5)
    folder.save_result(result(plan, 1, Status.OK), "")
    folder.save_result(result(plan, 2, Status.FAILED, "exit code 1"), "")
    folder.save_result(result(plan, 3, Status.ENGINE_LOST, "the engine went away"), "")
    folder.save_result(replace(result(plan, 4, Status.OK), disturbed="others were busy"), "")
    assert said(founding_run(), folder, plan) == [
        CELL.id,
        (
            f"resumes {folder.path}, unless a base was replaced on the engine: nothing else that "
            "affects a measurement has changed"
        ),
        f"  {CELL.id}@b1.1: would not run: ended ok",
        f"  {CELL.id}@b2.1: would not run: ended failed",
        f"  {CELL.id}@b3.2: would run: attempt 1 does not count (the engine went away)",
        f"  {CELL.id}@b4.2: would run: attempt 1 does not count (others were busy)",
        f"  {CELL.id}@b5.1: would run: no result yet",
    ]


def test_changed_fields_are_listed_with_both_values(folder: RunFolder) -> None:
    """Fields of this cell and of the run have a line each, all other cells share one."""
    cells = tuple(
        replace(cell, parameters={**cell.parameters, "epochs": 3})
        if cell.id in {CELL.id, OTHER.id}
        else cell
        for cell in MATRIX.cells
    )
    limits = replace(MATRIX.limits, pids=99)
    now = replace(changed(replace(MATRIX, cells=cells, limits=limits)), script_digest="0" * 64)
    lines = said(now, folder)
    assert lines[1] == f"begins a new run, because it differs from {folder.path}:"
    assert set(lines[2:6]) == {
        f"  parameters epochs: {CELL.parameters['epochs']} -> 3",
        "  limits pids: 256 -> 99",
        "  script sha256: ffffffffffffffff... -> 0000000000000000...",
        f"  other cells: {OTHER.id}",
    }
    assert lines[6] == f"  {CELL.id}@b1.1: would run: no result yet"


def test_the_stored_key_decides(folder: RunFolder) -> None:
    """As for `run`: a version that computes keys differently begins a new run."""
    then = replace(founding_run(), key="another", runner_version="0.0.1")
    lines = list(explain(CELL, then, founding_run(), folder, make_plan(MATRIX, 1, 1)))
    assert lines[1].startswith("begins a new run, because it differs from ")
    assert lines[2] == "  matrix-runner: 0.0.1 -> 0.1.0"


def test_a_changed_package_is_listed(folder: RunFolder) -> None:
    """With the version before and after."""
    run = founding_run()
    entry = run.lock.entry(CELL.request)
    assert isinstance(entry, Environment)
    newer = replace(entry.packages[0], version="9.9")
    entries = tuple(
        replace(entry, packages=(newer, *entry.packages[1:])) if one == entry else one
        for one in run.lock.entries
    )
    (line,) = said(replace(run, lock=replace(run.lock, entries=entries)), folder)[2:3]
    name = f"  environments {CELL.request.label} packages {newer.name}: "
    assert line.startswith(f"{name}{entry.packages[0].version} (")
    assert " -> 9.9 (" in line


@pytest.mark.parametrize(
    "same",
    [
        replace(MATRIX, blocks=99),
        replace(MATRIX, claims=(), policy=(), published=(), title="another"),
        replace(MATRIX, cells=tuple(replace(one, expect=Status.FAILED) for one in MATRIX.cells)),
        replace(MATRIX, cells=MATRIX.cells[::-1]),
    ],
)
def test_changes_that_affect_no_measurement_keep_the_run(same: Matrix) -> None:
    """A claim, a title, an expectation or the order of cells can be edited during a run."""
    assert key(changed(same)) == key(founding_run())


def test_the_newest_run_of_the_matrix_is_taken(folder: RunFolder) -> None:
    """Other matrices and damaged runs are skipped."""
    reports = folder.path.parent
    for name, matrix in (("1", MATRIX), ("3", replace(MATRIX, name="another"))):
        RunFolder(reports / f"{name}-x").make().save(changed(matrix))
    (reports / "9-x").mkdir()
    (reports / "9-x" / "run.json").write_text("{")
    found = newest_run(MATRIX, reports)
    assert found is not None
    assert found[0].path == folder.path
    assert newest_run(replace(MATRIX, name="none"), reports) is None


def test_an_unknown_cell_is_refused() -> None:
    """The message suggests the most similar cell and lists all."""
    assert find_cell(MATRIX, CELL.id) == CELL
    with pytest.raises(NothingSelectedError, match="did you mean") as raised:
        find_cell(MATRIX, CELL.id[:-1])
    assert all(f"\n  {cell.id}" in str(raised.value) for cell in MATRIX.cells)
