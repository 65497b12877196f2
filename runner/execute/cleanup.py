"""Cleanup: removes from an engine whatever dead runs left there.

Everything that a run holds on an engine carries its label, and the run registry knows its folder. A
run is alive while a process holds the lock of that folder; the kernel releases the lock when the
process ends. Things of other machines, or without our labels, are never touched.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runner.engines.protocol import Engine, Owned
from runner.errors import RunFolderError
from runner.runs import registry
from runner.runs.folder import RunFolder, occupied
from runner.system import tempdir
from runner.system.retry import Note
from runner.text import counted, listed


def clean_up(engine: Engine, note: Note) -> None:
    """Remove the containers and volumes of dead runs.

    A run whose folder is missing may only be out of sight, and the registry does not know the runs
    of other users. Only ``clean --all`` removes what belongs to those, after asking.
    """
    things = [thing for thing in engine.owned() if thing.run is not None]
    folders = registry.folders()
    for run in sorted({str(thing.run) for thing in things} & folders.keys()):
        if not folders[run].is_dir():
            continue
        # The folder of another user cannot be occupied.
        with suppress(RunFolderError), occupied(folders[run]) as is_dead:
            if is_dead:
                left = [thing for thing in things if thing.run == run]
                for thing in left:
                    engine.discard(thing)
                kinds = Counter(thing.kind for thing in left)
                removed = listed([counted(number, kind) for kind, number in kinds.items()])
                note(f"removed {removed} that a dead run left on the engine: {folders[run]}")


def removable(things: Sequence[Owned], reports: Path, everything: bool) -> list[Owned]:
    """Return what ``clean`` may remove: nothing that a living run uses.

    Without ``everything`` these are only images and what the runs in ``reports`` left. While
    another process of the program is running, it may need any image and own any unknown run.
    """
    folders, is_busy = registry.folders(), tempdir.any_in_use()
    runs = {thing.run for thing in things if thing.run is not None}
    alive = {run: _is_alive(folders[run]) if run in folders else is_busy for run in runs}
    images_used = is_busy or any(alive.values())

    def may_go(thing: Owned) -> bool:
        if thing.run is None:
            return not images_used
        is_here = thing.run in folders and folders[thing.run].parent == reports.resolve()
        return not alive[thing.run] and (everything or is_here)

    return [thing for thing in things if may_go(thing)]


def _is_alive(path: Path) -> bool:
    """Whether a process writes to a run folder. One of another user may be alive."""
    try:
        return RunFolder(path).is_occupied()
    except RunFolderError:
        return True
