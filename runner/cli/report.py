"""The command ``report``. It needs no engine and no lock, so it loads nothing that others need."""

import contextlib
import gc
from collections.abc import Iterator

from runner.cli.arguments import Options
from runner.errors import Exit, RunFolderError
from runner.report import write as write_report
from runner.runs.folder import RunFolder, find_run, newest_run
from runner.text import one_line


def report(options: Options) -> Exit:
    """Rebuild the report of a run from its folder."""
    folder = _run_to_report(options)
    with _without_garbage_collection():
        path = write_report(folder)
    print(one_line(str(path)))
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
            f"{options.reports} contains no run of {matrix.name}; start one with `python -m runner "
            f"--matrix {options.matrix}`."
        )
    return found[0]


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
