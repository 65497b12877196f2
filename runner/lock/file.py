"""The lock file: ``X.lock`` beside ``X.yaml``, with one line for each package."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner.errors import ConfigError
from runner.records import Record
from runner.records.environment import (
    Entry,
    Environment,
    EnvironmentRequest,
    LocalWheel,
    Lock,
    LockedRange,
    Package,
    ReadyImage,
    Unsupported,
)
from runner.system import atomic, safe, stored
from runner.text import quoted

FORMAT = 3
"""The format of the lock file. 1: the first. 2: source packages are marked. 3: ranges of
versions."""

_PACKAGE = re.compile(r"([A-Za-z0-9._-]+)==(\S+)( source)?((?: sha256:[0-9a-f]{64})+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredEnvironment(Record):
    """An environment whose packages are lines: ``six==1.12.0 sha256:...``."""

    request: EnvironmentRequest
    python: str
    platform: str
    as_of: datetime
    build_tools: tuple[str, ...]
    packages: tuple[str, ...]
    wheels: tuple[LocalWheel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredUnsupported(Record):
    request: EnvironmentRequest
    unsupported: str


_Stored = _StoredEnvironment | ReadyImage | _StoredUnsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredLock(Record):
    format: int
    entries: tuple[_Stored, ...]
    ranges: tuple[LockedRange, ...] = ()


def lock_path(matrix_path: Path) -> Path:
    """Return the path of a matrix's lock: ``X.lock`` beside ``X.yaml``."""
    return matrix_path.parent / f"{matrix_path.stem}.lock"


def read_lock(path: Path) -> Lock:
    """Read a lock file; a missing file has no entries. ConfigError if it cannot be read."""
    try:
        content = safe.read(safe.inside(path.parent, path.name))
    except FileNotFoundError:
        return Lock(entries=())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); remove it and lock again."
        ) from error
    try:
        lock = stored.parse(_StoredLock, content, FORMAT)
        entries = tuple(_placed(number, one) for number, one in enumerate(lock.entries))
        return Lock(entries=entries, ranges=lock.ranges)
    except stored.NewerFormatError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ValueError as error:
        raise ConfigError(
            f"{path}: {error}; restore the lock from version control, or remove it and lock again."
        ) from error


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock file atomically. Equal locks give equal bytes."""
    entries = tuple(_stored(entry) for entry in lock.entries)
    try:
        content = _StoredLock(format=FORMAT, entries=entries, ranges=lock.ranges)
        atomic.write(path, stored.dump(content, indent=2))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); make the folder of the matrix writable."
        ) from error


def _placed(number: int, entry: _Stored) -> Entry:
    try:
        return _entry(entry)
    except ValueError as error:
        raise ValueError(f"entries.{number}: {error}") from error


def _entry(entry: _Stored) -> Entry:
    if isinstance(entry, ReadyImage):
        return entry
    if isinstance(entry, _StoredUnsupported):
        return Unsupported(request=entry.request, reason=entry.unsupported)
    return Environment(
        request=entry.request,
        python=entry.python,
        platform=entry.platform,
        as_of=entry.as_of,
        packages=tuple(_package(line) for line in entry.packages),
        wheels=entry.wheels,
        build_tools=entry.build_tools,
    )


def _package(line: str) -> Package:
    found = _PACKAGE.fullmatch(line)
    if found is None:
        raise ValueError(f"{quoted(line)} is not a package with a version and hashes")
    name, version, mark, hashes = found.groups()
    return Package(
        name=name, version=version, hashes=tuple(hashes.split()), source=mark is not None
    )


def _stored(entry: Entry) -> _Stored:
    if isinstance(entry, ReadyImage):
        return entry
    if isinstance(entry, Unsupported):
        return _StoredUnsupported(request=entry.request, unsupported=entry.reason)
    return _StoredEnvironment(
        request=entry.request,
        python=entry.python,
        platform=entry.platform,
        as_of=entry.as_of,
        build_tools=entry.build_tools,
        packages=tuple(_line(package) for package in entry.packages),
        wheels=entry.wheels,
    )


def _line(package: Package) -> str:
    mark = " source" if package.source else ""
    return f"{package.name}=={package.version}{mark} {' '.join(package.hashes)}"
