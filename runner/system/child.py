"""Child programs that never outlive this one, even if it is interrupted or killed.

The working folder may belong to an untrusted study, so it decides neither which program starts nor
which libraries it loads.
"""

import contextlib
import errno
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SEARCHED = {
    "PATH": ":",
    "PYTHONPATH": ":",
    "LD_LIBRARY_PATH": ":;",
    "LD_PRELOAD": ": ",
    "LD_AUDIT": ":",
}
"""The variables that list where code is loaded from, with what separates their places.

An empty or a relative place is looked up in the working folder.
"""

_RUNNING: set[subprocess.Popen[bytes]] = set()


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    folder: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its output as text.

    OSError if it cannot be started, subprocess.TimeoutExpired if it takes too long.
    """
    done = run_bytes(command, timeout_s=timeout_s, folder=folder, environment=environment)
    out, err = _text(done.stdout), _text(done.stderr)
    return subprocess.CompletedProcess(command, done.returncode, out, err)


def run_bytes(
    command: Sequence[str],
    *,
    timeout_s: float,
    folder: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that reads ``given`` to its end and return its output as it is.

    OSError if it cannot be started, subprocess.TimeoutExpired if it takes too long.
    """
    setpriv = program("setpriv")  # the kernel kills the program with the thread that starts it
    with subprocess.Popen(
        [*((setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()), *located(command)],
        cwd=folder,
        env=variables() if environment is None else environment,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as started:
        _RUNNING.add(started)
        try:
            out, err = started.communicate(given or None, timeout=timeout_s)
        except BaseException:
            started.kill()
            raise
        finally:
            _RUNNING.discard(started)
    return subprocess.CompletedProcess(command, started.returncode, out, err)


def _text(output: bytes) -> str:
    """Return output as text, with the line ends of Unix."""
    return output.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def output(
    command: Sequence[str],
    *,
    timeout_s: float,
    folder: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """Return the output of a program; None if it cannot be started, fails or takes too long."""
    try:
        done = run(command, timeout_s=timeout_s, folder=folder, environment=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def located(command: Sequence[str]) -> list[str]:
    """Return a command with the path of its program; FileNotFoundError if there is none."""
    path = program(command[0])
    if path is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return [path, *command[1:]]


def program(name: str, also: Sequence[str] = ()) -> str | None:
    """Return the absolute path of a program on PATH or in other folders; None if there is none."""
    found = shutil.which(name, path=os.pathsep.join([*folders(), *also]))
    return found if found is not None and Path(found).is_absolute() else None


def folders() -> list[str]:
    """Return the folders of PATH."""
    return _absolute(os.environ.get("PATH", os.defpath), SEARCHED["PATH"])


def variables() -> dict[str, str]:
    """Return our environment variables, without lists that lead to the working folder."""
    kept = dict(os.environ)
    for name, separators in SEARCHED.items():
        if name in kept:
            kept[name] = os.pathsep.join(_absolute(kept[name], separators))
    return {name: value for name, value in kept.items() if value or name not in SEARCHED}


def _absolute(places: str, separators: str) -> list[str]:
    return [place for place in re.split(f"[{separators}]", places) if place.startswith("/")]


def kill_all() -> None:
    """Kill the programs that other threads are waiting for."""
    for started in tuple(_RUNNING):
        with contextlib.suppress(OSError):
            started.kill()
