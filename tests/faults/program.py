"""The program with other guards and another clock: ``python -m tests.faults.program ARGUMENT...``.

Its trials do not wait for a quiet core, which would take most of their time. Its clock is wrong by
the number of seconds in the file that the variable ``CLOCK`` names.
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

RIGHT_TIME = time.time


def wrong_by() -> float:
    """Return the current error of the clock in seconds."""
    return float(Path(os.environ["CLOCK"]).read_text())


class WrongDatetime(datetime):
    """A datetime with a wrong clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "WrongDatetime":
        """Return the time of the wrong clock."""
        return super().now(tz) + timedelta(seconds=wrong_by())


def set_clock() -> None:
    """Make everything in this process use the wrong clock."""
    time.time = lambda: RIGHT_TIME() + wrong_by()
    for module in (trials, execute, runs):
        vars(module)["datetime"] = WrongDatetime


if __name__ == "__main__":
    plan.GUARDS = Guards(foreign_share=1e9, steal_share=1e9, window_s=0.0)
    if "CLOCK" in os.environ:
        set_clock()
    sys.exit(main())
