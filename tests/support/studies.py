"""Studies on disk, with matrix, script and lock, and the program that runs them."""

import os
import subprocess
import sys
from pathlib import Path

from runner.lock.file import write_lock
from runner.records.environment import Environment, Lock
from runner.records.run import TrialResult
from runner.runs.folder import RunFolder

ROOT = Path(__file__).parents[2]


def own_prefix(module: str) -> str:
    """Return what the names of a module of ``runner.system`` begin with in these tests."""
    return f"matrix-runner-tests/{os.getpid()}/{module}/"


CALM = f"""
import runpy
from runner import plan
from runner.system import alive, cores
alive.PREFIX, cores.PREFIX = {own_prefix("alive")!r}, {own_prefix("cores")!r}
plan.GUARDS = plan.Guards(foreign_share=1e9, steal_share=1e9, window_s=0.0)
runpy.run_module("runner", run_name="__main__")
"""
"""``python -m runner`` with guards that ignore a busy machine, like ``calm_machine``.

It neither sees nor waits for other runs of this machine, like ``unseen_processes``.
"""


def write_study(
    folder: Path, environment: Environment, script: str, *, blocks: int = 1, base: str = "host"
) -> None:
    """Write a matrix of two cells with one environment, its script and its lock."""
    (folder / "script.py").write_text(script)
    (folder / "matrix.yaml").write_text(f"""\
format: 1
name: two
axes: {{size: [1, 2]}}
environment: {{python: "{environment.python}", base: "{base}"}}
experiment: {{script: script.py}}
metrics: {{x: {{better: lower}}}}
limits: {{memory: 256m, timeout: 30}}
blocks: {blocks}
repeats: 0
""")
    write_lock(folder / "matrix.lock", Lock(entries=(environment,)))


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the program in the folder of a study; it ignores a busy machine."""
    return subprocess.Popen(
        [sys.executable, "-c", CALM, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(
    program: subprocess.Popen[str], timeout_s: float = 120, typed: str = ""
) -> tuple[int, str, str]:
    """Wait for the program, and return exit code, stdout and stderr. It reads what is typed."""
    out, err = program.communicate(typed, timeout=timeout_s)
    return program.returncode, out, err


def run_folders(folder: Path) -> list[RunFolder]:
    """Return the runs of the study, oldest first."""
    return [RunFolder(path.parent) for path in sorted(folder.glob("reports/2*/run.json"))]


def results(folder: Path) -> dict[str, TrialResult]:
    """Return the results of the newest run by trial."""
    return {result.trial.id: result for result in run_folders(folder)[-1].results()}
