"""Real containers and times: 25 % more work is found, and equal work is called equivalent."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.judge.compare import Asked, measure
from runner.judge.records import Comparison, Verdict
from runner.judge.samples import Samples, gather
from runner.lock.file import write_lock
from runner.records.environment import Lock
from runner.records.run import Guards, TrialResult
from runner.runs.folder import StoredRun, find_run
from tests.support.trials import plain_environment

pytestmark = [pytest.mark.engine, pytest.mark.alone]

LOOKS = (7, 14, 28, 56)
LEVEL = 0.999  # at 95 % one run of CI in twenty would fail
STEPS = 600
SCRIPT = f"""\
import json, os, time
order = json.load(open(os.environ["PARAMS_PATH"]))
steps = {STEPS} * 5 // 4 if order["parameters"]["image"] == "more" else {STEPS}

def epoch(steps):
    wall, cpu = time.perf_counter(), time.process_time()
    sum(range(200_000))  # the fixed cost of an epoch
    for _ in range(steps):
        sum(range(20_000))
    return time.perf_counter() - wall, time.process_time() - cpu

# Long enough that a burst of other processes for a second or two is a small part of a trial.
epochs = [epoch(steps) for _ in range(10)]
fixed = [epoch(0)[1] for _ in range(10)]
series = {{"wall": [e[0] for e in epochs], "cpu": [e[1] for e in epochs], "fixed": fixed}}
json.dump({{"format": 1, "series": series}}, open(os.environ["RESULT_PATH"], "w"))
"""
MATRIX = """\
format: 1
name: verdicts
axes: {{image: [first, second, more]}}
environment: {{python: "{python}", base: host}}
experiment: {{script: script.py}}
metrics:
  cpu: {{unit: s, better: lower}}
  wall: {{unit: s, better: lower, cpu_time: cpu}}
  fixed: {{better: neither}}
blocks: 7
looks: 1
repeats: 0
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredRun]:
    """Run one image under two names, and with 25 % more steps, until the difference is found.

    If other processes are busy for as long as a trial, the verdict after seven blocks is rightly
    "cannot tell"; then the number of blocks is doubled. The run has only one look of its own:
    otherwise a cell would leave once it is decided at the run's level, which is lower than LEVEL.
    """
    folder = tmp_path_factory.mktemp("verdicts")
    environment = plain_environment()
    (folder / "script.py").write_text(SCRIPT)
    (folder / "matrix.yaml").write_text(MATRIX.format(python=environment.python))
    write_lock(folder / "matrix.lock", Lock(entries=(environment,)))
    before, cores = Path.cwd(), os.sched_getaffinity(0)
    os.chdir(folder)
    try:
        for blocks in LOOKS:
            assert main(["--blocks", str(blocks)]) == Exit.OK
            assert not _stored().plan.left
            found, _ = compared(_stored(), blocks, "more", "cpu")
            if found.verdict is Verdict.HIGHER:
                break
        yield _stored()
    finally:
        os.chdir(before)
        os.sched_setaffinity(0, cores)  # a run keeps its own process off the measured core


def _stored() -> StoredRun:
    return find_run(Path("reports"), None).stored()


def compared(stored: StoredRun, blocks: int, of: str, metric: str) -> tuple[Comparison, Samples]:
    """Compare a cell with the first cell after a number of blocks, at LEVEL."""
    matrix = stored.run.matrix
    samples = gather(matrix, stored.plan, stored.results, blocks)
    [wanted] = [one for one in matrix.metrics if one.name == metric]
    asked = Asked(f"image={of}", "image=first", wanted, named=True)
    return measure(samples, asked, LEVEL), samples


def looked(stored: StoredRun) -> list[int]:
    """Return the numbers of blocks after which the tests looked at a run."""
    return [blocks for blocks in LOOKS if blocks <= stored.plan.blocks]


@pytest.mark.parametrize("metric", ["cpu", "wall"])
def test_equal_cells_have_no_difference(run: StoredRun, metric: str) -> None:
    """A/A: one image under two names is neither faster nor slower, at any look."""
    for blocks in looked(run):
        found, _ = compared(run, blocks, "second", metric)
        assert found.verdict not in {Verdict.LOWER, Verdict.HIGHER}, found
        if metric == "wall" and found.verdict is Verdict.NO_COMPARISON:
            continue  # the host disturbed too many trials
        assert found.estimate
        assert found.estimate.low <= 0 <= found.estimate.high


def test_more_steps_are_found_with_the_right_size(run: StoredRun) -> None:
    """A/B: slower, and the interval contains the true ratio of the work."""
    [cpu, _, fixed] = run.run.matrix.metrics
    verdicts = []
    for blocks in looked(run):
        found, samples = compared(run, blocks, "more", "cpu")
        whole = median(samples.numbers("image=first", cpu).values())
        besides = median(samples.numbers("image=first", fixed).values())
        expected = math.log((besides + 1.25 * (whole - besides)) / whole)
        assert found.estimate
        assert found.estimate.low < expected < found.estimate.high, (expected, found.estimate)
        verdicts.append(found.verdict)
    assert verdicts[-1] is Verdict.HIGHER, verdicts


def test_the_control_is_in_every_block(run: StoredRun) -> None:
    """The second copy of the baseline runs like any cell."""
    controls = [one.trial for one in run.results if one.trial.control]
    assert [trial.cell for trial in controls] == ["image=first"] * run.plan.blocks
    assert {trial.block for trial in controls} == set(range(1, run.plan.blocks + 1))


@pytest.mark.guarded
@pytest.mark.usefixtures("programs_image")
def test_a_disturbed_trial_is_repeated_and_every_attempt_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process on the measured core disturbs all three attempts."""
    monkeypatch.setattr("runner.plan.GUARDS", Guards(patience_s=0.5))
    environment = plain_environment()
    (tmp_path / "script.py").write_text(SCRIPT)
    text = MATRIX.format(python=environment.python).replace("[first, second, more]", "[first]")
    text = text.replace("blocks: 7", "blocks: 1").replace("repeats: 0", "repeats: 2")
    (tmp_path / "matrix.yaml").write_text(text)
    write_lock(tmp_path / "matrix.lock", Lock(entries=(environment,)))
    core, cores = (os.cpu_count() or 1) - 1, os.sched_getaffinity(0)
    other = subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"]
    )
    try:
        assert main([]) == Exit.OK
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, cores)
    results: tuple[TrialResult, ...] = find_run(Path("reports"), None).results()
    assert [one.trial.attempt for one in results] == [1, 2, 3]
    assert all(one.disturbed and "other processes" in one.disturbed for one in results)
    assert all(one.values or one.series for one in results)
