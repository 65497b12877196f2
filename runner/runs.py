"""One run from its folder's point of view: which folder it is, and carrying it to its end.

The newest run of the same key (``identity``) is continued.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from runner import __version__, digest, identity, store
from runner.engine import Engine
from runner.errors import ConfigError, EngineLostError, Exit, NoSpaceError, RunFolderError
from runner.execute import LAUNCHER, MATCHED, Study, execute, staged
from runner.goal import Goal
from runner.host import git_commit, stay_off
from runner.model import (
    EngineFacts,
    Host,
    Lock,
    Matrix,
    Plan,
    Run,
    Status,
    Trial,
    TrialResult,
)
from runner.observer import Observer
from runner.options import Options
from runner.patience import Note, Patience, patiently
from runner.plan import complete_blocks, estimate, make_plan, pending, to_repeat
from runner.prepare import prepare
from runner.recipe import recipe_digest, to_build
from runner.report import write as write_report
from runner.store import RunFolder
from runner.summarise import newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A run whose folder is ours to write."""

    run: Run
    folder: RunFolder
    plan: Plan
    results: tuple[TrialResult, ...]
    root: Path


def describe(matrix: Matrix, lock: Lock, options: Options, host: Host, engine: EngineFacts) -> Run:
    """Return what is known when a new run begins."""
    root = options.matrix.parent
    script, data = _inputs(matrix, root)
    now = datetime.now(timezone.utc)
    used = {cell.request for cell in matrix.cells}
    lock = Lock(entries=tuple(entry for entry in lock.entries if entry.request in used))
    run = Run(
        id=store.new_name(options.reports, matrix.name, now),
        key="",
        created_at=now,
        runner_version=__version__,
        git_commit=git_commit(root),
        matrix=matrix,
        matrix_digest=digest.of_content(matrix),
        lock=lock,
        lock_digest=digest.of_content(lock),
        script_digest=script,
        data_digests=data,
        own_digests=_own(matrix),
        host=host,
        engine=engine,
    )
    return replace(run, key=identity.key(run))


def _own(matrix: Matrix) -> dict[str, str]:
    """Return the digests of what is ours and can touch a measurement."""
    ours = {"launcher": digest.of_file(LAUNCHER), "recipe": recipe_digest()}
    return {**ours, "matched": digest.of_file(MATCHED)} if matrix.matched else ours


@contextlib.contextmanager
def entered(run: Run, options: Options, note: Note) -> Iterator[Execution]:
    """Enter the folder of the newest run of the same key, or of this new one; leave it at the end.

    RunFolderError if another process is in it.
    """
    with contextlib.ExitStack() as at_the_end:
        with store.alone(options.reports):
            earlier = None if options.new else _same(run, options.reports, note)
            if earlier is not None:
                # What is compared was named before the run: naming it afterwards would be picking.
                matrix = replace(run.matrix, compare=earlier.matrix.compare or run.matrix.compare)
                run = replace(run, id=earlier.id, created_at=earlier.created_at, matrix=matrix)
            folder = RunFolder(options.reports / run.id)
            if not folder.occupy():
                raise RunFolderError(
                    f"another process is executing {folder.path}; wait for it, or begin another "
                    "run with --new."
                )
            at_the_end.callback(folder.leave)
            folder.sweep()
            plan = planned(run, folder if earlier is not None else None, options)
            folder.save_plan(plan)  # first: a folder is a run once it has its run.json
            folder.begin(run)
            store.point_latest(folder)
        results, damaged = folder.salvage()
        for path in damaged:
            note(f"{path}: this result was damaged and is set aside; its trial is executed again")
        yield Execution(
            run=run, folder=folder, plan=plan, results=results, root=options.matrix.parent
        )


def _same(run: Run, reports: Path, note: Note) -> Run | None:
    """Return the newest run with the same key; say which could not be read."""
    for folder in store.run_folders(reports):
        try:
            earlier = folder.run()
            if earlier.key == run.key:
                folder.plan()
                return earlier
        except RunFolderError as error:
            note(f"{folder.path} is not continued: {error}")
    return None


def planned(run: Run, folder: RunFolder | None, options: Options) -> Plan:
    """Plan the run; one that goes on in its folder keeps its seed and never loses a block."""
    blocks = run.matrix.blocks if options.blocks is None else options.blocks
    if folder is not None:
        earlier = folder.plan()
        return make_plan(run.matrix, earlier.seed, max(blocks, earlier.blocks), earlier)
    seed = int.from_bytes(os.urandom(4), "big") if options.seed is None else options.seed
    return make_plan(run.matrix, seed, blocks)


def carry_out(
    execution: Execution,
    engine: Engine,
    observer: Observer,
    goal: Goal | None = None,
    budget_s: float | None = None,
) -> Exit:
    """Execute what is missing of a run, block by block, with the report rewritten after each.

    At each look the cells about which all is decided leave, and while the goal is not reached the
    blocks up to the next look are added. No block begins that would end after the budget.
    """
    run, folder = execution.run, execution.folder
    results = list(execution.results)
    plan = _after_a_block(execution, execution.plan, results, goal, observer)
    trials = pending(run.matrix, plan, results)
    if not trials:
        observer.note(f"{folder.path} is complete: nothing is left to do.")
        observer.note("Begin another run with --new, or add blocks to this one with --blocks N.")
        observer.note(f"report: {write_report(folder)}")
        return Exit.OK
    observer.note(f"run {folder.path}")
    waiting = len(to_build(run.matrix, run.lock, engine.images()))
    seconds = estimate(run.matrix, trials, results, waiting)
    observer.planned(plan, len(plan.trials) - len(trials), seconds)
    deadline = None if budget_s is None else time.monotonic() + budget_s
    patience = Patience(observer.note)
    report: Path | None = None
    with _reported_when_cut_short(folder, observer):
        while trials:
            try:
                with _ready(execution, plan, engine, observer) as study:
                    while trials and _fits(run.matrix, trials, results, deadline, observer):
                        block = trials[0].block
                        to_do = tuple(trial for trial in trials if trial.block == block)
                        for result in _block(
                            study, plan, to_do, results,
                            engine=engine, folder=folder, observer=observer,
                        ):  # fmt: skip
                            results.append(result)
                            patience.hear(result)
                        plan = _after_a_block(execution, plan, results, goal, observer)
                        rest = pending(run.matrix, plan, results)
                        trials = tuple(trial for trial in rest if trial.block > block)
                        report = patiently(
                            partial(write_report, folder), NoSpaceError, observer.note
                        )
                        observer.block_finished(block, plan.blocks)
                break
            except EngineLostError as error:
                patience.wait(error)
                trials = pending(run.matrix, plan, results)
    observer.note(f"report: {report or write_report(folder)}")
    return _exit(run.matrix, results, observer)


def _block(
    study: Study,
    plan: Plan,
    to_do: Sequence[Trial],
    results: Sequence[TrialResult],
    *,
    engine: Engine,
    folder: RunFolder,
    observer: Observer,
) -> Iterator[TrialResult]:
    """Execute trials of one block; at its end, those again that the machine spoilt.

    ``results`` are all of the run, to which the caller adds each that is yielded.
    """
    block = to_do[0].block
    while to_do:
        yield from execute(study, to_do, engine, folder, observer)
        to_do = to_repeat(study.matrix, plan, block, results)


@contextlib.contextmanager
def _ready(execution: Execution, plan: Plan, engine: Engine, observer: Observer) -> Iterator[Study]:
    """Have images and inputs on the engine; at the end nothing of the run is left but images."""
    run, folder = execution.run, execution.folder
    prepared = prepare(run.matrix, run.lock, engine, observer, folder.save_build_log)
    folder.save_images(tuple(prepared.images.values()))
    _check_inputs(run, execution.root)
    _make_room(run, engine)
    study = Study(
        matrix=run.matrix,
        lock=run.lock,
        prepared=prepared,
        root=execution.root,
        run=str(folder.path.resolve()),
        guards=plan.guards,
    )
    with staged(study, engine):
        yield study


@contextlib.contextmanager
def _reported_when_cut_short(folder: RunFolder, observer: Observer) -> Iterator[None]:
    """Write the report where the run is cut short; what did that is not hidden by it."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(RunFolderError):
            observer.note(f"report: {write_report(folder)}")
        raise


def _fits(
    matrix: Matrix,
    trials: Sequence[Trial],
    results: Sequence[TrialResult],
    deadline: float | None,
    observer: Observer,
) -> bool:
    """Whether the next block ends before the deadline, as far as can be known."""
    if deadline is None:
        return True
    block = [trial for trial in trials if trial.block == trials[0].block]
    seconds = estimate(matrix, block, results, 0)
    left = deadline - time.monotonic()
    if seconds <= left:
        return True
    observer.note(
        f"block {trials[0].block} would take about {seconds:.0f} s and {max(left, 0):.0f} s of the "
        "budget are left: the run stops here, and the same command goes on."
    )
    return False


def _after_a_block(
    execution: Execution,
    plan: Plan,
    results: Sequence[TrialResult],
    goal: Goal | None,
    observer: Observer,
) -> Plan:
    """Return the plan as it goes on after a block: at a look cells may leave, or blocks be added.

    A changed plan is saved.
    """
    complete = complete_blocks(plan, results)
    if complete not in plan.looks or (goal is None and complete == plan.blocks):
        return plan
    # Judging takes scipy, whose import would delay runs that are far from a look.
    from runner.judge import judge  # noqa: PLC0415
    from runner.judge.looks import leaving, reached  # noqa: PLC0415

    matrix = execution.run.matrix
    judgement = judge(matrix, plan, results)
    open_goal = goal is not None and not reached(goal, judgement)
    if judgement.next_look is None:
        if open_goal:
            observer.note("the goal is not reached, and this was the last look")
        return plan
    blocks = plan.blocks
    if complete == blocks and open_goal:
        blocks = judgement.next_look
    if blocks == complete:
        return plan
    left = leaving(matrix, plan, judgement)
    for cell in left.keys() - plan.left.keys():
        observer.note(f"all is decided about {cell}: it leaves the plan")
    changed = make_plan(matrix, plan.seed, blocks, replace(plan, left=left))
    if changed != plan:
        save = partial(execution.folder.save_plan, changed)
        patiently(save, NoSpaceError, observer.note)
        observer.planned(
            changed, len(changed.trials) - len(pending(matrix, changed, results)), None
        )
    return changed


def _inputs(matrix: Matrix, root: Path) -> tuple[str, dict[str, str]]:
    """Return the digests of the script and, by name, of the data files."""
    try:
        data = {name: digest.of_file(root / name) for name in matrix.experiment.data}
        return digest.of_file(root / matrix.experiment.script), data
    except OSError as error:
        raise ConfigError(
            f"an input of the trials cannot be read ({error}); repair that and repeat the command."
        ) from error


def _check_inputs(run: Run, root: Path) -> None:
    """Refuse what was edited while images were built: it is not what the run says it executes."""
    if _inputs(run.matrix, root) != (run.script_digest, run.data_digests):
        raise ConfigError(
            "the script or a data file was edited while images were built; repeat the command: "
            "it begins a run with what is there now."
        )


def _make_room(run: Run, engine: Engine) -> None:
    """Keep this process off the measured cores where the engine runs on this machine."""
    cores = engine.describe().cpus
    if cores == run.host.cores:
        stay_off(range(cores - run.matrix.limits.cpus, cores))


def _exit(matrix: Matrix, results: Sequence[TrialResult], observer: Observer) -> Exit:
    """Return 5 if a trial stays lost, 1 if one failed and its cell does not expect that."""
    expected = {cell.id: cell.expect for cell in matrix.cells}
    last = newest(results)
    lost = sum(result.status is Status.ENGINE_LOST for result in last)
    if lost:
        observer.note(
            f"trials that were lost to the machine: {lost}; the same command repeats them"
        )
        return Exit.ENGINE
    failed = any(result.status not in {Status.OK, expected[result.trial.cell]} for result in last)
    return Exit.CELL_FAILED if failed else Exit.OK
