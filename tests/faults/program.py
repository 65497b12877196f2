"""The program as it is, in a world of the tests' own: ``python -m tests.faults.program WORD...``.

Its trials do not wait for a quiet core, which is most of a short trial. Its clock is wrong by as
many seconds as the file says that ``CLOCK`` names.
"""

import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from runner import execute, plan
from runner.cli import main
from runner.engines.docker import trials
from runner.records.run import Guards
from runner.runs import enter as runs

TELL = time.time


def wrong_by() -> float:
    """Return by how many seconds the clock is wrong now."""
    return float(Path(os.environ["CLOCK"]).read_text())


class WrongDatetime(datetime):
    """The instants of a clock that is wrong."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "WrongDatetime":
        """Return what that clock shows."""
        return super().now(tz) + timedelta(seconds=wrong_by())


def set_clock() -> None:
    """Have everything in this process look at the wrong clock."""
    time.time = lambda: TELL() + wrong_by()
    for module in (trials, execute, runs):
        vars(module)["datetime"] = WrongDatetime


if __name__ == "__main__":
    plan.GUARDS = Guards(foreign_share=1e9, steal_share=1e9, window_s=0.0)
    if "CLOCK" in os.environ:
        set_clock()
    sys.exit(main())
