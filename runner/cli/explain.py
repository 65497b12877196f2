"""Why each trial of a cell would run or not. Reads run folders and changes nothing."""

from collections.abc import Iterator, Mapping, Sequence

from runner.errors import NothingSelectedError
from runner.plan import pending
from runner.records.attempts import Attempts
from runner.records.environment import EnvironmentRequest
from runner.records.run import Plan, Run, Shard, Trial, TrialResult
from runner.records.study import Cell, Matrix
from runner.runs.folder import RunFolder
from runner.runs.identity import differences, labels, short
from runner.text import did_you_mean


def find_cell(matrix: Matrix, named: str) -> Cell:
    """Return the cell with that id; NothingSelectedError if there is none."""
    ids = [cell.id for cell in matrix.cells]
    if named in ids:
        return matrix.cell(named)
    known = "".join(f"\n  {one}" for one in ids)
    hint = did_you_mean(named, ids)
    raise NothingSelectedError(f"there is no cell {named!r}{hint}\nthe cells are:{known}")


def explain(
    cell: Cell, then: Run, now: Run, folder: RunFolder, plan: Plan, *, shard: Shard | None = None
) -> Iterator[str]:
    """Yield lines that say whether the run in the folder is resumed, and which trials would run.

    ``then`` is the run in the folder and ``now`` the run that would begin. ``plan`` belongs to the
    one of them that would be executed. The folder may hold only a ``shard``.
    """
    yield cell.id
    if then.machines or shard is not None:
        kind = "was merged from other runs" if then.machines else f"holds only shard {shard}"
        yield f"begins a new run, because {folder.path} {kind}"
        yield from _trials(cell, now.matrix, plan, ())
        return
    if then.key == now.key:
        yield (
            f"resumes {folder.path}, unless a base was replaced on the engine: nothing else that "
            "affects a measurement has changed"
        )
        yield from _trials(cell, now.matrix, plan, folder.checked(then, plan)[0])
        return
    yield f"begins a new run, because it differs from {folder.path}:"
    yield from _changes(cell, labels(now.lock), differences(then, now))
    if then.runner_version != now.runner_version:
        yield f"  matrix-runner: {then.runner_version} -> {now.runner_version}"
    yield from _trials(cell, now.matrix, plan, ())


def _changes(
    cell: Cell,
    names: Mapping[EnvironmentRequest, str],
    changed: Mapping[tuple[str, ...], tuple[str | None, str | None]],
) -> Iterator[str]:
    """Yield a line for each changed field of the cell or the run, and one for all other cells."""
    elsewhere, own = set(), names.get(cell.request, cell.request.label)
    for path, (before, after) in changed.items():
        other_cell = path[0] == "cells" and path[1] != cell.id
        other_environment = path[0] == "environments" and path[1] != own
        if other_cell or other_environment:
            elsewhere.add(path[1])
            continue
        field = " ".join(path[2:] if path[0] == "cells" else path)
        yield f"  {field}: {short(before)} -> {short(after)}"
    if elsewhere:
        yield f"  other cells: {', '.join(sorted(elsewhere))}"


def _trials(
    cell: Cell, matrix: Matrix, plan: Plan, results: Sequence[TrialResult]
) -> Iterator[str]:
    """Yield a line for each trial of the cell."""
    waiting = {trial.slot: trial for trial in pending(matrix, plan, results)}
    attempts = Attempts(results)
    for trial in plan.trials:
        if trial.cell == cell.id:
            yield f"  {_trial(trial, attempts.of(trial), waiting.get(trial.slot))}"
    if cell.id in plan.left:
        yield f"  left the plan after block {plan.left[cell.id]}: everything about it is decided"


def _trial(trial: Trial, known: Sequence[TrialResult], next_attempt: Trial | None) -> str:
    if not known:
        return f"{trial.id}: would run: no result yet"
    last = known[-1]
    if next_attempt is None:
        disturbed = f", disturbed ({last.disturbed}), no retries left" if last.disturbed else ""
        return f"{last.trial.id}: would not run: ended {last.status.value}{disturbed}"
    why = last.disturbed or last.reason
    return f"{next_attempt.id}: would run: attempt {last.trial.attempt} does not count ({why})"
