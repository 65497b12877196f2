"""The lock file: ``X.lock`` beside ``X.yaml``, read strictly and written whole."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from runner.errors import ConfigError
from runner.records import Record
from runner.records.environment import Environment, EnvironmentRequest, Lock, Package, Unsupported
from runner.system import atomic

FORMAT = 1
"""The format of the lock file. 1: the first."""

_PACKAGE = re.compile(r"([A-Za-z0-9._-]+)==(\S+)((?: sha256:[0-9a-f]{64})+)")

_REMEDY = "restore the lock from version control, or remove it and lock again."


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredEnvironment(Record):
    """An environment with one line for each package: ``six==1.12.0 sha256:...``."""

    request: EnvironmentRequest
    python: str
    platform: str
    as_of: datetime
    build_tools: tuple[str, ...]
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredUnsupported(Record):
    request: EnvironmentRequest
    unsupported: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredLock(Record):
    format: int
    entries: tuple[_StoredEnvironment | _StoredUnsupported, ...]


def lock_path(matrix_path: Path) -> Path:
    """Return where the lock of a matrix lies: ``X.lock`` beside ``X.yaml``."""
    return matrix_path.with_suffix(".lock")


def read_lock(path: Path) -> Lock:
    """Read a lock file; one that does not exist has no entries. ConfigError if it is unreadable."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock(entries=())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); remove it and lock again.") from error
    try:
        _check_format(path, text)
        stored = TypeAdapter(_StoredLock).validate_json(text)
        return Lock(entries=tuple(_entry(one) for one in stored.entries))
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise ConfigError(f"{where}: {error.msg}; {_REMEDY}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = repr(".".join(str(part) for part in first["loc"]))[1:-1]  # keys of any letters
        raise ConfigError(f"{path}: {place[:200]}: {first['msg']}; {_REMEDY}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: it is nested too deeply; {_REMEDY}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; {_REMEDY}") from error


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock file: whole or not at all. Equal locks give equal bytes."""
    stored = _StoredLock(format=FORMAT, entries=tuple(_stored(entry) for entry in lock.entries))
    content = TypeAdapter(_StoredLock).dump_json(stored, indent=2) + b"\n"
    try:
        atomic.write(path, content)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); lock where the matrix's folder is "
            "writable and commit the file."
        ) from error


def _check_format(path: Path, text: str) -> None:
    content = json.loads(text)
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise ConfigError(
            f"{path}: has format {version}, this program knows up to {FORMAT}; it was written by a "
            "newer matrix-runner: upgrade this one."
        )


def _entry(stored: _StoredEnvironment | _StoredUnsupported) -> Environment | Unsupported:
    if isinstance(stored, _StoredUnsupported):
        return Unsupported(request=stored.request, reason=stored.unsupported)
    return Environment(
        request=stored.request,
        python=stored.python,
        platform=stored.platform,
        as_of=_instant(stored.as_of),
        packages=tuple(_package(line) for line in stored.packages),
        build_tools=stored.build_tools,
    )


def _stored(entry: Environment | Unsupported) -> _StoredEnvironment | _StoredUnsupported:
    if isinstance(entry, Unsupported):
        return _StoredUnsupported(request=entry.request, unsupported=entry.reason)
    return _StoredEnvironment(
        request=entry.request,
        python=entry.python,
        platform=entry.platform,
        as_of=entry.as_of,
        build_tools=entry.build_tools,
        packages=tuple(_lines(entry.packages)),
    )


def _lines(packages: Iterable[Package]) -> Iterable[str]:
    return (f"{one.name}=={one.version} {' '.join(one.hashes)}" for one in packages)


def _instant(given: datetime) -> datetime:
    """Return an instant that can be shown in every time zone."""
    if given.tzinfo is None or not MINYEAR < given.year < MAXYEAR:
        raise ValueError(f"as_of {given} is no instant with a time zone")
    return given


def _package(line: str) -> Package:
    found = _PACKAGE.fullmatch(line)
    if found is None:
        raise ValueError(f"{line[:60]!r} is no package with version and hashes")
    name, version, hashes = found.groups()
    return Package(name=name, version=version, hashes=tuple(hashes.split()))
