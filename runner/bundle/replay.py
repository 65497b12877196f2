"""replay: what a bundle holds becomes images and a study, with nothing from anywhere else."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from runner.bundle.file import STUDY, Bundle, BundledEnvironment
from runner.engines.protocol import DOCKERFILE, PACKED, BuildContext, Engine
from runner.errors import BundleError
from runner.judge.records import Reproduced
from runner.lock import missing
from runner.lock.file import lock_path, read_lock
from runner.observer import Observer
from runner.prepare import observed
from runner.prepare.recipe import dockerfile, environment_digest, to_build
from runner.read import read
from runner.records.environment import Base, Lock
from runner.records.study import Matrix
from runner.runs.folder import RunFolder, StoredRun
from runner.system import signals

REPLAYS = "replays"
"""Where replays lie among the runs: what is bundled never goes on as its own replay."""

MOST = 10_000
"""More blocks than that are no study: to plan them would take all memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The study of a bundle: as its run was, or as its matrix says where it holds no run."""

    matrix: Matrix
    lock: Lock
    path: Path
    """Of matrix.yaml."""
    then: StoredRun | None


def carried(bundle: Bundle) -> Carried:
    """Return the study of a bundle; BundleError if it needs what is not in it."""
    path = bundle.file(bundle.contents.matrix)
    if bundle.results is None:
        then, matrix = None, read(path)
        lock = read_lock(bundle.file(f"{STUDY}/{lock_path(path).name}"))
    else:
        then = RunFolder(bundle.results).stored()
        matrix, lock = then.run.matrix, then.run.lock
    for name in (matrix.experiment.script, *matrix.experiment.data):
        if PurePosixPath(name).is_absolute():
            raise BundleError(f"the bundle needs {name!r}, which is not in it.")
        bundle.file(f"{STUDY}/{name}")
    if absent := missing(matrix, lock):
        labels = ", ".join(request.label for request in absent)
        raise BundleError(f"the lock in the bundle has no entry for {labels}; take another copy.")
    blocks = matrix.blocks if then is None else then.plan.blocks
    if not all(1 <= one <= MOST for one in (blocks, matrix.blocks, matrix.looks)):
        raise BundleError(f"the bundle has no number of blocks that is from 1 to {MOST}.")
    return Carried(matrix=matrix, lock=lock, path=path, then=then)


def provide(bundle: Bundle, study: Carried, engine: Engine, observer: Observer) -> None:
    """Build the images that the study lacks here from what the bundle holds.

    BundleError if it lacks one that the study needs, as where another runner made it.
    """
    bases: dict[str, Base] = {}
    waiting = {
        environment_digest(one) for one in to_build(study.matrix, study.lock, engine.images())
    }
    for one in bundle.contents.environments:
        if one.digest in waiting:  # whatever else it names is none of ours
            if one.base_file not in bases:
                file = bundle.file(one.base_file)
                bases[one.base_file] = engine.load_base(one.base, one.python, file)
            context = _context(bundle, one, bases[one.base_file])
            observed(one.label, observer, partial(engine.build, context))
    lacking = [one.request.label for one in to_build(study.matrix, study.lock, engine.images())]
    if lacking:
        raise BundleError(
            f"the bundle has no environment for {', '.join(lacking)} as this matrix-runner makes "
            f"it; it was made by version {bundle.contents.runner_version}: use its replay.sh."
        )


def compare(then: StoredRun, folder: RunFolder) -> tuple[Reproduced, str]:
    """Return whether a replay reproduces what was bundled, and all about it; saved beside it."""
    now = folder.stored()
    with signals.deferred():  # half an import could not be done again
        from runner.bundle.compare import reproduction  # noqa: PLC0415  it takes scipy
        from runner.bundle.words import as_text  # noqa: PLC0415
    found = reproduction(then, now)
    text = as_text(found, then, now)
    folder.save_text("replay.md", text)
    return found.verdict, text


def _context(bundle: Bundle, one: BundledEnvironment, base: Base) -> BuildContext:
    """Return a build context of a bundle; what it says in its Dockerfile has to be ours."""
    written = bundle.file(f"{one.folder}/{DOCKERFILE}")
    if written.read_bytes() != dockerfile().read_bytes():
        raise BundleError(
            f"{written} is another one than this matrix-runner's; the bundle was made by version "
            f"{bundle.contents.runner_version}: use its replay.sh."
        )
    return BuildContext(
        folder=bundle.file(f"{one.folder}/{PACKED}").parent,
        environment=one.digest,
        label=one.label,
        base=base,
    )
