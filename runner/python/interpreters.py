"""The interpreters of this machine, found at run time: from pyenv, from uv, on PATH."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runner.errors import PackagesError
from runner.python import uv

ASK_TIMEOUT_S = 20.0
DOWNLOAD_TIMEOUT_S = 300.0
# The prefix is that of the interpreter itself, also when a virtual environment's is asked.
_ASK = """
import sys
print(sys.implementation.name + getattr(sys, "abiflags", "").replace("m", ""))
print("%d.%d.%d" % sys.version_info[:3] + sys.version_info[3])
print(sys.base_prefix)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython of this machine: its executable and its full version, ``3.7.16``."""

    path: Path
    version: str

    @property
    def minor(self) -> str:
        """The minor version that an environment names: ``3.7``."""
        return ".".join(self.version.split(".")[:2])


def machine_platform() -> str:
    """Return what a lock calls this machine's platform: ``linux-x86_64``."""
    return f"{platform.system()}-{platform.machine()}".lower()


@cache
def available() -> tuple[Interpreter, ...]:
    """Return the interpreters of this machine, one for each minor version, the newest first.

    Those of pyenv and uv come before those on PATH: they stand in folders of their own, from which
    a base can be assembled. Each was asked for its version; what does not answer is left out.
    """
    return choose(_candidates())


def choose(candidates: Iterable[Path]) -> tuple[Interpreter, ...]:
    """Return the first interpreter that answers for each minor version, the newest first."""
    found: dict[str, Interpreter] = {}
    for path in candidates:
        if path.name.removeprefix("python") not in found:
            interpreter = examine(path)
            if interpreter is not None:
                found.setdefault(interpreter.minor, interpreter)
    return tuple(sorted(found.values(), key=lambda one: _numbers(one.version), reverse=True))


def find(minor: str) -> Interpreter:
    """Return the interpreter of a minor version, which uv downloads where it can.

    PackagesError if this machine has none and none can be had.
    """
    interpreter = _found(minor) or _downloaded(minor)
    if interpreter is None:
        others = ", ".join(one.minor for one in available())
        raise PackagesError(
            f"this machine has no Python {minor} (it has {others}) and uv could not download one: "
            f"install it, for example with `pyenv install {minor}`, and try again."
        )
    return interpreter


def examine(path: Path) -> Interpreter | None:
    """Return the interpreter behind an executable; ``None`` if it is not a released CPython."""
    try:
        told = subprocess.run(
            [str(path), "-I", "-S", "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
            check=True,
        ).stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if len(told) != 3 or told[0] != "cpython" or not told[1].endswith("final"):  # noqa: PLR2004  _ASK prints three lines
        return None
    version = told[1].removesuffix("final")
    name = f"python{version.rpartition('.')[0]}"
    original = Path(told[2], "bin", name)
    return Interpreter(path=original if original.exists() else path.resolve(), version=version)


def _found(minor: str) -> Interpreter | None:
    return next((one for one in available() if one.minor == minor), None)


def _downloaded(minor: str) -> Interpreter | None:
    """Let uv download an interpreter; ``None`` where the network does not allow it."""
    try:
        uv.call(
            ["python", "install", minor, "--no-bin"],
            purpose=f"download Python {minor}",
            timeout_s=DOWNLOAD_TIMEOUT_S,
        )
    except PackagesError:
        return None  # the caller says what to do
    available.cache_clear()
    return _found(minor)


def _candidates() -> Iterator[Path]:
    """Yield executables named ``python3.N``, the preferred places first."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from _versions(pyenv / "versions")
    yield from _versions(_managed_folder())
    for folder in os.get_exec_path():
        yield from _executables(Path(folder))
    yield Path(sys.executable)


def _managed_folder() -> Path:
    """Return where uv keeps the interpreters it downloaded."""
    answer = uv.call(["python", "dir"], purpose="name its interpreters", timeout_s=ASK_TIMEOUT_S)
    return Path(answer.text.strip())


def _versions(folder: Path) -> Iterator[Path]:
    """Yield the executables of a folder with one folder for each version, the newest first."""
    if folder.is_dir():
        for one in sorted(folder.iterdir(), key=lambda one: _numbers(one.name), reverse=True):
            yield from _executables(one / "bin")


def _executables(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(
            path for path in folder.iterdir() if re.fullmatch(r"python3\.\d+", path.name)
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
