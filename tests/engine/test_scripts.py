"""Scripts of users, from nothing to a report: unmodified, with arguments, files and benchmarks."""

import shutil
from pathlib import Path

import pytest

from runner.engines.venv.cache import CACHE
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.summarise import metric_value
from tests.support.public_index import index_or_skip
from tests.support.studies import ended, results, run_folders, started

pytestmark = pytest.mark.engine

SCRIPTS = Path(__file__).with_name("scripts")
MOST_LINES = 10
ENGINES = ("docker", "venv")

on_every_engine = pytest.mark.parametrize("engine", ENGINES)

HOSTILE = """\
format: 1
name: hostile
axes:
  attempt: [regex, output, link, pipe, text, missing, fine]
experiment: {script: hostile.py, args: ["{attempt}"]}
metrics:
  last: {from: {stdout: '(?:a+)+ ([0-9.]+)$'}, better: lower}
  listed: {from: {csv: out.csv, column: x}, better: lower}
blocks: 1
repeats: 0
"""
HOSTILE_SCRIPT = """\
import os, sys
attempt = sys.argv[1]
if attempt == "regex":
    print("a" * 50 + "!")
if attempt == "output":
    for _ in range(1000):
        sys.stdout.write("x" * 1_000_000)
print("aa 1.5")
if attempt == "link":
    os.symlink("/etc/passwd", "out.csv")
elif attempt == "pipe":
    os.mkfifo("out.csv")
elif attempt != "missing":
    with open("out.csv", "w") as file:
        file.write("x\\n" + ("many" if attempt == "text" else "2"))
"""
REASONS = {
    "regex": "took too long on the output of the script",
    "output": "the output of the script is larger than its limit of 1048576 bytes",
    "link": "out.csv is a link, or in one",
    "pipe": "out.csv is not a regular file",
    "text": '"x" in line 2 of out.csv is "many", not a number',
    "missing": "out.csv does not exist",
}


@pytest.fixture(autouse=True)
def _cache(readable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep environments of the venv engine where the user of trials can read them."""
    monkeypatch.setenv(CACHE, str(readable / "cache"))


def reported(folder: Path, engine: str) -> dict[str, TrialResult]:
    """Run a study to its report, and return the results by cell."""
    code, out, err = ended(started(folder, "--engine", engine, "--blocks", "1"), timeout_s=300)
    assert code == 0, out + err
    found = results(folder)
    assert {one.status for one in found.values()} == {Status.OK}, out
    assert (folder / "reports" / "latest" / "report.md").exists()
    return {one.trial.cell: one for one in found.values() if not one.trial.control}


@on_every_engine
@pytest.mark.parametrize(
    "name", ["unmodified", "click_app", "benchmarks", "printed", "table"], ids=lambda name: name
)
def test_a_script_goes_from_nothing_to_a_report(engine: str, name: str, tmp_path: Path) -> None:
    """A matrix of at most ten lines is enough, and every metric has a number in every cell."""
    index_or_skip()
    shutil.copytree(SCRIPTS / name, tmp_path, dirs_exist_ok=True)
    assert len((tmp_path / "matrix.yaml").read_text().splitlines()) <= MOST_LINES
    found = reported(tmp_path, engine)
    metrics = run_folders(tmp_path)[0].run().matrix.metrics
    numbers = {
        cell: {metric.name: metric_value(result, metric) for metric in metrics}
        for cell, result in found.items()
    }
    assert all(number is not None for row in numbers.values() for number in row.values())
    for cell, expected in EXPECTED.get(name, {}).items():
        shown = {metric: numbers[cell][metric] for metric in expected}
        assert shown == pytest.approx(expected, rel=1e-5)


EXPECTED = {
    "click_app": {
        "click=8.1.7,shape=square": {"area": 9 * 2001 * 4001 / (6 * 2000)},
    },
    "printed": {
        "rate=0.1": {"accuracy": 84.16, "loss": 0.316803},
    },
    "table": {
        "steps=5": {"loss": 2.0**-8, "first_loss": 1.0, "typical_loss": 2.5 * 2.0**-6},
    },
}
"""By cell; what the scripts compute does not depend on the engine."""


@on_every_engine
def test_hostile_output_gives_bad_output_within_the_limits(engine: str, tmp_path: Path) -> None:
    """Each trial ends with a sentence, and the others are not affected."""
    (tmp_path / "matrix.yaml").write_text(HOSTILE)
    (tmp_path / "hostile.py").write_text(HOSTILE_SCRIPT)
    code, out, err = ended(started(tmp_path, "--engine", engine), timeout_s=300)
    assert (code, err) == (1, ""), out
    found = {
        one.trial.cell.removeprefix("attempt="): one
        for one in results(tmp_path).values()
        if not one.trial.control
    }
    assert found["fine"].status is Status.OK
    assert found["fine"].values == {"last": 1.5, "listed": 2.0}
    for attempt, reason in REASONS.items():
        assert found[attempt].status is Status.BAD_OUTPUT, found[attempt]
        assert reason in (found[attempt].reason or "")
