"""execute: the loop over trials. Each result is saved the moment its trial ends.

A failed trial is a result, and the loop goes on. Only an engine in trouble ends it.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from runner.engines.protocol import Engine, Launch
from runner.errors import EngineError, EngineLostError, NoSpaceError
from runner.execute.guards import disturbance
from runner.execute.result import Concluded, conclude
from runner.inside import LAUNCHER, MATCHED
from runner.observer import Observer
from runner.prepare import Prepared
from runner.records.environment import Image, Lock, Unsupported
from runner.records.run import Guards, Trial, TrialResult
from runner.records.study import Cell, Matrix, Status
from runner.runs.folder import RunFolder
from runner.system.retry import retry

REMOVAL_WAITS_S = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A matrix with all that its trials need."""

    matrix: Matrix
    lock: Lock
    prepared: Prepared
    root: Path
    """The folder of matrix.yaml, where script and data files lie."""
    run: str
    """The mark of the run folder: what is on the engine for it carries it as a label."""
    guards: Guards


@contextmanager
def staged(study: Study, engine: Engine) -> Iterator[None]:
    """Have the inputs ready for trials; afterwards nothing of the run is left on the engine."""
    clear(engine, study.run)  # what a run that was killed may have left behind
    image = next(iter(study.prepared.images.values()), None)
    try:
        if image is not None:
            _stage(study, engine, image)
        yield
    except EngineLostError:
        raise  # nothing can be removed now; the next start of the run does it
    except BaseException:
        clear(engine, study.run)
        raise
    clear(engine, study.run)


def _stage(study: Study, engine: Engine, image: Image) -> None:
    try:
        engine.stage(study.run, image.id, inputs(study.matrix, study.root))
    except OSError as error:  # of a file of ours; the engine's own troubles have become others
        raise EngineError(
            f"the inputs of the trials cannot be staged ({error}); repair that and repeat the "
            "command."
        ) from error


def execute(
    study: Study, trials: Iterable[Trial], engine: Engine, folder: RunFolder, observer: Observer
) -> Iterator[TrialResult]:
    """Execute trials in their order, with the inputs staged; yield each result, saved already.

    EngineError if the engine fails; that trial is saved and yielded as ``engine-lost`` first.
    """
    for trial in trials:
        cell = study.matrix.cell(trial.cell)
        observer.trial_started(trial, cell, study.prepared.images.get(cell.request))
        began = datetime.now(timezone.utc)
        trouble: EngineError | None = None
        try:
            result, log = _trial(study, trial, engine, observer)
        except EngineError as error:
            trouble = error
            lost = Concluded(status=Status.ENGINE_LOST, reason=str(error))
            result, log = _result(trial, lost, began, None), ""
        retry(partial(folder.save_result, result, log), NoSpaceError, observer.note)
        observer.trial_finished(result, cell)
        yield result
        if trouble is not None:
            raise trouble


def clear(engine: Engine, run: str) -> None:
    """Remove the containers and volumes of a run; images stay for the next one.

    The engine may still be busy with removing one of them, and holds on to what that one uses.
    """
    for wait_s in (*REMOVAL_WAITS_S, None):
        left = [thing for thing in engine.owned() if thing.run == run]
        for thing in left:
            engine.discard(thing)
        if not left or wait_s is None:
            return
        time.sleep(wait_s)


def inputs(matrix: Matrix, root: Path) -> Mapping[str, Path]:
    """Return the files that trials read, by their path among the inputs."""
    script = root / matrix.experiment.script
    data = {f"data/{Path(name).name}": root / name for name in matrix.experiment.data}
    ours = {"launcher.py": LAUNCHER, **({"script/matched.py": MATCHED} if matrix.matched else {})}
    return {**ours, f"script/{script.name}": script, **data}


def _trial(
    study: Study, trial: Trial, engine: Engine, observer: Observer
) -> tuple[TrialResult, str]:
    """Execute one trial and return its result and its log."""
    cell = study.matrix.cell(trial.cell)
    image = study.prepared.images.get(cell.request)
    if image is None:
        return _result(trial, _absent(study, cell), datetime.now(timezone.utc), None), ""
    launch = Launch(
        run=study.run,
        trial=trial.id,
        image=image.id,
        script=f"script/{Path(study.matrix.experiment.script).name}",
        seed=trial.seed,
        limits=study.matrix.limits,
        timeout_s=cell.timeout_s,
        guards=study.guards,
        parameters=dict(cell.parameters),
        cell=dict(cell.coordinates),
        matched=study.matrix.matched,
    )
    outcome = engine.execute(launch, lambda line: observer.trial_output(trial, line))
    concluded = conclude(outcome, launch, study.matrix.metrics)
    result = _result(trial, concluded, outcome.started_at, outcome.duration_s, image.id)
    return replace(result, disturbed=disturbance(concluded.reading, study.guards)), outcome.log


def _absent(study: Study, cell: Cell) -> Concluded:
    """Say why a cell has no image."""
    entry = study.lock.entry(cell.request)
    if isinstance(entry, Unsupported):
        return Concluded(status=Status.UNSUPPORTED, reason=entry.reason)
    return Concluded(status=Status.NO_IMAGE, reason=study.prepared.missing[cell.request])


def _result(
    trial: Trial,
    concluded: Concluded,
    started_at: datetime,
    duration_s: float | None,
    image: str | None = None,
) -> TrialResult:
    return TrialResult(
        trial=trial,
        status=concluded.status,
        reason=concluded.reason,
        values=concluded.values,
        series=concluded.series,
        environment=concluded.environment,
        adapted=concluded.adapted,
        reading=concluded.reading,
        image=image,
        started_at=started_at,
        duration_s=duration_s,
    )
