"""compare on real engines: from one line and a script to the numbers of both versions."""

from pathlib import Path

import pytest

from runner.engines.venv.cache import CACHE
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.summarise import metric_value
from tests.support.public_index import index_or_skip
from tests.support.studies import ended, results, run_folders, started

pytestmark = [pytest.mark.engine, pytest.mark.index]

VERSIONS = ("sortedcontainers==2.3.0", "sortedcontainers==2.4.0")
SCRIPT = """\
import sys

from sortedcontainers import SortedList, __version__

size = int(sys.argv[sys.argv.index("--size") + 1])
numbers = SortedList()
for number in range(size):
    numbers.add(number * 7919 % size)
print(f"sorted {len(numbers)} numbers with {__version__}")
"""
BENCHMARK = """\
from sortedcontainers import SortedList

def test_sorting():
    assert list(SortedList([3, 1, 2])) == [1, 2, 3]
"""

on_every_engine = pytest.mark.parametrize("engine", ["docker", "venv"])
with_processes = pytest.mark.parametrize("engine", ["venv"])


@pytest.fixture(autouse=True)
def _cache(readable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep environments of the venv engine where the user of trials can read them."""
    monkeypatch.setenv(CACHE, str(readable / "cache"))
    index_or_skip()


def compared(folder: Path, *words: str) -> tuple[list[TrialResult], str]:
    """Return the results of one block of a comparison, and what it printed."""
    code, out, err = ended(started(folder, "compare", "--blocks", "1", *words), timeout_s=300)
    assert (code, err) == (0, ""), out
    found = sorted(results(folder).values(), key=lambda one: (one.trial.slot, one.trial.attempt))
    found = list({one.trial.slot: one for one in found}.values())  # the last attempts
    assert {one.status for one in found} == {Status.OK}, out
    return found, out


@on_every_engine
def test_a_script_is_compared_by_its_wall_time(engine: str, tmp_path: Path) -> None:
    """It needs no matrix and no change. The same line has nothing left to do."""
    (tmp_path / "bench.py").write_text(SCRIPT)
    words = (*VERSIONS, "--engine", engine, "--", "bench.py", "--size", "100")
    found, _ = compared(tmp_path, *words)
    assert len(found) == 3
    metrics = run_folders(tmp_path)[0].run().matrix.metrics
    assert [metric.name for metric in metrics] == ["wall_time", "cpu_time", "peak_memory"]
    assert all(metric_value(one, metric) for one in found for metric in metrics)
    logs = [path.read_text() for path in (tmp_path / "reports/latest/logs").iterdir()]
    said = {text.splitlines()[-1] for text in logs}
    assert said == {f"sorted 100 numbers with {version}" for version in ("2.3.0", "2.4.0")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.py", "reports"]
    again, out = compared(tmp_path, *words)
    assert "nothing is left to do" in out
    assert again == found


@with_processes
def test_a_command_is_compared_by_what_it_prints(engine: str, tmp_path: Path) -> None:
    """Its tools come with --with, and the files that it names go along."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "test_sorting.py").write_text(BENCHMARK)
    found, _ = compared(
        tmp_path,
        *(*VERSIONS, "--engine", engine, "--with", "pytest", "--metric", r"passed=(\d+) passed"),
        *("--better", "higher", "--save", "study.yaml", "--", "pytest", "-q", "bench"),
    )
    assert {one.values["passed"] for one in found} == {1.0}
    assert (tmp_path / "study.lock").exists()


@with_processes
def test_a_script_is_tried_without_a_trace(engine: str, tmp_path: Path) -> None:
    """Its traceback is complete, its numbers are shown, and nothing is stored."""
    (tmp_path / "matrix.yaml").write_text(
        "format: 1\nname: small\naxes:\n"
        '  sorting: {package: sortedcontainers, versions: ["2.4.0"]}\n'
        "experiment: {script: bench.py, args: [--size, 10]}\n"
    )
    (tmp_path / "bench.py").write_text(SCRIPT)
    code, out, err = ended(started(tmp_path, "try", "--engine", engine), timeout_s=300)
    assert (code, err) == (0, ""), out
    assert "\nsorted 10 numbers with 2.4.0\n" in out
    assert "  wall_time: " in out
    (tmp_path / "bench.py").write_text("def f():\n    raise ValueError(5)\nf()\n")
    code, out, err = ended(started(tmp_path, "try", "--engine", engine), timeout_s=300)
    assert (code, err) == (1, ""), out
    assert "line 3, in <module>" in out
    assert "line 2, in f" in out
    assert "  reason: exit code 1: ValueError: 5" in out
    assert not (tmp_path / "reports").exists()


@with_processes
def test_a_first_study_runs_as_it_is_written(engine: str, tmp_path: Path) -> None:
    """Its script works for a package whose module has another name."""
    words = ("--package", "PySocks", "--versions", "1.7.0,1.7.1", "--script", "bench.py")
    code, out, err = ended(started(tmp_path, "init", *words))
    assert (code, err) == (0, ""), out
    code, out, err = ended(
        started(tmp_path, "run", "--engine", engine, "--blocks", "1"), timeout_s=300
    )
    assert (code, err) == (0, ""), out
    (folder,) = run_folders(tmp_path)
    found = folder.results()
    assert {one.status for one in found} == {Status.OK}
    metrics = folder.run().matrix.metrics
    assert all(metric_value(one, metric) for one in found for metric in metrics)
