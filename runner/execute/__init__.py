"""execute: run the trials in order, and save each result as soon as its trial ends.

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
from runner.errors import ConfigError, EngineError, EngineLostError, NoSpaceError
from runner.execute.guards import disturbance
from runner.execute.result import ParsedResult, parse_outcome
from runner.inside import LAUNCHER, MATCHED, TRIAL
from runner.observer import Observer
from runner.prepare import Prepared
from runner.records.environment import Image, Lock, Unsupported
from runner.records.run import EngineFacts, Guards, Trial, TrialResult
from runner.records.study import Cell, Matrix, Status
from runner.system import safe, tempdir
from runner.system.cores import Turns
from runner.system.retry import retry
from runner.text import memory, why

REMOVAL_WAITS_S = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)


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
    cores: tuple[int, ...]
    """The cores that trials are measured on."""
    turns: Turns


class Journal(Protocol):
    """Where results are saved: a run folder, or what a worker of a cluster sends."""

    def save_result(self, result: TrialResult, log: str) -> None:
        """Save a result and its log."""


def check_limits(matrix: Matrix, engine: EngineFacts) -> None:
    """Refuse limits that exceed the engine, before anything is built."""
    if matrix.cpus > engine.cpus:
        raise ConfigError(
            f"limits.cpus is {matrix.cpus}, but the engine has only {engine.cpus}; lower it in the "
            "matrix."
        )
    most_bytes = max(matrix.limits_of(cell).memory_bytes for cell in matrix.cells)
    if most_bytes > engine.memory_bytes:
        raise ConfigError(
            f"limits.memory is {memory(most_bytes)}, but the engine has only "
            f"{memory(engine.memory_bytes)}; lower it in the matrix."
        )


@contextmanager
def staged(study: Study, engine: Engine) -> Iterator[None]:
    """Have the inputs on the engine; afterwards only images of the run are left there."""
    try:
        with study.turns.turn():  # this is work for the engine, which may use every core
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
    for trial in trials:
        cell = study.matrix.cell(trial.cell)
        observer.trial_started(trial, cell, study.prepared.images.get(cell.request))
        began = datetime.now(timezone.utc)
        failure: EngineError | None = None
        try:
            result, log = attempt(study, trial, engine, partial(observer.trial_output, trial))
        except EngineError as error:
            failure = error
            lost = ParsedResult(status=Status.ENGINE_LOST, reason=str(error))
            result, log = lost.of(trial, began), ""
        retry(partial(journal.save_result, result, log), NoSpaceError, observer.note)
        observer.trial_finished(result, cell)
        yield result
        if failure is not None:
            raise failure


def attempt(
    study: Study, trial: Trial, engine: Engine, watch: Callable[[str], None]
) -> tuple[TrialResult, str]:
    """Execute a trial whose inputs are staged, and return its result and its log; save nothing.

    ``watch`` gets each line that the script prints.
    """
    cell = study.matrix.cell(trial.cell)
    image = study.prepared.images.get(cell.request)
    if image is None:
        return without_image(study, cell).of(trial, datetime.now(timezone.utc)), ""
    launch = launch_of(study, trial, image)
    with study.turns.turn() as turn:
        outcome = engine.execute(launch, watch)
    parsed = parse_outcome(outcome, launch, study.matrix.metrics)
    result = replace(
        parsed.of(trial, outcome.started_at),
        image=image.id,
        duration_s=outcome.duration_s,
        disturbed=disturbance(parsed.reading, study.guards),
        waited_s=turn.waited_s,
        occupied_by=turn.occupied_by,
    )
    return result, outcome.log


def launch_of(study: Study, trial: Trial, image: Image) -> Launch:
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
        cores=study.cores[-limits.cpus :],
        timeout_s=cell.timeout_s,
        guards=study.guards,
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
