"""The command ``report``. It needs no engine and no lock, so it loads nothing that others need."""

import contextlib
import gc
from collections.abc import Iterator

from runner.cli.arguments import Options
from runner.errors import ConfigError, Exit, NothingSelectedError, RunFolderError
from runner.report import answer
from runner.report import write as write_report
from runner.runs.folder import RunFolder, find_run, newest_run
from runner.system import program
from runner.text import one_line


def report(options: Options) -> Exit:
    """Rebuild the report of a run from its folder, or print an issue about one of its cells."""
    folder = _run_to_report(options)
    if options.issue is not None:
        print(_issue(folder, options.issue), end="")
    else:
        with _without_garbage_collection():
            path = write_report(folder)
        for line in answer(folder):
            print(one_line(line))
        print(f"report: {one_line(str(path))}")
    return gated(Exit.OK, folder) if options.gate else Exit.OK


def _run_to_report(options: Options) -> RunFolder:
    """Return the named run, or the newest one of the given matrix, or the newest of all."""
    if options.run is not None or not options.has_matrix:
        return find_run(options.reports, options.run)
    from runner.cli.study import the_matrix  # noqa: PLC0415 (heavy, and only this case reads one)

    matrix = the_matrix(options)
    found = newest_run(matrix, options.reports)
    if found is None:
        raise RunFolderError(
            f"{options.reports} contains no run of {matrix.name}; start one with "
            f"`{program.name()} --matrix {options.matrix}`."
        )
    return found[0]


def _issue(folder: RunFolder, named: str) -> str:
    """Return an issue about a cell; ConfigError if the run has no such cell."""
    from runner.cli.explain import find_cell  # noqa: PLC0415 (only an issue is about a cell)
    from runner.report.issue import issue_text  # noqa: PLC0415

    stored = folder.stored()
    try:
        cell = find_cell(stored.run.matrix, named)
    except NothingSelectedError as error:  # one cell was named, none was selected
        raise ConfigError(str(error)) from error
    return issue_text(stored, cell.id)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Look for no garbage: a report makes little, and the search takes a tenth of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def gated(code: Exit, folder: RunFolder) -> Exit:
    """Return 4 if the policy says hold for any candidate, else the given code."""
    from runner.judge import judge  # noqa: PLC0415 (heavy, and only --gate needs it)
    from runner.judge.records import Advice  # noqa: PLC0415

    stored = folder.stored()
    decisions = judge(stored.run.matrix, stored.plan, stored.results).decisions
    return Exit.HOLD if any(one.advice is Advice.HOLD for one in decisions) else code
