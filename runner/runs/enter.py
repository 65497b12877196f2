"""Begin a run, or continue the newest one with the same key (see ``identity``)."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from runner import __version__
from runner.errors import ConfigError, RunFolderError
from runner.inside import LAUNCHER, MATCHED, TRIAL
from runner.lock.file import lock_path
from runner.plan import looks_of, make_plan
from runner.prepare.recipe import recipe_digest
from runner.records.environment import Base, Environment, Lock, SourceKind
from runner.records.run import EngineFacts, Host, Plan, Run, Start, TrialResult
from runner.records.study import Matrix
from runner.runs import identity, registry
from runner.runs.folder import (
    RunFolder,
    edited_files,
    new_name,
    occupied,
    point_latest,
    run_folders,
)
from runner.system import alive, digest, git
from runner.system.retry import Note
from runner.text import listed, why


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A run in a folder that only this process may write to."""

    run: Run
    folder: RunFolder
    plan: Plan
    results: tuple[TrialResult, ...]
    root: Path


def describe(
    matrix: Matrix,
    lock: Lock,
    start: Start,
    host: Host,
    engine: EngineFacts,
    *,
    bases: Mapping[str, Base],
    parallel: int = 1,
    bundle: str | None = None,
) -> Run:
    """Return what is known when a new run begins; ``bases`` may contain more than it needs.

    ``parallel`` is how many trials run side by side on this machine.
    """
    digests, experiment = digests_of_inputs(matrix, start.root), matrix.experiment
    now = datetime.now(timezone.utc)
    used = {cell.request for cell in matrix.cells}
    entries = tuple(entry for entry in lock.entries if entry.request in used)
    lock = Lock(entries=entries, ranges=lock.ranges)
    keys = {entry.base_key for entry in lock.entries if isinstance(entry, Environment)}
    run = Run(
        id=new_name(start.reports, matrix.name, now),
        key="",
        created_at=now,
        runner_version=__version__,
        # The folder of a replay comes from somebody else.
        git_commit=None if start.replay else git.commit(start.root, _files(matrix, start)),
        matrix=matrix,
        matrix_digest=digest.of_content(matrix),
        lock=lock,
        lock_digest=digest.of_content(lock),
        script_digest=None if experiment.script is None else digests[experiment.script],
        file_digests={name: digests[name] for name in experiment.files},
        data_digests={name: digests[name] for name in experiment.data},
        own_digests=own_digests(matrix),
        host=host,
        engine=engine,
        bases={key: bases[key] for key in sorted(keys & bases.keys())},
        bundle=bundle,
        parallel=parallel,
    )
    return replace(run, key=identity.key(run))


def own_digests(matrix: Matrix) -> Mapping[str, str]:
    """Return the digests of our own files that reach a container."""
    return {
        "launcher": digest.of_file(LAUNCHER),
        "trial": digest.of_file(TRIAL),
        "recipe": recipe_digest(),
        **({"matched": digest.of_file(MATCHED)} if matrix.matched else {}),
    }


def _files(matrix: Matrix, start: Start) -> Iterator[Path]:
    """Yield the files of a study."""
    if start.matrix is not None:
        yield from (start.matrix, lock_path(start.matrix))
    locks = (one.source(SourceKind.LOCK) for one in matrix.requests)
    names = [one.written for one in locks if one and not one.written.startswith("git:")]
    for name in (*matrix.experiment.inputs, *matrix.files, *names):
        yield start.root / name


def digests_of_inputs(matrix: Matrix, root: Path) -> Mapping[str, str]:
    """Return the digests of all files that trials read, by path."""
    try:
        return {name: digest.of_input(root, name) for name in matrix.experiment.inputs}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"a file of the experiment cannot be read ({why(error)}); fix this and repeat the "
            "command."
        ) from error


@contextlib.contextmanager
def entered(run: Run, start: Start, note: Note) -> Iterator[Execution]:
    """Occupy the folder of the newest run with the same key, or a new folder for this run.

    RunFolderError if another process occupies it.
    """
    with contextlib.ExitStack() as at_the_end:
        with occupied(start.reports, wait=True):  # no other run begins meanwhile
            earlier = None if start.new else _same(run, start, note)
            asked = run.matrix
            if earlier is not None:
                # A comparison that is named after the run has begun could be picked by its result.
                matrix = replace(run.matrix, compare=earlier.matrix.compare or run.matrix.compare)
                run = replace(run, id=earlier.id, created_at=earlier.created_at, matrix=matrix)
                if earlier.machines:  # the first of them stands for the others
                    run = replace(
                        run,
                        machines=earlier.machines,
                        host=earlier.host,
                        engine=earlier.engine,
                        bases=earlier.bases,
                        parallel=earlier.parallel,
                    )
            folder = RunFolder(start.reports / run.id)
            if not at_the_end.enter_context(occupied(folder.path)):
                raise RunFolderError(
                    f"another process is executing {folder.path}; wait until it ends, or begin "
                    "another run with --new."
                )
            at_the_end.enter_context(alive.shown(registry.label_of(folder.path)))
            folder.sweep()
            # Another process may have added blocks until we occupied the folder.
            before = None if earlier is None else folder.plan()
            plan = planned(run, before, start)
            if earlier is not None:
                for sentence in _kept(asked, run.matrix, plan, start):
                    note(sentence)
            if start.text is not None:
                folder.save_matrix(start.text)
            if plan != before:
                folder.save(plan)  # before run.json, which makes the folder a run
            if run != earlier:
                folder.save(run)
            point_latest(folder)
        results, refused = folder.salvage(run, plan)
        for one in refused:
            note(
                f"{folder.path / 'trials' / one.name}: this result is set aside, because "
                f"{one.reason}; its trial will run again."
            )
        yield Execution(run=run, folder=folder, plan=plan, results=results, root=start.root)


def _kept(asked: Matrix, matrix: Matrix, plan: Plan, start: Start) -> Iterator[str]:
    """Yield a sentence for each key that a resumed run keeps as it was when the run began."""
    for key, wanted, kept in (
        ("repeats", asked.repeats, plan.guards.repeats),
        ("looks", looks_of(asked), plan.looks or looks_of(matrix)),
        ("compare", asked.compare, matrix.compare),
        ("seed", plan.seed if start.seed is None else start.seed, plan.seed),
    ):
        if wanted != kept:
            yield f"`{key}` was changed, but this run keeps its own; use --new to apply the change."


def _same(run: Run, start: Start, note: Note) -> Run | None:
    """Return the newest run with the same key, and note the runs that cannot be read.

    A shard continues only that shard. Neither it nor a replay continues a run with another seed.
    """
    seed = _seed(run, start) if start.replay or start.shard else None
    for folder in run_folders(start.reports):
        try:
            earlier, run_edited = folder.examined_run()
            if earlier.key != run.key:
                continue
            plan, plan_edited = folder.examined_plan()
            if plan.shard != start.shard or seed not in {None, plan.seed}:
                continue
            edited = edited_files(run_edited, plan_edited, folder.examined_images()[1])
            if not edited:
                return earlier
            note(
                f"{folder.path} is not continued, because it was edited ({listed(edited)}); "
                "restore it."
            )
        except RunFolderError as error:
            note(f"{folder.path} is not continued: {error}")
    return None


def _seed(run: Run, start: Start) -> int | None:
    """Return the seed that was asked for, or the one that all shards have; else None."""
    if start.seed is None and start.shard is not None:
        return identity.common_seed(run)
    return start.seed


def planned(run: Run, earlier: Plan | None, start: Start) -> Plan:
    """Plan the run. One with an ``earlier`` plan keeps its seed and never loses a block."""
    blocks = run.matrix.blocks if start.blocks is None else start.blocks
    if earlier is not None:
        plan = make_plan(run.matrix, earlier.seed, max(blocks, earlier.blocks), earlier)
    else:
        seed = _seed(run, start)
        seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
        plan = make_plan(run.matrix, seed, blocks)
    return replace(plan, shard=start.shard)
