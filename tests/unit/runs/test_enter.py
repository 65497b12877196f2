"""What is known when a run begins."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.read import read
from runner.records.environment import Lock
from runner.records.run import Start
from runner.runs.enter import describe
from runner.system.host import this_host
from tests.support.fakes import FakeEngine
from tests.support.whole_runs import declare

AUTHOR: Mapping[str, str] = {
    f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Commit a study without its lock; return how its run starts."""
    for name, value in AUTHOR.items():
        monkeypatch.setenv(name, value)
    declare()
    for words in ("init --quiet", "add .", "commit --quiet -m x"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    return Start(root=tmp_path, reports=tmp_path / "reports", matrix=tmp_path / "matrix.yaml")


def commit(start: Start) -> str | None:
    """Return the commit that a run records."""
    matrix = read(Path("matrix.yaml"))
    engine = FakeEngine().describe()
    run = describe(matrix, Lock(entries=()), start, this_host(), engine, bases={})
    return run.git_commit


@pytest.mark.parametrize("name", ["matrix.yaml", "matrix.lock", "script.py", "numbers.txt"])
def test_a_run_records_its_commit_and_whether_the_study_was_edited(start: Start, name: str) -> None:
    """Every file of the study counts, and no other file does."""
    Path("other").touch()
    clean = commit(start)
    assert clean is not None
    assert len(clean) == 40
    with Path(name).open("a") as file:
        file.write("\n")
    assert commit(start) == f"{clean}-dirty"


def test_a_replay_looks_for_no_commit(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle may contain a repository."""

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("runner.system.git.commit", never)
    replay = Start(root=start.root, reports=start.reports, replay=True)
    assert commit(replay) is None
