"""Measure the CPU seconds of ``report`` on a small and on a large run, next to its libraries.

Usage::

    python -m benchmarks.report [ROUNDS] [--json FILE]

The small run is the published founding study, the large one has 10,000 trials of 1,000 cells. Every
round measures each command once, so that a busy machine slows all of them equally. One peer imports
the libraries that a report needs. The other is ``asv publish``, which makes a site of 10,000
results: of 400 benchmarks at 25 commits, as many as the large run has versions. The exit code is 1
if a report costs more than its limit, or the large one more than that site.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.commands import ROOT, Claim, arguments, measured, row
from benchmarks.rows import Row, finished, save
from tests.support.large import large_run

ROUNDS = 5
PEER = "import the libraries"
FOUNDING, LARGE = "report, founding", "report, 10,000 trials"
ASV = "asv publish, 10,000 results"
CLAIMS = (
    Claim(what=FOUNDING, peer=PEER, most=1.2),
    Claim(what=LARGE, peer=ASV, most=6.0, most_ratio=1),
)
COMMITS, BENCHMARKS = 25, 400


def main() -> int:
    """Measure, print, and return the exit code."""
    asked = arguments(__doc__, ROUNDS)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="matrix-runner-") as place:
        folders = {FOUNDING: Path(place) / "founding", LARGE: Path(place) / "large"}
        shutil.copytree(ROOT / "reports" / "reference" / "founding", folders[FOUNDING])
        large_run(folders[LARGE], cells=1000, blocks=10)
        asv_project(Path(place) / "asv")
        named = {
            PEER: [sys.executable, "-c", "import numpy, scipy.special, jinja2, pydantic"],
            **{
                name: [sys.executable, "-m", "runner", "report", str(folder)]
                for name, folder in folders.items()
            },
            ASV: ["sh", "-c", f"cd {place}/asv && exec {sys.executable} -m asv publish --no-pull"],
        }
        for costs in measured(named, Path(place), asked.rounds):
            rows = [row(claim, costs, size(folders[claim.what])) for claim in CLAIMS]
            save(rows, asked.json)  # the next round may have to be stopped
    return finished(rows, asked.json)


def size(folder: Path) -> str:
    """Say how large the page of a report is."""
    return f"report.html has {(folder / 'report.html').stat().st_size / 1000:,.0f} KB"


def asv_project(folder: Path) -> None:
    """Write a repository with commits, and the results of its benchmarks as asv stores them."""
    hashes = _commits(folder)
    names = [f"suite.time_{number}" for number in range(BENCHMARKS)]
    machine = {"machine": "host", "os": "", "arch": "", "cpu": "", "ram": "", "num_cpu": ""}
    conf = {"version": 1, "project": "benchmark", "project_url": "", "repo": "."}
    conf |= {"branches": ["main"], "environment_type": "virtualenv", "pythons": ["3.11"]}
    _write(folder / "asv.conf.json", conf)
    described = {
        name: {
            "name": name,
            "code": "",
            "type": "time",
            "unit": "seconds",
            "params": [],
            "param_names": [],
            "version": "1",
            "timeout": 60.0,
        }
        for name in names
    }
    _write(folder / "results" / "benchmarks.json", {**described, "version": 2})
    _write(folder / "results" / "host" / "machine.json", {**machine, "version": 1})
    for at, commit in enumerate(hashes):
        result = {
            "commit_hash": commit,
            "env_name": "virtualenv-py3.11",
            "date": 1_700_000_000_000 + at * 86_400_000,
            "params": {**machine, "python": "3.11"},
            "python": "3.11",
            "requirements": {},
            "env_vars": {},
            "result_columns": ["result", "params", "version"],
            "results": {name: [[1 + at % 7 / 100], [], "1"] for name in names},
            "durations": {},
            "version": 2,
        }
        _write(folder / "results" / "host" / f"{commit[:8]}-virtualenv-py3.11.json", result)


def _commits(folder: Path) -> list[str]:
    """Make a repository with empty commits, a day apart; return their hashes, the oldest first."""
    folder.mkdir()
    git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True)
    for at in range(COMMITS):
        date = f"{1_700_000_000 + at * 86_400} +0000"
        subprocess.run(
            [*git, "commit", "--quiet", "--allow-empty", f"--message=commit {at}"],
            cwd=folder,
            env={**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
            check=True,
        )
    listed = subprocess.run(
        [*git, "rev-list", "--reverse", "main"], cwd=folder, capture_output=True, check=True
    )
    return listed.stdout.decode().split()


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


if __name__ == "__main__":
    raise SystemExit(main())
