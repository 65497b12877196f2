"""The command ``report``. It needs no engine and no lock, so it loads nothing that others need."""

import contextlib
import gc
import sys
from collections.abc import Iterator

from runner.cli.arguments import Options
from runner.cli.fitted import fitted
from runner.cli.stored import the_run
from runner.errors import ConfigError, Exit, NothingSelectedError
from runner.report import answer
from runner.report import write as write_report
from runner.runs.folder import RunFolder
from runner.text import one_line


def report(options: Options) -> Exit:
    """Rebuild the report of a run from its folder, or print an issue about one of its cells."""
    folder = the_run(options)
    if options.issue is not None:
        print(_issue(folder, options.issue), end="")
    else:
        with _without_garbage_collection():
            path = write_report(folder)
        for line in answer(folder):
            print(fitted(one_line(line), sys.stdout))
        print(fitted(f"report: {one_line(str(path))}", sys.stdout))
    return gated(Exit.OK, folder) if options.gate else Exit.OK


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
    from runner.judge import judge, strata_of  # noqa: PLC0415 (heavy, and only --gate needs it)
    from runner.judge.records import Advice  # noqa: PLC0415

    stored = folder.stored()
    strata = strata_of(stored.run, stored.results)
    decisions = judge(stored.run.matrix, stored.plan, stored.results, strata).decisions
    return Exit.HOLD if any(one.advice is Advice.HOLD for one in decisions) else code
