"""The study that the options of a command name: its matrix, and its lock."""

from typing import TYPE_CHECKING

from runner.cli.arguments import Options
from runner.errors import ConfigError
from runner.read import read
from runner.records.environment import Lock
from runner.records.study import Matrix

if TYPE_CHECKING:
    from runner.lock import Outside

# ruff: noqa: PLC0415 (what locks and selects loads slowly, and `list` rarely needs it)


def the_matrix(options: Options, *, asks: bool = False, known: Lock | None = None) -> Matrix:
    """Read the matrix, with the selection, ``--quick`` and ``--blocks`` applied.

    With ``asks``, the package index may be asked for the versions of a range. ``known`` is the
    lock, if it was read before.
    """
    from runner.plan import quick

    outside = outside_of(options, asks=asks, known=known)
    whole = read(options.matrix, outside, options.changes, options.root)
    matrix = selected(whole, options)
    return quick(matrix, options.blocks or 1) if options.quick else matrix


def only_cells(options: Options) -> Matrix:
    """Read the matrix for the ids of its selected cells, and the lock only if they depend on it."""
    try:
        matrix = read(options.matrix, changes=options.changes)
    except ConfigError:  # it may name something that only the lock knows
        matrix = read(options.matrix, outside_of(options, asks=False), options.changes)
    return selected(matrix, options)


def selected(matrix: Matrix, options: Options) -> Matrix:
    """Keep the cells that ``-s``, ``-k`` and ``--lf`` select."""
    if options.select:
        from runner.plan import select

        matrix = select(matrix, options.select)
    if options.keyword is not None:
        from runner.cli.keywords import matching

        matrix = matching(matrix, options.keyword)
    if options.last_failed:
        from runner.cli.last import last_failed

        matrix = last_failed(matrix, options.reports)
    return matrix


def outside_of(options: Options, *, asks: bool, known: Lock | None = None) -> "Outside":
    """Return what the matrix mentions without containing it. ``known`` is the lock, if read."""
    from runner.lock import Outside

    asks = asks and not options.locked
    return Outside(
        options.matrix,
        known_lock(options) if known is None else known,
        asks=asks,
        reports=options.reports,
        root=options.root,
    )


def known_lock(options: Options) -> Lock:
    """Return the lock as it is stored; an empty one if there is none."""
    from runner.lock.file import lock_path, read_lock

    return read_lock(lock_path(options.matrix))
