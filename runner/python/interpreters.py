"""Find the interpreters of this machine: from pyenv, from uv and on PATH."""

import json
import os
import platform
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags, generic_tags

from runner.errors import PackagesError
from runner.python import uv
from runner.records.patterns import MINOR, fits
from runner.system import child

ASK_TIMEOUT_S = 20.0
LIST_TIMEOUT_S = 120.0
DOWNLOAD_TIMEOUT_S = 300.0
WITHOUT_PYMALLOC = (3, 8)
"""The first version whose ABI is not marked with an ``m``."""

Candidate = tuple[str, Path]
"""A minor version and an executable that should have it."""

PYPY_ABI = "pp73"
"""The ABI of all releases of PyPy since 2019."""

_USUAL = (("cpython", "default"),)
_ANY = (*_USUAL, ("cpython", "freethreaded"), ("pypy", "default"))
"""Implementations and variants, as uv calls them."""

# In a virtual environment, base_prefix belongs to the interpreter that made it.
_ASK = """
import sys
print(sys.implementation.name + getattr(sys, "abiflags", "").replace("m", ""))
print("%d.%d.%d" % sys.version_info[:3] + sys.version_info[3])
print(sys.base_prefix)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python of this machine: its executable and its full version, ``3.7.16``.

    ``special`` is the name of one that a minor version does not find: ``3.12.4``, ``3.13t`` or
    ``pypy3.10``.
    """

    path: Path
    version: str
    special: str | None = None

    @property
    def minor(self) -> str:
        """The minor version that an environment names: ``3.7``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def name(self) -> str:
        """What an environment calls it."""
        return self.special or self.minor

    @property
    def tags(self) -> frozenset[Tag]:
        """The tags of the wheels that it can install on this machine."""
        return _tags(self.minor, self.name)


def executable(name: str) -> str:
    """Return what the program of a Python is called: ``python3.12`` for ``3.12.4``."""
    if name.startswith("pypy"):
        return name
    return "python" + ".".join(name.split(".")[:2])


@cache
def _tags(minor: str, name: str) -> frozenset[Tag]:
    if name.startswith("pypy"):
        numbers, program = (3, int(minor.partition(".")[2])), f"pp{minor.replace('.', '')}"
        abi = f"pypy{minor.replace('.', '')}_{PYPY_ABI}"
        own = generic_tags(program, [abi])
        return frozenset((*own, *compatible_tags(numbers, interpreter=program)))
    if name.endswith("t"):
        return _cpython_tags(minor, f"cp{minor.replace('.', '')}t")
    return _cpython_tags(minor)


def _cpython_tags(minor: str, threaded: str | None = None) -> frozenset[Tag]:
    numbers = (3, int(minor.partition(".")[2]))
    name = "cp{}{}".format(*numbers)
    abi = threaded or (name + "m" if numbers < WITHOUT_PYMALLOC else name)
    return frozenset((*cpython_tags(numbers, [abi]), *compatible_tags(numbers, interpreter=name)))


def machine_platform() -> str:
    """Return the platform of this machine as a lock names it: ``linux-x86_64``."""
    return f"{platform.system()}-{platform.machine()}".lower()


@cache
def available(minor: str | None = None) -> tuple[Interpreter, ...]:
    """Return the interpreters of this machine, one for each minor version, newest first.

    With ``minor`` only that version is looked for, because each candidate must be started.

    Those from pyenv and uv come before those on PATH: each has its own folder, from which a base
    can be assembled. Executables that do not report a version are left out.
    """
    return choose(one for one in _candidates() if minor in {None, one[0]})


def choose(candidates: Iterable[Candidate]) -> tuple[Interpreter, ...]:
    """Return the first working interpreter for each minor version, newest first."""
    found: dict[str, Interpreter] = {}
    for minor, path in candidates:
        if minor not in found:
            interpreter = examine(path)
            if interpreter is not None and interpreter.special is None:
                found.setdefault(interpreter.minor, interpreter)
    return tuple(sorted(found.values(), key=lambda one: _numbers(one.version), reverse=True))


def find(name: str) -> Interpreter:
    """Return the interpreter with a name; PackagesError if uv cannot download it."""
    if known(name) is None:
        with suppress(PackagesError):  # reported below
            uv.call(
                ["python", "install", "--no-bin", "--", name],
                purpose=f"download Python {name}",
                timeout_s=DOWNLOAD_TIMEOUT_S,
            )
            available.cache_clear()
            _special.cache_clear()
    found = known(name)
    if found is not None:
        return found
    others = ", ".join(one.minor for one in available())
    raise PackagesError(
        f"this machine has no Python {name} (it has {others}) and uv could not download it: "
        f"install it, for example with `pyenv install {name}`, and try again."
    )


def known(name: str) -> Interpreter | None:
    """Return the interpreter with a name; None if this machine does not have it."""
    if fits(name, MINOR):
        return {one.minor: one for one in available(name)}.get(name)
    return _special(name)


@cache
def _special(name: str) -> Interpreter | None:
    """Return the interpreter that only an exact name finds; None if there is none."""
    for _, path in _candidates(_ANY):
        found = examine(path)
        if found is not None and found.special == name:
            return found
        if found is not None and found.special is None and found.version == name:
            return replace(found, special=name)
    return None


def examine(path: Path) -> Interpreter | None:
    """Return the interpreter of an executable; ``None`` if it is not a released one."""
    output = child.output([str(path), "-I", "-S", "-c", _ASK], timeout_s=ASK_TIMEOUT_S)
    answer = re.fullmatch(
        r"(cpython|cpythont|pypy)\n([0-9]+\.[0-9]+)\.([0-9]+)final\n(.+)\n", output or ""
    )
    if answer is None:
        return None
    kind, minor, micro, prefix = answer.groups()
    special = {"cpythont": f"{minor}t", "pypy": f"pypy{minor}"}.get(kind)
    original = Path(prefix, "bin", executable(special or minor))
    exists = os.access(original, os.F_OK)  # ``exists`` raises where we may not look
    return Interpreter(
        path=original if exists else path.resolve(), version=f"{minor}.{micro}", special=special
    )


def _candidates(wanted: Collection[tuple[str, str]] = _USUAL) -> Iterator[Candidate]:
    """Yield the interpreters that uv finds, from preferred places first.

    ``wanted`` are the implementations and variants that count.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    places = (pyenv / "versions", *uv.python_folders())
    preferred = list(chain(*map(_version_folders, places)))
    others = [one for one in child.folders() if Path(one) != pyenv / "shims"]  # scripts of pyenv
    answer = uv.call(
        ["python", "list", "--only-installed", "--all-versions", "--output-format=json"],
        purpose="list the interpreters of this machine",
        timeout_s=LIST_TIMEOUT_S,
        programs=[*map(str, preferred), *others],
    )
    if not answer.found:
        raise PackagesError(
            f"uv could not list the interpreters of this machine: {answer.reason}. Check that "
            "`uv python list` works."
        )
    entries = [
        (".".join(entry["version"].split(".")[:2]), Path(entry["path"]))
        for entry in json.loads(answer.text)
        if (entry["implementation"], entry["variant"]) in wanted
    ]
    yield from sorted(entries, key=lambda entry: entry[1].parent not in preferred)
    yield ".".join(map(str, sys.version_info[:2])), Path(sys.executable)


def _version_folders(versions: Path) -> list[Path]:
    """Return the ``bin`` folders of a folder that has a folder for each version, newest first.

    Those of Python 2 are left out, because uv would try to start it.
    """
    with suppress(OSError):  # we may not read it
        names = sorted(versions.iterdir(), key=lambda one: _numbers(one.name), reverse=True)
        return [name / "bin" for name in names if os.access(name / "bin" / "python3", os.F_OK)]
    return []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
