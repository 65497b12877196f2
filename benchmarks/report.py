"""Measure the CPU seconds of ``report`` on a small and on a large run, next to its libraries.

Usage::

    python -m benchmarks.report [ROUNDS]

The small run is the published founding study, the large one has 10,000 trials of 1,000 cells. Every
round measures each command once, so that a busy machine slows all of them equally. The peer only
imports the libraries that a report needs. The exit code is 1 if a report costs more than its limit.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.commands import ROOT, measure
from tests.support.large import large_run

ROUNDS = 5
PEER = "import the libraries"
FOUNDING, LARGE = "report, founding", "report, 10,000 trials"
LIMITS = {FOUNDING: 1.2, LARGE: 6.0}
"""The most CPU seconds that a report may cost."""


def main() -> int:
    """Measure, print, and return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="matrix-runner-") as place:
        folders = {FOUNDING: Path(place) / "founding", LARGE: Path(place) / "large"}
        shutil.copytree(ROOT / "reports" / "reference" / "founding", folders[FOUNDING])
        large_run(folders[LARGE], cells=1000, blocks=10)
        named = {
            PEER: [sys.executable, "-c", "import numpy, scipy.special, jinja2, pydantic"],
            **{
                name: [sys.executable, "-m", "runner", "report", str(folder)]
                for name, folder in folders.items()
            },
        }
        costs = measure(named, Path(place), rounds)
        pages = {name: (folder / "report.html").stat().st_size for name, folder in folders.items()}
    print(f"{'command':22} {'CPU s':>6} {'vs peer':>8} {'limit':>6} {'report.html':>12}")
    for name, seconds in costs.items():
        limit = f"{LIMITS[name]:6.1f} {pages[name] / 1000:>9,.0f} KB" if name in LIMITS else ""
        print(f"{name:22} {seconds:6.2f} {seconds / costs[PEER]:7.1f}x {limit}".rstrip())
    over = [name for name, limit in LIMITS.items() if costs[name] > limit]
    print(f"median of {rounds} rounds; over the limit: {', '.join(over) or 'none'}")
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
