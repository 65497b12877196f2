"""Try a cell: one trial now, with all its output, and without a trace in the folder of runs."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

from runner.cli.arguments import Options
from runner.cli.one_cell import first_trial, free_cores, name_of, prepared_study
from runner.engines.protocol import Engine
from runner.execute import Place, attempt, staged
from runner.observer import Observer
from runner.records.environment import Lock
from runner.records.run import TrialResult
from runner.records.study import Matrix, Metric, Status
from runner.summarise import metric_value
from runner.system.cores import Turns, keep_off_measured, measured
from runner.system.host import cores_prefix, this_host
from runner.text import counted, duration, listed, one_line

MOST_FILES = 10


def tried(
    matrix: Matrix, lock: Lock, options: Options, engine: Engine, observer: Observer
) -> TrialResult:
    """Execute one trial of the only cell, with everything that it prints, and return its result.

    It measures nothing, so it waits for no quiet core, and leaves other runs their cores if there
    is another one.
    """
    machine = cores_prefix(this_host(), engine.describe())
    cores, is_free = free_cores(engine.cores(), matrix.cpus, measured(machine))
    keep_off_measured(() if machine else cores)
    turns = Turns(() if is_free else cores, name_of(options), observer.note, machine)
    place = Place(cores, turns)
    with prepared_study(matrix, lock, options, engine, observer, place=place) as study:
        trial = first_trial(matrix, options)
        observer.note(f"trying {trial.cell}")
        command = matrix.experiment.command_of(matrix.cells[0], trial.seed)
        observer.note(f"runs {shlex.join(command)}")
        if files := matrix.experiment.inputs:
            more = [f"{len(files) - MOST_FILES} more"] if len(files) > MOST_FILES else []
            observer.note(f"with {listed([*files[:MOST_FILES], *more])}")
        with staged(study, engine):
            began = datetime.now(timezone.utc)
            result, _ = attempt(
                study, trial, place, engine, lambda line: observer.note(line.rstrip())
            )
        took = (datetime.now(timezone.utc) - began).total_seconds()
        return result if result.duration_s is not None else replace(result, duration_s=took)


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
