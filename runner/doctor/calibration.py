"""Calibration: how steady a measured core is, and how much an engine slows down work."""

import json
import os
import tempfile
import time
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
from runner.system import child

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


def steadiness(core: int) -> tuple[list[float], float | None]:
    """Return the times of equal pieces of work on a core, and the share that others took of it.

    The share is None if the kernel does not report it. OSError if we may not use the core.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        count = 1000
        while (took := _piece(count)) < PIECE_S:
            count = int(count * min(10.0, 1.2 * PIECE_S / took)) + 1
        began, own, busy = time.monotonic(), time.process_time(), core_seconds({core})[0]
        times = []
        while (wall := time.monotonic() - began) < NOISE_S:
            times.append(_piece(count))
        own, after = time.process_time() - own, core_seconds({core})[0]
    finally:
        os.sched_setaffinity(0, allowed)
    share = None if busy is None or after is None else max(after - busy - own, 0.0) / wall
    return times, share


def _piece(count: int) -> float:
    began = time.perf_counter()
    total = 0.0
    for number in range(count):
        total += number * 1e-9
    return time.perf_counter() - began


def overhead(
    engine: Engine, run: str, image: Image, interpreter: Interpreter, limits: Limits
) -> tuple[float, float]:
    """Do the same work first in a container and then in a plain process, on the same core.

    Return how many times as long it takes in the container, and how many seconds the container
    takes to start and stop. EngineError if the container fails. Everything with the label ``run``
    on the engine is replaced.
    """
    launch = Launch(
        run=run,
        trial="calibration",
        image=image.id,
        command=("python", "work.py"),
        seed=0,
        limits=limits,
        cores=engine.cores()[-limits.cpus :],
        timeout_s=TIMEOUT_S,
        guards=Guards(window_s=0.0),
    )
    with tempfile.TemporaryDirectory() as place:
        script, result = Path(place, "work.py"), Path(place, "result.json")
        script.write_text(WORK, encoding="utf-8")
        clear(engine, run)
        engine.stage(run, image.id, {"launcher.py": LAUNCHER, "study/work.py": script})
        outcome = engine.execute(launch, lambda _: None)
        parsed = parse_outcome(outcome, launch, [SECONDS])
        if parsed.status is not Status.OK:
            raise EngineError(
                f"a container that only counts failed: {parsed.reason}. Restart the engine."
            )
        core, variables = launch.cores[-1], {"RESULT_PATH": str(result)}
        command = [str(interpreter.path), "-I", "-c", ON_CORE % core, str(script)]
        if child.output(command, timeout_s=TIMEOUT_S, environment=variables) is None:
            raise EngineError(
                f"the same work failed outside a container: check that {interpreter.path} works "
                f"and that this process may use core {core}."
            )
        outside_s = float(json.loads(result.read_text(encoding="utf-8"))["values"]["seconds"])
    inside_s = parsed.values["seconds"]
    return inside_s / outside_s, outcome.duration_s - inside_s
