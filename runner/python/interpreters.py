"""Find the interpreters of this machine: from pyenv, from uv and on PATH."""

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
# In a virtual environment, base_prefix belongs to the interpreter that made it.
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
    """Return the platform of this machine as a lock names it: ``linux-x86_64``."""
    return f"{platform.system()}-{platform.machine()}".lower()


@cache
def available() -> tuple[Interpreter, ...]:
    """Return the interpreters of this machine, one for each minor version, newest first.

    Those from pyenv and uv come before those on PATH: each has its own folder, from which a base
    can be assembled. Executables that do not report a version are left out.
    """
    return choose(_candidates())


def choose(candidates: Iterable[Path]) -> tuple[Interpreter, ...]:
    """Return the first working interpreter for each minor version, newest first."""
    found: dict[str, Interpreter] = {}
    for path in candidates:
        if path.name.removeprefix("python") not in found:
            interpreter = examine(path)
            if interpreter is not None:
                found.setdefault(interpreter.minor, interpreter)
    return tuple(sorted(found.values(), key=lambda one: _numbers(one.version), reverse=True))


def find(minor: str) -> Interpreter:
    """Return the interpreter of a minor version; uv downloads it if it is missing.

    PackagesError if the download fails.
    """
    interpreter = _found(minor) or _downloaded(minor)
    if interpreter is None:
        others = ", ".join(one.minor for one in available())
        raise PackagesError(
            f"this machine has no Python {minor} (it has {others}) and uv could not download it: "
            f"install it, for example with `pyenv install {minor}`, and try again."
        )
    return interpreter


def examine(path: Path) -> Interpreter | None:
    """Return the interpreter of an executable; ``None`` if it is not a released CPython."""
    try:
        lines = subprocess.run(
            [str(path), "-I", "-S", "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=ASK_TIMEOUT_S,
            check=True,
        ).stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if len(lines) != 3 or lines[0] != "cpython" or not lines[1].endswith("final"):  # noqa: PLR2004  _ASK prints three lines
        return None
    version = lines[1].removesuffix("final")
    name = f"python{version.rpartition('.')[0]}"
    original = Path(lines[2], "bin", name)
    return Interpreter(path=original if original.exists() else path.resolve(), version=version)


def _found(minor: str) -> Interpreter | None:
    return next((one for one in available() if one.minor == minor), None)


def _downloaded(minor: str) -> Interpreter | None:
    """Download an interpreter with uv; ``None`` if that fails."""
    try:
        uv.call(
            ["python", "install", minor, "--no-bin"],
            purpose=f"download Python {minor}",
            timeout_s=DOWNLOAD_TIMEOUT_S,
        )
    except PackagesError:
        return None  # the caller reports it
    available.cache_clear()
    return _found(minor)


def _candidates() -> Iterator[Path]:
    """Yield executables named ``python3.N``, from preferred places first."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from _versions(pyenv / "versions")
    yield from _versions(_managed_folder())
    for folder in os.get_exec_path():
        yield from _executables(Path(folder))
    yield Path(sys.executable)


def _managed_folder() -> Path:
    """Return the folder of the interpreters that uv has downloaded."""
    answer = uv.call(["python", "dir"], purpose="name its interpreters", timeout_s=ASK_TIMEOUT_S)
    return Path(answer.text.strip())


def _versions(folder: Path) -> Iterator[Path]:
    """Yield the executables of a folder that has a folder for each version, newest first."""
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
