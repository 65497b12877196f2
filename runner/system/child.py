"""Child programs that never outlive this one, even if it is interrupted or killed."""

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
    """Run a program to its end and return its output.

    OSError if it cannot be started, subprocess.TimeoutExpired if it takes too long.
    """
    setpriv = shutil.which("setpriv")  # the kernel kills the program with the thread that starts it
    with subprocess.Popen(
        [*((setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()), *command],
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


def output(
    command: Sequence[str],
    *,
    timeout_s: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """Return the output of a program; None if it cannot be started, fails or takes too long."""
    try:
        done = run(command, timeout_s=timeout_s, folder=folder, environment=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def kill_all() -> None:
    """Kill the programs that other threads are waiting for."""
    for program in tuple(_RUNNING):
        with contextlib.suppress(OSError):
            program.kill()
