"""Find the interpreters of this machine: from pyenv, from uv and on PATH."""

import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runner.errors import PackagesError
from runner.python import uv
from runner.system import child

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
    """Return the interpreter of a minor version; PackagesError if uv cannot download it."""
    if all(one.minor != minor for one in available()):
        with suppress(PackagesError):  # reported below
            uv.call(
                ["python", "install", "--no-bin", "--", minor],
                purpose=f"download Python {minor}",
                timeout_s=DOWNLOAD_TIMEOUT_S,
            )
            available.cache_clear()
    for interpreter in available():
        if interpreter.minor == minor:
            return interpreter
    others = ", ".join(one.minor for one in available())
    raise PackagesError(
        f"this machine has no Python {minor} (it has {others}) and uv could not download it: "
        f"install it, for example with `pyenv install {minor}`, and try again."
    )


def examine(path: Path) -> Interpreter | None:
    """Return the interpreter of an executable; ``None`` if it is not a released CPython."""
    output = child.output([str(path), "-I", "-S", "-c", _ASK], timeout_s=ASK_TIMEOUT_S)
    answer = re.fullmatch(r"cpython\n([0-9]+\.[0-9]+)\.([0-9]+)final\n(.+)\n", output or "")
    if answer is None:
        return None
    minor, micro, prefix = answer.groups()
    version, original = f"{minor}.{micro}", Path(prefix, "bin", f"python{minor}")
    exists = os.access(original, os.F_OK)  # ``exists`` raises where we may not look
    return Interpreter(path=original if exists else path.resolve(), version=version)


def _candidates() -> Iterator[Path]:
    """Yield executables named ``python3.N``, from preferred places first."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [
        *_newest_first(pyenv / "versions"),
        *(folder for versions in uv.python_folders() for folder in _newest_first(versions)),
        *map(Path, child.folders()),
    ]
    for folder in folders:
        yield from (path for path in _within(folder) if re.fullmatch(r"python3\.\d+", path.name))
    yield Path(sys.executable)


def _newest_first(versions: Path) -> list[Path]:
    """Return the ``bin`` folders of a folder that has a folder for each version."""
    folders = [version / "bin" for version in _within(versions)]
    return sorted(folders, key=lambda folder: _numbers(folder.parent.name), reverse=True)


def _within(folder: Path) -> list[Path]:
    """Return what is in a folder, in order; nothing if we may not read it."""
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
