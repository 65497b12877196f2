"""One function for each verb of the command line; each reads as the steps of its command."""

import contextlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from runner import engines
from runner.cli.arguments import Options
from runner.cli.explain import explain as explained
from runner.cli.explain import find_cell
from runner.cli.fitted import fitted
from runner.cli.next_steps import next_steps
from runner.cli.progress import Progress
from runner.cli.report import gated, report
from runner.cli.shard import chosen
from runner.cli.study import known_lock, outside_of, the_matrix
from runner.cli.warnings import warnings
from runner.engines.protocol import Engine, Owned
from runner.errors import ConfigError, EngineError, Exit
from runner.execute import check_limits, cores_of, parallel_trials
from runner.execute.cleanup import Kept, Review, clean_up, review
from runner.inside import TRIAL
from runner.judge import read_goal
from runner.judge.records import Goal
from runner.ledger import StopRule
from runner.lock import Outside, lock_matrix, missing, provide_wheels, ranges_of
from runner.lock.file import lock_path, write_lock
from runner.observer import Observer
from runner.pipeline import Pipeline
from runner.prepare import find_bases, write_contexts
from runner.prepare import prepare as build_images
from runner.read import json_schema, read, text_of
from runner.records.environment import Lock, ReadyImage, Unsupported
from runner.records.run import Start
from runner.records.study import Matrix, Status
from runner.runs import enter as runs
from runner.runs import registry
from runner.runs.folder import RunFolder, newest_run
from runner.system import alive, cores, program, tempdir
from runner.system.host import check_cpu, cores_prefix, runs_here, this_host
from runner.system.retry import Note
from runner.text import counted, listed, one_line, size

# ruff: noqa: PLC0415 (a command imports what only it needs, so that the others start fast)


def run(options: Options) -> Exit:
    """Run the matrix: lock, prepare, execute block by block, report."""
    shard = chosen(options, os.environ)
    matrix = the_matrix(options, asks=True)
    start = replace(_start(options), text=text_of(options.matrix, options.changes))
    if shard is not None:
        start = replace(start, shard=shard.held_by(start.blocks or matrix.blocks))
    goal = None if options.until is None else read_goal(options.until, matrix)
    if options.cluster is not None:
        return _run_on_cluster(options, matrix, start, goal)
    with _engine_for_trials(options) as (engine, observer):
        if shard is not None:
            observer.note(f"shard {shard.shard}, chosen by {shard.by}")
        check_limits(matrix, engine.describe())
        locked = _locked(options, matrix, observer, engine)
        bases = find_bases(matrix, locked, engine)
        described = runs.describe(
            matrix,
            locked,
            start,
            this_host(),
            engine.describe(),
            bases=bases,
            parallel=_parallel(matrix, engine),
        )
        with runs.entered(described, start, observer.note) as execution:
            for warning in warnings(matrix, execution.plan, engine.describe().cpus, options.folder):
                observer.note(f"warning: {warning}")
            stop_rule = StopRule(max_fail=options.max_fail, keep_going=options.keep_going)
            pipeline = Pipeline(
                execution, engine, observer, goal, options.budget, stop_rule=stop_rule
            )
            code = pipeline.run()
            for line in next_steps(execution.folder, pipeline.ledger):
                observer.step(line)
            return gated(code, execution.folder) if options.gate else code


def _parallel(matrix: Matrix, engine: Engine) -> int:
    """Return how many trials run side by side on an engine."""
    facts = engine.describe()
    return parallel_trials(matrix, facts, cores_of(engine, cores_prefix(this_host(), facts)))


def _run_on_cluster(options: Options, matrix: Matrix, start: Start, goal: Goal | None) -> Exit:
    """Run the matrix on the workers of a cluster; the engine here only packs environments."""
    from runner.cluster import ClusterPipeline, connect
    from runner.runs.merge import as_merged

    if options.shard is not None:
        raise ConfigError("--cluster executes all blocks; leave --shard out.")
    with closing(connect(str(options.cluster))) as cluster, _engine(options) as (engine, observer):
        locked = _locked(options, matrix, observer, engine)
        bases = find_bases(matrix, locked, engine)
        described = as_merged(
            runs.describe(matrix, locked, start, this_host(), engine.describe(), bases=bases)
        )
        with runs.entered(described, start, observer.note) as execution:
            stop_rule = StopRule(max_fail=options.max_fail, keep_going=options.keep_going)
            code = ClusterPipeline(
                execution,
                engine,
                observer,
                cluster,
                goal=goal,
                budget_s=options.budget,
                stop_rule=stop_rule,
            ).run()
            return gated(code, execution.folder) if options.gate else code


def worker(options: Options) -> Exit:
    """Execute blocks for a scheduler until it goes away."""
    from runner.cluster import serve

    with _engine_for_trials(options) as (engine, observer):
        name = platform.node()
        observer.note(f"engine: {engine.describe().name} {engine.describe().version}")
        serve(options.scheduler, name, engine, options.engine, observer)
    return Exit.OK


def compare(options: Options) -> Exit:
    """Run the study that the line describes."""
    from runner.cli.compare import as_matrix

    return run(as_matrix(options))


def lock(options: Options) -> Exit:
    """Resolve every environment that is not locked yet, and write the lock."""
    matrix = the_matrix(options, asks=True)
    with Progress(sys.stdout, quiet=options.quiet) as observer:
        locked = _locked(options, matrix, observer)
        count = counted(len(locked.entries), "environment")
        observer.step(f"{lock_path(options.matrix)}: {count} locked")
    impossible = [
        cell
        for cell in matrix.cells
        if cell.expect is not Status.UNSUPPORTED
        and isinstance(locked.entry(cell.request), Unsupported)
    ]
    return Exit.CELL_FAILED if impossible else Exit.OK


def prepare(options: Options) -> Exit:
    """Build the missing images, or write their build contexts."""
    matrix = the_matrix(options, asks=True)
    with _engine(options) as (engine, observer):
        locked = _locked(options, matrix, observer, engine)
        if options.context is not None:
            for command in write_contexts(matrix, locked, engine, options.context):
                observer.note(command)
            return Exit.OK

        def save_log(label: str, log: str) -> Path:
            return RunFolder(options.reports / "prepare").make().save_build_log(label, log)

        name = f"prepare (process {os.getpid()})"
        with cores.Turns(cores.measured(), name, observer.note).turn():  # a build uses every core
            bases = find_bases(matrix, locked, engine)
            prepared = build_images(
                matrix, locked, engine, observer, save_log, bases=bases, root=options.folder
            )
        for reason in prepared.missing.values():
            observer.note(reason)
        observer.step(f"{counted(len(prepared.images), 'image')} ready")
    return Exit.CELL_FAILED if prepared.missing else Exit.OK


def init(options: Options) -> Exit:
    """Write the files of a first study, and say how to go on."""
    from runner.cli.init import begin

    matrix, *others = begin(options, input)
    for path in (matrix, *others):
        print(one_line(f"wrote {path}"))
    given = "" if matrix == Path("matrix.yaml") else f" --matrix {shlex.quote(str(matrix))}"
    print(one_line(f"next: {program.name()} try{given}  (one trial, now)"))
    print(one_line(f"then: {program.name()} run{given}  (the whole study)"))
    return Exit.OK


def try_cell(options: Options) -> Exit:
    """Run one trial of a cell now, show everything about it, and store nothing."""
    from runner.cli.one_cell import only
    from runner.cli.try_cell import described, tried

    matrix = only(the_matrix(options, asks=True), options.cell)
    with _engine_for_trials(options) as (engine, observer):
        check_limits(matrix, engine.describe())
        locked = _locked(options, matrix, observer, engine)
        result = tried(matrix, locked, options, engine, observer)
        for line in described(result, matrix):
            observer.note(line)
    return Exit.OK if result.status is matrix.cells[0].expect else Exit.CELL_FAILED


def shell(options: Options) -> int:
    """Open a shell in the environment of a cell; return the exit code of the shell."""
    from runner.cli.console import Console
    from runner.cli.one_cell import only
    from runner.cli.shell import opened

    matrix = only(the_matrix(options, asks=True), options.cell)
    # The output of the shell is on stdout, and everything that we say on stderr.
    with _engine_for_trials(options, Progress(sys.stderr, live=False)) as (engine, observer):
        check_limits(matrix, engine.describe())
        locked = _locked(options, matrix, observer, engine)
        return opened(matrix, locked, options, engine, observer, console=Console())


def explain(options: Options) -> Exit:
    """Show for each trial of a cell whether it would run, and why."""
    matrix = the_matrix(options)
    cell = find_cell(matrix, options.cell)
    found = newest_run(matrix, options.reports)
    if found is None:
        print(f"no run of {matrix.name} in {options.reports} yet: every trial would run")
        return Exit.OK
    folder, then = found
    engine = then.engine
    if options.engine not in {"auto", engine.name}:
        engine = replace(engine, name=options.engine, version="any")
    start = _start(options)
    lock = known_lock(options)
    now = runs.describe(
        matrix,
        lock,
        start,
        this_host(),
        engine,
        bases=then.bases,
        parallel=matrix.trials_at_once or then.parallel,
        bundle=then.bundle,
    )
    is_same = then.key == now.key
    stored = folder.plan() if is_same else None
    shard = stored.shard if stored else None
    plan = runs.planned(now, stored if shard is None else None, start)
    for line in explained(cell, then, now, folder, plan, shard=shard):
        print(one_line(line))
    return Exit.OK


def export(options: Options) -> Exit:
    """Print the locked packages of a cell in a format that installers read."""
    from runner.lock.export import as_pylock, as_requirements
    from runner.python.addresses import configured
    from runner.python.index import Index

    cell = find_cell(the_matrix(options), options.cell)
    entry = known_lock(options).entry(cell.request)
    if entry is None:
        raise ConfigError(f"{cell.id} is not locked yet; run `{program.name()} lock` first.")
    if isinstance(entry, Unsupported):
        raise ConfigError(f"{cell.id} has no environment: {entry.reason}. Choose another cell.")
    if isinstance(entry, ReadyImage):
        raise ConfigError(
            f"{cell.id} runs in an image; its packages are not locked here. Choose another cell."
        )
    if options.format == "pylock.toml":
        print(as_pylock(entry, Index(configured(entry.request.index)).files), end="")
    else:
        print(as_requirements(entry), end="")
    return Exit.OK


def doctor(options: Options) -> Exit:
    """Check whether this machine can run the matrix, and how precisely it measures."""
    from runner.doctor import as_text, examine

    matrix, locked, machine = the_matrix(options), known_lock(options), this_host()
    sound = True
    with contextlib.ExitStack() as at_the_end:
        at_the_end.enter_context(alive.shown())
        engine = _engine_or_error(options, at_the_end, lambda _: None)
        name = f"doctor (process {os.getpid()})"
        at_the_end.enter_context(cores.Turns([cores.highest()], name, print).turn())
        for check in examine(matrix, locked, machine, engine, options.reports):
            print(fitted(one_line(as_text(check)), sys.stdout), flush=True)
            sound = sound and check.sound is not False
    return Exit.OK if sound else Exit.CELL_FAILED


def bundle(options: Options) -> Exit:
    """Pack a run, or a matrix that has no run yet, with everything it needs."""
    from runner.bundle.file import ENDING, SCRIPT, folder_of
    from runner.bundle.pack import BundleContents, pack, run_to_pack
    from runner.bundle.wheels import this_python

    matrix = the_matrix(options, asks=True)
    target = options.output or Path(f"{matrix.name}{ENDING}")
    with _engine(options) as (engine, observer):
        contents = run_to_pack(matrix, options.matrix, options.reports, options.run, observer.note)
        if contents is None:
            locked = _locked(options, matrix, observer, engine)
            contents = BundleContents(matrix=matrix, lock=locked, path=options.matrix, run=None)
        else:
            provide_wheels(contents.matrix, contents.lock, outside_of(options, asks=False))
        pack(contents, engine, options.for_python or (this_python(),), target, observer.note)
        observer.note(f"{target}: {size(target.stat().st_size)}")
        script = shlex.quote(f"{folder_of(target)}/{SCRIPT}")
        observer.note(f"on the other machine: tar -xf {shlex.quote(target.name)} && {script}")
    return Exit.OK


def replay(options: Options) -> Exit:
    """Run the study in a bundle again, and compare the results with those in the bundle."""
    from runner.bundle.file import opened
    from runner.bundle.replay import bundled_study, compare, provide_images, replay_start

    with opened(options.bundle) as packed, _engine_for_trials(options) as (engine, observer):
        study = bundled_study(packed)
        check_limits(study.matrix, engine.describe())
        bases = provide_images(packed, study, engine, observer)
        start = replay_start(study, _start(options))
        described = runs.describe(
            study.matrix,
            study.lock,
            start,
            this_host(),
            engine.describe(),
            bases=bases,
            parallel=_parallel(study.matrix, engine),
            bundle=packed.digest,
        )
        with runs.entered(described, start, observer.note) as execution:
            code = Pipeline(execution, engine, observer).run()
            if code is Exit.ENGINE:
                return code
            if study.run is None:
                observer.note("cannot tell: the bundle contains no results to compare with")
                return code
            code, text = compare(study.run, execution.folder)
    print(text)
    return code


def schema(options: Options) -> Exit:
    """Print the JSON Schema of matrix.yaml or of report.json."""
    from runner.report import json_schema as schema_of_report

    print(json.dumps(schema_of_report() if options.of == "report" else json_schema(), indent=2))
    return Exit.OK


def module(_: Options) -> Exit:
    """Print the module that scripts may import."""
    print(TRIAL.read_text(encoding="utf-8"), end="")
    return Exit.OK


def clean(options: Options) -> Exit:
    """List what is ours on the engine and in our caches, and remove it if the user agrees."""
    tempdir.sweep()
    with contextlib.ExitStack() as at_the_end:
        engine = _engine_or_error(options, at_the_end, print)
        found = _review(engine, options)
        for thing in found.removable:
            taken = "" if thing.size_bytes is None else size(thing.size_bytes)
            print(one_line(f"{thing.kind:9} {thing.label}  {taken}").rstrip())
        for reason, count in found.kept.items():
            print(reason.told(count))
        if not found.removable:
            if isinstance(engine, EngineError):
                raise engine
            print("nothing to remove")
            return Exit.OK
        if isinstance(engine, EngineError):
            print(f"Only caches are listed: {engine}")
        taken = size(sum(thing.size_bytes or 0 for thing in found.removable))
        if options.yes or _agreed(f"Remove {counted(len(found.removable), 'item')}, {taken}?"):
            _remove(engine, options, found)
    return Exit.OK


def _review(engine: Engine | EngineError, options: Options) -> Review:
    """Decide what ``clean`` may remove now."""
    from runner.engines.caches import caches

    ours = caches(this_host().id)
    of_others: tuple[Owned, ...] = ()
    if not isinstance(engine, EngineError):
        things, of_others = engine.owned(), engine.of_others()
        listed_anyway = {Path(thing.id).parent for thing in things if thing.kind == "image"}
        ours = (*things, *(one for one in ours if Path(one.id) not in listed_anyway))
    return review(ours, of_others, options.reports, options.all)


def _remove(engine: Engine | EngineError, options: Options, found: Review) -> None:
    """Remove what was shown, unless a run needs it that began in the meantime.

    An engine keeps an image that somebody else's container or image uses.
    """
    from runner.engines import caches

    allowed = _review(engine, options).removable
    chosen = [thing for thing in found.removable if thing in allowed]
    for thing in chosen:
        if thing.kind == caches.KIND or isinstance(engine, EngineError):
            caches.remove(thing)
        else:
            engine.discard(thing)
    left = () if isinstance(engine, EngineError) else engine.owned()
    removed = [thing for thing in chosen if thing not in left]
    taken = size(sum(thing.size_bytes or 0 for thing in removed))
    print(f"removed {counted(len(removed), 'item')}, {taken}")
    if stayed := len(chosen) - len(removed):
        print(Kept.IN_USE.told(stayed))
    if options.all:
        registry.sweep()


COMMANDS: Mapping[str, Callable[[Options], int]] = {
    "try": try_cell,  # a word of Python
    **{
        one.__name__: one
        for one in (
            *(init, run, compare, lock, prepare, shell, explain, export, doctor),
            *(bundle, replay, report, schema, module, clean, worker),
        )
    },
}


# --- steps that several commands share ---


@contextlib.contextmanager
def _engine_for_trials(
    options: Options, progress: Progress | None = None
) -> Iterator[tuple[Engine, Observer]]:
    """Connect to the engine, warn about an unsuitable CPU, and clean up after killed runs."""
    machine = this_host()
    with _engine(options, progress) as (engine, observer):
        if runs_here(machine, engine.describe()) and (warning := check_cpu(machine)):
            observer.note(warning)
        clean_up(engine, observer.note)
        yield engine, observer


@contextlib.contextmanager
def _engine(
    options: Options, progress: Progress | None = None
) -> Iterator[tuple[Engine, Observer]]:
    """Connect to the engine, and show progress until the command ends."""
    progress = progress or Progress(sys.stdout, quiet=options.quiet, verbose=options.verbose)
    with progress as observer:
        tempdir.sweep()
        cores.keep_off_measured()
        with alive.shown():  # so that ``clean`` keeps the images
            connected = engines.connect(options.engine, this_host().id, observer.note)
            with closing(connected) as engine:
                yield engine, observer


def _engine_or_error(
    options: Options, at_the_end: contextlib.ExitStack, note: Note
) -> Engine | EngineError:
    """Connect to the engine until the command ends; return the reason if none answers."""
    try:
        connected = engines.connect(options.engine, this_host().id, note)
    except EngineError as error:
        return error
    return at_the_end.enter_context(closing(connected))


def _locked(
    options: Options, matrix: Matrix, observer: Observer, engine: Engine | None = None
) -> Lock:
    """Return the lock. Environments that it lacks are resolved and written to it first.

    Only images need an engine for that; without ``engine`` it is looked for then.
    """
    path, before = lock_path(options.matrix), known_lock(options)
    known = before
    absent, ranges = missing(matrix, known), ranges_of(matrix)

    def image_digest(name: str) -> str:
        if engine is not None:
            return engine.image_digest(name)
        connected = engines.connect(options.engine, this_host().id, observer.note)
        with closing(connected) as found:
            return found.image_digest(name)

    outside = Outside(
        options.matrix,
        replace(known, ranges=ranges),
        reports=options.reports,
        root=options.root,
        ask_engine=image_digest,
    )
    if absent and options.locked:
        labels = listed([request.label for request in absent])
        raise ConfigError(
            f"{path} has no entry for {labels}; run `{program.name()} lock` and commit the file."
        )
    if absent:
        observer.step(f"locking {counted(len(absent), 'environment')} missing from {path}")
        # The whole matrix is locked: a selection must not drop the entries of other cells.
        whole = read(options.matrix, outside, options.changes, options.root)
        known = lock_matrix(whole, known, absent, observer.step, outside=outside)
    elif ranges != known.ranges and not options.locked:
        known = replace(known, ranges=ranges)
    if known != before:
        write_lock(path, known)
    provide_wheels(matrix, known, outside)
    for request in matrix.requests:
        entry = known.entry(request)
        if isinstance(entry, Unsupported):
            observer.note(f"{options.matrix}: {request.label}: unsupported: {entry.reason}")
    return known


def _start(options: Options) -> Start:
    return Start(
        root=options.folder,
        matrix=None if options.root else options.matrix,  # nobody keeps such a one in git
        reports=options.reports,
        new=options.new,
        blocks=options.blocks,
        seed=options.seed,
    )


def _agreed(question: str) -> bool:
    """Ask the user. No answer means no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
