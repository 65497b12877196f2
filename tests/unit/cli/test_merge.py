"""Shards and merged runs: whole runs on a small engine, from the command line to the report."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.records.run import Host, Shard
from runner.runs.folder import RunFolder
from runner.system.host import this_host
from tests.support.whole_runs import MATRIX, WatchedEngine, reachable, study

BLOCKS = 7
OF = 5
TEXT = MATRIX.replace("[one, two]", "[one, two, three]").replace("blocks: 2", "blocks: 7")
TEXT += "baseline: {model: one}\nlooks: 1\npolicy: {x: +3%}\n"
SCRIPT = """\
import json, os, random
order = json.load(open(os.environ["PARAMS_PATH"]))
model = order["parameters"]["model"]
luck = random.Random(f"{model} {order['seed']}").gauss(0, 0.005)
value = {"one": 1.0, "two": 1.5, "three": 1.0}[model] * 2.718 ** luck
json.dump({"format": 1, "values": {"x": value}}, open(os.environ["RESULT_PATH"], "w"))
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches, and write its study."""
    engine = reachable(monkeypatch)
    study(engine, TEXT)
    Path("script.py").write_text(SCRIPT)
    return engine


def on_host(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the commands that follow run on another host."""
    host: Host = replace(this_host(), id=name, cpu_model=f"processor of {name}")
    monkeypatch.setattr("runner.cli.commands.this_host", lambda: host)


def run_shards(numbers: Sequence[int] = range(1, OF + 1), *options: str) -> None:
    """Run shards, each into a folder of its own, as on machines that share nothing."""
    for number in numbers:
        folder = f"shards/{number}"
        assert main(["--shard", f"{number}/{OF}", "--reports", folder, *options]) == Exit.OK


def latest(reports: str = "reports") -> RunFolder:
    """Return the newest run."""
    return RunFolder(Path(reports, "latest").resolve())


def blocks(folder: RunFolder) -> set[int]:
    """Return the blocks with results."""
    return {one.trial.block for one in folder.results()}


def test_a_shard_executes_whole_blocks_of_the_common_plan(engine: WatchedEngine) -> None:
    """Without a seed all shards have the same plan, which is not random."""
    run_shards([2, 4])
    two, four = latest("shards/2"), latest("shards/4")
    assert (blocks(two), blocks(four)) == ({2, 7}, {4})
    assert two.plan().shard == Shard(2, 5)
    assert replace(two.plan(), shard=None) == replace(four.plan(), shard=None)
    assert {block: sum(f"@b{block}" in one for one in engine.executed) for block in (2, 7, 4)} == {
        2: 4, 7: 4, 4: 4
    }  # fmt: skip


def normal(folder: Path) -> Mapping[str, str]:
    """Return the files of a report, without what differs between two runs: names and times."""
    report = json.loads((folder / "report.json").read_text())
    names = ("report.md", "report.html", "summary.md", "answer.txt", "report.json", "results.csv")
    found = {name: (folder / name).read_text() for name in (*names, "report.csv", "junit.xml")}
    names_and_times = "|".join(
        (
            *(re.escape(one["started"]) for one in (report["run"], *report["trials"])),
            re.escape(report["run"]["id"]),
            r'"seconds":[0-9.e-]+|time="[0-9.]+"|started 20\S+ \S+ UTC|href="data:[^"]*"',
        )
    )
    return {name: re.sub(names_and_times, "...", text) for name, text in found.items()}


def test_five_merged_shards_give_the_report_of_one_run(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the same byte for byte, except for names and times."""
    run_shards()
    seed = str(latest("shards/1").plan().seed)
    assert main(["--seed", seed, "--reports", "whole"]) == Exit.OK
    capsys.readouterr()
    assert main(["merge", "shards"]) == Exit.OK
    assert normal(latest().path) == normal(latest("whole").path)
