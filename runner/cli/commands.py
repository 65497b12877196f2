"""One function for each verb of the command line; each is the table of contents of its command."""

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from runner.cli.options import Options
from runner.engines.protocol import Engine, in_order_of_removal
from runner.errors import BundleError, ConfigError, EngineError, Exit
from runner.observer import Observer
from runner.records.environment import Lock, Unsupported
from runner.records.run import EngineFacts, Start
from runner.records.study import Matrix

# ruff: noqa: PLC0415 (every command imports what it uses, so that the others stay instant)


def run(options: Options) -> Exit:
    """Execute the matrix: lock, prepare, execute block by block, report."""
    from runner import engines
    from runner.cli.progress import observer_for
    from runner.execute.cleanup import reap
    from runner.judge import read_goal
    from runner.pipeline import Course
    from runner.runs import enter as runs
    from runner.system import tempdir
    from runner.system.host import check_cpu, runs_here, this_host

    matrix = _matrix(options)
    goal = None if options.until is None else read_goal(options.until, matrix)
    machine = this_host()
    with observer_for(sys.stdout) as observer:
        tempdir.sweep()
        connected = engines.connect(options.engine, machine.id, observer.note)
        with tempdir.folder(), closing(connected) as engine:
            here = runs_here(machine, engine.describe())
            if here and (warning := check_cpu(machine)):
                observer.note(warning)
            reap(engine, observer.note)
            _check_limits(matrix, engine.describe())
            lock = _locked(options, matrix, observer)
            start = _start(options)
            run = runs.describe(matrix, lock, start, machine, engine.describe())
            with runs.entered(run, start, observer.note) as execution:
                code = Course(execution, engine, observer, goal, options.budget_s).carry_out()
                return _gated(code, execution.folder.path) if options.gate else code


def lock(options: Options) -> Exit:
    """Resolve what is not locked and write the lock."""
    from runner.cli.progress import observer_for

    matrix = _matrix(options)
    with observer_for(sys.stdout) as observer:
        locked = _locked(options, matrix, observer)
        observer.note(f"{_lock_path(options)}: {len(locked.entries)} environments are locked")
    return Exit.OK


def plan(options: Options) -> Exit:
    """Say what would run, what must be built, and how long it takes."""
    from runner import engines
    from runner.cli import preview
    from runner.lock.file import read_lock

    matrix = _matrix(options)
    locked = read_lock(_lock_path(options))
    found = preview.look(matrix, locked, engines.images(options.engine), options)
    print(preview.as_json(found) if options.json else preview.as_text(found))
    return Exit.OK


def prepare(options: Options) -> Exit:
    """Build the images that are missing, or write their contexts."""
    from runner import engines
    from runner.cli.progress import observer_for
    from runner.prepare import prepare as build
    from runner.prepare import write_contexts
    from runner.runs.folder import RunFolder
    from runner.system.host import this_host

    matrix = _matrix(options)
    with observer_for(sys.stdout) as observer:
        locked = _locked(options, matrix, observer)
        with closing(engines.connect(options.engine, this_host().id, observer.note)) as engine:
            if options.context is not None:
                for command in write_contexts(matrix, locked, engine, options.context):
                    observer.note(command)
                return Exit.OK
            save_log = RunFolder(options.reports / "prepare").save_build_log
            prepared = build(matrix, locked, engine, observer, save_log)
        for reason in prepared.missing.values():
            observer.note(reason)
        observer.note(f"{len(prepared.images)} images are ready")
    return Exit.CELL_FAILED if prepared.missing else Exit.OK


def explain(options: Options) -> Exit:
    """Say why each trial of a cell would be executed, or would not."""
    from runner.cli.explain import explain as explained
    from runner.cli.explain import find_cell
    from runner.lock.file import read_lock
    from runner.runs import enter as runs
    from runner.runs.folder import newest_run
    from runner.system.host import this_host

    matrix = _matrix(options)
    cell = find_cell(matrix, str(options.cell))
    found = newest_run(matrix, options.reports)
    if found is None:
        print(f"there is no run of {matrix.name} in {options.reports}: all trials are executed")
        return Exit.OK
    folder, then = found
    engine = then.engine
    if options.engine not in {"auto", engine.name}:
        engine = replace(engine, name=options.engine, version="any")
    start = _start(options)
    now = runs.describe(matrix, read_lock(_lock_path(options)), start, this_host(), engine)
    plan = runs.planned(now, folder if then.key == now.key else None, start)
    for line in explained(cell, then, now, folder, plan):
        print(line)
    return Exit.OK


def doctor(options: Options) -> Exit:
    """Say whether this machine can execute the matrix, and how well it measures."""
    from runner import engines
    from runner.doctor import as_text, examine
    from runner.lock.file import read_lock
    from runner.system.host import this_host

    matrix, machine = _matrix(options), this_host()
    lock = read_lock(_lock_path(options))
    sound = True
    with contextlib.ExitStack() as at_the_end:
        engine: Engine | EngineError
        try:
            connected = engines.connect(options.engine, machine.id, lambda _: None)
            engine = at_the_end.enter_context(closing(connected))
        except EngineError as error:
            engine = error
        for finding in examine(matrix, lock, machine, engine, options.reports):
            print(as_text(finding), flush=True)
            sound = sound and finding.sound is not False
    return Exit.OK if sound else Exit.CELL_FAILED


def bundle(options: Options) -> Exit:
    """Pack a run, or a matrix that was not executed yet, with all that it needs."""
    from runner import engines
    from runner.bundle.file import ENDING, SCRIPT, folder_of
    from runner.bundle.pack import Cargo, pack, to_pack
    from runner.bundle.wheels import this_python
    from runner.cli.progress import observer_for
    from runner.system import tempdir
    from runner.system.host import this_host

    matrix = _matrix(options)
    target = options.output or Path(f"{matrix.name}{ENDING}")
    with observer_for(sys.stdout) as observer:
        tempdir.sweep()
        connected = engines.connect(options.engine, this_host().id, observer.note)
        with tempdir.folder(), closing(connected) as engine:
            cargo = to_pack(matrix, options.matrix, options.reports, options.run, observer.note)
            if cargo is None:
                lock = _locked(options, matrix, observer)
                cargo = Cargo(matrix=matrix, lock=lock, path=options.matrix, results=None)
            pack(cargo, engine, options.pythons or (this_python(),), target, observer.note)
        observer.note(f"{target}: {_size(target.stat().st_size)}")
        script = f"{folder_of(target)}/{SCRIPT}"
        words = f"tar -xf {shlex.quote(target.name)} && {shlex.quote(script)}"
        observer.note(f"elsewhere: {words}")
    return Exit.OK


def replay(options: Options) -> Exit:
    """Execute again what a bundle holds, and compare with the results in it."""
    from runner import engines
    from runner.bundle.file import opened
    from runner.bundle.replay import REPLAYS, carried, compare, provide
    from runner.cli.progress import observer_for
    from runner.execute.cleanup import reap
    from runner.judge.records import Reproduced
    from runner.pipeline import Course
    from runner.runs import enter as runs
    from runner.system import tempdir
    from runner.system.host import check_cpu, runs_here, this_host

    machine, path = this_host(), _bundle(options)
    with observer_for(sys.stdout) as observer:
        tempdir.sweep()
        connected = engines.connect(options.engine, machine.id, observer.note)
        with tempdir.folder(), closing(connected) as engine, opened(path) as found:
            if runs_here(machine, engine.describe()) and (warning := check_cpu(machine)):
                observer.note(warning)
            reap(engine, observer.note)
            study = carried(found)
            _check_limits(study.matrix, engine.describe())
            provide(found, study, engine, observer)
            then = None if study.then is None else study.then.plan
            start = Start(
                root=study.path.parent,
                reports=options.reports / REPLAYS,
                new=options.new,
                blocks=options.blocks or (then.blocks if then else None),
                seed=then.seed if then else options.seed,
                replay=True,
            )
            run = runs.describe(study.matrix, study.lock, start, machine, engine.describe())
            with runs.entered(run, start, observer.note) as execution:
                code = Course(execution, engine, observer).carry_out()
                if code is Exit.ENGINE:
                    return code
                if study.then is None:
                    observer.note("cannot tell: the bundle holds no results to compare with")
                    return code
                verdict, text = compare(study.then, execution.folder)
    print(text)
    return Exit.CELL_FAILED if verdict is Reproduced.NOT_REPRODUCED else Exit.OK


def report(options: Options) -> Exit:
    """Write the report of a run again."""
    from runner.report import write
    from runner.runs.folder import find_run

    folder = find_run(options.reports, options.run)
    print(write(folder))
    return _gated(Exit.OK, folder.path) if options.gate else Exit.OK


def schema(_: Options) -> Exit:
    """Print the JSON Schema of matrix.yaml."""
    from runner.read import schema as matrix_schema

    print(json.dumps(matrix_schema(), indent=2))
    return Exit.OK


def clean(options: Options) -> Exit:
    """Remove what is ours from the engine, after showing it."""
    from runner import engines
    from runner.execute.cleanup import removable
    from runner.runs import registry
    from runner.system import tempdir
    from runner.system.host import this_host

    tempdir.sweep()
    with closing(engines.connect(options.engine, this_host().id, print)) as engine:
        owned = engine.owned()
        things = removable(owned, options.reports, options.all)
        for thing in things:
            size = "" if thing.size_bytes is None else f"  {_size(thing.size_bytes)}"
            print(f"{thing.kind:9} {thing.label}{size}")
        kept = len(owned) - len(things)
        if kept:
            print(f"kept: {kept} that living runs may use, or that --all includes")
        if not things:
            print("there is nothing to remove on the engine")
            return Exit.OK
        total = _size(sum(thing.size_bytes or 0 for thing in things))
        if options.yes or _agreed(f"remove these {len(things)} ({total})?"):
            for thing in in_order_of_removal(things):
                engine.discard(thing)
            print(f"{len(things)} removed, {total}")
            if options.all:
                registry.sweep()
    return Exit.OK


COMMANDS: Mapping[str, Callable[[Options], Exit]] = {
    "run": run,
    "lock": lock,
    "plan": plan,
    "prepare": prepare,
    "explain": explain,
    "doctor": doctor,
    "bundle": bundle,
    "replay": replay,
    "report": report,
    "schema": schema,
    "clean": clean,
}


# --- what several commands begin with ---


def _gated(code: Exit, folder: Path) -> Exit:
    """Return 4 where the policy says hold about a candidate, else the code as it is."""
    from runner.judge import judge
    from runner.judge.records import Advice
    from runner.runs.folder import RunFolder

    stored = RunFolder(folder).stored()
    decisions = judge(stored.run.matrix, stored.plan, stored.results).decisions
    return Exit.HOLD if any(one.advice is Advice.HOLD for one in decisions) else code


def _matrix(options: Options) -> Matrix:
    """Read the matrix as the options want it: selected, quick, with that many blocks."""
    from runner.plan import quick, select
    from runner.read import read

    matrix = select(read(options.matrix), options.select)
    return quick(matrix, options.blocks or 1) if options.quick else matrix


def _start(options: Options) -> Start:
    """Return how the command line asks for a run."""
    return Start(
        root=options.matrix.parent,
        reports=options.reports,
        new=options.new,
        blocks=options.blocks,
        seed=options.seed,
    )


def _bundle(options: Options) -> Path:
    if options.bundle is None or not os.access(options.bundle, os.R_OK):
        raise BundleError(
            f"there is no bundle {options.bundle} that can be read; name the file or its folder."
        )
    return options.bundle


def _lock_path(options: Options) -> Path:
    from runner.lock.file import lock_path

    return lock_path(options.matrix)


def _locked(options: Options, matrix: Matrix, observer: Observer) -> Lock:
    """Return the lock of the matrix's cells, completed and written where something was missing."""
    from runner.lock import lock_matrix, missing
    from runner.lock.file import read_lock, write_lock
    from runner.read import read

    path = _lock_path(options)
    known = read_lock(path)
    absent = missing(matrix, known)
    if absent and options.locked:
        labels = ", ".join(request.label for request in absent)
        raise ConfigError(
            f"{path} has no entry for {labels}; run `python -m runner lock` and commit it."
        )
    if absent:
        observer.note(f"locking {len(absent)} environments, as they are not in {path}")
        # A selection must not cost the entries of the cells that it leaves out.
        known = lock_matrix(read(options.matrix), known, absent, observer.note)
        write_lock(path, known)
    for request in dict.fromkeys(cell.request for cell in matrix.cells):
        entry = known.entry(request)
        if isinstance(entry, Unsupported):
            observer.note(f"{options.matrix}: {request.label}: unsupported: {entry.reason}")
    return known


def _check_limits(matrix: Matrix, engine: EngineFacts) -> None:
    """Refuse limits that the engine cannot give, before anything is built."""
    limits = matrix.limits
    if limits.cpus > engine.cpus:
        raise ConfigError(
            f"limits.cpus is {limits.cpus} and the engine has {engine.cpus}; lower it."
        )
    if limits.memory_bytes > engine.memory_bytes:
        raise ConfigError(
            f"limits.memory is {limits.memory_bytes / 2**30:.1f} GiB and the engine has "
            f"{engine.memory_bytes / 2**30:.1f} GiB; lower it in the matrix."
        )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"


def _agreed(question: str) -> bool:
    """Ask a person; no answer is a no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
