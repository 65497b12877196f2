"""The cells that ``--lf`` selects: those that ended unexpectedly when they last ran."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from runner.errors import NothingSelectedError, RunFolderError
from runner.plan import only
from runner.records.attempts import Attempts
from runner.records.run import TrialResult
from runner.records.study import Matrix
from runner.runs.folder import runs_of


def last_failed(matrix: Matrix, reports: Path) -> Matrix:
    """Keep the cells that ended unexpectedly in the newest run of this matrix that has them.

    So a run of some cells, or one that was interrupted, says nothing about the others.
    """
    waiting = {cell.id: cell.expect for cell in matrix.cells}
    failed: set[str] = set()
    has_run = False
    for folder, run in runs_of(matrix, reports):
        has_run = True
        with contextlib.suppress(RunFolderError):  # it is damaged
            telling = _telling(folder.checked(run, folder.plan())[0])
            failed |= {
                one.trial.cell
                for one in telling
                if one.trial.cell in waiting and one.failed_unexpectedly(waiting[one.trial.cell])
            }
            for one in telling:
                waiting.pop(one.trial.cell, None)
        if not waiting:
            break
    if not has_run:
        raise NothingSelectedError(
            f"--lf: {reports} contains no run of {matrix.name} yet; run it without --lf first."
        )
    if not failed:
        raise NothingSelectedError(
            f"--lf: none of these cells ended unexpectedly when it last ran in {reports}; run "
            "without --lf."
        )
    return only(matrix, (cell for cell in matrix.cells if cell.id in failed))


def _telling(results: Iterable[TrialResult]) -> list[TrialResult]:
    """Return the attempts that count, without those that the machine ended."""
    return [one for one in Attempts(results).counting() if not one.is_lost]
