"""Shards and merged runs: whole runs on a small engine, from the command line to the report."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.records.run import Host, Shard
from runner.runs.folder import RunFolder
from runner.system.host import this_host
from tests.support.reports import without_times
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
if model == "two" and os.path.exists("@host2"):
    value /= 1.5
json.dump({"format": 1, "values": {"x": value}}, open(os.environ["RESULT_PATH"], "w"))
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches, and write its study."""
    engine = reachable(monkeypatch)
    # Most tests need no report of a shard, which would take most of the time.
    monkeypatch.setattr("runner.pipeline.write_report", lambda folder: folder.path / "report.md")
    study(engine, TEXT)
    Path("script.py").write_text(SCRIPT.replace("@", f"{Path.cwd()}/"))
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


def test_five_merged_shards_give_the_report_of_one_run(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the same byte for byte, except for names and times."""
    run_shards()
    seed = str(latest("shards/1").plan().seed)
    assert main(["--seed", seed, "--reports", "whole"]) == Exit.OK
    assert main(["report", "--reports", "whole"]) == Exit.OK
    capsys.readouterr()
    assert main(["merge", "shards"]) == Exit.OK
    assert without_times(latest().path) == without_times(latest("whole").path)


def on_hosts(
    monkeypatch: pytest.MonkeyPatch, hosts: int, total: int, *, differing: bool = False
) -> None:
    """Run a shard on each of several hosts, with so many blocks in total, and merge them.

    If the hosts are ``differing``, model two is not slower on the second one.
    """
    study = Path("matrix.yaml").read_text()
    Path("matrix.yaml").write_text(study.replace("blocks: 7", f"blocks: {total}"))
    for number in range(1, hosts + 1):
        on_host(monkeypatch, f"h{number}")
        if differing and number == 2:
            Path("host2").touch()
        shard = ["--shard", f"{number}/{hosts}", "--reports", f"shards/{number}"]
        assert main([*shard, "--seed", "1"]) == Exit.OK
    assert main(["merge", "shards"]) == Exit.OK


def facts() -> Any:
    """Return the newest report as data."""
    return json.loads((latest().path / "report.json").read_text())


def test_each_host_is_judged_by_itself_and_three_hosts_also_together(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that holds on every host holds."""
    on_hosts(monkeypatch, 3, 15)
    report = facts()
    assert [one["blocks"] for one in report["hosts"]] == [
        list(range(number, 16, 3)) for number in (1, 2, 3)
    ]
    assert {one["host"] for one in report["trials"] if one["block"] % 3 == 2} == {"host 2"}
    named = [one for one in report["changes"] if one["named"]]
    assert {(one["cell"], one["host"]): (one["n"], one["verdict"]) for one in named} == {
        (f"model={model}", f"host {number}"): (5, verdict)
        for model, verdict in (("two", "hold"), ("three", "adopt"))
        for number in (1, 2, 3)
    }
    assert [(one["cell"], one["n"], one["verdict"]) for one in report["across"]] == [
        ("model=two", 3, "slower"),
        ("model=three", 3, "no difference"),
    ]
    assert [one["verdict"] for one in report["answers"]] == ["hold", "adopt"]


def test_hosts_that_differ_give_no_decision(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report says so, and which host says what, also of a claim and in an issue."""
    claim = 'text: "Two is slow.", of: {model: two}, against: {model: one}, metric: x, says: higher'
    with Path("matrix.yaml").open("a") as file:
        file.write(f"claims: [{{id: slow, {claim}}}]\n")
    on_hosts(monkeypatch, 2, 10, differing=True)
    assert [one["verdict"] for one in facts()["answers"]] == ["cannot tell", "adopt"]
    assert facts()["across"] == []
    said = " ".join(capsys.readouterr().out.split())
    assert "the hosts differ. By host: hold on host 1; adopt on host 2." in said
    assert main(["report", "--gate"]) == Exit.OK
    text = (latest().path / "report.md").read_text()
    assert "Two is slow.\N{RIGHT DOUBLE QUOTATION MARK} The hosts differ." in text
    assert "Host 1: reproduced." in text
    assert "Host 2: contradicted on this machine." in text
    capsys.readouterr()
    assert main(["report", "--issue", "model=two"]) == Exit.OK
    issue = capsys.readouterr().out
    assert "slower than one" in issue
    assert "on host 1" in issue
    assert "processor of h1" in issue
    assert main(["merge", "shards/1", "shards/2", "--gate"]) == Exit.OK


def test_a_run_of_several_machines_is_not_bundled(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replay compares two machines."""
    on_hosts(monkeypatch, 2, 2)
    assert main(["bundle"]) == Exit.RUN_FOLDER
    assert "was merged from 2 machines" in capsys.readouterr().err


def test_the_gate_holds_for_a_merged_run(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single shard has no verdict, so it has no gate."""
    on_hosts(monkeypatch, 2, 10)
    assert main(["merge", "shards", "--gate"]) == Exit.HOLD
    assert main(["--shard", "1/2", "--reports", "shards/1", "--gate"]) == Exit.CONFIG


def test_hosts_with_few_blocks_give_no_verdict_but_a_line_together(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host counts once, however many blocks it has."""
    on_hosts(monkeypatch, 4, 7)
    report = facts()
    assert {one["verdict"] for one in report["changes"] if one["named"]} == {"cannot tell"}
    assert [(one["n"], len(one["hosts"])) for one in report["across"]] == [(4, 4), (4, 4)]
    assert "## So far" in (latest().path / "report.md").read_text()


def test_another_processor_of_one_host_is_judged_by_itself(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both belong to one host, so they are no two hosts in the line across hosts."""
    names = iter("abcd")

    def moved(number: int) -> Host:
        return replace(this_host(), id="h1", cpu_model=f"processor {number}")

    for number in (1, 2, 3):
        monkeypatch.setattr("runner.cli.commands.this_host", lambda: moved(number))  # noqa: B023
        assert main(["--shard", f"{number}/3", "--reports", f"shards/{next(names)}"]) == Exit.OK
    assert main(["merge", "shards"]) == Exit.OK
    report = facts()
    assert [one["name"] for one in report["hosts"]] == ["host 1.1", "host 1.2", "host 1.3"]
    assert report["across"] == []


# --- what belongs together ----------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return why runs are not merged. Nothing is written then."""
    capsys.readouterr()
    before = sorted(Path("reports").glob("*"))
    assert main(["merge", *words]) == Exit.RUN_FOLDER
    assert sorted(Path("reports").glob("*")) == before
    return capsys.readouterr().err


def edit_script() -> None:
    """Edit the script of the study."""
    with Path("script.py").open("a") as file:
        file.write("# edited\n")


def edit_matrix(old: str, new: str) -> None:
    """Edit the matrix of the study."""
    text = Path("matrix.yaml").read_text()
    assert old in text
    Path("matrix.yaml").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edit_script, "they differ in script"),
        (lambda: Path("numbers.txt").write_text("2"), "they differ in data numbers.txt"),
        (lambda: edit_matrix("epochs: 5", "epochs: 6"), "they differ in cells model=one"),
        (lambda: edit_matrix("+3%", "+4%"), "they differ in the policy of the matrix"),
        (lambda: edit_matrix("looks: 1", "looks: 2"), "they differ in the looks of the matrix"),
    ],
)
def test_runs_of_different_studies_are_not_merged(
    engine: WatchedEngine,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[], object],
    reason: str,
) -> None:
    """The sentence names the runs and what differs."""
    run_shards([1])
    change()
    run_shards([2])
    said = refused(capsys, "shards/1", "shards/2")
    assert reason in said
    assert str(latest("shards/2").path.name) in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--seed", "7"], "seed"), (["--blocks", "14"], "blocks")],
)
def test_runs_of_different_plans_are_not_merged(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    """Blocks of the same number would differ, or be missing."""
    run_shards([1])
    run_shards([2], *options)
    assert f"their plans differ in {reason}" in refused(capsys, "shards/1", "shards/2")


# --- blocks --------------------------------------------------------------------------------------


def test_a_block_that_two_runs_have_counts_once(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that ended first counts, whatever the order of the words."""
    run_shards([1, 2])
    assert main(["--shard", "1/5", "--reports", "again"]) == Exit.OK
    first, again = (
        {one.trial.id: one.started_at for one in latest(name).results()}
        for name in ("shards/1", "again")
    )
    assert first.keys() == again.keys()
    for words in (["again", "shards"], ["shards", "again"]):
        assert main(["merge", *words]) == Exit.OK
        merged = {one.trial.id: one.started_at for one in latest().results()}
        assert {name: merged[name] for name in first} == first
    assert "blocks 1 and 6 already known" in capsys.readouterr().out


def test_half_a_block_is_left_out_and_can_be_completed(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed commands complete the run; merging again changes nothing."""
    engine.interrupted_at_trial = 5
    assert main(["--shard", "1/2", "--reports", "shards/1"]) == Exit.INTERRUPTED
    engine.interrupted_at_trial = None
    assert main(["--shard", "2/2", "--reports", "shards/2"]) == Exit.OK
    assert main(["merge", "shards"]) == Exit.OK
    said, merged = capsys.readouterr().out, latest()
    assert blocks(merged) == {1, 2, 4, 6}
    assert "left out incomplete block 3" in said
    assert "blocks 3, 5 and 7 missing" in said
    assert "run --shard 1/2\n" in said
    assert "Not finished yet: 4 of 7 blocks" in (merged.path / "report.md").read_text()
    assert main(["--shard", "1/2", "--reports", "shards/1"]) == Exit.OK
    assert main(["merge", "shards/1", "--into", str(merged.path)]) == Exit.OK
    assert blocks(merged) == set(range(1, 8))
    saved = {path: path.read_bytes() for path in merged.path.rglob("*") if path.is_file()}
    assert main(["merge", "shards", "--into", merged.path.name]) == Exit.OK
    assert {path: path.read_bytes() for path in saved} == saved
    assert len(folders()) == 1


def test_a_merge_that_was_killed_is_completed(engine: WatchedEngine) -> None:
    """What is left of half a block is removed first, so that a block is from one run."""
    run_shards([1, 2])
    assert main(["--shard", "2/5", "--reports", "again"]) == Exit.OK
    assert main(["merge", "shards"]) == Exit.OK
    merged = latest()
    (merged.path / "trials/model=one@b2.1.json").unlink()
    (merged.path / "trials/model=one@b7.1.json").write_text("{")
    assert main(["merge", "again", "--into", str(merged.path)]) == Exit.OK
    found = {one.trial.id: one.started_at for one in merged.results()}
    again = {one.trial.id: one.started_at for one in latest("again").results()}
    assert {name: found[name] for name in again} == again
    assert blocks(merged) == {1, 2, 6, 7}


def test_a_block_belongs_to_one_machine(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run from elsewhere that says something else is damaged."""
    run_shards([1])
    assert main(["merge", "shards"]) == Exit.OK
    merged = latest()
    run = merged.run()
    merged.save(replace(run, machines=(*run.machines, *run.machines)))
    assert "a block belongs to two of them" in refused(capsys, str(merged.path))


def test_merged_runs_can_be_merged(engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block keeps its machine."""
    on_hosts(monkeypatch, 2, 7)
    on_host(monkeypatch, "h3")
    first = latest()
    assert main(["--shard", "1/2", "--reports", "shards/3", "--seed", "1"]) == Exit.OK
    assert main(["merge", str(first.path), "shards/3"]) == Exit.OK
    assert latest().path != first.path
    machines = {one.host.id: one.blocks for one in latest().run().machines}
    assert machines == {"h1": (1, 3, 5, 7), "h2": (2, 4, 6)}


def folders() -> list[Path]:
    """Return the merged runs."""
    return list(Path("reports").glob("2*"))


def test_an_edited_or_damaged_result_leaves_its_block_out(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names the result."""
    run_shards()
    trials = latest("shards/2").path / "trials"
    edited, damaged = trials / "model=one@b2.1.json", trials / "model=two@b7.1.json"
    edited.write_text(edited.read_text().replace('"x": 1', '"x": 2').replace('"x": 0', '"x": 1'))
    damaged.write_text("{")
    assert main(["merge", "shards"]) == Exit.OK
    assert blocks(latest()) == {1, 3, 4, 5, 6}
    said = capsys.readouterr().out
    assert "model=one@b2.1.json is not counted, because it was edited" in said
    assert "model=two@b7.1.json is not counted, because it is damaged" in said


@pytest.mark.parametrize("name", ["run.json", "plan.json", "images.json"])
def test_an_edited_or_damaged_run_is_not_merged(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """One sentence names the file."""
    run_shards([1, 2])
    path = latest("shards/2").path / name
    path.write_text(path.read_text().replace('"format"', '"format" ', 1).replace("1", "2", 1))
    assert name in refused(capsys, "shards")
    path.write_text("[")
    assert f"{name} is damaged" in refused(capsys, "shards")


def test_links_are_not_followed(engine: WatchedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder from elsewhere may link to anything."""
    run_shards([1])
    shutil.move(latest("shards/1").path, "outside")
    Path("artifacts").mkdir()
    Path("artifacts/run").symlink_to(Path("outside").absolute())
    assert "there is no run in artifacts" in refused(capsys, "artifacts")
    (Path("outside") / "trials").rename("trials")
    (Path("outside") / "trials").symlink_to(Path("trials").absolute())
    assert "is a link, which is not followed" in refused(capsys, "outside")


def test_only_a_merged_run_can_be_added_to(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that executes its own trials stays as it is."""
    run_shards([1, 2])
    said = refused(capsys, "shards/2", "--into", str(latest("shards/1").path))
    assert "is not a merged run" in said
    assert blocks(latest("shards/1")) == {1, 6}


def test_a_merged_run_is_not_continued_by_a_run(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its missing blocks come from shards, so that each has its machine."""
    run_shards([1])
    assert main(["merge", "shards"]) == Exit.OK
    merged = latest()
    capsys.readouterr()
    assert main(["explain", "model=one"]) == Exit.OK
    assert f"{merged.path.name} was merged from other runs" in capsys.readouterr().out
    assert main(["--seed", "1", "--blocks", "1"]) == Exit.OK
    assert latest().path != merged.path
    assert blocks(merged) == {1, 6}


# --- shards --------------------------------------------------------------------------------------


def test_a_shard_continues_only_that_shard(engine: WatchedEngine) -> None:
    """Neither another shard, nor one with another seed, nor the whole study continues it."""
    engine.interrupted_at_trial = 5
    assert main(["--shard", "1/2"]) == Exit.INTERRUPTED
    engine.interrupted_at_trial = None
    begun = latest()
    assert main(["--shard", "2/2"]) == Exit.OK
    assert main(["--shard", "1/2", "--seed", "1"]) == Exit.OK
    assert main([]) == Exit.OK
    assert blocks(begun) == {1, 3}
    assert main(["--shard", "1/2"]) == Exit.OK
    assert blocks(begun) == {1, 3, 5, 7}
    assert len(folders()) == 4


def test_the_report_of_a_shard_says_what_it_holds(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It gives no verdict; `status` counts its own blocks."""
    assert main(["--shard", "1/2"]) == Exit.OK
    assert "shard 1/2, chosen by --shard" in capsys.readouterr().out
    assert main(["report"]) == Exit.OK
    text = (latest().path / "report.md").read_text()
    assert "This is shard 1/2, which holds 4 of the 7 blocks of the study. Finished: 4" in text
    assert "No verdict: this is shard 1/2" in text
    assert facts()["look"] is None
    assert main(["status"]) == Exit.OK
    assert "4 of 4 blocks of shard 1/2 complete" in capsys.readouterr().out
    assert main(["explain", "model=one"]) == Exit.OK
    assert "holds only shard 1/2" in capsys.readouterr().out


def test_all_shards_together_keep_the_plan(engine: WatchedEngine) -> None:
    """A shard never looks, so no cell leaves, even if there is only one shard."""
    edit_matrix("looks: 1", "looks: 2")
    assert main(["--shard", "1/1", "--blocks", "14"]) == Exit.OK
    assert latest().plan().left == {}
    assert blocks(latest()) == set(range(1, 15))
    assert main(["report"]) == Exit.OK
    assert "Do not upgrade" in (latest().path / "answer.txt").read_text()


def test_a_plan_shows_the_blocks_of_a_shard(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows how long the shard takes, and not the whole study."""
    assert main(["plan", "--shard", "5/5"]) == Exit.OK
    assert "4 trials in shard 5/5, 1 of 7 blocks" in capsys.readouterr().out
    assert main(["plan", "--shard", "8/9"]) == Exit.NOTHING_SELECTED
