"""Run folders: files are whole, damage is reported, and one process writes at a time."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import DamagedError, NoSpaceError, RunFolderError
from runner.records import FORMAT
from runner.records.environment import Images
from runner.records.run import Guards, Plan, TrialResult
from runner.records.study import Status
from runner.report import write as write_report
from runner.runs.checks import Refused
from runner.runs.files import file_name
from runner.runs.folder import (
    RunFolder,
    find_run,
    new_name,
    occupied,
    point_latest,
    run_folders,
)
from runner.summarise import condenser
from runner.system.stored import sealed
from tests.support.samples import founding_images, founding_plan, founding_run, stored_results

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Return the folder of a run that has begun."""
    return begun(tmp_path / "reports" / "20260101-000000-founding")


def begun(path: Path) -> RunFolder:
    """Begin a run in a folder."""
    folder = RunFolder(path)
    with occupied(path) as ours:
        assert ours
        folder.save(founding_run())
        folder.save(founding_plan())
        folder.save(Images(images=founding_images()))
    return folder


def test_every_record_comes_back_as_it_was_saved(folder: RunFolder) -> None:
    """Run, plan, images and results equal the saved ones."""
    for result in stored_results():
        folder.save_result(result, "a log")
    stored = folder.stored()
    assert stored.run == founding_run()
    assert stored.plan == founding_plan()
    assert stored.images == founding_images()
    in_order = sorted(stored_results(), key=lambda result: result.started_at)
    assert list(stored.results) == in_order


def test_the_logs_of_failed_trials_come_back_in_part(folder: RunFolder) -> None:
    """A report shows the last lines of the log of each trial that is not ok."""
    log = "".join(f"line {number}\n" for number in range(100)) + "last \udcff words"
    for result in stored_results():
        folder.save_result(result, log)
    failed = {result.trial.id for result in stored_results() if result.status is not Status.OK}
    logs = folder.stored().logs
    assert set(logs) == failed
    assert all(tail.startswith("line 61\n") and tail.endswith("words") for tail in logs.values())


def test_a_log_does_not_depend_on_the_locale(folder: RunFolder) -> None:
    """An excerpt is the same on a machine that knows only ASCII."""
    result = next(one for one in stored_results() if one.status is not Status.OK)
    folder.save_result(result, "größer als Ω")
    code = (
        "import sys; from pathlib import Path; from runner.runs.folder import RunFolder\n"
        "print(*map(ascii, RunFolder(Path(sys.argv[1])).stored().logs.values()))"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder.path)],
        env={**os.environ, **plain, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ascii("größer als Ω")


def test_a_report_needs_no_logs(folder: RunFolder) -> None:
    """Somebody may have removed them to save space."""
    for result in stored_results():
        folder.save_result(result, "a log")
    for path in (folder.path / "logs").iterdir():
        path.unlink()
    assert set(folder.stored().logs.values()) == {""}
    assert write_report(folder).exists()


def test_a_full_disk_damages_nothing(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays, no temporary file is left, and the error says what to do."""
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match=r"plan\.json: No space left on device; fix this"):
        folder.save(replace(founding_plan(), seed=7))
    with pytest.raises(RunFolderError, match="No space left on device"):
        folder.save_result(stored_results()[0], "a log")
    after = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert after == before


def test_a_result_survives_a_crash_of_the_machine(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content is synced before it is renamed, and its folder before the next trial."""
    synced: list[tuple[bool, int]] = []

    def sync(opened: int) -> None:
        saved = len(list(folder.path.glob("trials/*.json")))
        synced.append((stat.S_ISDIR(os.fstat(opened).st_mode), saved))

    monkeypatch.setattr(os, "fsync", sync)
    folder.save_result(stored_results()[0], "a log")
    log, result = [(False, 0), (True, 0)], [(False, 0), (True, 1)]
    assert synced == log + result


@pytest.mark.parametrize(
    ("good", "hostile"),
    [
        ('"python":"3.7"', '"python":"--python-downloads-json-url=http://a.invalid"'),
        ('"name":"protobuf"', '"name":"--index-url=http://a.invalid"'),
    ],
)
def test_a_stored_run_cannot_carry_options(folder: RunFolder, good: str, hostile: str) -> None:
    """The environments of a run are checked like those of a lock."""
    path = folder.path / "run.json"
    text = re.sub(r'(": |": ")', lambda found: found[0].replace(" ", ""), path.read_text())
    assert good in text
    path.write_text(text.replace(good, hostile))
    with pytest.raises(DamagedError, match=r"lock\.entries\.0"):
        folder.stored()


def test_a_damaged_result_is_set_aside(folder: RunFolder) -> None:
    """The other results are read, and the damaged file is kept under another name."""
    for result in stored_results():
        folder.save_result(result, "a log")
    victim = next((folder.path / "trials").glob("*.json"))
    victim.write_bytes(victim.read_bytes()[:100])
    results, refused = salvaged(folder)
    assert len(results) == len(stored_results()) - 1
    assert refused == (Refused(f"{victim.name}.damaged", "it is damaged"),)
    assert victim.with_name(refused[0].name).stat().st_size == 100
    assert salvaged(folder) == (results, ())


def salvaged(folder: RunFolder) -> tuple[tuple[TrialResult, ...], tuple[Refused, ...]]:
    """Set aside the results of the founding run that do not count."""
    return folder.salvage(founding_run(), founding_plan())


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a stored file, as a person would."""
    written = json.loads(path.read_text())
    change(written)
    path.write_text(json.dumps(written))


def forge(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a stored file, and make its digest fit."""
    edit(path, change)
    edit(path, lambda written: written.pop("digest"))
    path.write_bytes(sealed(path.read_bytes()))


def saved(folder: RunFolder) -> Path:
    """Save all results of the founding run, and return the file of one that is ok."""
    for result in stored_results():
        folder.save_result(result, "a log")
    return min((folder.path / "trials").glob("*sequential@b1.1.json"))


@pytest.mark.parametrize(
    "change",
    [
        lambda written: written["values"].update(test_accuracy=99.9),
        lambda written: written["series"]["epoch_seconds"].append(0.1),
        lambda written: written.update(status="failed"),
        lambda written: written.update(disturbed="other processes were busy"),
        lambda written: written["trial"].update(attempt=2),
        lambda written: written.pop("digest"),
        lambda written: written.update(digest="0" * 64),
        lambda written: written.update(digest=7),
        lambda written: (written.pop("digest"), written.update(format=FORMAT - 1)),
    ],
)
def test_an_edited_result_does_not_count(
    folder: RunFolder, change: Callable[[dict[str, Any]], object]
) -> None:
    """The report names it near the top; a resumed run sets it aside and repeats its trial."""
    victim = saved(folder)
    edit(victim, change)
    said = f"Edited results: {victim.stem}. They are not counted."
    assert said in report(folder).partition("\n## ")[0]
    stored = folder.stored()
    assert len(stored.results) == len(stored_results()) - 1
    reason = "it was edited after it was saved"
    assert stored.refused == (Refused(victim.name, reason, edited=True),)
    results, refused = salvaged(folder)
    kept = tuple(map(condenser(stored.run.matrix), stored.results))
    assert (results, [one.name for one in refused]) == (kept, [f"{victim.name}.damaged"])
    assert salvaged(folder) == (results, ())


def report(folder: RunFolder) -> str:
    """Return the report without the characters that protect Markdown."""
    return re.sub(r"<!-- -->|\\", "", write_report(folder).read_text())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda written: written["trial"].update(seed=5), "its seed is not the one in the plan"),
        (lambda written: written["trial"].update(block=2), "it is the result of "),
        (lambda written: written["trial"].update(control=True), "it is the result of "),
        (lambda written: written["trial"].update(cell="tensorflow=3"), "it is the result of "),
        (lambda written: written.update(image="sha256:0"), "its image is not one of the run"),
        (lambda written: written["values"].clear(), "it lacks the metric "),
        (lambda written: written["series"].update(epoch_seconds=[]), "it lacks the metric epoch_s"),
        (lambda written: written.update(reading=None), "nothing was executed, although it is ok"),
        (lambda written: written.update(image=None), "nothing was executed, although it is ok"),
    ],
)
def test_a_result_that_does_not_belong_to_its_run_does_not_count(
    folder: RunFolder, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    """Even if its digest is right, as in a result that was copied from another run."""
    victim = saved(folder)
    forge(victim, change)
    (refused,) = folder.stored().refused
    assert (refused.name, refused.edited) == (victim.name, False)
    assert refused.reason.startswith(reason)
    said = f"Results that do not belong to this run: {victim.name} ({reason}"
    assert said in report(folder).partition("\n## ")[0]


def test_a_copied_result_does_not_count(folder: RunFolder) -> None:
    """A trial that is missing cannot be replaced by another trial's result."""
    first, *_ = stored_results()
    folder.save_result(first, "a log")
    path = next((folder.path / "trials").iterdir())
    shutil.copy(path, path.with_name(path.name.replace("b1", "b2")))
    stored = folder.stored()
    assert stored.results == (first,)
    assert [one.reason for one in stored.refused] == [f"it is the result of {first.trial.id}"]


def test_a_result_of_a_cell_that_the_run_does_not_have_does_not_count(folder: RunFolder) -> None:
    """It may come from another study."""
    first, *_ = stored_results()
    folder.save_result(replace(first, trial=replace(first.trial, cell="tensorflow=3")), "a log")
    assert [one.reason for one in folder.stored().refused] == ["the run has no such cell"]


@pytest.mark.parametrize("name", ["run.json", "plan.json", "images.json"])
def test_other_edited_files_are_named_in_the_report(folder: RunFolder, name: str) -> None:
    """The report is made from them nevertheless."""
    assert folder.stored().edited == ()
    edit(folder.path / name, lambda written: written.update(digest="0" * 64))
    assert folder.stored().edited == (name,)
    assert f"Edited files: {name}." in report(folder).partition("\n## ")[0]


def test_an_edited_plan_is_noticed(folder: RunFolder) -> None:
    """For example one with another seed."""
    edit(folder.path / "plan.json", lambda written: written.update(seed=2))
    assert folder.stored().edited == ("plan.json",)


def test_older_files_have_no_digest(folder: RunFolder) -> None:
    """They are read as before, whether somebody edited them or not."""
    saved(folder)
    for path in folder.path.rglob("*.json"):
        edit(path, lambda written: (written.pop("digest"), written.update(format=6)))
    stored = folder.stored()
    assert (stored.refused, stored.edited) == ((), ())
    assert len(stored.results) == len(stored_results())


def test_the_text_of_the_matrix_is_read_if_there_is_one(folder: RunFolder) -> None:
    """Older runs have none; bytes that are no text do no harm."""
    assert folder.stored().matrix_text is None
    folder.save_text("matrix.yaml", "format: 1\n")
    assert folder.stored().matrix_text == "format: 1\n"
    (folder.path / "matrix.yaml").write_bytes(b"name: \xff")
    assert folder.stored().matrix_text == "name: \N{REPLACEMENT CHARACTER}"


def test_the_text_of_the_matrix_is_a_small_regular_file(folder: RunFolder, tmp_path: Path) -> None:
    """A link may lead anywhere, and a large file takes all memory."""
    path = folder.path / "matrix.yaml"
    with path.open("wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(RunFolderError, match="larger than the limit"):
        folder.stored()
    path.unlink()
    (tmp_path / "secret").write_text("secret")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(DamagedError, match="is a link"):
        folder.stored()


def test_the_temporary_files_of_a_killed_process_are_removed(folder: RunFolder) -> None:
    """Complete files and the lock stay."""
    folder.save_result(stored_results()[0], "a log")
    before = {path for path in folder.path.rglob("*") if path.is_file()}
    for name in (".run.json.123", "trials/.a@b1.1.json.4567", "logs/.a@b1.1.log.89", ".latest.5"):
        (folder.path / name).write_text("half")
    folder.sweep()
    assert {path for path in folder.path.rglob("*") if path.is_file()} == before


def test_a_full_disk_has_its_own_error(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program waits for space, but not for a read-only folder."""
    for number, kind in ((28, NoSpaceError), (30, RunFolderError)):

        def fails(_: int, number: int = number) -> None:
            raise OSError(number, "some words")

        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(RunFolderError) as raised:
            folder.save(replace(founding_plan(), seed=7))
        assert type(raised.value) is kind


def test_a_file_in_place_of_the_reports_is_reported(tmp_path: Path) -> None:
    """The error names the path."""
    (tmp_path / "reports").write_text("")
    with (
        pytest.raises(RunFolderError, match="reports"),
        occupied(tmp_path / "reports" / "run"),
    ):
        pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged (the whole file: Invalid JSON"),
        (b'{"format": 1, "seed": 1', "is damaged (the whole file: Invalid JSON"),
        (b"\xff\xfe", "is damaged (the whole file: Invalid JSON"),
        (b"[" * 10_000, "is damaged (the whole file: Invalid JSON"),
        (b'{"format": 1}', "is damaged (seed: Field required"),
        (b'{"format": 1, "seed": 1, "blocks": 1, "trials": 5}', "is damaged (trials: "),
        (b'{"format": 1, "seed": 1, "blocks": 1, "trials": [], "more": 1}', "is damaged (more: "),
        (b'{"format": 1, "seed": 1.5, "blocks": 1, "trials": []}', "is damaged (seed: "),
    ],
)
def test_a_damaged_file_is_reported(folder: RunFolder, content: bytes, said: str) -> None:
    """The error names the file, the field, and what to do."""
    (folder.path / "plan.json").write_bytes(content)
    with pytest.raises(RunFolderError) as raised:
        folder.plan()
    message = str(raised.value)
    assert message.startswith(f"{folder.path / 'plan.json'} {said}")
    assert message.endswith("; remove it and repeat the command.")


OLD_TRIAL = {"cell": "a=1", "block": 1, "position": 1, "seed": 5, "attempt": 1}


def test_a_plan_of_the_first_format_is_read(folder: RunFolder) -> None:
    """Fields that were added later have their defaults."""
    plan = read_plan(folder, {"format": 1, "trials": [OLD_TRIAL]})
    assert (plan.format, plan.looks, plan.left, plan.guards) == (1, (), {}, Guards())
    assert not plan.trials[0].control


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_plan_with_the_old_names_is_read(folder: RunFolder, version: int) -> None:
    """``twin`` is now ``control``, and ``most_tainted`` is ``most_disturbed``."""
    trials = [{**OLD_TRIAL, "twin": True}, {**OLD_TRIAL, "twin": False}]
    guards = {"repeats": 7, "most_tainted": 0.25}
    plan = read_plan(folder, {"format": version, "trials": trials, "guards": guards})
    assert [trial.control for trial in plan.trials] == [True, False]
    assert plan.guards == Guards(repeats=7, most_disturbed=0.25)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_result_with_the_old_names_is_read(folder: RunFolder, version: int) -> None:
    """``tainted`` is now ``disturbed``."""
    written = {
        "format": version,
        "trial": {**OLD_TRIAL, "twin": True},
        "status": "ok",
        "values": {"x": 1.5},
        "series": {},
        "environment": {},
        "tainted": "other processes took 9% of the measured core",
        "started_at": "2026-01-01T00:00:00Z",
        "duration_s": 2.5,
    }
    (folder.path / "trials").mkdir()
    (folder.path / "trials" / "a.json").write_text(json.dumps(written))
    [result] = folder.results()
    assert result.disturbed == written["tainted"]
    assert result.trial.control
    assert result.trial.id == "a=1@b1t.1"


def test_the_old_names_are_refused_in_the_newest_format(folder: RunFolder) -> None:
    """Only files of an older format may contain them."""
    with pytest.raises(DamagedError, match="twin"):
        read_plan(folder, {"format": FORMAT, "trials": [{**OLD_TRIAL, "twin": True}]})


@pytest.mark.parametrize("path", sorted((ROOT / "reports" / "reference").iterdir()), ids=str)
def test_published_runs_are_read(path: Path) -> None:
    """Older versions wrote them; each has a control in every block."""
    stored = RunFolder(path).stored()
    assert (stored.refused, stored.edited) == ((), ())
    controls = {trial.block for trial in stored.plan.trials if trial.control}
    assert len(controls) == stored.plan.blocks
    assert {one.trial.block for one in stored.results if one.trial.control} == controls


def read_plan(folder: RunFolder, fields: dict[str, object]) -> Plan:
    """Read a plan that was written with these fields."""
    written = {"seed": 1, "blocks": 1, **fields}
    (folder.path / "plan.json").write_text(json.dumps(written))
    return folder.plan()


@pytest.mark.parametrize("version", [str(FORMAT + 1), "9" * 30])
def test_a_newer_format_is_refused(folder: RunFolder, version: str) -> None:
    """Even if this version could read the file."""
    content = f'{{"format": {version}, "seed": 1, "blocks": 1, "trials": []}}'
    (folder.path / "plan.json").write_text(content)
    with pytest.raises(
        RunFolderError,
        match=r"plan\.json was written by a newer matrix-runner \(format \d+, this one",
    ):
        folder.plan()


def test_one_process_writes_a_folder(folder: RunFolder) -> None:
    """A second process is refused until the first one leaves; anyone may read."""
    assert not folder.is_occupied()
    with occupied(folder.path) as first:
        assert first
        assert folder.is_occupied()
        with occupied(folder.path) as second:
            assert not second
        assert folder.run() == founding_run()
    with occupied(folder.path) as second:
        assert second


def test_a_missing_folder_is_not_occupied(tmp_path: Path) -> None:
    """The question does not create the folder."""
    assert not RunFolder(tmp_path / "gone").is_occupied()
    assert not (tmp_path / "gone").exists()


def test_a_killed_process_releases_its_folder(folder: RunFolder) -> None:
    """The folder can be occupied at once."""
    code = (
        "import sys, time; from pathlib import Path; from runner.runs.folder import occupied\n"
        "with occupied(Path(sys.argv[1])) as ours: print(ours, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as first:
        assert first.stdout
        assert first.stdout.readline() == "True\n"
        assert folder.is_occupied()
        first.send_signal(signal.SIGKILL)
    with occupied(folder.path) as ours:
        assert ours


def test_latest_can_point_to_another_run(tmp_path: Path) -> None:
    """The link changes in one step and leaves no other file."""
    reports = tmp_path / "reports"
    first, second = begun(reports / "1-a"), begun(reports / "2-b")
    point_latest(second)
    point_latest(first)
    assert (reports / "latest").resolve() == first.path
    assert sorted(path.name for path in reports.iterdir()) == ["1-a", "2-b", "latest"]


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """The link and published runs are not listed."""
    reports = tmp_path / "reports"
    for name in ("20260101-a", "20260301-b", "20260201-c"):
        point_latest(begun(reports / name))
    begun(reports / "reference" / "founding")
    (reports / "prepare").mkdir()
    names = [folder.path.name for folder in run_folders(reports)]
    assert names == ["20260301-b", "20260201-c", "20260101-a"]


def test_a_run_is_found_by_id_and_by_path(tmp_path: Path) -> None:
    """A person names a folder, or an id in the reports folder."""
    reports = tmp_path / "reports"
    folder = begun(reports / "1-a")
    assert find_run(reports, "1-a").path == folder.path
    assert find_run(reports, str(folder.path)).path == folder.path
    assert find_run(tmp_path / "elsewhere", "reports/1-a").path == folder.path


def test_the_newest_run_is_found_without_a_name(tmp_path: Path) -> None:
    """It is the latest run, or the newest other one if that was removed."""
    reports = tmp_path / "reports"
    first, second = begun(reports / "1-a"), begun(reports / "2-b")
    point_latest(first)
    assert find_run(reports, None).path == first.path
    (reports / "latest").unlink()
    (reports / "latest").symlink_to("gone")
    assert find_run(reports, None).path == second.path


def test_a_latest_run_elsewhere_is_not_taken(tmp_path: Path) -> None:
    """Somebody else may have made the link; a report would be written there."""
    reports, elsewhere = tmp_path / "reports", tmp_path / "elsewhere"
    own = begun(reports / "1-a")
    begun(elsewhere)
    (reports / "latest").symlink_to("../elsewhere")
    assert find_run(reports, None).path == own.path


@pytest.mark.parametrize("named", [None, "nothing", "x" * 5000, "a/../b"])
def test_a_missing_run_is_reported(tmp_path: Path, named: str | None) -> None:
    """Every name leads to a run or an error with a sentence."""
    with pytest.raises(RunFolderError):
        find_run(tmp_path / "reports", named)


def test_two_runs_that_begin_in_one_second_have_different_ids(tmp_path: Path) -> None:
    """An id is never used twice, and ids sort by date."""
    first = new_name(tmp_path, "a", NOW)
    (tmp_path / first).mkdir()
    second = new_name(tmp_path, "a", NOW)
    assert (first, second) == ("20260101-000000-a", "20260101-000001-a")


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_run_after_the_clock_was_set_back_is_the_newest(tmp_path: Path, name: str) -> None:
    """Its id follows the newest one, whatever the studies are called."""
    for earlier in ("20300101-235959-m", "20290101-000000-z", "notes", "99999999-999999-x"):
        (tmp_path / earlier).mkdir()
    begun(tmp_path / new_name(tmp_path, name, NOW))
    assert (tmp_path / f"20300102-000000-{name}").is_dir()


def test_the_end_of_time_is_no_obstacle(tmp_path: Path) -> None:
    """Somebody may have named a folder like that."""
    (tmp_path / "99991231-235959-x").mkdir()
    assert new_name(tmp_path, "a", NOW) == "20260101-000000-a"


def test_a_removed_folder_is_never_made_again(folder: RunFolder) -> None:
    """Otherwise the results of one run would lie in two places, one without its run.json."""
    with occupied(folder.path):
        shutil.rmtree(folder.path)
        for save in (
            lambda: folder.save(founding_plan()),
            lambda: folder.save_result(stored_results()[0], "a log"),
            lambda: folder.save_text("report.md", "a report"),
            lambda: folder.save_build_log("a", "a log"),
        ):
            with pytest.raises(RunFolderError, match="was removed or renamed"):
                save()
    assert not folder.path.exists()


def test_a_folder_that_is_being_removed_gets_no_more_results(folder: RunFolder) -> None:
    """The folder itself goes last."""
    (folder.path / ".occupied").unlink()
    with pytest.raises(RunFolderError, match="was removed or renamed"):
        folder.save_result(stored_results()[0], "a log")
    assert not (folder.path / "trials").exists()


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_planted_records_are_damaged_records(folder: RunFolder, tmp_path: Path, kind: str) -> None:
    """They are not waited for, not followed, and set aside like other damaged results."""
    with occupied(folder.path):
        folder.save_result(stored_results()[0], "a log")
    [result] = (folder.path / "trials").iterdir()
    result.rename(tmp_path / "moved")
    (folder.path / "plan.json").unlink()
    for path in (result, folder.path / "plan.json"):
        if kind == "link":
            path.symlink_to(tmp_path / "moved")
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()
    with pytest.raises(DamagedError, match=r"plan\.json is damaged"):
        folder.plan()
    results, refused = folder.salvage(founding_run(), founding_plan())
    assert results == ()
    assert [one.name for one in refused] == [f"{result.name}.damaged"]


def test_a_planted_lock_is_not_opened(tmp_path: Path) -> None:
    """A FIFO would wait, and a link would make a file elsewhere."""
    for name in ("fifo", "link"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "fifo" / ".occupied")
    (tmp_path / "link" / ".occupied").symlink_to(tmp_path / "made")
    for name in ("fifo", "link"):
        with pytest.raises(RunFolderError, match=r"is not a regular file|is a link"):
            occupied(tmp_path / name).__enter__()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["trials", "logs", "figures"])
def test_a_part_that_is_a_link_is_refused(folder: RunFolder, tmp_path: Path, name: str) -> None:
    """Nothing is read or written where it leads."""
    (tmp_path / "elsewhere").mkdir()
    (folder.path / name).symlink_to(tmp_path / "elsewhere")
    result = next(one for one in stored_results() if one.status is not Status.OK)
    with pytest.raises(RunFolderError, match=f"{name} is a link"):
        folder.save_text(f"{name}/file", "text")
    if name != "figures":
        with pytest.raises(RunFolderError, match="is a link"):
            folder.save_result(result, "a log")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    if name == "trials":
        with pytest.raises(RunFolderError, match="is a link"):
            folder.results()


def test_a_planted_log_is_not_followed(folder: RunFolder, tmp_path: Path) -> None:
    """A report would repeat the end of the file that it leads to."""
    result = next(one for one in stored_results() if one.status is not Status.OK)
    with occupied(folder.path):
        folder.save_result(result, "a log")
    [log] = (folder.path / "logs").iterdir()
    (tmp_path / "secret").write_text("secret")
    log.unlink()
    log.symlink_to(tmp_path / "secret")
    with pytest.raises(RunFolderError, match="is a link, which is not followed"):
        folder.stored()


def test_an_ordinary_id_is_its_file_name() -> None:
    """A person finds the log of a trial by its id."""
    name = "tensorflow=2.0.0,model=sequential@b1.1"
    assert file_name(name) == name


@given(st.sets(st.text(st.characters(exclude_categories=())) | st.text("aA/_.", max_size=300)))
def test_any_id_has_its_own_file_name(names: set[str]) -> None:
    """Different ids have different names, which every file system accepts."""
    given_names = {file_name(name) for name in names}
    assert len(given_names) == len(names)
    for name in given_names:
        assert name.isascii()
        assert "/" not in name
        assert len(f".{name}.json.4194304") <= 255
