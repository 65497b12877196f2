"""Measure the memory of the runner and its CPU seconds in a long run, next to a short one.

Usage::

    python -m benchmarks.memory [TRIALS]

Both runs go through the whole program, from the command line to the report, on an engine that
invents results with four series of 50 epochs. A run has five trials per block: four cells and the
A/A control. It has a process of its own, of which the peak resident memory counts. The exit code is
1 if the long run needs more than the limit on top of the short one.
"""

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import resource
import sys
import tempfile
from pathlib import Path
from unittest import mock

from runner.cli import main as command
from runner.engines.protocol import Launch
from runner.inside.launcher import text_in
from tests.support.fakes import FakeEngine, document
from tests.support.whole_runs import PYTHON, study

SHORT, LONG = 10, 2000
IN_A_BLOCK = 5
LIMIT_MB = 20.0
MATRIX = f"""\
format: 1
name: memory
axes:
  lib: {{package: lib, versions: ["1.0", "2.0", "3.0", "4.0"]}}
environment: {{python: "{PYTHON}"}}
experiment: {{script: script.py}}
metrics:
  epoch_seconds: {{unit: s, better: lower}}
  test_accuracy: {{unit: "%", better: higher}}
blocks: {{blocks}}
"""
SERIES = ("epoch_seconds", "epoch_cpu_seconds", "train_accuracy", "test_accuracy")
EPOCHS = 50


class Canned(FakeEngine):
    """Invents what a script would return, so that only the runner's own work is measured."""

    def launched(self, launch: Launch, inputs: Path, place: str) -> tuple[int, bytes, bytes]:
        """Return the exit code, the document and the log of a trial."""
        del inputs, place
        series = {
            name: [
                1 + each / 5000
                for each in hashlib.shake_128(f"{launch.trial} {name}".encode()).digest(EPOCHS)
            ]
            for name in SERIES
        }
        result = {"format": 1, "values": {}, "series": series}
        return 0, document(json.dumps(result)), b"an epoch\n" * EPOCHS


def main() -> int:
    """Measure, print, and return the exit code."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else LONG
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        idle, short, long = processes.map(measured, (0, SHORT, trials), chunksize=1)
        processes.close()  # so that they are not killed
        processes.join()
    print(f"{'run':14} {'peak MB':>8} {'CPU s':>7} {'ms a trial':>11}")
    print(f"{'no run':14} {idle[0]:8.1f} {idle[1]:7.2f}")
    for count, (peak, seconds) in ((SHORT, short), (trials, long)):
        each = 1000 * (seconds - idle[1]) / count
        print(f"{count:7,} trials {peak:8.1f} {seconds:7.2f} {each:11.1f}")
    more, growth = long[0] - short[0], (long[1] - short[1]) / (trials - SHORT) * 1000
    print(
        f"{more:+.1f} MB (limit {LIMIT_MB:.0f}), {growth:.1f} ms for each further trial, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return 1 if more > LIMIT_MB else 0


def measured(trials: int) -> tuple[float, float]:
    """Return the peak memory of a process that executes a run, in MB, and its CPU seconds."""
    if trials:
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            _run(trials // IN_A_BLOCK)
            os.chdir("/")
    status = dict(line.split(":", 1) for line in text_in("/proc/self/status").splitlines())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int(status["VmHWM"].split()[0]) / 1024, usage.ru_utime + usage.ru_stime


def _run(blocks: int) -> None:
    engine = Canned()
    study(engine, MATRIX.replace("{blocks}", str(blocks)))
    with (
        mock.patch("runner.engines.docker.connect", return_value=engine),
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        code = command(["run", "--engine", "docker"])
    if code:
        raise SystemExit(printed.getvalue())


if __name__ == "__main__":
    raise SystemExit(main())
