"""Replaying: the study in a bundle runs again, on images built from the bundle alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from runner.bundle.file import STUDY, Bundle, BundledEnvironment
from runner.engines.protocol import DOCKERFILE, PACKED, BuildContext, Engine
from runner.errors import BundleError, Exit
from runner.lock import missing
from runner.lock.file import lock_path, read_lock
from runner.observer import Observer
from runner.plan import quick
from runner.prepare import observed
from runner.prepare.recipe import dockerfile, image_key, ready, to_build, used
from runner.read import Locked, read, text_of
from runner.records import MOST_BLOCKS
from runner.records.environment import Base, Environment, Lock
from runner.records.run import Run, Start
from runner.records.study import Cell, Matrix, Status
from runner.runs.folder import RunFolder, StoredRun
from runner.system import signals
from runner.text import listed

REPLAYS = "replays"
"""The folder of replays among the runs: a replay never resumes the run that was bundled."""

MOST_REPEATS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledStudy:
    """The study in a bundle, with its run if the bundle contains one."""

    matrix: Matrix
    lock: Lock
    path: Path
    """The path of matrix.yaml."""
    run: StoredRun | None


def bundled_study(bundle: Bundle) -> BundledStudy:
    """Return the study of a bundle; BundleError if something that it needs is missing."""
    path = bundle.file(bundle.manifest.matrix)
    lock = read_lock(bundle.file(f"{STUDY}/{lock_path(path).name}"))
    matrix = read(path, Locked(lock))
    run = None
    if bundle.results is not None:
        run = RunFolder(bundle.results).stored()
        _check_run(run.run, matrix, lock)
        matrix, lock = run.run.matrix, run.run.lock
    for name in matrix.experiment.inputs:
        bundle.file(name if PurePosixPath(name).is_absolute() else f"{STUDY}/{name}")
    if images := ready(matrix, lock):
        labels = listed([one.request.label for one in images])
        raise BundleError(
            f"a replay runs no other container images than its own ({labels}); run the study "
            "itself."
        )
    if absent := missing(matrix, lock):
        labels = listed([request.label for request in absent])
        raise BundleError(f"the bundle's lock has no entry for {labels}; get another copy.")
    blocks = matrix.blocks if run is None else run.plan.blocks
    if not all(1 <= one <= MOST_BLOCKS for one in (blocks, matrix.blocks, matrix.looks)):
        raise BundleError(
            f"the bundle's numbers of blocks are not all between 1 and {MOST_BLOCKS:,}; get "
            "another copy."
        )
    return BundledStudy(matrix=matrix, lock=lock, path=path, run=run)


def _check_run(run: Run, matrix: Matrix, lock: Lock) -> None:
    """Refuse a run of another study: only what ``read`` accepted may be executed.

    Titles, claims and policies may have changed since the run, and it may have been quick.
    """
    candidates = (matrix, quick(matrix))
    same = any(_is_of(run.matrix, one) for one in candidates)
    same = same and all(lock.entry(entry.request) == entry for entry in run.lock.entries)
    if not same or not 0 <= run.matrix.repeats <= MOST_REPEATS:
        raise BundleError(
            "the results in the bundle are of another study than its matrix and lock; get another "
            "copy."
        )


def _is_of(measured: Matrix, matrix: Matrix) -> bool:
    """Whether trials of one matrix, perhaps of fewer cells, are the same as those of another."""

    def conditions(one: Matrix) -> tuple[object, ...]:
        return (
            one.name,
            one.experiment.command,
            set(one.experiment.inputs),
            one.limits,
            one.matched,
            {(metric.name, metric.source) for metric in one.metrics},
        )

    def executed(one: Matrix) -> list[Cell]:
        return [replace(cell, expect=Status.OK, blocks=None) for cell in one.cells]

    known = executed(matrix)
    return conditions(measured) == conditions(matrix) and all(
        cell in known for cell in executed(measured)
    )


def provide_images(
    bundle: Bundle, study: BundledStudy, engine: Engine, observer: Observer
) -> Mapping[str, Base]:
    """Build the images that this bundle still lacks on the engine, from its contents alone.

    Return their bases by ``Environment.base_key``. BundleError if the bundle lacks an environment
    that the study needs, for instance because another version of the runner made it.
    """
    packed = {one.key: one for one in bundle.manifest.environments}
    needed = tuple(used(study.matrix, study.lock))
    lacking = [one.request.label for one in needed if image_key(one) not in packed]
    if lacking:
        raise BundleError(
            f"the bundle has no environment for {listed(lacking)} that fits this matrix-runner; "
            f"version {bundle.manifest.runner_version} made it: use the bundle's replay.sh."
        )
    bases: dict[str, Base] = {}
    for environment in needed:  # an untrusted bundle can contain any others
        key = environment.base_key
        if key not in bases:
            one = packed[image_key(environment)]
            file = bundle.file(one.base_file)
            bases[key] = engine.load_base(one.base, environment.python, file)
    for environment in to_build(study.matrix, study.lock, engine.images(), bases, bundle.digest):
        one = packed[image_key(environment)]
        context = _context(bundle, one, environment, bases[environment.base_key])
        observed(context.label, observer, partial(engine.build, context))
    return bases


def _context(
    bundle: Bundle, one: BundledEnvironment, environment: Environment, base: Base
) -> BuildContext:
    """Return a build context in a bundle; its Dockerfile has to be ours."""
    written = bundle.file(f"{one.folder}/{DOCKERFILE}")
    if written.read_bytes() != dockerfile().read_bytes():
        raise BundleError(
            f"{written} differs from the Dockerfile of this matrix-runner; version "
            f"{bundle.manifest.runner_version} made the bundle: use the bundle's replay.sh."
        )
    return BuildContext(
        folder=bundle.file(f"{one.folder}/{PACKED}").parent,
        environment=one.digest,
        label=environment.request.label,
        base=base,
        bundle=bundle.digest,
    )


def replay_start(study: BundledStudy, start: Start) -> Start:
    """Return how a replay starts: with the blocks and the seed of the bundled run, if any."""
    plan = None if study.run is None else study.run.plan
    return replace(
        start,
        root=study.path.parent,
        reports=start.reports / REPLAYS,
        blocks=start.blocks or (plan.blocks if plan else None),
        seed=plan.seed if plan else start.seed,
        replay=True,
        text=text_of(study.path),
    )


def compare(bundled: StoredRun, folder: RunFolder) -> tuple[Exit, str]:
    """Compare a replay with the bundled run; return the exit code and a text, saved beside it."""
    replayed = folder.stored()
    with signals.deferred():  # an interrupted import cannot be repeated
        from runner.bundle.compare import Reproduced, reproduction  # noqa: PLC0415  needs scipy
        from runner.bundle.words import as_text  # noqa: PLC0415
    found = reproduction(bundled, replayed)
    text = as_text(found, bundled, replayed)
    folder.save_text("replay.md", text)
    failed = found.verdict is Reproduced.NOT_REPRODUCED
    return Exit.CELL_FAILED if failed else Exit.OK, text
