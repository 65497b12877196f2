"""Measure the memory of the runner and its CPU seconds in a long run, next to a short one.

Usage::

    python -m benchmarks.memory [TRIALS] [--json FILE]

Both runs go through the whole program, from the command line to the report, on an engine that
invents results with four series of 50 epochs. A run has five trials per block: four cells and the
A/A control. It has a process of its own, of which the peak resident memory counts. The exit code is
1 if the long run needs more than the limit on top of the short one.
"""

import argparse
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import resource
import tempfile
from pathlib import Path
from unittest import mock

from benchmarks.rows import Row, figure, finished, with_json
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", nargs="?", type=int, default=LONG, metavar="TRIALS")
    asked = with_json(parser).parse_args()
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        idle, short, long = processes.map(measured, (0, SHORT, asked.trials), chunksize=1)
        processes.close()  # so that they are not killed
        processes.join()
    memory = flat(f"memory of the runner, {asked.trials:,} trials", long[0], short[0])
    further_ms = 1000 * (long[1] - short[1]) / (asked.trials - SHORT)
    cpu = Row(
        what="CPU of the runner for each further trial, without an engine",
        unit="ms",
        ours=figure([further_ms]),
        note=f"{short[1] - idle[1]:.2f} s for the first {SHORT}",
    )
    print(f"without a run: {idle[0]:.1f} MB, {idle[1]:.2f} CPU s")
    return finished([memory, cpu], asked.json)


def flat(what: str, long_mb: float, short_mb: float) -> Row:
    """Return the row of the peak memory in the long run; its goal is the difference."""
    more = long_mb - short_mb
    return Row(
        what=what,
        unit="MB",
        ours=figure([long_mb]),
        peer=f"the runner, {SHORT} trials",
        theirs=figure([short_mb]),
        ratio=figure([long_mb / short_mb]),
        goal=f"<= {LIMIT_MB:g} MB more",
        met=more <= LIMIT_MB,
        note=f"{more:+.1f} MB",
    )


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
