"""Calibration: how steady a measured core is, and how much an engine slows down work."""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from runner.engines.protocol import Engine, Launch
from runner.errors import EngineError
from runner.execute import clear
from runner.execute.result import parse_outcome
from runner.inside import LAUNCHER
from runner.inside.launcher import core_seconds
from runner.python.interpreters import Interpreter
from runner.records.environment import Image
from runner.records.run import Guards
from runner.records.study import Better, Limits, Metric, Status

NOISE_S = 10.0
PIECE_S = 0.05
TIMEOUT_S = 60.0
WORK = """
import json, os, time
def work(count):
    total = 0.0
    for number in range(count):
        total += number * 1e-9
    return total
work(100000)
began = time.perf_counter()
work(3000000)
values = {"seconds": time.perf_counter() - began}
with open(os.environ["RESULT_PATH"], "w") as file:
    json.dump({"format": 1, "values": values}, file)
"""
ON_CORE = "import os, runpy, sys; os.sched_setaffinity(0, {%d}); runpy.run_path(sys.argv[1])"
SECONDS = Metric(name="seconds", unit="s", better=Better.LOWER, title="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """The times of equal pieces of work on one core, and the share that other processes took.

    ``others_share`` is ``None`` if the kernel does not report it.
    """

    times_s: tuple[float, ...]
    others_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadPair:
    """The times of the same work in a container and in a plain process.

    ``container_s`` is the whole time of the container.
    """

    inside_s: float
    outside_s: float
    container_s: float


def steadiness(core: int) -> Steadiness:
    """Repeat a piece of work on a core for some seconds; OSError if we may not use the core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return _repeated()
    finally:
        os.sched_setaffinity(0, before)


def _repeated() -> Steadiness:
    count, cores = 1000, os.sched_getaffinity(0)
    while (took := _piece(count)) < PIECE_S:
        count = int(count * min(10.0, 1.2 * PIECE_S / took)) + 1
    began, own, busy = time.monotonic(), time.process_time(), core_seconds(cores)[0]
    times = []
    while time.monotonic() - began < NOISE_S:
        times.append(_piece(count))
    wall, own, after = time.monotonic() - began, time.process_time() - own, core_seconds(cores)[0]
    share = None if busy is None or after is None else max(after - busy - own, 0.0) / wall
    return Steadiness(times_s=tuple(times), others_share=share)


def _piece(count: int) -> float:
    began = time.perf_counter()
    total = 0.0
    for number in range(count):
        total += number * 1e-9
    return time.perf_counter() - began


def measured_pair(
    engine: Engine, run: str, image: Image, interpreter: Interpreter, limits: Limits
) -> OverheadPair:
    """Do the same work first in a container and then in a plain process.

    EngineError if the container fails. Everything with the label ``run`` on the engine is replaced.
    """
    with tempfile.TemporaryDirectory() as place:
        script = Path(place, "work.py")
        script.write_text(WORK)
        clear(engine, run)
        engine.stage(run, image.id, {"launcher.py": LAUNCHER, "script/work.py": script})
        launch = Launch(
            run=run,
            trial="calibration",
            image=image.id,
            script="script/work.py",
            seed=0,
            limits=limits,
            timeout_s=TIMEOUT_S,
            guards=Guards(window_s=0.0),
        )
        outcome = engine.execute(launch, lambda _: None)
        parsed = parse_outcome(outcome, launch, [SECONDS])
        if parsed.status is not Status.OK:
            raise EngineError(f"a container that only counts failed: {parsed.reason}")
        outside_s = _seconds_outside(script, interpreter, engine.describe().cpus - 1)
    return OverheadPair(
        inside_s=parsed.values["seconds"],
        outside_s=outside_s,
        container_s=outcome.duration_s,
    )


def _seconds_outside(script: Path, interpreter: Interpreter, core: int) -> float:
    """Do the work in a plain process, on the core that containers use."""
    result = script.with_name("result.json")
    subprocess.run(
        [str(interpreter.path), "-c", ON_CORE % core, str(script)],
        env={"RESULT_PATH": str(result), "PATH": os.defpath},
        check=True,
        timeout=TIMEOUT_S,
    )
    return float(json.loads(result.read_text())["values"]["seconds"])
