"""The command ``logs``: what the trials of a cell printed."""

from collections.abc import Sequence

from runner.cli.arguments import Options
from runner.cli.explain import find_cell
from runner.cli.stored import the_run
from runner.errors import Exit, NothingSelectedError
from runner.records.run import TrialResult
from runner.runs.folder import RunFolder
from runner.text import one_line


def logs(options: Options) -> Exit:
    """Print the log of the newest trial of a cell, or of those that the options select."""
    folder = the_run(options)
    cell = find_cell(folder.run().matrix, options.cell)
    for result in _chosen(folder, cell.id, options):
        why = f": {result.reason}" if result.reason else ""
        control = " (A/A control)" if result.trial.control else ""
        print(one_line(f"{result.trial.id}{control}: {result.status.value}{why}"))
        for line in folder.log(result.trial.id).splitlines():
            print(one_line(line))
    return Exit.OK


def _chosen(folder: RunFolder, cell: str, options: Options) -> Sequence[TrialResult]:
    """Return the results whose logs are printed; NothingSelectedError if there are none."""
    results = [
        one
        for one in folder.results()
        if one.trial.cell == cell and options.block in {None, one.trial.block}
    ]
    if not results:
        where = "" if options.block is None else f" in block {options.block}"
        raise NothingSelectedError(
            f"no trial of {cell}{where} has ended in {folder.path} yet; wait for one."
        )
    if options.all:
        return results
    own = [one for one in results if not one.trial.control] or results
    return own if options.block is not None else own[-1:]
