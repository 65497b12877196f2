"""Lock every environment that the cells of a matrix need, as exact packages.

A command that only reads a lock loads this package, too. So what resolves, downloads and builds is
imported where it is used.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runner.errors import ConfigError
from runner.lock.outside import Outside
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    Lock,
    LockedRange,
    ReadyImage,
    SourceKind,
)
from runner.records.study import Matrix
from runner.system import digest
from runner.text import counted, listed

if TYPE_CHECKING:
    from runner.lock.resolve import Ask
    from runner.python.index import Files

# ruff: noqa: PLC0415 (see above)

__all__ = ["Outside", "lock_matrix", "missing", "provide_wheels", "ranges_of"]


def missing(matrix: Matrix, lock: Lock) -> tuple[EnvironmentRequest, ...]:
    """Return the requests that are not locked. ConfigError if one is for another platform."""
    from runner.python.interpreters import machine_platform

    here = machine_platform()
    entries = [(request, lock.entry(request)) for request in matrix.requests]
    for request, entry in entries:
        if isinstance(entry, Environment) and entry.platform != here:
            raise ConfigError(
                f"{request.label} is locked for {entry.platform}, but this machine is {here}: "
                "remove the lock file and lock again, or use a copy of the matrix with its own "
                "lock for each platform."
            )
    return tuple(request for request, entry in entries if entry is None)


def lock_matrix(
    matrix: Matrix,
    known: Lock,
    absent: Sequence[EnvironmentRequest],
    note: Callable[[str], None],
    *,
    outside: Outside | None = None,
    ask: "Ask | None" = None,
    files: "Files | None" = None,
) -> Lock:
    """Return the lock of a matrix: known entries stay as they are, ``absent`` ones are resolved.

    Entries are in the order of the cells; entries that no cell needs are dropped. ``note`` gets a
    line for each new environment. ``outside`` knows the user's lock files, if the matrix names
    any. PackagesError if the index does not answer.
    """
    from runner.lock.solver import resolve_all
    from runner.python import uv
    from runner.python.addresses import configured
    from runner.python.index import Index

    named = next((request.index for request in absent), None)  # all are of one matrix
    files = files or Index(configured(named)).files
    found = resolve_all(
        absent, _pythons(matrix, known), ask or uv.call, files, outside, _project_day(known, matrix)
    )
    for entry in found:
        if isinstance(entry, ReadyImage):
            note(f"locked {entry.request.label}: {entry.source.written}, {entry.digest[:19]}...")
        if isinstance(entry, Environment):  # the caller reports unsupported ones
            count = counted(len(entry.packages), "package")
            note(
                f"locked {entry.request.label}: Python {entry.python}, {count} as of "
                f"{entry.as_of.date()}"
            )
    entries = Lock(entries=(*known.entries, *found))
    in_order = (entries.entry(request) for request in matrix.requests)
    return Lock(
        entries=tuple(entry for entry in in_order if entry is not None), ranges=ranges_of(matrix)
    )


def provide_wheels(matrix: Matrix, lock: Lock, outside: Outside) -> None:
    """Have the wheels that no index has in our cache: build the project, copy those of a folder.

    ConfigError if one cannot be had as it was locked, PackagesError if a build fails.
    """
    for request in matrix.requests:
        entry, source = lock.entry(request), request.source(SourceKind.PROJECT)
        if not isinstance(entry, Environment):
            continue
        local = {path.name: path for path in outside.local_wheels(request.index)}
        for wheel in entry.wheels:
            if wheel.name in local and wheel.hash != f"sha256:{digest.of_file(local[wheel.name])}":
                raise ConfigError(
                    f"{local[wheel.name]} was replaced since {request.label} was locked; remove "
                    "its entry from the lock and lock again, or restore the file."
                )
        if not _lost(entry):
            continue
        from runner.python import interpreters, packages

        for path in local.values():
            packages.keep_wheel(path)
        if source is not None:
            interpreter = interpreters.find(entry.python)
            outside.wheel(source, interpreter, request)
        if lost := _lost(entry):
            raise ConfigError(
                f"{listed(lost)} of {request.label} is not here as it was locked; restore the file "
                "or the sources, or remove the entry from the lock and lock again."
            )


def _lost(entry: Environment) -> list[str]:
    """Return the wheels of an environment that our cache does not have."""
    if not entry.wheels:
        return []
    from runner.python import packages

    return [one.name for one in entry.wheels if packages.kept_wheel(one) is None]


def ranges_of(matrix: Matrix) -> tuple[LockedRange, ...]:
    """Return the ranges of the axes, with their versions."""
    return tuple(
        LockedRange(range=axis.range, versions=tuple(map(str, axis.values)))
        for axis in matrix.axes
        if axis.range is not None
    )


def _pythons(matrix: Matrix, known: Lock) -> set[str]:
    """Return the minor versions that were chosen for other cells before."""
    entries = (known.entry(request) for request in matrix.requests if request.python == "auto")
    return {entry.python for entry in entries if isinstance(entry, Environment)}


def _project_day(known: Lock, matrix: Matrix) -> datetime | None:
    """Return the day as of which other states of the project are locked; None if there is none."""
    from runner.lock.solver import is_only_project

    entries = (known.entry(one) for one in matrix.requests if is_only_project(one))
    return next((one.as_of for one in entries if isinstance(one, Environment)), None)
