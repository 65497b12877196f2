"""What to type after a run: the last line that it prints."""

import shlex
from collections.abc import Iterator, Sequence

from runner.ledger import Ledger
from runner.records.run import Plan
from runner.report import HOPELESS, OPEN, PAGE, answer
from runner.runs.files import file_name
from runner.runs.folder import RunFolder
from runner.system import program
from runner.text import listed


def next_steps(folder: RunFolder, ledger: Ledger) -> Iterator[str]:
    """Say what to type next: about a failure, about an open answer, or where to read more.

    A run that stopped early has said before how to resume it.
    """
    failed, waiting = ledger.failed(), ledger.missing()
    if failed:
        cell, name = shlex.quote(failed[-1].trial.cell), file_name(failed[-1].trial.id)
        log = folder.path / "logs" / f"{name}.log"
        if log.exists():
            yield f"log:    {log}"
        if not waiting:
            yield f"next:   `{program.name()} logs {cell}` prints the log of the last failure"
    elif waiting:
        return
    elif more := _more(answer(folder), ledger.plan, ledger.complete):
        yield f"next:   repeat the command with {more} to narrow the intervals"
    else:
        yield f"next:   open {folder.path / PAGE} in a browser"


def _more(answered: Sequence[str], plan: Plan, complete: int) -> str:
    """Return the options that lead to the next look, if one could decide what is open."""
    is_open = any(line.startswith(OPEN) for line in answered)
    is_hopeless = any(line.lstrip().startswith(HOPELESS) for line in answered)
    later = [blocks for blocks in plan.looks if blocks > complete]
    if not later or not is_open or is_hopeless:
        return ""
    return listed([f"`--blocks {later[0]}`", "`--until decided`"], "or")
