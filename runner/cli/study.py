"""The study that the options of a command name: its matrix, and its lock."""

from runner.cli.arguments import Options
from runner.lock import Outside
from runner.lock.file import lock_path, read_lock
from runner.plan import quick, select
from runner.read import read
from runner.records.environment import Lock
from runner.records.study import Matrix


def the_matrix(options: Options, *, asks: bool = False) -> Matrix:
    """Read the matrix, with the selection, ``--quick`` and ``--blocks`` applied.

    With ``asks``, the package index may be asked for the versions of a range.
    """
    whole = read(options.matrix, outside_of(options, asks=asks), options.root)
    matrix = select(whole, options.select)
    return quick(matrix, options.blocks or 1) if options.quick else matrix


def outside_of(options: Options, *, asks: bool) -> Outside:
    """Return what the matrix mentions without containing it."""
    asks = asks and not options.locked
    return Outside(
        options.matrix,
        known_lock(options),
        asks=asks,
        reports=options.reports,
        root=options.root,
    )


def known_lock(options: Options) -> Lock:
    """Return the lock as it is stored; an empty one if there is none."""
    return read_lock(lock_path(options.matrix))
