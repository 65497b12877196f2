"""Temporary folders are gone however their process ends, and others cannot misuse them."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.errors import RunFolderError
from runner.system import tempdir
from tests.support.studies import ROOT

WORKS = """
import sys
from runner.system import child, tempdir

with tempdir.folder() as folder:
    print(folder.parent.name, flush=True)
    child.run(["sh", "-c", "echo $$ > pid.new; mv pid.new pid; exec sleep 60"],
              folder=folder, timeout_s=60)
"""


def working() -> tuple[subprocess.Popen[str], str]:
    """Start a process that works in a temporary folder; return the folder's name, too."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def temporary() -> list[str]:
    """Return the names of this test's temporary files."""
    return [path.name for path in Path(tempfile.gettempdir()).iterdir()]


def test_a_folder_is_empty_and_removed_afterwards() -> None:
    """Even if the work in it fails."""

    def fails() -> None:
        with tempdir.folder() as folder:
            assert list(folder.iterdir()) == []
            (folder / "file").write_text("x")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert temporary() == []


def test_an_impossible_folder_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable to set."""
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    with pytest.raises(RunFolderError, match=r"cannot make a temporary folder .* TMPDIR"):
        tempdir.folder().__enter__()


def test_a_sweep_removes_the_folders_of_killed_processes_only() -> None:
    """A folder whose process is alive is locked. The killed process's child is dead, too."""
    process, name = working()
    with process, tempdir.folder() as own:
        pid_file = Path(tempfile.gettempdir(), name, "content", "pid")
        wait_until(pid_file.exists)
        pid = int(pid_file.read_text())
        tempdir.sweep()
        assert sorted(temporary()) == sorted([name, own.parent.name])
        process.kill()
        process.wait()
        tempdir.sweep()
        assert temporary() == [own.parent.name]
        wait_until(lambda: ended(pid))
    assert temporary() == []


def test_what_others_plant_neither_hangs_nor_counts(tmp_path: Path) -> None:
    """A FIFO would wait for ever, and a link would create or remove files elsewhere."""
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    (outside / tempdir.LOCK).write_text("")
    shared = Path(tempfile.gettempdir())
    for name in ("fifo", "link", "folder", "empty"):
        (shared / f"{tempdir.PREFIX}{name}").mkdir()
    os.mkfifo(shared / f"{tempdir.PREFIX}fifo" / tempdir.LOCK)
    (shared / f"{tempdir.PREFIX}link" / tempdir.LOCK).symlink_to(tmp_path / "made")
    (shared / f"{tempdir.PREFIX}folder" / tempdir.LOCK).mkdir()
    (shared / f"{tempdir.PREFIX}elsewhere").symlink_to(outside)
    (shared / f"{tempdir.PREFIX}file").write_text("")
    os.mkfifo(shared / f"{tempdir.PREFIX}pipe")
    before = sorted(temporary())
    tempdir.sweep()
    assert sorted(temporary()) == before
    assert (outside / "kept").exists()
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
@pytest.mark.parametrize("planted", ["the folder", "the lock"])
def test_the_folders_of_other_users_are_left_alone(planted: str) -> None:
    """Root could remove them, and a user could make root remove them."""
    folder = Path(tempfile.gettempdir(), f"{tempdir.PREFIX}x")
    folder.mkdir()
    (folder / tempdir.LOCK).write_text("")
    os.chown(folder if planted == "the folder" else folder / tempdir.LOCK, 65534, 65534)
    tempdir.sweep()
    assert folder.exists()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait at most ten seconds for a condition."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(pid: int) -> bool:
    """Whether a process has ended, even if nobody has waited for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
