"""How much the launcher adds to what it measures, beside the same commands without it.

Usage, on a quiet machine with ``sleep`` and ``true``::

    python -m benchmarks.launcher [--times N]

Each command runs alternately in the launcher and as a plain process on the same core. Wall times
are in seconds; a plain process is timed from outside. The memory and the CPU time of five children
are compared with what they are known to use, without control groups.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tabulate import tabulate

from runner.engines.protocol import Launch, Reads
from runner.inside import ISOLATED, LAUNCHER
from runner.records.run import Guards
from runner.records.study import Limits

SLEEP = ["sleep", "1"]
BUSY = ["python", "busy.py"]
BUSY_SCRIPT = """
import time
began = time.monotonic()
while time.monotonic() - began < 1:
    pass
"""
CHILDREN_SCRIPT = """
import os, time
for _ in range(5):
    if os.fork() == 0:
        held = bytearray(b"x") * 50_000_000
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        time.sleep(2)
        os._exit(0)
for _ in range(5):
    os.wait()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = []
    for name, command in (("sleep 1", SLEEP), ("one busy second", BUSY)):
        pairs = [(plain(command), launched(command)["wall_s"]) for _ in range(times)]
        outside, inside = (median(column) for column in zip(*pairs, strict=True))
        rows.append((name, outside, inside, 1000 * (inside - outside), inside / outside))
    print(tabulate(rows, ("", "plain (s)", "launcher (s)", "more (ms)", "ratio"), floatfmt=".4f"))
    reading = launched(["python", "children.py"])
    peak, cpu_s = reading["script_peak_bytes"] / 1e6, reading["script_cpu_s"]
    print(f"five children: {peak:.0f} of 250 MB, {cpu_s:.2f} of 1.5 s of CPU time")


def plain(command: list[str]) -> float:
    """Return how long a command takes, seen from outside."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "busy.py").write_text(BUSY_SCRIPT, encoding="utf-8")
        words = [sys.executable if command[0] == "python" else command[0], *command[1:]]
        began = time.perf_counter()
        subprocess.run(words, cwd=folder, check=True)
        return time.perf_counter() - began


def launched(command: list[str]) -> dict[str, Any]:
    """Return what the launcher measures of a command."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder, "study")
        study.mkdir()
        (study / "busy.py").write_text(BUSY_SCRIPT, encoding="utf-8")
        (study / "children.py").write_text(CHILDREN_SCRIPT, encoding="utf-8")
        place = Path(folder, "tmp")
        place.mkdir()
        spec = _launch(command).trial_spec(
            inputs=folder,
            temporary=str(place),
            output=folder,
            own_pid_namespace=False,
            cgroup=folder,  # where there is none
        )
        words = [sys.executable, *ISOLATED, str(LAUNCHER), spec]
        sent = subprocess.run(words, check=True, capture_output=True).stdout
        reading: dict[str, Any] = json.loads(sent.partition(b"\n")[2])["reading"]
        return reading


def _launch(command: list[str]) -> Launch:
    return Launch(
        run="benchmark",
        trial="benchmark",
        image="none",
        command=tuple(command),
        reads=Reads(peak=True),
        seed=0,
        limits=Limits(),
        cores=(),
        timeout_s=60.0,
        guards=Guards(window_s=0.0),
    )


if __name__ == "__main__":
    main()
