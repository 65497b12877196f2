"""Try a cell: one trial now, with all its output, and without a trace in the folder of runs."""

import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from runner.cli.arguments import Options
from runner.cli.explain import find_cell
from runner.engines.protocol import Engine
from runner.execute import Study, attempt, staged
from runner.observer import Observer
from runner.prepare import Prepared, find_bases, prepare
from runner.prepare.recipe import to_build, to_provide
from runner.records.environment import Lock
from runner.records.run import EngineFacts, Guards, Trial, TrialResult
from runner.records.study import Matrix, Metric, Status
from runner.runs import registry
from runner.runs.folder import occupied
from runner.summarise import metric_value
from runner.system import alive, tempdir
from runner.system.cores import Turns, keep_off_measured, measured
from runner.system.host import runs_here, this_host
from runner.text import counted, duration, listed, one_line

AT_ONCE = Guards(window_s=0.0)
"""The guards of a trial that waits for no quiet core."""
NAME = f"try (process {os.getpid()})"
MOST_FILES = 10
MOST_LINES = 40
"""How many lines of the log of a failed build are shown."""


def only(matrix: Matrix, named: str) -> Matrix:
    """Return the matrix with nothing but the named cell, by default its first one."""
    cell = find_cell(matrix, named) if named else matrix.cells[0]
    return replace(matrix, cells=(cell,))


def tried(
    matrix: Matrix, lock: Lock, options: Options, engine: Engine, observer: Observer
) -> TrialResult:
    """Execute one trial of the only cell, with everything that it prints, and return its result.

    It measures nothing, so it waits for no quiet core, and leaves other runs their cores if there
    is another one.
    """
    facts = engine.describe()
    machine = _machine(facts)
    cores, is_free = free_cores(engine.cores(), matrix.cpus, measured(machine))
    with ExitStack() as at_the_end:
        folder = at_the_end.enter_context(tempdir.folder()) / "try"
        at_the_end.enter_context(occupied(folder))
        label = registry.remember(folder)
        at_the_end.callback(_forget, label, folder)
        at_the_end.enter_context(alive.shown(label))
        keep_off_measured(() if machine else cores)
        prepared = _prepared(matrix, lock, options, engine, observer)
        study = Study(
            matrix=matrix,
            lock=lock,
            prepared=prepared,
            root=options.folder,
            run=label,
            guards=AT_ONCE,
            cores=cores,
            turns=Turns(() if is_free else cores, NAME, observer.note, machine),
        )
        trial = _trial(matrix, options)
        observer.note(f"trying {trial.cell}")
        command = matrix.experiment.command_of(matrix.cells[0], trial.seed)
        observer.note(f"runs {shlex.join(command)}")
        if files := matrix.experiment.inputs:
            more = [f"{len(files) - MOST_FILES} more"] if len(files) > MOST_FILES else []
            observer.note(f"with {listed([*files[:MOST_FILES], *more])}")
        with staged(study, engine):
            began = datetime.now(timezone.utc)
            result, _ = attempt(study, trial, engine, lambda line: observer.note(line.rstrip()))
        took = (datetime.now(timezone.utc) - began).total_seconds()
        return result if result.duration_s is not None else replace(result, duration_s=took)


def _machine(facts: EngineFacts) -> str:
    return "" if runs_here(this_host(), facts) else f"{facts.machine or facts.kernel}/"


def free_cores(
    available: Sequence[int], count: int, busy: set[int]
) -> tuple[tuple[int, ...], bool]:
    """Return cores for a trial, and whether no run measures on them."""
    free = [core for core in available if core not in busy]
    if len(free) >= count:
        return tuple(free[-count:]), True
    return tuple(available[-count:]), False


def _forget(label: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    registry.forget_if_gone(label)


def _prepared(
    matrix: Matrix, lock: Lock, options: Options, engine: Engine, observer: Observer
) -> Prepared:
    """Build what is missing. A build uses every core, so it takes turns with other runs."""

    def show_log(label: str, log: str) -> Path:
        for line in log.splitlines()[-MOST_LINES:]:
            observer.note(f"{label}: {line}")
        return Path("the lines above")

    bases, images = find_bases(matrix, lock, engine), engine.images()
    builds = [*to_build(matrix, lock, images, bases, None), *to_provide(matrix, lock, images)]
    turn = Turns(measured(), NAME, observer.note).turn() if builds else nullcontext()
    with turn:
        return prepare(matrix, lock, engine, observer, show_log, bases=bases, root=options.folder)


def _trial(matrix: Matrix, options: Options) -> Trial:
    seed = int.from_bytes(os.urandom(4), "big") if options.seed is None else options.seed
    return Trial(cell=matrix.cells[0].id, block=1, position=1, seed=seed)


def described(result: TrialResult, matrix: Matrix) -> Iterator[str]:
    """Yield lines with everything that was parsed from a trial."""
    expected = matrix.cells[0].expect
    ending = f"{result.status.value} after {duration(result.duration_s or 0.0)}"
    if result.status is not expected:
        ending += f", but {expected.value} was expected"
    elif expected is not Status.OK:
        ending += ", as expected"
    yield f"{result.trial.cell}: {ending}"
    if result.reason:
        yield f"  reason: {one_line(result.reason)}"
    for metric in matrix.metrics if result.status is Status.OK else ():
        yield f"  {_metric(result, metric)}"
    yield from _others(result, matrix)
    yield "This was a try: nothing is stored, and its times are no measurement."


def _others(result: TrialResult, matrix: Matrix) -> Iterator[str]:
    """Yield what a script wrote besides its metrics."""
    named = {metric.stored_as for metric in matrix.metrics} | {one.name for one in matrix.metrics}
    for name, value in result.values.items():
        if name not in named:
            yield f"  {name}: {value:g} (value, no metric)"
    for name, series in result.series.items():
        if name not in named:
            yield f"  {name}: series of {counted(len(series), 'number')} (no metric)"
    for name, fact in result.environment.items():
        yield f"  environment: {name} {fact}"
    if result.adapted:
        yield f"  adapted: {result.adapted}"


def _metric(result: TrialResult, metric: Metric) -> str:
    """Say what was found for a metric, where, and how it became one number."""
    number = metric_value(result, metric)
    shown = "nothing" if number is None else f"{number:.6g} {metric.unit}".rstrip()
    series = result.series.get(metric.stored_as) or result.series.get(metric.name)
    how = f", {metric.reduction} of {counted(len(series), 'number')}" if series else ""
    return f"{metric.name}: {shown} (from {metric.source.described}{how})"
