"""Run folders: what is written is whole, what is damaged is told, one process writes at a time."""

import os
import signal
import stat
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import NoSpaceError, RunFolderError
from runner.records import FORMAT
from runner.records.run import Guards
from runner.records.study import Status
from runner.report import write as write_report
from runner.runs.folder import RunFolder, file_name, find_run, new_name, point_latest, run_folders
from tests.support.samples import founding_images, founding_plan, founding_results, founding_run

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """The folder of a run that has begun."""
    return begun(tmp_path / "reports" / "20260101-000000-founding")


def begun(path: Path) -> RunFolder:
    """Begin a run in a folder."""
    folder = RunFolder(path)
    assert folder.occupy()
    folder.begin(founding_run())
    folder.save_plan(founding_plan())
    folder.leave()
    return folder


def test_every_record_comes_back_as_it_was_saved(folder: RunFolder) -> None:
    """Run, plan, images and results are equal to those that were saved."""
    folder.save_images(founding_images())
    for result in founding_results():
        folder.save_result(result, "a log")
    stored = folder.stored()
    assert stored.run == founding_run()
    assert stored.plan == founding_plan()
    assert stored.images == founding_images()
    in_order = sorted(founding_results(), key=lambda result: result.started_at)
    assert list(stored.results) == in_order


def test_logs_of_what_is_not_ok_come_back_in_part(folder: RunFolder) -> None:
    """A report needs the last lines of the logs of trials that are not ok."""
    log = "".join(f"line {number}\n" for number in range(100)) + "last \udcff words"
    for result in founding_results():
        folder.save_result(result, log)
    failed = {result.trial.id for result in founding_results() if result.status is not Status.OK}
    logs = folder.stored().logs
    assert set(logs) == failed
    assert all(tail.startswith("line 61\n") and tail.endswith("words") for tail in logs.values())


def test_a_missing_log_is_no_crash(folder: RunFolder) -> None:
    """Who removes logs to save space can still have the report."""
    for result in founding_results():
        folder.save_result(result, "a log")
    for path in (folder.path / "logs").iterdir():
        path.unlink()
    assert set(folder.stored().logs.values()) == {""}
    assert write_report(folder).exists()


def test_a_disk_that_is_full_spoils_nothing(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file stays, no other is left, and one sentence says what to do."""
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match=r"plan\.json: No space left on device; repair that"):
        folder.save_plan(founding_plan())
    with pytest.raises(RunFolderError, match="No space left on device"):
        folder.save_result(founding_results()[0], "a log")
    after = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert after == before


def test_a_result_outlasts_the_machine(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its content is on the disk before it has its name, and its name before the next trial."""
    synced: list[tuple[bool, int]] = []

    def sync(opened: int) -> None:
        saved = len(list(folder.path.glob("trials/*.json")))
        synced.append((stat.S_ISDIR(os.fstat(opened).st_mode), saved))

    monkeypatch.setattr(os, "fsync", sync)
    folder.save_result(founding_results()[0], "a log")
    log, result = [(False, 0), (True, 0)], [(False, 0), (True, 1)]
    assert synced == log + result


def test_a_damaged_result_is_set_aside(folder: RunFolder) -> None:
    """The others are read; the file is kept under another name."""
    for result in founding_results():
        folder.save_result(result, "a log")
    victim = next((folder.path / "trials").glob("*.json"))
    victim.write_bytes(victim.read_bytes()[:100])
    results, damaged = folder.salvage()
    assert len(results) == len(founding_results()) - 1
    assert damaged == (victim.with_name(f"{victim.name}.damaged"),)
    assert damaged[0].stat().st_size == 100
    assert folder.salvage() == (results, ())


def test_what_a_killed_process_was_writing_is_swept(folder: RunFolder) -> None:
    """Whole files and the lock stay."""
    folder.save_result(founding_results()[0], "a log")
    before = {path for path in folder.path.rglob("*") if path.is_file()}
    for name in (".run.json.123", "trials/.a@b1.1.json.4567", "logs/.a@b1.1.log.89", ".latest.5"):
        (folder.path / name).write_text("half")
    folder.sweep()
    assert {path for path in folder.path.rglob("*") if path.is_file()} == before


def test_a_full_disk_has_an_error_of_its_own(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may pass, unlike a folder that is read-only."""
    for number, kind in ((28, NoSpaceError), (30, RunFolderError)):

        def fails(_: int, number: int = number) -> None:
            raise OSError(number, "some words")

        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(RunFolderError) as raised:
            folder.save_plan(founding_plan())
        assert type(raised.value) is kind


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """A file where the reports should be is an error of the run folder."""
    (tmp_path / "reports").write_text("")
    with pytest.raises(RunFolderError, match="reports"):
        RunFolder(tmp_path / "reports" / "run").occupy()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged (the whole file: Invalid JSON"),
        (b'{"format": 1, "seed": 1', "is damaged (the whole file: Invalid JSON"),
        (b"\xff\xfe", "is damaged (the whole file: Invalid JSON"),
        (b"[" * 10_000, "is damaged (the whole file: Invalid JSON"),
        (b'{"format": 1}', "is damaged (seed: Field required"),
        (b'{"format": 1, "seed": 1, "blocks": 1, "trials": [], "more": 1}', "is damaged (more: "),
        (b'{"format": 1, "seed": 1.5, "blocks": 1, "trials": []}', "is damaged (seed: "),
    ],
)
def test_a_damaged_file_is_told(folder: RunFolder, content: bytes, said: str) -> None:
    """The sentence names the file, the place in it, and what to do."""
    (folder.path / "plan.json").write_bytes(content)
    with pytest.raises(RunFolderError) as raised:
        folder.plan()
    message = str(raised.value)
    assert message.startswith(f"{folder.path / 'plan.json'} {said}")
    assert message.endswith("; remove it and repeat the command.")


def test_a_plan_of_the_first_format_is_read(folder: RunFolder) -> None:
    """What came later has its defaults: no looks were planned, and nobody left."""
    trial = '{"cell": "a=1", "block": 1, "position": 1, "seed": 5, "attempt": 1}'
    content = f'{{"format": 1, "seed": 1, "blocks": 1, "trials": [{trial}]}}'
    (folder.path / "plan.json").write_text(content)
    plan = folder.plan()
    assert (plan.format, plan.looks, plan.left, plan.guards) == (1, (), {}, Guards())
    assert not plan.trials[0].control


@pytest.mark.parametrize("version", [str(FORMAT + 1), "9" * 30])
def test_a_newer_format_is_refused(folder: RunFolder, version: str) -> None:
    """A file of a later version is refused, also one that this version could read."""
    content = f'{{"format": {version}, "seed": 1, "blocks": 1, "trials": []}}'
    (folder.path / "plan.json").write_text(content)
    with pytest.raises(
        RunFolderError,
        match=r"plan\.json was written by a newer matrix-runner \(format \d+, this one",
    ):
        folder.plan()


def test_one_process_writes_a_folder(folder: RunFolder) -> None:
    """A second occupant is refused until the first one leaves; readers are not."""
    assert not folder.is_occupied()
    assert folder.occupy()
    other = RunFolder(folder.path)
    assert other.is_occupied()
    assert not other.occupy()
    assert other.run() == founding_run()
    folder.leave()
    assert other.occupy()
    other.leave()


def test_a_folder_that_is_gone_is_free(tmp_path: Path) -> None:
    """To ask whether a folder is occupied does not make it."""
    assert not RunFolder(tmp_path / "gone").is_occupied()
    assert not (tmp_path / "gone").exists()


def test_a_killed_process_holds_nothing(folder: RunFolder) -> None:
    """The folder of a process that was killed can be occupied at once."""
    code = (
        "import sys, time; from pathlib import Path; from runner.runs.folder import RunFolder;"
        "folder = RunFolder(Path(sys.argv[1]));"
        "print(folder.occupy(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as first:
        assert first.stdout
        assert first.stdout.readline() == "True\n"
        assert not folder.occupy()
        first.send_signal(signal.SIGKILL)
    assert folder.occupy()
    folder.leave()


def test_latest_leads_to_the_run_that_was_pointed_at_last(tmp_path: Path) -> None:
    """The link moves in one step and leaves nothing beside it."""
    reports = tmp_path / "reports"
    first, second = begun(reports / "1-a"), begun(reports / "2-b")
    point_latest(second)
    point_latest(first)
    assert (reports / "latest").resolve() == first.path
    assert sorted(path.name for path in reports.iterdir()) == ["1-a", "2-b", "latest"]


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """Only folders of runs are listed: neither the link nor what was published."""
    reports = tmp_path / "reports"
    for name in ("20260101-a", "20260301-b", "20260201-c"):
        point_latest(begun(reports / name))
    begun(reports / "reference" / "founding")
    (reports / "prepare").mkdir()
    names = [folder.path.name for folder in run_folders(reports)]
    assert names == ["20260301-b", "20260201-c", "20260101-a"]


def test_a_run_is_found_by_id_and_by_path(tmp_path: Path) -> None:
    """What a person names is a folder, or an id among the reports."""
    reports = tmp_path / "reports"
    folder = begun(reports / "1-a")
    assert find_run(reports, "1-a").path == folder.path
    assert find_run(reports, str(folder.path)).path == folder.path
    assert find_run(tmp_path / "elsewhere", "reports/1-a").path == folder.path


def test_the_newest_run_is_found_without_a_name(tmp_path: Path) -> None:
    """It is the latest one, and another one where that was removed."""
    reports = tmp_path / "reports"
    first, second = begun(reports / "1-a"), begun(reports / "2-b")
    point_latest(first)
    assert find_run(reports, None).path == first.path
    (reports / "latest").unlink()
    (reports / "latest").symlink_to("gone")
    assert find_run(reports, None).path == second.path


@pytest.mark.parametrize("named", [None, "nothing", "x" * 5000, "a/../b"])
def test_a_run_that_is_not_there_is_told(tmp_path: Path, named: str | None) -> None:
    """Whatever a person names, the answer is a run or a sentence."""
    with pytest.raises(RunFolderError):
        find_run(tmp_path / "reports", named)


def test_two_runs_of_one_second_have_two_names(tmp_path: Path) -> None:
    """A name that is taken is never used again; names sort by date."""
    first = new_name(tmp_path, "a", NOW)
    (tmp_path / first).mkdir()
    second = new_name(tmp_path, "a", NOW)
    assert (first, second) == ("20260101-000000-a", "20260101-000001-a")


def test_an_ordinary_id_is_its_own_file_name() -> None:
    """A person finds the log of a trial by its id."""
    name = "tensorflow=2.0.0,model=sequential@b1.1"
    assert file_name(name) == name


@given(st.sets(st.text(st.characters(exclude_categories=())) | st.text("aA/_.", max_size=300)))
def test_any_id_has_a_file_name_of_its_own(names: set[str]) -> None:
    """No two ids share a name, and every file system takes it with an ending."""
    given_names = {file_name(name) for name in names}
    assert len(given_names) == len(names)
    for name in given_names:
        assert name.isascii()
        assert "/" not in name
        assert len(f".{name}.json.4194304") <= 255
