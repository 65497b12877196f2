"""Whole runs, from the command line to a small engine, with real files in between."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli import main
from runner.engines.protocol import Launch, Outcome
from runner.errors import Exit, NoSpaceError
from runner.records.environment import (
    Images,
    Unsupported,
)
from runner.records.run import Plan, Run, TrialResult
from runner.records.study import Status
from runner.runs import registry
from runner.runs.folder import RunFolder, occupied
from runner.runs.identity import differences
from runner.system import alive, retry
from tests.support.fakes import QuickEngine
from tests.support.whole_runs import (
    MATRIX,
    PYTHON,
    WatchedEngine,
    declare,
    environment,
    lock,
    reachable,
    study,
)

WITH_VERSIONS = MATRIX.replace(
    "axes:\n  model: [one, two]", 'axes:\n  lib: {package: lib, versions: ["1.0", "2.0"]}'
)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine that every command of the test reaches."""
    return reachable(monkeypatch)


def folders() -> list[str]:
    """Return the ids of all runs, oldest first."""
    return sorted(path.parent.name for path in Path("reports").glob("2*/run.json"))


def statuses() -> Mapping[str, Status]:
    """Return the status of every trial of the newest run, without the controls."""
    results = RunFolder(Path("reports/latest")).results()
    return {result.trial.id: result.status for result in results if not result.trial.control}


def test_a_run_is_not_continued_on_another_base(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base was rebuilt under the same name: the images are built again, for a new run."""
    study(engine)
    assert main(["--blocks", "1"]) == Exit.OK
    assert engine.built == []
    engine.base_digest = "sha256:" + "1" * 64
    assert main([]) == Exit.OK
    assert (len(engine.built), len(folders())) == (1, 2)
    first, second = (RunFolder(Path("reports", name)).run() for name in folders())
    assert [one.digest for one in second.bases.values()] == [engine.base_digest]
    assert differences(first, second) == {
        ("bases", PYTHON): ("sha256:" + "0" * 64, engine.base_digest)
    }
    capsys.readouterr()
    assert main(["explain", "model=one"]) == Exit.OK
    assert "resumes" in capsys.readouterr().out


def test_a_run_executes_every_cell_once_in_each_block(engine: WatchedEngine) -> None:
    """All results are saved, the report is written, and the exit code is 0."""
    study(engine)
    assert main([]) == Exit.OK
    expected = {f"model={model}@b{block}.1" for model in ("one", "two") for block in (1, 2)}
    assert statuses() == dict.fromkeys(expected, Status.OK)
    assert "Finished: 2 blocks" in Path("reports/latest/report.md").read_text()
    results = RunFolder(Path("reports/latest")).results()
    assert {result.values["x"] for result in results} == {2.5}


def test_a_run_leaves_only_images_on_the_engine(engine: WatchedEngine) -> None:
    """Its containers and volumes are removed."""
    study(engine)
    main(["--blocks", "1"])
    assert engine.left == []


def test_a_run_whose_folder_is_removed_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with one sentence, and neither the folder nor its entry in the registry stays."""
    engine = reachable(monkeypatch)
    study(engine)
    executing = engine.execute

    def remove(launch: Launch, watch: Callable[[str], None]) -> Outcome:
        if len(engine.executed) == 2:
            shutil.rmtree(Path("reports/latest").resolve())
        return executing(launch, watch)

    monkeypatch.setattr(engine, "execute", remove)
    known = set(registry.folders())
    assert main([]) == Exit.RUN_FOLDER
    assert "was removed or renamed" in capsys.readouterr().err
    assert folders() == []
    assert [path.name for path in Path("reports").iterdir() if path.is_dir()] == []
    assert engine.left == []
    assert set(registry.folders()) == known


def test_a_run_shows_its_label_as_long_as_it_lasts(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So every user of the machine can see that it is alive."""
    study(engine)
    shown: list[bool] = []
    executes = engine.execute

    def execute(launch: Launch, watch: Callable[[str], None]) -> Outcome:
        shown.append(alive.is_shown(launch.run))
        return executes(launch, watch)

    monkeypatch.setattr(engine, "execute", execute)
    assert main(["--blocks", "1"]) == Exit.OK
    assert set(shown) == {True}
    assert not alive.is_shown(engine.launches[0].run)


def test_a_run_cleans_up_after_dead_runs(
    engine: WatchedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that a killed run left on the engine is removed before the first trial."""
    study(engine)
    dead = tmp_path / "dead"
    dead.mkdir()
    left = registry.remember(dead)
    engine.stage(left, "an image", {})
    assert main(["--blocks", "1"]) == Exit.OK
    assert engine.left == []
    removed = f"removed 1 volume that a dead run left on the engine: {dead}"
    assert removed in capsys.readouterr().out.partition("[1/3]")[0]


def test_images_are_built_once(engine: WatchedEngine) -> None:
    """A second run that needs the same image builds nothing."""
    lock(*(environment(request) for request in declare()))
    assert main(["--blocks", "1", "-s", "model=one"]) == Exit.OK
    assert main(["--blocks", "1", "-s", "model=two"]) == Exit.OK
    assert engine.built == [f"plain Python {PYTHON}"]


def test_trials_of_a_block_share_a_seed(engine: WatchedEngine) -> None:
    """All cells of a block have the same seed, and the next block has another one."""
    study(engine)
    main([])
    seeds: dict[str, set[object]] = {}
    for launch in engine.launches:
        seeds.setdefault(launch.trial.partition("@")[2].replace("t", ""), set()).add(launch.seed)
    assert [len(found) for found in seeds.values()] == [1, 1]
    assert len(set.union(*seeds.values())) == 2


def test_the_launcher_gets_the_trial_spec(engine: WatchedEngine) -> None:
    """It has command, parameters, cell and limits; the engine adds its own paths."""
    study(engine)
    main(["-s", "model=one", "--blocks", "1", "--seed", "7"])
    [launch] = engine.launches
    assert json.loads(launch.trial_spec(inputs="/inputs")) == {
        "inputs": "/inputs",
        "command": ["python", "script.py"],
        "data": ["numbers.txt"],
        "files": [],
        "benchmarks": [],
        "stdout": False,
        "peak": False,
        "seed": launch.seed,
        "parameters": {"epochs": 5, "model": "one"},
        "cell": {"model": "one"},
        "variables": {},
        "timeout_s": 900.0,
        "log_bytes": 1024**2,
        "result_bytes": 1024**2,
        "matched": False,
        "quiet": {
            "window_s": 0.0,
            "short_window_s": 0.0,
            "until_s": 0.0,
            "foreign_share": 1e9,
            "patience_s": 30.0,
        },
    }
    assert registry.folders()[launch.run] == Path("reports/latest").resolve()


def test_an_unexpected_failure_affects_no_other_trial(engine: WatchedEngine) -> None:
    """The exit code is 1, and the log of the failed trial is kept."""
    study(engine, MATRIX.replace("two", "broken"))
    assert main([]) == Exit.CELL_FAILED
    assert statuses() == {
        "model=one@b1.1": Status.OK,
        "model=broken@b1.1": Status.FAILED,
        "model=one@b2.1": Status.OK,
        "model=broken@b2.1": Status.FAILED,
    }
    assert Path("reports/latest/logs/model=broken@b1.1.log").read_text() == "it broke\n"


def test_a_complete_run_gives_the_same_code_again(engine: WatchedEngine) -> None:
    """A cell that failed still fails when nothing is left to do."""
    study(engine, MATRIX.replace("two", "broken"))
    assert main(["--blocks", "1"]) == Exit.CELL_FAILED
    assert main(["--blocks", "1"]) == Exit.CELL_FAILED
    assert len(engine.executed) == 3


def test_an_expected_failure_is_ok(engine: WatchedEngine) -> None:
    """Declaring the expectation later continues the same run."""
    text = MATRIX.replace("two", "broken")
    study(engine, text)
    assert main(["--blocks", "1"]) == Exit.CELL_FAILED
    declare(text + "include: [{model: broken, expect: failed}]\n")
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.executed) == 3


def test_a_failed_build_affects_only_its_own_cells(engine: WatchedEngine) -> None:
    """The other cells run, the exit code is 1, and the reason names the saved build log."""
    first, second = (environment(request) for request in declare(WITH_VERSIONS))
    lock(first, second)
    engine.add_image(first)
    engine.refuses_to_build = {"lib=2.0"}
    assert main(["--blocks", "1"]) == Exit.CELL_FAILED
    assert statuses() == {"lib=1.0@b1.1": Status.OK, "lib=2.0@b1.1": Status.NO_IMAGE}
    log = Path("reports/latest/logs/image-lib=2.0.log")
    assert log.read_text() == "a log"
    reasons = {result.reason for result in RunFolder(Path("reports/latest")).results()}
    assert any(reason and str(log.name) in reason for reason in reasons)


def test_a_cell_without_an_image_is_retried(engine: WatchedEngine) -> None:
    """The next command executes only that cell, once its image can be built."""
    first, second = (environment(request) for request in declare(WITH_VERSIONS))
    lock(first, second)
    engine.add_image(first)
    engine.refuses_to_build = {"lib=2.0"}
    main(["--blocks", "1"])
    engine.add_image(second)
    assert main(["--blocks", "1"]) == Exit.OK
    assert sorted(engine.executed) == ["lib=1.0@b1.1", "lib=1.0@b1t.1", "lib=2.0@b1.2"]


def test_a_run_without_any_image_ends_normally(engine: WatchedEngine) -> None:
    """Every cell has the status no-image."""
    lock(*(environment(request) for request in declare(WITH_VERSIONS)))
    engine.refuses_to_build = {"lib=1.0", "lib=2.0"}
    assert main(["--blocks", "1"]) == Exit.CELL_FAILED
    assert set(statuses().values()) == {Status.NO_IMAGE}
    assert engine.left == []


def test_an_environment_that_cannot_exist_is_unsupported(engine: WatchedEngine) -> None:
    """The cell gets that status and the reason from the lock; the others run."""
    first, second = declare(WITH_VERSIONS)
    lock(environment(first), Unsupported(request=second, reason="lib 2.0 does not exist"))
    engine.add_image(environment(first))
    assert main(["--blocks", "1"]) == Exit.CELL_FAILED
    assert statuses() == {"lib=1.0@b1.1": Status.OK, "lib=2.0@b1.1": Status.UNSUPPORTED}
    assert "lib 2.0 does not exist" in Path("reports/latest/report.md").read_text()


def test_a_lost_engine_costs_only_the_current_trial(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finished trials are kept, and the next command executes only the others."""
    study(engine)
    engine.dies_at_trial = 1
    assert main(["--blocks", "1"]) == Exit.ENGINE
    said = capsys.readouterr()
    assert said.out.count("the engine went away Trying again in") == len(retry.WAITS_S)
    assert said.err == "the engine went away\n"
    saved = RunFolder(Path("reports/latest")).results()
    assert [result.status.value for result in saved] == ["ok", *["engine-lost"] * 6]
    assert {result.values.get("x") for result in saved[1:]} == {None}
    engine.dies_at_trial = None
    assert main(["--blocks", "1"]) == Exit.OK
    assert engine.left == []
    places = [trial.rpartition(".")[0] for trial in engine.executed]
    assert len(places) == len(set(places)) == 3
    assert len(folders()) == 1


def test_a_run_waits_for_a_lost_engine(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images and inputs are prepared again, and the lost trial is executed next."""
    study(engine)
    engine.dies_at_trial, engine.dies_so_often = 1, 2
    assert main(["--blocks", "1"]) == Exit.OK
    assert capsys.readouterr().out.count("Trying again in 0 s.") == 2
    saved = RunFolder(Path("reports/latest")).results()
    lost = [one.trial for one in saved if one.status is Status.ENGINE_LOST]
    assert [trial.attempt for trial in lost] == [1, 2]
    assert engine.executed[1] == replace(lost[0], attempt=3).id
    assert len(engine.executed) == 3
    assert engine.left == []


def test_a_run_whose_engine_is_lost_after_the_last_trial_leaves_nothing(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It waits for the engine, removes its volume, and executes nothing again."""
    study(engine)
    engine.dies_at_removal = True
    assert main(["--blocks", "1"]) == Exit.OK
    assert capsys.readouterr().out.count("Trying again in 0 s.") == 1
    assert len(engine.executed) == 3
    assert engine.left == []


def test_a_removed_image_is_built_again(engine: WatchedEngine) -> None:
    """A run does not end because somebody removed images."""
    study(engine)
    engine.forgets_images_at_trial = 1
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.built) == 1
    assert len(engine.executed) == 3


def test_a_lost_trial_is_repeated_in_the_same_run(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is repeated at the end of its block, and the cell has not failed."""
    study(engine)
    engine.troubles = ["the container was killed from outside"]
    assert main(["--blocks", "1"]) == Exit.OK
    first, *others = engine.executed
    assert others[-1] == first.replace("@b1.1", "@b1.2").replace("@b1t.1", "@b1t.2")
    assert "engine-lost" in capsys.readouterr().out


def test_a_trial_that_stays_lost_waits_for_the_next_command(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tried three times in one command, which ends with the engine's exit code."""
    study(engine)
    engine.troubles = ["it was killed", None, None, "it was killed", "it was killed"]
    assert main(["--blocks", "1"]) == Exit.ENGINE
    assert (
        "1 trial lost because of the machine. Run the same command to repeat it."
        in capsys.readouterr().out
    )
    assert len(engine.executed) == 5
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.executed) == 6


def test_a_damaged_run_does_not_stop_a_new_one(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The damaged run is reported and left as it is."""
    study(engine)
    main(["--blocks", "1"])
    (name,) = folders()
    damaged = Path("reports", name, "plan.json")
    damaged.write_bytes(damaged.read_bytes()[:50])
    capsys.readouterr()
    assert main(["--blocks", "1"]) == Exit.OK
    assert f"reports/{name} is not continued: {damaged} is damaged" in capsys.readouterr().out
    assert len(folders()) == 2
    assert damaged.stat().st_size == 50


def test_a_damaged_result_is_executed_again(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The damaged file is kept, and no other trial is repeated."""
    study(engine)
    main(["--blocks", "1"])
    victim = next(Path("reports/latest/trials").glob("*.json"))
    victim.write_bytes(b"\0" * 100)
    assert main(["--blocks", "1"]) == Exit.OK
    assert (
        "this result is set aside, because it is damaged; its trial will run again."
        in capsys.readouterr().out
    )
    assert len(engine.executed) == 4
    assert len(set(engine.executed)) == 3


def test_an_edited_result_is_executed_again(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is kept, and the report no longer mentions it."""
    study(engine)
    main(["--blocks", "1"])
    victim = next(Path("reports/latest/trials").glob("*.json"))
    victim.write_text(victim.read_text().replace('"ok"', '"failed"'))
    assert main(["report"]) == Exit.OK
    report = Path("reports/latest/report.md")
    assert "Edited results: " in report.read_text()
    assert main(["--blocks", "1"]) == Exit.OK
    said = "is set aside, because it was edited after it was saved; its trial will run again."
    assert said in capsys.readouterr().out
    assert len(engine.executed) == 4
    assert victim.with_name(f"{victim.name}.damaged").is_file()
    assert "Edited results" not in report.read_text()


@pytest.mark.parametrize("name", ["run.json", "plan.json", "images.json"])
def test_an_edited_run_is_not_continued(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Saving it again would hide that it was edited."""
    study(engine)
    main(["--blocks", "1"])
    path = Path("reports/latest", name).resolve()
    path.write_text(path.read_text().replace('"digest": "', '"digest": "0'))
    assert main(["--blocks", "1"]) == Exit.OK
    said = capsys.readouterr().out
    assert f"is not continued, because it was edited ({name}); restore it." in said
    assert len(folders()) == 2


def test_images_that_were_built_again_stay_with_their_results(engine: WatchedEngine) -> None:
    """A result counts only if its image is one of the run."""
    study(engine)
    main(["--blocks", "1"])
    engine.forget_images()
    assert main([]) == Exit.OK
    stored = RunFolder(Path("reports/latest")).stored()
    assert (stored.refused, len(folders())) == ((), 1)
    assert {one.image for one in stored.results} == {one.id for one in stored.images}
    assert len(stored.images) == 2


def test_a_run_waits_while_the_disk_is_full(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No trial is repeated, because results are saved later."""
    study(engine)
    save, full = RunFolder.save_result, [True, True]

    def saves(folder: RunFolder, result: TrialResult, log: str) -> None:
        if full:
            full.pop()
            raise NoSpaceError("reports: No space left on device.")
        save(folder, result, log)

    monkeypatch.setattr(RunFolder, "save_result", saves)
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.executed) == len(set(engine.executed)) == 3


def test_explain_needs_no_engine(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says why each trial would run or not, with or without an earlier run."""
    study(engine)
    assert main(["explain", "model=one"]) == Exit.OK
    assert capsys.readouterr().out.startswith("no run of tiny in reports yet")
    main(["--blocks", "1"])
    monkeypatch.delattr("runner.engines.docker.connect")
    capsys.readouterr()
    assert main(["explain", "model=one", "--blocks", "2"]) == Exit.OK
    said = capsys.readouterr().out
    assert "model=one@b1.1: would not run: ended ok" in said
    assert "model=one@b2.1: would run: no result yet" in said
    assert main(["explain", "model=three"]) == Exit.NOTHING_SELECTED
    assert "\nthe cells are:\n  model=one\n  model=two" in capsys.readouterr().err


def test_an_interrupted_run_is_resumed(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C removes everything from the engine and does not wait for a report."""
    study(engine)
    engine.interrupted_at_trial = 1
    assert main(["--blocks", "1"]) == Exit.INTERRUPTED
    assert "Run the same command to resume." in capsys.readouterr().err
    assert not Path("reports/latest/report.md").exists()
    assert engine.left == []
    engine.interrupted_at_trial = None
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(engine.executed) == len(set(engine.executed)) == 3


def test_the_report_of_a_complete_run_is_rendered_only_if_something_changed(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated command leaves it as it is, unless a file is newer or missing."""
    study(engine)
    assert main(["--blocks", "1"]) == Exit.OK
    folder = Path("reports", *folders())
    page = folder / "report.html"
    first = page.stat().st_mtime_ns
    assert main(["--blocks", "1"]) == Exit.OK
    assert page.stat().st_mtime_ns == first
    (folder / "plan.json").touch()
    assert main(["--blocks", "1"]) == Exit.OK
    second = page.stat().st_mtime_ns
    assert second > first
    (folder / "junit.xml").unlink()
    assert main(["--blocks", "1"]) == Exit.OK
    assert page.stat().st_mtime_ns > second
    third = page.stat().st_mtime_ns
    monkeypatch.setattr("runner.report.__version__", "99")
    assert main(["--blocks", "1"]) == Exit.OK
    assert page.stat().st_mtime_ns > third


def test_a_complete_run_says_so(engine: WatchedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is executed, and the exit code is 0."""
    study(engine)
    main(["--blocks", "1"])
    capsys.readouterr()
    assert main(["--blocks", "1"]) == Exit.OK
    assert "is complete: nothing is left to do" in capsys.readouterr().out
    assert len(engine.executed) == 3
    assert len(folders()) == 1


def test_new_begins_another_run(engine: WatchedEngine) -> None:
    """The trials are executed again, in a new folder that is the latest."""
    study(engine)
    main(["--blocks", "1", "-s", "model=one"])
    main(["--blocks", "1", "-s", "model=one", "--new"])
    assert engine.executed == ["model=one@b1.1"] * 2
    assert len(folders()) == 2
    assert Path("reports/latest").resolve().name == folders()[1]


def test_blocks_are_added_after_the_earlier_ones(engine: WatchedEngine) -> None:
    """More blocks keep the order of the earlier ones; fewer blocks remove none."""
    study(engine)
    main(["--blocks", "1"])
    before = RunFolder(Path("reports/latest")).plan()
    assert main(["--blocks", "3"]) == Exit.OK
    after = RunFolder(Path("reports/latest")).plan()
    assert after.trials[:3] == before.trials
    assert len(engine.executed) == 9
    main(["--blocks", "1"])
    assert RunFolder(Path("reports/latest")).plan() == after
    assert len(engine.executed) == 9


def test_quick_is_another_run(engine: WatchedEngine) -> None:
    """It uses the quick parameters in one block, apart from the full run."""
    study(engine)
    main(["--blocks", "1", "-s", "model=one"])
    assert main(["--quick", "-s", "model=one"]) == Exit.OK
    assert len(folders()) == 2
    assert engine.executed == ["model=one@b1.1"] * 2
    results = RunFolder(Path("reports/latest")).results()
    assert {result.values["x"] for result in results} == {0.5}


@pytest.mark.parametrize("name", ["script.py", "numbers.txt"])
def test_an_edited_input_is_a_new_run(engine: WatchedEngine, name: str) -> None:
    """Results of another script or other data are never mixed."""
    study(engine)
    main(["--blocks", "1", "-s", "model=one"])
    Path(name).write_text(Path(name).read_text() + "\n")
    main(["--blocks", "1", "-s", "model=one"])
    assert len(folders()) == 2
    assert engine.executed == ["model=one@b1.1"] * 2


def test_a_run_keeps_the_newest_text_of_its_matrix(engine: WatchedEngine) -> None:
    """The text may be edited between two commands, if the edit affects no measurement."""
    study(engine)
    assert main(["--blocks", "1"]) == Exit.OK
    first = RunFolder(Path("reports/latest"))
    assert first.stored().matrix_text == MATRIX
    edited = f"# a comment with an \N{SNOWMAN}\n{MATRIX}title: edited\n"
    Path("matrix.yaml").write_text(edited)
    assert main(["--blocks", "2"]) == Exit.OK
    assert len(folders()) == 1
    assert first.stored().matrix_text == edited


def test_changes_that_affect_no_measurement_continue_the_run(engine: WatchedEngine) -> None:
    """Claims, policy, titles and the number of blocks are not part of the key."""
    study(engine)
    main(["--blocks", "1"])
    claim = "{id: a, text: Slow., of: {model: one}, against: {model: two}, metric: x, says: lower}"
    declare(MATRIX + f"title: Another\npolicy: {{x: +3%}}\nclaims: [{claim}]\n")
    assert main([]) == Exit.OK
    assert len(folders()) == 1
    assert len(engine.executed) == 6
    assert "Another" in Path("reports/latest/report.md").read_text()


def test_a_selection_is_another_run(engine: WatchedEngine) -> None:
    """Only the selected cells are executed."""
    study(engine)
    main(["--blocks", "1", "-s", "model=t*"])
    assert engine.executed == ["model=two@b1.1"]
    main(["--blocks", "1"])
    assert len(folders()) == 2


def test_an_incomplete_lock_is_refused_with_locked(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is resolved; the error names the missing entries, and the exit code is 2."""
    declare(WITH_VERSIONS)
    assert main(["--locked"]) == Exit.CONFIG
    assert "matrix.lock has no entry for lib=1.0 and lib=2.0" in capsys.readouterr().err
    assert engine.executed == []


def test_an_occupied_run_is_refused(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second process cannot continue the run, but can begin another one."""
    study(engine)
    main(["--blocks", "1"])
    with occupied(Path("reports/latest")) as ours:
        assert ours
        assert main([]) == Exit.RUN_FOLDER
        assert "another process is executing" in capsys.readouterr().err
        assert main(["--blocks", "1", "--new"]) == Exit.OK


def test_an_input_edited_during_the_build_is_refused(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every trial executes the script whose digest is in the run."""
    study(engine)

    save = RunFolder.save

    def edited(folder: RunFolder, record: Run | Plan | Images) -> None:
        if isinstance(record, Images):
            Path("script.py").write_text("print('another')")
        save(folder, record)

    monkeypatch.setattr(RunFolder, "save", edited)
    assert main([]) == Exit.CONFIG
    assert engine.executed == []


def test_limits_beyond_the_engine_are_refused(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too many cores are refused before anything is built or executed."""
    study(engine, MATRIX + "limits: {cpus: 4096}\n")
    assert main([]) == Exit.CONFIG
    assert "limits.cpus is 4096" in capsys.readouterr().err
    assert folders() == []


def test_an_engine_on_another_machine_is_another_run(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No core of this machine is kept free, and its processor is not checked."""
    study(engine)
    kept: set[frozenset[int]] = set()
    monkeypatch.setattr("runner.pipeline.keep_off_measured", lambda own: kept.add(frozenset(own)))
    monkeypatch.setattr("runner.system.host.check_cpu", lambda _: pytest.fail("it is not measured"))
    for machine in ("one", "other", "one"):
        facts = replace(QuickEngine().describe(), machine=machine)
        monkeypatch.setattr(engine, "describe", lambda facts=facts: facts)
        main(["--blocks", "1"])
    assert (len(folders()), kept) == (2, {frozenset()})


def test_the_runner_avoids_the_measured_cores(
    engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the engine is on this machine, its highest cores are left to the trials."""
    study(engine)
    kept: set[frozenset[int]] = set()
    monkeypatch.setattr("runner.pipeline.keep_off_measured", lambda own: kept.add(frozenset(own)))
    main(["--blocks", "1"])
    assert kept == {frozenset(engine.cores()[-1:])}
    assert {frozenset(launch.cores) for launch in engine.launches} == kept


@pytest.mark.parametrize(
    ("key", "edited", "options"),
    [
        ("repeats", "repeats: 0\n", []),
        ("looks", "looks: 1\n", []),
        ("compare", "compare: [{of: {model: one}, against: {model: two}}]\n", []),
        ("seed", "", ["--seed", "5"]),
    ],
)
def test_a_resumed_run_names_the_keys_that_it_keeps(
    engine: WatchedEngine,
    capsys: pytest.CaptureFixture[str],
    key: str,
    edited: str,
    options: list[str],
) -> None:
    """Otherwise the edited value would be ignored without a word."""
    study(engine)
    main(["--blocks", "1", "--seed", "4"])
    assert "was changed" not in capsys.readouterr().out
    declare(MATRIX + edited)
    main(["--blocks", "1", *options])
    said = f"`{key}` was changed, but this run keeps its own; use --new to apply the change."
    assert said in capsys.readouterr().out
    assert len(folders()) == 1


def test_report_follows_the_matrix(
    engine: WatchedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --matrix it is the newest run of all; a matrix without a run is named."""
    study(engine)
    main(["--blocks", "1"])
    Path("other.yaml").write_text(MATRIX.replace("name: tiny", "name: other"))
    Path("matrix.lock").rename("other.lock")
    main(["--matrix", "other.yaml", "--blocks", "1"])
    capsys.readouterr()
    for words, name in ((["--matrix", "matrix.yaml"], "tiny"), ([], "other")):
        assert main(["report", *words]) == Exit.OK
        assert f"-{name}/report.md" in capsys.readouterr().out
    Path("third.yaml").write_text(MATRIX.replace("name: tiny", "name: third"))
    assert main(["report", "--matrix", "third.yaml"]) == Exit.RUN_FOLDER
    assert "reports contains no run of third" in capsys.readouterr().err
