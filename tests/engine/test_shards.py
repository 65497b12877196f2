"""Shards on a real engine: merged, they give the report of one run."""

from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.lock.file import write_lock
from runner.records.environment import Lock
from runner.runs.folder import RunFolder
from tests.support.reports import without_times
from tests.support.trials import plain_environment

SCRIPT = """\
import json, os, random
order = json.load(open(os.environ["PARAMS_PATH"]))
model = order["parameters"]["model"]
luck = random.Random(f"{model} {order['seed']}").gauss(0, 0.01)
json.dump({"format": 1, "values": {"x": luck + (2 if model == "b" else 1)}},
          open(os.environ["RESULT_PATH"], "w"))
"""
MATRIX = """\
format: 1
name: shards
axes: {{model: [a, b]}}
environment: {{python: "{python}", base: host}}
experiment: {{script: script.py}}
metrics: {{x: {{better: lower, timed: false}}}}
baseline: {{model: a}}
policy: {{x: +3%}}
blocks: 5
looks: 1
"""


def test_five_merged_shards_give_the_report_of_one_run(
    readable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers come from the seeds, so that only names and times differ."""
    monkeypatch.chdir(readable)
    monkeypatch.setenv("MATRIX_RUNNER_CACHE", str(readable / "cache"))
    environment = plain_environment()
    Path("script.py").write_text(SCRIPT)
    Path("matrix.yaml").write_text(MATRIX.format(python=environment.python))
    write_lock(Path("matrix.lock"), Lock(entries=(environment,)))
    for number in range(1, 6):
        monkeypatch.setenv("MATRIX_RUNNER_SHARD", f"{number}/5")
        assert main(["--engine", "venv", "--reports", f"shards/{number}"]) == Exit.OK
    monkeypatch.delenv("MATRIX_RUNNER_SHARD")
    assert main(["merge", "shards"]) == Exit.OK
    merged = RunFolder(Path("reports/latest").resolve())
    seed = str(merged.plan().seed)
    assert main(["--engine", "venv", "--reports", "whole", "--seed", seed]) == Exit.OK
    assert without_times(merged.path) == without_times(Path("whole/latest").resolve())
    assert "Do not upgrade to model b (hold)" in (merged.path / "answer.txt").read_text()
