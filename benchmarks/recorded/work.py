"""Do a known amount of work per epoch, and measure the time."""

import json
import os
import time
from pathlib import Path

STEPS = 1000
MORE = {
    "same": 1.0,
    "plus5": 1.05,
    "minus20": 0.8,
    "minus50": 0.5,
    "plus25": 1.25,
    "plus50": 1.5,
    "plus75": 1.75,
    "plus100": 2.0,
}

asked = json.loads(Path(os.environ["PARAMS_PATH"]).read_text(encoding="utf-8"))
steps = round(STEPS * MORE.get(asked["parameters"]["work"], 1.0))
seconds, cpu_seconds = [], []
for _ in range(asked["parameters"]["epochs"]):
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        sum(range(5000))
    seconds.append(time.perf_counter() - wall)
    cpu_seconds.append(time.process_time() - cpu)
series = {"epoch_seconds": seconds, "epoch_cpu_seconds": cpu_seconds}
Path(os.environ["RESULT_PATH"]).write_text(json.dumps({"format": 1, "series": series}))
