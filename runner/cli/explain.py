"""explain: why each trial of a cell is executed, or is not. Reads run folders; changes nothing."""

from collections.abc import Iterator, Mapping, Sequence

from runner.errors import NothingSelectedError
from runner.plan import pending
from runner.records.attempts import Attempts
from runner.records.run import Plan, Run, Trial, TrialResult
from runner.records.study import Cell, Matrix
from runner.runs.folder import RunFolder
from runner.runs.identity import differences, short
from runner.text import did_you_mean


def find_cell(matrix: Matrix, named: str) -> Cell:
    """Return the cell with that id; NothingSelectedError if there is none."""
    ids = [cell.id for cell in matrix.cells]
    if named in ids:
        return matrix.cell(named)
    listed = "".join(f"\n  {one}" for one in ids)
    hint = did_you_mean(named, ids)
    raise NothingSelectedError(f"there is no cell {named!r}{hint}\nthe cells are:{listed}")


def explain(cell: Cell, then: Run, now: Run, folder: RunFolder, plan: Plan) -> Iterator[str]:
    """Yield, in lines, whether the run in the folder goes on and what of the cell is executed.

    ``now`` is the run that would begin, ``plan`` the plan of whichever of both is executed.
    """
    yield cell.id
    if then.key == now.key:
        yield f"{folder.path} goes on: all that touches a measurement is the same"
        yield from _trials(cell, now.matrix, plan, folder.results())
        return
    yield f"{folder.path} does not go on, a new run begins, because this differs:"
    yield from _told(cell, differences(then, now))
    if then.runner_version != now.runner_version:
        yield f"  matrix-runner: {then.runner_version} -> {now.runner_version}"
    yield from _trials(cell, now.matrix, plan, ())


def _told(
    cell: Cell, changed: Mapping[tuple[str, ...], tuple[str | None, str | None]]
) -> Iterator[str]:
    """Yield a line for each field of the cell or of the run, and one for all other cells."""
    elsewhere = set()
    for path, (before, after) in changed.items():
        other_cell = path[0] == "cells" and path[1] != cell.id
        other_environment = path[0] == "environments" and path[1] != cell.request.label
        if other_cell or other_environment:
            elsewhere.add(path[1])
            continue
        words = path[2:] if path[0] == "cells" else path
        yield f"  {' '.join(words)}: {short(before)} -> {short(after)}"
    if elsewhere:
        yield f"  other cells: {', '.join(sorted(elsewhere))}"


def _trials(
    cell: Cell, matrix: Matrix, plan: Plan, results: Sequence[TrialResult]
) -> Iterator[str]:
    """Yield a line for each trial of the cell."""
    waiting = {trial.place: trial for trial in pending(matrix, plan, results)}
    attempts = Attempts(results)
    for trial in plan.trials:
        if trial.cell == cell.id:
            yield f"  {_trial(trial, attempts.of(trial), waiting.get(trial.place))}"
    if cell.id in plan.left:
        yield f"  it left the plan after block {plan.left[cell.id]}: all about it is decided"


def _trial(trial: Trial, known: Sequence[TrialResult], next_one: Trial | None) -> str:
    """Say what becomes of one trial."""
    if not known:
        return f"{trial.id}: is executed, because it has no result"
    last = known[-1]
    if next_one is None:
        disturbed = (
            f", though {last.disturbed}: it was repeated often enough" if last.disturbed else ""
        )
        return f"{last.trial.id}: is not executed, because it ended: {last.status.value}{disturbed}"
    why = last.disturbed if last.says_something() else last.reason
    return f"{next_one.id}: is executed, because attempt {last.trial.attempt} says nothing: {why}"
