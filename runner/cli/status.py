"""The command ``status``: how far a run is, from its folder alone. It changes nothing there."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from runner.cli.arguments import Options
from runner.cli.fitted import fitted
from runner.cli.stored import the_run
from runner.errors import Exit, RunFolderError
from runner.plan import complete_blocks, pending
from runner.records.attempts import Attempts
from runner.records.run import Plan, Run, TrialResult
from runner.records.study import Matrix
from runner.runs import registry
from runner.runs.folder import RunFolder
from runner.system import alive, program
from runner.text import counted, duration, one_line


def status(options: Options) -> Exit:
    """Print how far a run is, also one that another process is executing."""
    folder = the_run(options)
    run, plan = folder.run(), folder.plan()
    results, refused = folder.checked(run, plan)
    waiting = len(pending(run.matrix, plan, results))
    lines = [
        f"{folder.path}: {_state(folder, waiting, merged=bool(run.machines))}",
        *_progress(run, plan, results, waiting),
        *_failing(run.matrix, results),
        *(f"refused: {one.name}: {one.reason}" for one in refused),
        *_last(results, datetime.now(timezone.utc)),
    ]
    for at, line in enumerate(lines):
        print(fitted(one_line(line), sys.stdout, len("blocks:  ") if at else None))
    return Exit.OK


def _state(folder: RunFolder, waiting: int, *, merged: bool) -> str:
    """Return whether a process executes the run now, and whether anything is left to do."""
    if _is_held(folder):
        return "a process is executing it now"
    if merged and waiting:
        return "merged, but some blocks are missing; merge their runs into it"
    return "not running; run the same command to resume it" if waiting else "complete"


def _is_held(folder: RunFolder) -> bool:
    if alive.is_shown(registry.label_of(folder.path)):
        return True
    with suppress(RunFolderError):  # it belongs to somebody else, who does not run here now
        return folder.is_occupied()
    return False


def _progress(run: Run, plan: Plan, results: Sequence[TrialResult], waiting: int) -> Iterator[str]:
    complete, blocks = complete_blocks(plan, results), counted(plan.blocks, "block")
    if plan.shard is not None or run.machines:  # the first blocks may be missing
        unfinished = {trial.block for trial in pending(run.matrix, plan, results)}
        complete = len(plan.own_blocks - unfinished)
    if plan.shard is not None:
        blocks = f"{counted(len(plan.own_blocks), 'block')} of shard {plan.shard}"
    yield f"blocks:  {complete} of {blocks} complete"
    disturbed = sum(one.disturbed is not None for one in results)
    lost = sum(one.is_lost for one in results)
    notes = [
        f"{count} {word}" for count, word in ((disturbed, "disturbed"), (lost, "lost")) if count
    ]
    more = f" ({', '.join(notes)})" if notes else ""
    trials = counted(len(plan.own), "trial")
    yield f"trials:  {len(plan.own) - waiting} of {trials} done{more}"


def _failing(matrix: Matrix, results: Sequence[TrialResult]) -> Iterator[str]:
    """Yield a line for each cell that ended unexpectedly, and how to see why."""
    counting = Attempts(results).counting()
    by_cell: dict[str, list[TrialResult]] = {}
    for one in counting:
        by_cell.setdefault(one.trial.cell, []).append(one)
    failing = ""
    for cell in matrix.cells:
        known = by_cell.get(cell.id, [])
        failed = [one for one in known if one.failed_unexpectedly(cell.expect)]
        if failed:
            last, failing = failed[-1], failing or cell.id
            of = f"{len(failed)} of {counted(len(known), 'trial')}"
            why = f": {last.reason}" if last.reason else ""
            yield f"failing: {cell.id}: {last.status.value} in {of}{why}"
    if failing:
        yield f"         `{program.name()} logs {shlex.quote(failing)}` prints its last log"


def _last(results: Sequence[TrialResult], now: datetime) -> Iterator[str]:
    """Yield which trial ended last, and when."""
    if not results:
        yield "last:    no trial has ended yet"
        return
    ends = [(one.started_at + timedelta(seconds=one.duration_s or 0.0), one) for one in results]
    end, last = max(ends, key=lambda pair: pair[0])
    ago = duration(max((now - end).total_seconds(), 0.0))
    when = f"{end.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC, {ago} ago"
    yield f"last:    {last.trial.id}: {last.status.value} ({when})"
