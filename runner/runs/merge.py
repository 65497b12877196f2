"""Merge runs of the same plan: take over whole blocks from other run folders.

A block belongs to one machine, so it is taken whole from one run or not at all. Run folders may
come from anybody. They are only read, and what is taken was parsed and is written anew.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path

from runner.errors import RunFolderError
from runner.plan import whole_blocks
from runner.records import FORMAT, Record
from runner.records.environment import Image, Images
from runner.records.run import Machine, Plan, Run, TrialResult
from runner.runs import identity
from runner.runs.checks import Refused
from runner.runs.files import SEALED, damaged
from runner.runs.folder import RunFolder, edited_files, new_name, occupied, point_latest
from runner.text import listed, one_line

DEEPEST = 8
"""How many folders may be between a given folder and a run folder."""
MOST_DIFFERENCES = 3

ReadResults = Callable[[Run, Plan], tuple[tuple[TrialResult, ...], tuple[Refused, ...]]]
"""Reads the results of a run that count, and which do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A run to take blocks from, as it was read."""

    folder: RunFolder
    run: Run
    plan: Plan
    images: tuple[Image, ...]
    blocks: Mapping[int, tuple[TrialResult, ...]]
    """The results of each whole block."""
    halves: Mapping[int, tuple[TrialResult, ...]]
    """The results of the other blocks that it has results of."""
    refused: tuple[Refused, ...]

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines of its whole blocks."""
        run = self.run
        if run.machines:
            known = (
                replace(one, blocks=tuple(block for block in one.blocks if block in self.blocks))
                for one in run.machines
            )
            return tuple(one for one in known if one.blocks)
        return (replace(_machine_of(run), blocks=tuple(self.blocks)),) if self.blocks else ()


def read_part(folder: RunFolder) -> Part:
    """Read a run and its whole blocks.

    RunFolderError if its run, plan or images cannot be read or were edited.
    """
    return _read(folder, folder.sound)


def _read(folder: RunFolder, read: ReadResults) -> Part:
    run, run_edited = folder.examined_run()
    plan, plan_edited = folder.examined_plan()
    images, images_edited = folder.examined_images()
    if run.format < SEALED:
        raise RunFolderError(
            f"{folder.path} is not merged, because an older matrix-runner wrote it, which did not "
            "protect results against edits; run the study again."
        )
    if edited := edited_files(run_edited, plan_edited, images_edited):
        raise RunFolderError(
            f"{folder.path} is not merged, because {listed(edited)} "
            f"{'was' if len(edited) == 1 else 'were'} edited after the run saved "
            f"{'it' if len(edited) == 1 else 'them'}; restore the folder from a copy."
        )
    results, refused = read(run, plan)
    planned = {trial.slot for trial in plan.trials}
    known = [one for one in results if one.trial.slot in planned]
    whole = whole_blocks(run.matrix, plan, known)
    if run.machines:
        belonging = [block for one in run.machines for block in one.blocks]
        if len(belonging) > len(set(belonging)):
            raise damaged(folder.path / "run.json", "machines: a block belongs to two of them")
        whole &= set(belonging)  # what belongs to none was not finished
    by_block: dict[int, list[TrialResult]] = {}
    for one in sorted(known, key=lambda one: one.trial.block):
        by_block.setdefault(one.trial.block, []).append(one)
    blocks = {block: tuple(found) for block, found in by_block.items()}
    return Part(
        folder=folder,
        run=run,
        plan=plan,
        images=images,
        blocks={block: found for block, found in blocks.items() if block in whole},
        halves={block: found for block, found in blocks.items() if block not in whole},
        refused=refused,
    )


def found_runs(path: Path) -> Iterator[RunFolder]:
    """Yield the run folder with this path, or else those beneath it; no link is followed."""
    top = len(path.parts)
    for folder, inner, names in os.walk(path):
        if "run.json" in names:
            inner.clear()
            yield RunFolder(Path(folder))
        elif len(Path(folder).parts) - top >= DEEPEST:
            inner.clear()
        inner.sort()


def why_not(first: Part, other: Part) -> str | None:
    """Return why two runs do not belong together, or None if they do."""
    then, now = first.run, other.run
    named = dict.fromkeys(_named(identity.differences_of_studies(then, now)))
    keys = [
        key
        for key in _differing(then.matrix, now.matrix)
        if not any(one.startswith(key) for one in named)
    ]
    differing = [*named, *(f"the {key} of the matrix" for key in keys)]
    if differing:
        more = len(differing) - MOST_DIFFERENCES
        names = differing[:MOST_DIFFERENCES] + ([f"{more} more"] if more > 0 else [])
        return f"they differ in {one_line(listed(names))}; merge only runs of one study"
    if (then.lock.entries, then.lock.ranges) != (now.lock.entries, now.lock.ranges):
        return "they differ in their locks; merge only runs with the same lock"
    plans = [replace(one.plan, format=FORMAT, shard=None) for one in (first, other)]
    if names := list(_differing(*plans)):
        return f"their plans differ in {listed(names)}; give --seed and --blocks the same values"
    return None


def _check(first: Part, others: Iterable[Part]) -> None:
    """RunFolderError if a run does not belong to the first one."""
    for one in others:
        if (reason := why_not(first, one)) is not None:
            raise RunFolderError(
                f"{one.folder.path} does not belong to {first.folder.path}: {reason}."
            )


def _named(differences: identity.Differences) -> Iterator[str]:
    """Name what differs, in few words: ``script``, ``data numbers.txt``."""
    for path in differences:
        yield path[0] if path[0] == "script" else " ".join(path[:2])


def _differing(one: Record, other: Record) -> Iterator[str]:
    """Yield the names of the fields in which two records of a kind differ."""
    for field in fields(one):  # type: ignore[arg-type]  # every record is a dataclass
        if getattr(one, field.name) != getattr(other, field.name):
            yield field.name


class MergedRun:
    """A merged run in a folder that only this process may write to."""

    def __init__(self, folder: RunFolder) -> None:
        """Continue the merged run in a folder.

        Results that do not count are set aside, and those of blocks that are not whole removed.
        RunFolderError if it is not a merged run, or cannot be read.
        """
        if not folder.run().machines:
            raise RunFolderError(
                f"{folder.path} is not a merged run; leave --into out to make one."
            )
        self.folder = folder
        folder.sweep()
        self._part = _read(folder, folder.salvage)
        for results in self._part.halves.values():
            for result in results:
                folder.remove_result(result.trial.id)

    @property
    def part(self) -> Part:
        """What it contains now."""
        return self._part

    def take(self, parts: Iterable[Part]) -> Mapping[int, Part]:
        """Take over each block that is still missing; return from which run each one comes.

        Of a block that several runs have, the one that ended first is taken. RunFolderError if a
        run does not belong to this one.
        """
        parts = list(parts)
        _check(self._part, parts)
        taken = _first_of_each(parts, self._part.blocks.keys())
        if not taken:
            return taken
        machines, images = [*self._part.machines], {one.id: one for one in self._part.images}
        for part in parts:
            own = {number for number in part.blocks if taken.get(number) is part}
            machines += (
                replace(one, blocks=tuple(some))
                for one in part.machines
                if (some := own.intersection(one.blocks))
            )
            used = {result.image for number in own for result in part.blocks[number]}
            images = {**{one.id: one for one in part.images if one.id in used}, **images}
        run = _on(self._part.run, _joined(machines))
        # The results come last, so that every result belongs to a machine and has its image.
        in_order = tuple(sorted(images.values(), key=lambda one: (one.label, one.id)))
        self.folder.save(Images(images=in_order))
        self.folder.save(run)
        for number, part in taken.items():
            for result in part.blocks[number]:
                self.folder.save_result(result, part.folder.log(result.trial.id))
        blocks = {number: part.blocks[number] for number, part in taken.items()}
        self._part = replace(
            self._part,
            run=run,
            images=in_order,
            blocks=dict(sorted({**self._part.blocks, **blocks}.items())),
        )
        return taken


@contextlib.contextmanager
def begun(parts: Sequence[Part], reports: Path) -> Iterator[MergedRun]:
    """Begin a new run in ``reports`` that parts of one study can be merged into.

    RunFolderError if they do not belong together.
    """
    _check(parts[0], parts[1:])
    oldest = min(parts, key=lambda one: (one.run.created_at, one.run.id))
    with contextlib.ExitStack() as at_the_end:
        with occupied(reports, wait=True):  # no other run begins meanwhile
            name = new_name(reports, oldest.run.matrix.name, datetime.now(timezone.utc))
            folder = RunFolder(reports / name)
            at_the_end.enter_context(occupied(folder.path))
            _begin(folder, oldest, parts)
            point_latest(folder)
        yield MergedRun(folder)


def _begin(folder: RunFolder, oldest: Part, parts: Sequence[Part]) -> None:
    """Save everything but the blocks."""
    commits = {one.run.git_commit for one in parts}
    run = replace(
        oldest.run,
        format=FORMAT,
        id=folder.path.name,
        git_commit=oldest.run.git_commit if len(commits) == 1 else None,
    )
    text = next(filter(None, (one.folder.matrix_text() for one in (oldest, *parts))), None)
    if text is not None:
        folder.save_matrix(text)
    folder.save(replace(oldest.plan, format=FORMAT, shard=None))
    folder.save(as_merged(run))


def as_merged(run: Run) -> Run:
    """Return a run as one that takes blocks of several machines, and has none yet."""
    return replace(run, key=identity.study_key(run), machines=(_machine_of(run),))


@contextlib.contextmanager
def continued(folder: RunFolder) -> Iterator[MergedRun]:
    """Continue a merged run; RunFolderError if another process writes to its folder."""
    with occupied(folder.path) as ours:
        if not ours:
            raise RunFolderError(
                f"another process is writing to {folder.path}; wait until it ends."
            )
        yield MergedRun(folder)


def _first_of_each(parts: Sequence[Part], known: AbstractSet[int]) -> Mapping[int, Part]:
    """Return the run to take each block from: the one whose block ended first."""
    offers: dict[int, list[Part]] = {}
    for part in parts:
        for number in part.blocks.keys() - known:
            offers.setdefault(number, []).append(part)
    return {
        number: min(offered, key=lambda one: (_end(one.blocks[number]), one.run.id, one.run.key))
        for number, offered in sorted(offers.items())
    }


def _end(results: Iterable[TrialResult]) -> float:
    """Return when the last trial ended, in seconds since 1970."""
    return max(one.started_at.timestamp() + (one.duration_s or 0.0) for one in results)


def _machine_of(run: Run) -> Machine:
    """Return the machine that a run that was not merged executes its blocks on."""
    return Machine(
        key=run.key,
        host=run.host,
        engine=run.engine,
        bases=run.bases,
        parallel=run.parallel,
        blocks=(),
    )


def _joined(machines: Iterable[Machine]) -> tuple[Machine, ...]:
    """Join entries of the same machine, in the order of their first blocks."""
    known: dict[str, list[Machine]] = {}
    for one in machines:
        same = known.setdefault(one.key, [])
        for place, other in enumerate(same):
            if replace(other, blocks=one.blocks) == one:
                blocks = {*other.blocks, *one.blocks}
                same[place] = replace(one, blocks=tuple(sorted(blocks)))
                break
        else:
            same.append(replace(one, blocks=tuple(sorted({*one.blocks}))))
    return tuple(sorted((one for same in known.values() for one in same), key=lambda m: m.blocks))


def _on(run: Run, machines: tuple[Machine, ...]) -> Run:
    """Return a merged run on these machines; the first one stands for the others."""
    first = machines[0]
    return replace(
        run,
        machines=machines,
        host=first.host,
        engine=first.engine,
        bases=first.bases,
        parallel=first.parallel,
    )
