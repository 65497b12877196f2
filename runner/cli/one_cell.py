"""One cell, made ready for something that stores nothing: a try, or a shell."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from runner.cli.arguments import Options
from runner.cli.explain import find_cell
from runner.engines.protocol import Engine
from runner.execute import Place, Study
from runner.observer import Observer
from runner.prepare import Prepared, find_bases, prepare
from runner.prepare.recipe import to_build, to_provide
from runner.records.environment import Lock
from runner.records.run import Guards, Trial
from runner.records.study import Matrix
from runner.runs import registry
from runner.runs.folder import occupied
from runner.system import alive, tempdir
from runner.system.cores import Turns, measured

AT_ONCE = Guards(window_s=0.0)
"""The guards of a trial that waits for no quiet core."""
MOST_LINES = 40
"""How many lines of the log of a failed build are shown."""


def only(matrix: Matrix, named: str) -> Matrix:
    """Return the matrix with nothing but the named cell, by default its first one."""
    cell = find_cell(matrix, named) if named else matrix.cells[0]
    return replace(matrix, cells=(cell,))


@contextmanager
def prepared_study(
    matrix: Matrix,
    lock: Lock,
    options: Options,
    engine: Engine,
    observer: Observer,
    *,
    place: Place,
) -> Iterator[Study]:
    """Return the study of the only cell, with its image; at the end nothing of it is left.

    Its folder is a temporary one, so that ``clean`` knows after a kill that it is dead.
    """
    with ExitStack() as at_the_end:
        folder = at_the_end.enter_context(tempdir.folder()) / options.verb
        at_the_end.enter_context(occupied(folder))
        label = registry.remember(folder)
        at_the_end.callback(_forget, label, folder)
        at_the_end.enter_context(alive.shown(label))
        yield Study(
            matrix=matrix,
            lock=lock,
            prepared=_prepared(matrix, lock, options, engine, observer),
            root=options.folder,
            run=label,
            guards=AT_ONCE,
            places=(place,),
        )


def name_of(options: Options) -> str:
    """Return what other runs that wait for a core see."""
    return f"{options.verb} (process {os.getpid()})"


def free_cores(
    available: Sequence[int], count: int, busy: set[int]
) -> tuple[tuple[int, ...], bool]:
    """Return the last of these cores, and whether no run measures on them."""
    free = [core for core in available if core not in busy]
    if len(free) >= count:
        return tuple(free[-count:]), True
    return tuple(available[-count:]), False


def first_trial(matrix: Matrix, options: Options) -> Trial:
    """Return a trial of the only cell."""
    seed = int.from_bytes(os.urandom(4), "big") if options.seed is None else options.seed
    return Trial(cell=matrix.cells[0].id, block=1, position=1, seed=seed)


def _forget(label: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    registry.forget_if_gone(label)


def _prepared(
    matrix: Matrix, lock: Lock, options: Options, engine: Engine, observer: Observer
) -> Prepared:
    """Build what is missing. A build uses every core, so it takes turns with other runs."""

    def show_log(label: str, log: str) -> Path:
        for line in log.splitlines()[-MOST_LINES:]:
            observer.note(f"{label}: {line}")
        return Path("the lines above")

    bases, images = find_bases(matrix, lock, engine), engine.images()
    builds = [*to_build(matrix, lock, images, bases, None), *to_provide(matrix, lock, images)]
    turn = Turns(measured(), name_of(options), observer.note).turn() if builds else nullcontext()
    with turn:
        return prepare(matrix, lock, engine, observer, show_log, bases=bases, root=options.folder)
