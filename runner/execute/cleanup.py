"""Cleanup: removes from an engine whatever dead runs left there.

Everything that a run holds on an engine carries its label, and the run registry knows its folder. A
run is alive while a process holds the lock of that folder or shows the label (``system.alive``).
The kernel releases both when the process ends. Things of other users or machines, or without our
labels, are never touched.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from runner.engines.protocol import Engine, Owned
from runner.errors import RunFolderError
from runner.runs import registry
from runner.runs.folder import RunFolder, occupied
from runner.system import alive, tempdir
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
        with _dead(run, folders[run]) as is_dead:
            if is_dead:
                left = [thing for thing in things if thing.run == run]
                for thing in left:
                    engine.discard(thing)
                kinds = Counter(thing.kind for thing in left)
                removed = listed([counted(number, kind) for kind, number in kinds.items()])
                note(f"removed {removed} that a dead run left on the engine: {folders[run]}")


@contextmanager
def _dead(run: str, folder: Path) -> Iterator[bool]:
    """Return whether a run is certainly dead, and keep it so."""
    with ExitStack() as at_the_end:
        is_dead = _is_gone(folder)
        if not is_dead and _is_in_sight(folder):
            with suppress(RunFolderError):  # the folder of another user cannot be occupied
                is_dead = at_the_end.enter_context(occupied(folder))
        yield is_dead and not alive.is_shown(run)


def _is_gone(folder: Path) -> bool:
    """Whether the folder of a try or a shell is gone: it is removed once its process has ended."""
    return tempdir.is_temporary(folder) and not _is_in_sight(folder)


def _is_in_sight(folder: Path) -> bool:
    """Whether a run folder is there, where this user may look."""
    try:
        return folder.is_dir()
    except OSError:
        return False


class Kept(Enum):
    """Why ``clean`` keeps something."""

    LIVE = "a live run may use {them}"
    OTHERS = "{they} {belong} to another user or machine, or to nobody known"
    IN_USE = "something else on the engine uses {them}"
    ELSEWHERE = "{their} run folder is gone or elsewhere (removed with --all)"

    def told(self, count: int) -> str:
        """Return the line that ``clean`` prints."""
        words = {"them": "it", "they": "it", "belong": "belongs", "their": "its"}
        plural = {"them": "them", "they": "they", "belong": "belong", "their": "their"}
        return f"kept {count}: {self.value.format(**(words if count == 1 else plural))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What ``clean`` may remove, and how many things it keeps for which reason."""

    removable: tuple[Owned, ...]
    kept: Mapping[Kept, int]


def review(
    things: Sequence[Owned], of_others: Sequence[Owned], reports: Path, everything: bool
) -> Review:
    """Decide what ``clean`` may remove: only what belongs to this user and is certainly dead.

    Without ``everything`` these are only images, caches and what the runs in ``reports`` left.
    While another process of this user is alive, it may need any image and any cache.
    """
    folders = registry.folders()
    runs = {thing.run for thing in things if thing.run is not None}
    living = {run for run in runs if _is_alive(run, folders.get(run))}
    images_used = bool(living) or alive.others_of_user()

    def reason(thing: Owned) -> Kept | None:
        if thing.run in living or (thing.run is None and images_used):
            return Kept.LIVE
        if thing.run is None or everything:
            return None
        folder = folders.get(thing.run)
        if folder is None:
            return Kept.ELSEWHERE
        is_here = folder.parent == reports.resolve() and _is_in_sight(folder)
        return None if is_here or _is_gone(folder) else Kept.ELSEWHERE

    reasons = [reason(thing) for thing in things]
    kept = Counter(one for one in reasons if one is not None)
    kept[Kept.OTHERS] = len(of_others)
    return Review(
        removable=tuple(thing for thing, why in zip(things, reasons, strict=True) if why is None),
        kept=+kept,
    )


def _is_alive(run: str, folder: Path | None) -> bool:
    """Whether a process shows the label of a run, or writes to its folder, if that is known."""
    try:
        return alive.is_shown(run) or (folder is not None and RunFolder(folder).is_occupied())
    except RunFolderError:  # nobody knows
        return True
