"""What dead runs left on the engine: found by our labels, and by the lock of their folder.

The label of a run is its mark, and ``whereabouts`` knows the folder. A run lives while a process
holds the lock of its folder; the kernel releases it however that process ends. What carries another
machine's label, or no label of ours, is never looked at.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runner.engines.protocol import Engine, Owned, in_order_of_removal
from runner.errors import RunFolderError
from runner.runs import registry
from runner.runs.folder import RunFolder
from runner.system import tempdir
from runner.system.retry import Note


def reap(engine: Engine, note: Note) -> None:
    """Remove the containers and volumes of runs whose process is gone.

    A run whose folder is gone, too, cannot be told from one whose folder is out of sight, and one
    of another user is not known at all: that is for ``clean --all``, where a person decides.
    """
    things = [thing for thing in engine.owned() if thing.run is not None]
    folders = registry.folders()
    for run in sorted({str(thing.run) for thing in things} & folders.keys()):
        with _dead(folders[run]) as dead:
            left = [thing for thing in things if thing.run == run] if dead else []
            for thing in in_order_of_removal(left):
                engine.discard(thing)
        if left:
            counted = _counted(left)
            note(f"removed what a killed run left on the engine: {counted} of {folders[run]}")


def removable(things: Sequence[Owned], reports: Path, everything: bool) -> list[Owned]:
    """Return what ``clean`` may remove: nothing that a living run uses.

    Unless ``everything`` is wanted, only what runs in ``reports`` left. While another process of
    the program is at work, any image may be its next, and any run that is not known its own.
    """
    runs = {thing.run for thing in things if thing.run is not None}
    folders, others = registry.folders(), tempdir.any_in_use()
    living = {run for run in runs if (_lives(folders[run]) if run in folders else others)}
    images_wanted = bool(living) or others
    here = {run for run in runs & folders.keys() if folders[run].parent == reports.resolve()}
    kept = living if everything else living | (runs - here)
    return [
        thing
        for thing in things
        if (not images_wanted if thing.run is None else thing.run not in kept)
    ]


def _lives(path: Path) -> bool:
    """Whether a process writes the run, as far as can be known: another user's may."""
    try:
        return RunFolder(path).is_occupied()
    except RunFolderError:
        return True


@contextmanager
def _dead(path: Path) -> Iterator[bool]:
    """Hold the lock of a run folder; tell whether it could be had."""
    folder = RunFolder(path)
    try:
        occupied = path.is_dir() and folder.occupy()
    except RunFolderError:  # another user's
        occupied = False
    try:
        yield occupied
    finally:
        folder.leave()


def _counted(things: Sequence[Owned]) -> str:
    """Return how many of which kind: ``1 container, 1 volume``."""
    kinds = [thing.kind for thing in things]
    counts = ((kind, kinds.count(kind)) for kind in dict.fromkeys(kinds))
    return ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts)
