"""Runs that continue: disturbed trials, looks, decided cells, goals, budgets and the gate."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from runner.records.run import Guards, Plan, Reading
from runner.runs.folder import RunFolder
from tests.support.whole_runs import MATRIX, WatchedEngine, reachable, study

MODELS = MATRIX.replace("[one, two]", "[one, two, three]")
SCRIPT = """\
import json, os, random
order = json.load(open(os.environ["PARAMS_PATH"]))
model = order["parameters"]["model"]
luck = random.Random(f"{model} {order['seed']}").gauss(0, 0.3 if model == "three" else 0.005)
value = (1.5 if model == "two" else 1.0) * 2.718 ** luck
json.dump({"format": 1, "values": {"x": value}}, open(os.environ["RESULT_PATH"], "w"))
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    return reachable(monkeypatch)


def latest() -> RunFolder:
    """Return the newest run."""
    return RunFolder(Path("reports/latest"))


def blocks_of(plan: Plan) -> Mapping[str, int]:
    """Return the last block of each cell in a plan."""
    return {trial.cell: trial.block for trial in plan.trials if not trial.control}


def write(engine: WatchedEngine, text: str = MODELS) -> None:
    """Write the study of these tests."""
    study(engine, text)
    Path("script.py").write_text(SCRIPT)


def disturb_first(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Make the machine disturb the first trials of a run."""
    left = [times]

    def disturbed(_reading: Reading | None, _guards: Guards) -> str | None:
        left[0] -= 1
        return "other processes took 50% of the measured core" if left[0] >= 0 else None

    monkeypatch.setattr("runner.execute.disturbance", disturbed)


def test_a_disturbed_trial_is_repeated_at_the_end_of_its_block(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other trials of the block come first, and all attempts are kept."""
    write(engine)
    disturb_first(monkeypatch, 1)
    assert main(["--blocks", "1"]) == Exit.OK
    first, *_, last = engine.executed
    assert last == first.removesuffix(".1") + ".2"
    assert len(engine.executed) == 5
    kept = {one.trial.id: one.disturbed is not None for one in latest().results()}
    assert kept == {trial: trial == first for trial in engine.executed}


def test_a_disturbed_trial_is_repeated_at_most_twice(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After that, a later command does not repeat it either."""
    write(engine)
    disturb_first(monkeypatch, 100)
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.executed) == 4 * 3
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.executed) == 4 * 3
    assert "stayed disturbed" not in (latest().path / "report.md").read_text()  # not judged yet


def test_the_matrix_can_turn_repeats_off(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``repeats: 0`` the first attempt counts."""
    write(engine, MODELS + "repeats: 0\n")
    disturb_first(monkeypatch, 100)
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.executed) == 4


def test_decided_cells_leave_the_plan(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """One cell is decided at the look after six blocks; the baseline stays."""
    write(engine)
    assert main(["--blocks", "8", "--seed", "1"]) == Exit.OK
    plan = latest().plan()
    assert plan.looks == (2, 4, 6, 8)
    assert blocks_of(plan) == {"model=one": 8, "model=two": 6, "model=three": 8}
    assert plan.left == {"model=two": 6}
    assert "model=two leaves the plan: everything about it is decided" in capsys.readouterr().out
    assert "from 8 blocks, look 4 of 4." in (latest().path / "report.md").read_text()


def test_a_run_shows_intervals_between_looks_and_verdicts_at_a_look(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing before three blocks, and no verdict that the report does not have."""
    write(engine, MODELS.replace("blocks: 2", "blocks: 5"))
    assert main(["--blocks", "7", "--seed", "1"]) == Exit.OK
    said = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    parts = said.split("report updated\n")
    assert len(parts) == 8
    of_two = r"  x, (two|three): \d.\d+ s → \d.\d+ s, .* to .* \({} blocks\)\n"
    found = [len(re.findall(of_two.format(blocks), parts[blocks])) for blocks in range(1, 8)]
    assert found == [0, 0, 2, 2, 0, 1, 1]  # one of them is decided
    assert "from 5 blocks, look 1 of 4" in parts[5]
    assert "from 5 blocks, look 1 of 4" in parts[7]
    between = "".join(parts[:5]) + parts[6]
    assert not re.search("slower|faster|difference|cannot tell", between)
    assert re.search(r"ok  x \d.\d+ s", said)


def test_a_goal_adds_blocks_until_it_is_reached(engine: WatchedEngine) -> None:
    """``--until`` adds the blocks up to the next look until the goal is reached."""
    write(engine, MATRIX)
    assert main(["--until", "decided", "--seed", "1"]) == Exit.OK
    assert latest().plan().blocks == 6  # fewer than five blocks decide nothing
    done = len(engine.executed)
    assert main(["--until", "x:±50%"]) == Exit.OK
    assert len(engine.executed) == done


def test_an_unreached_goal_ends_with_the_last_look(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """There are no more looks than planned, and the run says so."""
    write(engine)
    assert main(["--until", "x:±0.01%", "--seed", "1"]) == Exit.OK
    assert latest().plan().blocks == 8
    assert "the goal is not reached, and this was the last look" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        ("y:±2%", "the matrix has no metric 'y'"),
        ("x", "is not a goal"),
        ("x:±0%", "is not a goal"),
        ("x:±2", "compared by ratios; write 'x:±2%'"),
    ],
)
def test_a_wrong_goal_is_refused(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str], goal: str, said: str
) -> None:
    """The error comes before anything is executed."""
    write(engine)
    assert main(["--until", goal]) == Exit.CONFIG
    assert said in capsys.readouterr().err
    assert engine.executed == []


def test_no_block_begins_that_would_exceed_the_budget(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run stops between blocks, and the same command resumes it."""
    write(engine)
    assert main(["--budget", "1s"]) == Exit.OK  # a first guess is half a minute a trial
    assert engine.executed == []
    assert "but the budget has only" in capsys.readouterr().out
    assert main([]) == Exit.OK
    assert len(engine.executed) == 8


@pytest.mark.parametrize(
    ("policy", "code"),
    [("{x: +3%}", Exit.HOLD), ("{x: +500%}", Exit.OK)],
)
def test_the_gate_turns_hold_into_an_exit_code(
    engine: WatchedEngine, policy: str, code: Exit
) -> None:
    """Both ``run`` and ``report`` do this; without --gate the code is 0."""
    text = MATRIX.replace("blocks: 2", "blocks: 5") + f"policy: {policy}\n"
    write(engine, text)
    assert main(["--gate", "--seed", "1"]) == code
    assert main(["report", "--gate"]) == code
    assert main(["report"]) == Exit.OK


def test_comparisons_cannot_be_changed_during_a_run(engine: WatchedEngine) -> None:
    """Choosing them after seeing the numbers would be biased."""
    write(engine)
    main(["--blocks", "1"])
    before = latest().run().matrix.compare
    only = "compare: [{of: {model: three}, against: {model: two}}]\n"
    Path("matrix.yaml").write_text(MODELS + only)
    main(["--blocks", "2"])
    assert latest().run().matrix.compare == before
