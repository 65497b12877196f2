"""Temporary folders and child programs: nothing of either stays, however their process ends."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from runner.errors import RunFolderError
from runner.system import child, tempdir
from tests.support.studies import ROOT

WORKS = """
import sys, time
from pathlib import Path
from runner.system import child, tempdir

with tempdir.folder() as folder:
    (folder / "file").write_text("x")
    print(folder.parent, flush=True)
    child.run(["sleep", sys.argv[1]], timeout_s=60)
"""


def working(seconds: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that works in a folder for so long; return the folder, too."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS, seconds],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def temporary() -> list[str]:
    """Return what is among the temporary files of this test."""
    return [path.name for path in Path(tempfile.gettempdir()).iterdir()]


def test_a_folder_is_empty_and_gone_afterwards() -> None:
    """Also where the work in it fails."""

    def fails() -> None:
        with tempdir.folder() as folder:
            assert list(folder.iterdir()) == []
            (folder / "file").write_text("x")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert temporary() == []


def test_a_place_without_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, with what to do."""
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    with pytest.raises(RunFolderError, match=r"no temporary folder can be made .* TMPDIR"):
        tempdir.folder().__enter__()


def test_the_folder_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not() -> None:
    """A lock that can be taken tells one from the other."""
    killed, first = working("60")
    living, second = working("60")
    with killed, living:
        killed.kill()
        killed.wait()
        tempdir.sweep()
        assert temporary() == [second.name]
        assert tempdir.any_in_use()
        living.terminate()
    tempdir.sweep()
    assert temporary() == []
    assert first.name != second.name
    assert not tempdir.any_in_use()


def test_a_child_does_not_outlive_a_killed_parent() -> None:
    """The kernel ends it with the thread that waits for it."""
    process, _ = working("54321")
    with process:
        while not (pids := sleeping("54321")):
            time.sleep(0.01)
        process.kill()
    deadline = time.monotonic() + 5
    while any(pid in sleeping("54321") for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sleeping(seconds: str) -> list[str]:
    """Return the processes that sleep for so long."""
    found = subprocess.run(
        ["pgrep", "-fx", f"sleep {seconds}"], stdout=subprocess.PIPE, text=True, check=False
    )
    return found.stdout.split()


def test_children_of_other_threads_can_be_ended() -> None:
    """An interrupted program need not wait for them."""
    done: list[int] = []
    thread = threading.Thread(
        target=lambda: done.append(child.run(["sleep", "60"], timeout_s=60).returncode)
    )
    began = time.monotonic()
    thread.start()
    while not done:
        child.kill_all()
        time.sleep(0.01)
    thread.join()
    assert done == [-signal.SIGKILL]
    assert time.monotonic() - began < 10


def test_a_child_that_takes_too_long_is_ended() -> None:
    """The caller is told."""
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(["sleep", "60"], timeout_s=0.1)
