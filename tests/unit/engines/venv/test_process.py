"""A command ends together with everything that it started, and its end is reported."""

import os
import signal
import time
from pathlib import Path

import pytest

from runner.engines.streams import TrialOutput
from runner.engines.venv import process
from runner.records.study import Limits

DAEMON = "setsid sh -c 'echo $$ > daemon; exec sleep 60' >/dev/null 2>&1 & "
"""Starts a process that leaves its session and group, and whose parent ends first."""
CORE = sorted(os.sched_getaffinity(0))[-1:]
WRITTEN = "until [ -s daemon ]; do sleep 0.01; done; "


def run(script: str, timeout_s: float = 30.0) -> tuple[int, bool, TrialOutput]:
    """Run a shell script in this folder; return its exit code, if it was in time, its output."""
    output = TrialOutput(Limits(), lambda _: None)
    command = ["sh", "-c", f"cd {Path.cwd()}; {script}"]
    variables = {"PATH": os.defpath, "ONLY": "this"}
    code, in_time = process.run(command, variables, output.add, cores=CORE, timeout_s=timeout_s)
    return code, in_time, output


def alive(pid: str) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_both_streams_and_the_exit_code_are_returned() -> None:
    """The command gets the given variables and cores, and no other variables."""
    code, in_time, output = run("env; nproc; ulimit -c; echo log >&2; exit 3")
    assert (code, in_time, output.log()) == (3, True, "log\n")
    lines = (output.document() or b"").decode().splitlines()
    assert lines[-2:] == ["1", "0"]
    assert {line.partition("=")[0] for line in lines[:-2]} - {"PWD", "OLDPWD", "_", "LC_CTYPE"} == {
        "PATH",
        "ONLY",
    }


def test_a_signal_is_reported_as_the_exit_code() -> None:
    """As if nothing were between the runner and the command."""
    assert run("kill -KILL $$")[:2] == (-signal.SIGKILL, True)


def test_a_daemon_ends_with_its_command() -> None:
    """Its own session does not save it."""
    code, in_time, _ = run(DAEMON + WRITTEN)
    assert (code, in_time) == (0, True)
    assert not alive(Path("daemon").read_text().strip())


def test_a_deadline_holds_for_a_command_that_never_stops_printing() -> None:
    """The command is killed."""
    began = time.monotonic()
    code, in_time, _ = run("exec yes", timeout_s=0.15)
    assert (code, in_time) == (-signal.SIGKILL, False)
    assert time.monotonic() - began < 10


def test_an_interruption_ends_the_command() -> None:
    """The exception arrives after the command and its daemon are gone."""

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    output = TrialOutput(Limits(), interrupt)
    script = f"cd {Path.cwd()}; {DAEMON}{WRITTEN}echo on >&2; sleep 60"
    variables = {"PATH": os.defpath}
    with pytest.raises(KeyboardInterrupt):
        process.run(["sh", "-c", script], variables, output.add, cores=CORE, timeout_s=30.0)
    assert not alive(Path("daemon").read_text().strip())


def test_a_command_that_cannot_start_is_named() -> None:
    """The message has the name of the program that reports it."""
    output = TrialOutput(Limits(), lambda _: None)
    code, in_time = process.run(["no-such-program"], {}, output.add, cores=CORE, timeout_s=30.0)
    assert (code, in_time) == (125, True)
    assert output.log().startswith("subreaper: no-such-program: ")
