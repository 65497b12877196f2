"""Open a shell in the environment of a cell, with everything that a trial of it would have."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import replace

from runner.cli.arguments import Options
from runner.cli.one_cell import first_trial, free_cores, name_of, prepared_study
from runner.engines.protocol import Console, Engine, Launch
from runner.errors import ImageBuildError
from runner.execute import Place, Study, launch_of, staged, without_image
from runner.observer import Observer
from runner.records.environment import Lock
from runner.records.study import Matrix
from runner.system.cores import ALLOWED, Turns, keep_off_measured, measured
from runner.system.host import cores_prefix, this_host

LONGEST_S = 14 * 24 * 3600.0
"""A shell ends after two weeks."""
PROMPT = "(trial) $ "


def opened(
    matrix: Matrix,
    lock: Lock,
    options: Options,
    engine: Engine,
    observer: Observer,
    *,
    console: Console,
) -> int:
    """Run a shell in the environment of the only cell, and return its exit code.

    It takes no turn on a core, because nobody knows how long it lasts. It uses the lowest core that
    no run measures on: the next run takes the highest one.
    """
    facts = engine.describe()
    machine = cores_prefix(this_host(), facts)
    cores, is_free = free_cores(engine.cores()[::-1], matrix.cpus, measured(machine))
    if not is_free:
        observer.note(
            "warning: runs measure on every core here, and what you start may disturb them; wait "
            "until one ends, or start nothing large"
        )
    place = Place(cores, Turns((), name_of(options), observer.note, machine))
    with prepared_study(matrix, lock, options, engine, observer, place=place) as study:
        launch = _launch(study, options)
        if not machine:
            keep_off_measured(ALLOWED.difference(cores))
        with staged(study, engine):
            for line in _introduction(launch, matrix, facts.name) if console.is_terminal else ():
                observer.note(line)
            return engine.open_shell(launch, console)


def _launch(study: Study, options: Options) -> Launch:
    """Return the launch of a trial, as a shell gets it; ImageBuildError if it has no image."""
    trial = first_trial(study.matrix, options)
    cell = study.matrix.cell(trial.cell)
    image = study.prepared.images.get(cell.request)
    if image is None:
        reason = without_image(study, cell).reason or ""
        raise ImageBuildError(
            f"{cell.id} has no environment: {reason.rstrip('.')}. Choose another cell."
        )
    launch = launch_of(study, trial, image, study.places[0])
    own = {"TERM": os.environ.get("TERM", "dumb"), "PS1": PROMPT}
    return replace(launch, timeout_s=LONGEST_S, variables={**own, **launch.variables})


def _introduction(launch: Launch, matrix: Matrix, engine: str) -> Iterator[str]:
    """Yield lines that say where the user is, and what to type."""
    cell = matrix.cells[0].id
    yield f"a shell in {cell} on {engine}; leave it with exit, and everything in it is removed"
    yield f"start the experiment with: {shlex.join(launch.command)}"
    yield "and show its result with: python -m json.tool $RESULT_PATH"
