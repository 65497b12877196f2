"""Child programs end with this one, and the working folder does not decide what they are."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from runner.system import child


def test_children_of_other_threads_can_be_killed() -> None:
    """So an interrupted program need not wait for them."""
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


def test_a_child_that_takes_too_long_is_killed() -> None:
    """The caller gets an exception."""
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(["sleep", "60"], timeout_s=0.02)


@pytest.mark.parametrize("place", ["", ".", "bin"])
def test_the_working_folder_provides_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An empty or a relative entry of PATH means the working folder."""
    (tmp_path / "bin").mkdir()
    for name in ("setpriv", "sh", "only-here"):
        program = tmp_path / place / name
        program.write_text("#!/bin/sh\necho hostile\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((place, "/usr/bin", "/bin")))
    assert child.output(["sh", "-c", "echo $PATH; pwd"], timeout_s=10) == "/usr/bin:/bin\n/\n"
    assert child.output(["only-here"], timeout_s=10) is None
    assert child.output([str(Path(place, "only-here"))], timeout_s=10) is None
    assert child.output([str(tmp_path / place / "only-here")], timeout_s=10) == "hostile\n"


def test_the_working_folder_provides_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute places stay, because the user named them."""
    for name, value, kept in (
        ("LD_LIBRARY_PATH", ":/a;lib:/b:.", "/a:/b"),
        ("LD_PRELOAD", "/a.so ./b.so:c.so", "/a.so"),
        ("PYTHONPATH", ":", ""),
    ):
        monkeypatch.setenv(name, value)
        assert child.variables().get(name, "") == kept
