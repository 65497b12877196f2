"""The cells that ``--lf`` selects: those that ended unexpectedly in the newest run."""

from pathlib import Path

from runner.errors import NothingSelectedError
from runner.plan import only
from runner.records.attempts import Attempts
from runner.records.study import Matrix
from runner.runs.folder import newest_run


def last_failed(matrix: Matrix, reports: Path) -> Matrix:
    """Keep the cells that ended unexpectedly in the newest run of this matrix."""
    found = newest_run(matrix, reports)
    if found is None:
        raise NothingSelectedError(
            f"--lf: {reports} contains no run of {matrix.name} yet; run it without --lf first."
        )
    folder, run = found
    results, _ = folder.checked(run, folder.plan())
    expected = {cell.id: cell.expect for cell in matrix.cells}
    failed = {
        one.trial.cell
        for one in Attempts(results).counting()
        if one.trial.cell in expected and one.failed_unexpectedly(expected[one.trial.cell])
    }
    if not failed:
        raise NothingSelectedError(
            f"--lf: none of these cells ended unexpectedly in {folder.path}; run without --lf."
        )
    return only(matrix, (cell for cell in matrix.cells if cell.id in failed))
