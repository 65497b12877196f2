"""Measure the CPU seconds of commands that run no trial, next to peers measured at the same time.

Usage, on a machine with an engine, so that ``plan`` asks it::

    python -m benchmarks.commands [ROUNDS]

Every round runs each command once, so that a busy machine slows all of them equally. The exit code
is 1 if a command costs more than its limit.
"""

import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from runner.lock.file import lock_path, write_lock
from runner.python.interpreters import machine_platform
from runner.read import read
from runner.records.environment import Environment, EnvironmentRequest, Lock, Package

ROOT = Path(__file__).parents[1]
ROUNDS = 15
PEER = "python -c pass"
LIMITS = {
    "runner --version": 0.10,
    "runner plan, 1,000 cells": 0.50,
    "runner list, 1,000 cells": 0.25,
}
"""The most CPU seconds that a command may cost."""

MATRIX = """\
format: 1
name: benchmark
axes:
  lib: {{package: numpy, versions: [{versions}]}}
  size: [{sizes}]
experiment: {{script: run.py}}
parameters: {{epochs: 5}}
metrics:
  seconds: {{unit: s, better: lower}}
"""


def main() -> int:
    """Measure, print, and return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="matrix-runner-") as folder:
        write_matrix(Path(folder) / "matrix.yaml")
        costs = measure(commands(), Path(folder), rounds)
    print(f"{'command':26} {'CPU s':>7} {'vs peer':>8} {'limit':>6}   (median of {rounds} rounds)")
    for name, seconds in costs.items():
        limit = f"{LIMITS[name]:6.2f}" if name in LIMITS else ""
        print(f"{name:26} {seconds:7.3f} {seconds / costs[PEER]:7.1f}x {limit}".rstrip())
    over = [name for name, limit in LIMITS.items() if costs[name] > limit]
    print(f"over the limit: {', '.join(over) or 'none'}")
    return 1 if over else 0


def write_matrix(path: Path) -> None:
    """Write a study of 20 versions and 50 sizes, with its lock."""
    versions = ", ".join(f'"1.{minor}.0"' for minor in range(20))
    sizes = ", ".join(map(str, range(50)))
    path.with_name("run.py").write_text("")
    path.write_text(MATRIX.format(versions=versions, sizes=sizes))
    entries = tuple(environment(request) for request in read(path).requests)
    write_lock(lock_path(path), Lock(entries=entries))


def environment(request: EnvironmentRequest) -> Environment:
    """Return an environment of 30 packages, about as many as with TensorFlow."""
    return Environment(
        request=request,
        python="3.11",
        platform=machine_platform(),
        as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
        packages=tuple(
            Package(name=f"package-{number}", version="1.0", hashes=(f"sha256:{number:064}",))
            for number in range(30)
        ),
    )


def commands() -> Mapping[str, Sequence[str]]:
    """Return the commands by their printed names, the peers first."""
    python = sys.executable
    found = {PEER: [python, "-c", "pass"]}
    if importlib.util.find_spec("pytest"):
        found["pytest --version"] = [python, "-m", "pytest", "--version"]
    found["runner --version"] = [python, "-m", "runner", "--version"]
    found["runner plan, 1,000 cells"] = [python, "-m", "runner", "plan"]
    found["runner list, 1,000 cells"] = [python, "-m", "runner", "list"]
    return found


def measure(named: Mapping[str, Sequence[str]], folder: Path, rounds: int) -> Mapping[str, float]:
    """Return the median CPU seconds, user and system, of each command."""
    spent: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(rounds + 1):
        for name, command in named.items():
            spent[name].append(cpu_seconds(command, folder))
    return {name: median(seconds[1:]) for name, seconds in spent.items()}  # the first warms up


def cpu_seconds(command: Sequence[str], folder: Path) -> float:
    """Run a command in a folder; return the CPU seconds of it and its child processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
