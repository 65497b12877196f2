"""Lock every environment that the cells of a matrix need, as exact packages."""

from collections.abc import Callable, Sequence

from runner.errors import ConfigError
from runner.lock.resolve import resolve as resolve_request
from runner.python.interpreters import machine_platform
from runner.records.environment import Environment, EnvironmentRequest, Lock, Unsupported
from runner.records.study import Matrix
from runner.system.parallel import in_parallel
from runner.text import counted

Resolve = Callable[[EnvironmentRequest], Environment | Unsupported]


def missing(matrix: Matrix, lock: Lock) -> tuple[EnvironmentRequest, ...]:
    """Return the requests that are not locked. ConfigError if one is for another platform."""
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
    resolve: Resolve = resolve_request,
) -> Lock:
    """Return the lock of a matrix: known entries stay as they are, ``absent`` ones are resolved.

    Entries are in the order of the cells; entries that no cell needs are dropped. ``note`` gets a
    line for each new environment. PackagesError if the index does not answer.
    """
    found = []
    for entry in in_parallel(resolve, absent):
        found.append(entry)
        if isinstance(entry, Environment):  # the caller reports unsupported ones
            packages = counted(len(entry.packages), "package")
            note(
                f"locked {entry.request.label}: Python {entry.python}, {packages} as of "
                f"{entry.as_of.date()}"
            )
    every = Lock(entries=(*known.entries, *found))
    entries = (every.entry(request) for request in matrix.requests)
    return Lock(entries=tuple(entry for entry in entries if entry is not None))
