"""lock: every environment that the cells of a matrix ask for, as exact packages."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from runner.errors import ConfigError
from runner.lock.resolve import resolve as resolve_request
from runner.python.interpreters import machine_platform
from runner.records.environment import Environment, EnvironmentRequest, Lock, Unsupported
from runner.records.study import Matrix

AT_ONCE = 2  # resolving waits for the index about half of its time

Resolve = Callable[[EnvironmentRequest], Environment | Unsupported]


def requests(matrix: Matrix) -> tuple[EnvironmentRequest, ...]:
    """Return what the cells ask for, each once, in the order of the cells."""
    return tuple(dict.fromkeys(cell.request for cell in matrix.cells))


def missing(matrix: Matrix, lock: Lock) -> tuple[EnvironmentRequest, ...]:
    """Return the requests that are not locked; ConfigError if one is for another platform."""
    here = machine_platform()
    entries = [(request, lock.entry(request)) for request in requests(matrix)]
    for request, entry in entries:
        if isinstance(entry, Environment) and entry.platform != here:
            raise ConfigError(
                f"{request.label} is locked for {entry.platform} and this machine is {here}: "
                "remove the lock file and lock again, or keep a copy of the matrix with a lock of "
                "its own for each platform."
            )
    return tuple(request for request, entry in entries if entry is None)


def lock_matrix(
    matrix: Matrix,
    known: Lock,
    absent: Sequence[EnvironmentRequest],
    tell: Callable[[str], None],
    resolve: Resolve = resolve_request,
) -> Lock:
    """Return the lock of a matrix: what is known stays as it is, what is ``absent`` is resolved.

    Entries come in the order of the cells; those that no cell asks for are dropped. ``tell`` gets a
    line for each new entry. PackagesError if one could not be found out.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = []
        try:
            for entry in pool.map(resolve, absent):
                found.append(entry)
                if isinstance(entry, Environment):  # what is not has its place told by the caller
                    tell(_told(entry))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun shall not
            raise
    every = Lock(entries=(*known.entries, *found))
    entries = (every.entry(request) for request in requests(matrix))
    return Lock(entries=tuple(entry for entry in entries if entry is not None))


def _told(entry: Environment) -> str:
    return (
        f"locked {entry.request.label}: Python {entry.python}, {len(entry.packages)} packages "
        f"as of {entry.as_of.date()}"
    )
