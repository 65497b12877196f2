"""Programs that we start: they never outlive us, whether we are interrupted or killed."""

import contextlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_RUNNING: set[subprocess.Popen[str]] = set()


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said.

    OSError if it cannot be started, subprocess.TimeoutExpired if it took longer.
    """
    with subprocess.Popen(
        [*_tied_to_us(), *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as program:
        _RUNNING.add(program)
        try:
            out, err = program.communicate(timeout=timeout_s)
        except BaseException:
            program.kill()
            raise
        finally:
            _RUNNING.discard(program)
    return subprocess.CompletedProcess(command, program.returncode, out, err)


def kill_all() -> None:
    """Kill the programs that other threads wait for."""
    for program in tuple(_RUNNING):
        with contextlib.suppress(OSError):
            program.kill()


def _tied_to_us() -> list[str]:
    """Return the words that have the kernel kill a program with the thread that started it."""
    tie = shutil.which("setpriv")  # of util-linux
    return [tie, "--pdeathsig", "KILL", "--"] if tie else []
