"""execute: run the trials in order, and save each result as soon as its trial ends.

``side_by_side`` runs several of them at the same time if the study has several places for them.

A failed trial is a result, and the next trial follows. Only an engine failure ends the loop.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Protocol

from runner.engines.protocol import Engine, Launch, Reads
from runner.errors import EngineError, EngineLostError, NoSpaceError
from runner.execute.guards import disturbance, was_quiet
from runner.execute.limits import check_limits, cores_of, most_parallel, parallel_trials
from runner.execute.result import ParsedResult, parse_outcome
from runner.execute.side_by_side import one_by_one, side_by_side
from runner.inside import LAUNCHER, MATCHED, TRIAL
from runner.observer import Observer
from runner.prepare import Prepared
from runner.records.environment import Image, Lock, Unsupported
from runner.records.run import Guards, Trial, TrialResult
from runner.records.study import Cell, Matrix, Status
from runner.system import safe, tempdir
from runner.system.cores import Turns
from runner.system.retry import retry
from runner.text import why

__all__ = [
    "Ended",
    "Journal",
    "Place",
    "Study",
    "attempt",
    "check_limits",
    "clear",
    "cores_of",
    "execute",
    "inputs",
    "launch_of",
    "most_parallel",
    "parallel_trials",
    "staged",
    "without_image",
]

STAYS_QUIET_S = 1.0
"""For how long after an undisturbed trial its cores count as quiet, if only a short look agrees."""
REMOVAL_WAITS_S = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(slots=True, eq=False)
class Place:
    """Where trials run, one after the other: the cores they are measured on, and turns there."""

    cores: tuple[int, ...]
    turns: Turns
    is_here: bool = True
    """Whether the cores belong to this machine, and share its clock."""
    quiet_until_s: float = 0.0
    """Until when its cores are as quiet as in the last trial, on the monotonic clock."""

    def remember(self, *, is_quiet: bool) -> None:
        """Remember whether the trial that has just ended found its cores quiet."""
        until_s = time.monotonic() + STAYS_QUIET_S
        self.quiet_until_s = until_s if is_quiet and self.is_here else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A matrix with everything that its trials need."""

    matrix: Matrix
    lock: Lock
    prepared: Prepared
    root: Path
    """The folder of matrix.yaml, which contains the script and the data files."""
    run: str
    """The label of the run, which everything on the engine carries."""
    guards: Guards
    places: tuple[Place, ...]
    """One for each trial that runs at the same time."""

    @property
    def cores(self) -> set[int]:
        """The cores of all places."""
        return {core for place in self.places for core in place.cores}


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that ended: its result, its log, and how the engine failed if it did."""

    result: TrialResult
    log: str
    failure: EngineError | None = None


class Journal(Protocol):
    """Where results are saved: a run folder, or what a worker of a cluster sends."""

    def save_result(self, result: TrialResult, log: str) -> None:
        """Save a result and its log."""


@contextmanager
def staged(study: Study, engine: Engine) -> Iterator[None]:
    """Have the inputs on the engine; afterwards only images of the run are left there."""
    try:
        every = {core for place in study.places for core in place.turns.cores}
        # This is work for the engine, which may use every core.
        with study.places[0].turns.on(every).turn():
            clear(engine, study.run)  # after a killed process of this run
            for image in list(study.prepared.images.values())[:1]:  # any image will do
                _stage(study, engine, image.id)
        yield
    except EngineLostError:
        raise  # nothing can be removed now, but the next start of the run does it
    except BaseException:
        clear(engine, study.run)
        raise
    clear(engine, study.run)


def _stage(study: Study, engine: Engine, image: str) -> None:
    """Have copies of the inputs staged: a file could be replaced while the engine reads it."""
    try:
        with tempdir.folder() as folder:
            copies = dict(_copied(inputs(study.matrix, study.root), folder))
            engine.stage(study.run, image, copies)
    except OSError as error:  # about one of our files: an engine raises an EngineError
        raise EngineError(
            f"a file of the experiment cannot be copied ({why(error)}); fix this and repeat the "
            "command."
        ) from error


def inputs(matrix: Matrix, root: Path) -> Mapping[str, Path]:
    """Return the files that trials read, by their path among the inputs.

    OSError if a link leads out of the folder of the matrix.
    """
    ours = {"launcher.py": LAUNCHER, "modules/trial.py": TRIAL}
    ours |= {"modules/matched.py": MATCHED} if matrix.matched else {}
    own = {name: path.resolve() for name, path in ours.items()}  # some installers make links
    study = {f"study/{name}": safe.inside(root, name) for name in matrix.experiment.inputs}
    return {**own, **study}


def _copied(files: Mapping[str, Path], folder: Path) -> Iterator[tuple[str, Path]]:
    for name, path in files.items():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with safe.opened(path) as source, copy.open("xb") as target:
            shutil.copyfileobj(source, target)
            os.fchmod(target.fileno(), os.fstat(source.fileno()).st_mode & 0o700 | 0o600)
        yield name, copy


def clear(engine: Engine, run: str) -> None:
    """Remove the containers and volumes of a run, but not its images.

    The engine may still be removing a container, which keeps a volume in use for a moment.
    """
    for wait_s in REMOVAL_WAITS_S:
        time.sleep(wait_s)
        left = [thing for thing in engine.owned() if thing.run == run]
        for thing in left:
            engine.discard(thing)
        if not left:
            return


def execute(
    study: Study, trials: Iterable[Trial], engine: Engine, journal: Journal, observer: Observer
) -> Iterator[TrialResult]:
    """Execute trials whose inputs are staged, and yield each result once it is saved.

    EngineError if the engine fails. The trial is saved and yielded as ``engine-lost`` before that.
    """
    for ended in _attempted(study, trials, engine, observer):
        result = ended.result
        retry(partial(journal.save_result, result, ended.log), NoSpaceError, observer.note)
        observer.trial_finished(result, study.matrix.cell(result.trial.cell))
        yield result
        if ended.failure is not None:
            raise ended.failure


def _attempted(
    study: Study, trials: Iterable[Trial], engine: Engine, observer: Observer
) -> Iterator[Ended]:
    """Execute trials, and yield each as it ends: in the only place, or wherever one is free."""

    def ended(trial: Trial, place: Place, following: Trial | None) -> Ended:
        cell = study.matrix.cell(trial.cell)
        observer.trial_started(trial, cell, study.prepared.images.get(cell.request))
        began = datetime.now(timezone.utc)
        try:
            watch = partial(observer.trial_output, trial)
            return Ended(*attempt(study, trial, place, engine, watch, following=following))
        except EngineError as error:
            lost = ParsedResult(status=Status.ENGINE_LOST, reason=str(error))
            return Ended(lost.of(trial, began), "", error)

    if len(study.places) == 1:
        return one_by_one(trials, study.places[0], ended)
    return side_by_side(trials, study.places, ended, partial(clear, engine, study.run))


def attempt(
    study: Study,
    trial: Trial,
    place: Place,
    engine: Engine,
    watch: Callable[[str], None],
    *,
    following: Trial | None = None,
) -> tuple[TrialResult, str]:
    """Execute a trial whose inputs are staged, and return its result and its log; save nothing.

    ``watch`` gets each line that the script prints. The engine may prepare for the ``following``
    trial while it starts this one.
    """
    cell, image = study.matrix.cell(trial.cell), _image_of(study, trial)
    if image is None:
        return without_image(study, cell).of(trial, datetime.now(timezone.utc)), ""
    launch = launch_of(study, trial, image, place)
    with place.turns.turn() as turn:
        if following and (image_of_next := _image_of(study, following)):
            engine.expect(launch_of(study, following, image_of_next, place))
        outcome = engine.execute(launch, watch)
    parsed = parse_outcome(outcome, launch, study.matrix.metrics)
    # A busy machine changes no other number, but it may be the reason for a time-out.
    matters = study.matrix.is_timed or parsed.status is Status.TIMED_OUT
    place.remember(is_quiet=was_quiet(parsed.reading, study.guards))
    result = replace(
        parsed.of(trial, outcome.started_at),
        image=image.id,
        duration_s=outcome.duration_s,
        disturbed=disturbance(parsed.reading, study.guards) if matters else None,
        waited_s=turn.waited_s,
        occupied_by=turn.occupied_by,
    )
    return result, outcome.log


def _image_of(study: Study, trial: Trial) -> Image | None:
    return study.prepared.images.get(study.matrix.cell(trial.cell).request)


def launch_of(study: Study, trial: Trial, image: Image, place: Place) -> Launch:
    """Return the launch of a trial in the image of its cell."""
    cell = study.matrix.cell(trial.cell)
    limits = study.matrix.limits_of(cell)
    return Launch(
        run=study.run,
        trial=trial.id,
        image=image.id,
        command=study.matrix.experiment.command_of(cell, trial.seed),
        data=study.matrix.experiment.data,
        reads=Reads.of(study.matrix.metrics),
        seed=trial.seed,
        limits=limits,
        cores=place.cores[-limits.cpus :],
        timeout_s=cell.timeout_s,
        guards=study.guards,
        quiet_until_s=place.quiet_until_s,
        parameters=dict(cell.parameters),
        cell=dict(cell.coordinates),
        matched=study.matrix.matched,
        variables=dict(cell.variables),
    )


def without_image(study: Study, cell: Cell) -> ParsedResult:
    """Return why a cell has no image."""
    entry = study.lock.entry(cell.request)
    if isinstance(entry, Unsupported):
        return ParsedResult(status=Status.UNSUPPORTED, reason=entry.reason)
    return ParsedResult(status=Status.NO_IMAGE, reason=study.prepared.missing[cell.request])
