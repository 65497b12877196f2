"""The pipeline: runs the verbs in order, block by block, until the run is complete."""

import contextlib
import gc
import math
import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from runner.engines.protocol import Engine
from runner.errors import (
    ConfigError,
    EngineError,
    EngineLostError,
    Exit,
    NoSpaceError,
    RunFolderError,
)
from runner.execute import Place, Study, clear, cores_of, execute, staged
from runner.judge import intervals, judge, may_change, next_plan
from runner.judge.records import Goal
from runner.ledger import Ledger, Stop, StopRule
from runner.observer import Observer
from runner.plan import FEWEST_BLOCKS, estimate
from runner.prepare import Prepared, prepare
from runner.prepare.recipe import ready, to_build, to_provide
from runner.records.attempts import Attempts
from runner.records.environment import Environment, Images, ReadyImage, SourceKind
from runner.records.run import Plan, Trial, TrialResult
from runner.records.study import Status
from runner.report import answer, interval_lines
from runner.report import current as current_report
from runner.report import write as write_report
from runner.runs import registry
from runner.runs.enter import Execution, digests_of_inputs
from runner.system import program, retry, signals
from runner.system.cores import Turns, keep_off_measured, measured, reserved
from runner.system.host import cores_prefix
from runner.text import counted

NEVER = StopRule(keep_going=True)
FEWEST_LOST = 4
MOST_LOST = 1 / 3
APART = 50
"""A report and the intervals after a block may each take this part of the time."""
MOST_YOUNG = 10_000
"""How many new objects there may be until Python looks for garbage among them."""


class Pipeline:
    """A run on its way through the verbs. Each block is executed, judged and reported."""

    def __init__(
        self,
        execution: Execution,
        engine: Engine,
        observer: Observer,
        goal: Goal | None = None,
        budget_s: float | None = None,
        *,
        stop_rule: StopRule = NEVER,
    ) -> None:
        self._run, self._folder, self._root = execution.run, execution.folder, execution.root
        self._matrix = execution.run.matrix
        self.ledger = Ledger(self._matrix, execution.plan, execution.results)
        self._engine = engine
        self._observer = observer
        self._goal = goal
        self._stop_rule = stop_rule
        self._deadline = time.monotonic() + (math.inf if budget_s is None else budget_s)
        self._tolerance = Tolerance(observer.note)
        self._report = Spaced()
        self._written: tuple[Path, int] | None = None
        """The last report, and how many results it has."""
        self._intervals = Spaced()

    def run(self) -> Exit:
        """Execute everything that is missing, and rewrite the report after blocks and at the end.

        After a look, decided cells leave the plan, and blocks are added if the goal is not
        reached. No block starts that would end after the budget. A lost engine is waited for.
        """
        self._look()
        if not self._missing():
            return self._nothing_left()
        self._announce()
        try:
            self._execute_missing()
        except EngineError:
            with contextlib.suppress(RunFolderError):
                self._note_report(self._write_report())
            raise
        self._note_report(self._write_report())
        return self._exit_code()

    @property
    def _plan(self) -> Plan:
        return self.ledger.plan

    @property
    def _results(self) -> Sequence[TrialResult]:
        return self.ledger.results

    def _missing(self) -> tuple[Trial, ...]:
        return self.ledger.missing()

    def _nothing_left(self) -> Exit:
        self._observer.note(f"{self._folder.path} is complete: nothing is left to do.")
        self._observer.note(
            "Begin another run with --new, or add blocks to this one with --blocks N."
        )
        self._note_report(current_report(self._folder) or self._write_report())
        return self._exit_code()

    def _announce(self) -> None:
        trials = self._missing()
        self._observer.step(f"run {self._folder.path}")
        self._observer.began(self._matrix)
        seconds = estimate(
            self._matrix, trials, self._results, len(self._builds()), self._run.parallel
        )
        self._observer.planned(self._plan, len(self._plan.own) - len(trials), seconds)

    def _builds(self) -> tuple[Environment | ReadyImage, ...]:
        """Return the environments that have no image yet."""
        run, images = self._run, self._engine.images()
        waiting = to_build(self._matrix, run.lock, images, run.bases, run.bundle)
        return (*waiting, *to_provide(self._matrix, run.lock, images))

    @property
    def _machine(self) -> str:
        """What distinguishes the cores of an engine elsewhere from those of this machine."""
        return cores_prefix(self._run.host, self._engine.describe())

    def _execute_missing(self) -> None:
        """Execute what is missing on the engine."""
        cores, machine = cores_of(self._engine, self._machine), self._machine
        with reserved(cores, self._matrix.cpus, self._run.parallel, machine) as groups:
            turns = partial(Turns, name=self._name, note=self._observer.note, machine=machine)
            place = partial(Place, is_here=not machine)
            self._execute_all(tuple(place(group, turns(group)) for group in groups))

    def _execute_all(self, places: tuple[Place, ...]) -> None:
        """Execute what is missing. After the engine was lost, prepare images and inputs again."""
        gc.set_threshold(MOST_YOUNG)
        while True:
            try:
                if self._missing():
                    with self._prepared(places) as study:
                        self._execute_blocks(study)
                else:  # the engine was lost after the last trial: something may still be there
                    clear(self._engine, registry.remember(self._folder.path))
                break
            except EngineLostError as error:
                self._tolerance.wait(error)

    @contextlib.contextmanager
    def _prepared(self, places: tuple[Place, ...]) -> Iterator[Study]:
        """Have images and inputs on the engine; afterwards only the images stay there."""
        cores = {core for place in places for core in place.cores}
        self._keep_off(cores)
        with self._every_core(cores) if self._builds() else contextlib.nullcontext():
            prepared = prepare(
                self._matrix,
                self._run.lock,
                self._engine,
                self._observer,
                self._folder.save_build_log,
                bases=self._run.bases,
                root=self._root,
                bundle=self._run.bundle,
            )
        self._check_images(prepared)
        self._save_images(prepared)
        self._check_inputs()
        study = Study(
            matrix=self._matrix,
            lock=self._run.lock,
            prepared=prepared,
            root=self._root,
            run=registry.remember(self._folder.path),
            guards=self._plan.guards,
            places=places,
        )
        try:
            with staged(study, self._engine):
                yield study
        except RunFolderError:  # nothing is left on the engine that somebody would have to find
            registry.forget_if_gone(study.run)
            raise

    def _check_images(self, prepared: Prepared) -> None:
        """Refuse an image of a Dockerfile that was built again since the run measured it.

        What its build downloads is not locked, so it may be another one.
        """
        used = {result.image for result in self._results}
        known = {one.environment: one.id for one in self._folder.images() if one.id in used}
        for entry in ready(self._matrix, self._run.lock):
            image = prepared.images.get(entry.request)
            if entry.source.kind is not SourceKind.DOCKERFILE or image is None:
                continue
            if known.get(image.environment, image.id) != image.id:
                raise ConfigError(
                    f"the image of {entry.request.label} was removed and built again, so it may "
                    "differ from the one that this run measured; begin another run with --new."
                )

    def _save_images(self, prepared: Prepared) -> None:
        """Save the images, with those in which earlier trials of this run were executed."""
        used = {result.image for result in self._results}
        images = {one.id: one for one in self._folder.images() if one.id in used}
        images.update((one.id, one) for one in prepared.images.values())
        self._folder.save(Images(images=tuple(images.values())))

    def _every_core(self, own: set[int]) -> contextlib.AbstractContextManager[object]:
        """Have every measured core to oneself: a build may use them all."""
        every = measured(self._machine).union(own)
        return Turns(every, self._name, self._observer.note, self._machine).turn()

    @property
    def _name(self) -> str:
        """What other runs are told about this one."""
        return f"run {self._run.id} (process {os.getpid()})"

    def _check_inputs(self) -> None:
        """Refuse files that were edited while images were built: the run has their digests."""
        if digests_of_inputs(self._matrix, self._root) != self._run.input_digests:
            raise ConfigError(
                "a file of the experiment was edited while images were built; repeat the command "
                "to begin a run with the edited files."
            )

    def _keep_off(self, cores: set[int]) -> None:
        """Keep this process off the measured cores of this machine, also those of other runs."""
        keep_off_measured(set() if self._machine else cores)

    def _execute_blocks(self, study: Study) -> None:
        """Execute what is missing, block by block, while the budget lasts."""
        number = 0
        while block := self.ledger.next_block(number):
            number = block[0].block
            if (shortage := self._shortage(block)) is not None:
                self._observer.note(shortage)
                return
            self._keep_off(study.cores)  # other runs may have begun since
            self._execute_block(study, block)
            if not self._finish_block(number):
                return

    def _finish_block(self, number: int) -> bool:
        """Judge and report after a block; return whether the command goes on."""
        self._look()
        is_due = self._is_at_look() or self._report.is_due()
        if is_due:
            retry.retry(self._write_report, NoSpaceError, self._observer.note)
        if (stop := self._why_stop()) is not None:
            self._observer.note(self._told(stop))
            return False
        self._observer.block_finished(number, self._plan.blocks, reported=is_due)
        self._say_more()
        return True

    def _shortage(self, block: Sequence[Trial]) -> str | None:
        """Return why the block may not start: it would probably end after the budget."""
        if math.isinf(self._deadline):
            return None
        seconds = estimate(self._matrix, block, self._results, 0, self._run.parallel)
        left_s = max(self._deadline - time.monotonic(), 0)
        if seconds <= left_s:
            return None
        return (
            f"Block {block[0].block} would take about {seconds:.0f} s, but the budget has only "
            f"{left_s:.0f} s left. Run the same command to resume."
        )

    def _execute_block(self, study: Study, trials: Sequence[Trial]) -> None:
        """Execute trials of one block, and then repeat those that were disturbed or lost."""
        block = trials[0].block
        while trials:
            for result in execute(study, trials, self._engine, self._folder, self._observer):
                self.ledger.add(result)
                self._tolerance.count(result)
                if result.status is not Status.OK and self._why_stop() is not None:
                    return
            trials = self.ledger.to_repeat(block)

    def _why_stop(self) -> Stop | None:
        return self.ledger.why_stop(self._stop_rule)

    def _told(self, stop: Stop) -> str:
        """Say why the command stops, and what to do next."""
        logs = f"{program.name()} logs {shlex.quote(stop.cell)}"
        more = "" if self._stop_rule.max_fail else ", and --keep-going to continue in this case"
        return f"{stop.reason} `{logs}` prints its log. Run the same command to resume{more}."

    def _look(self) -> None:
        """If a look is due, judge the results and continue with the plan that follows from it.

        A shard never looks: all shards of a study keep the same plan.
        """
        complete = self.ledger.complete
        if self._plan.shard is not None or not may_change(self._plan, complete, self._goal):
            return
        with signals.deferred():  # an interrupted import of scipy cannot be repeated
            judgement = judge(self._matrix, self._plan, self._results)
        following = next_plan(self._matrix, self._plan, judgement, self._goal)
        for note in following.notes:
            self._observer.note(note)
        if following.plan != self._plan:
            self.ledger.follow(following.plan)
            save = partial(self._folder.save, self._plan)
            retry.retry(save, NoSpaceError, self._observer.note)
            done = len(self._plan.trials) - len(self._missing())
            self._observer.planned(self._plan, done, None)

    def _say_more(self) -> None:
        """Say what is known by now: the verdicts at a look, and otherwise only intervals.

        What is said after the last block is the answer, which follows.
        """
        if self._is_at_look():
            if self._missing():
                self._observer.answered(answer(self._folder))
            return
        if self._intervals.is_due():
            with signals.deferred(), self._intervals.timed():  # it imports scipy
                found = intervals(self._matrix, self._plan, self._results)
                lines = interval_lines(self._matrix, found)
            self._observer.intervals(lines)

    def _is_at_look(self) -> bool:
        complete = self.ledger.complete
        return complete in self._plan.looks and complete >= FEWEST_BLOCKS

    def _note_report(self, path: Path) -> None:
        self._observer.answered(answer(self._folder))
        self._observer.note(f"report: {path}")

    def _write_report(self) -> Path:
        """Write the report, unless the last one has every result."""
        written, count = self._written, len(self._results)
        if written is not None and written[1] == count:
            return written[0]
        with signals.deferred(), self._report.timed():  # it imports scipy
            path = write_report(self._folder)
        self._written = path, count
        return path

    def _exit_code(self) -> Exit:
        """Return 5 if a trial stays lost, 1 if a cell failed unexpectedly, else 0."""
        attempts = Attempts(self._results)
        known = [attempts.of(trial) for trial in self._missing()]
        lost = sum(bool(tries) and tries[-1].is_lost for tries in known)
        if lost:
            self._observer.note(
                f"{counted(lost, 'trial')} lost because of the machine. Run the same command to "
                f"repeat {'it' if lost == 1 else 'them'}."
            )
            return Exit.ENGINE
        return Exit.CELL_FAILED if self.ledger.failed() else Exit.OK


class Spaced:
    """Something that takes longer as a run grows, so that it is done only now and then.

    Otherwise a run with ten times the blocks would spend a hundred times as long on it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_at = -math.inf

    def is_due(self) -> bool:
        """Whether it would take at most about one part in ``APART`` of the time since the last."""
        return self._clock() >= self._next_at

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Note how long it takes this time."""
        began = self._clock()
        try:
            yield
        finally:
            ended = self._clock()
            self._next_at = ended + APART * (ended - began)


class Tolerance:
    """How many infrastructure failures a run tolerates.

    It gives up after all waits without a single completed trial in between, and after more than a
    third of the trials were lost. While the engine is away, the trials that it cannot begin count
    as one.
    """

    def __init__(self, note: retry.Note) -> None:
        self._note = note
        self._waits = iter(retry.WAITS_S)
        self._first: EngineError | None = None
        self._executed = 0
        self._lost = 0

    def count(self, result: TrialResult) -> None:
        """Count a trial; EngineError if too many were lost."""
        if result.status is not Status.ENGINE_LOST:
            self._executed += 1
            self._waits = iter(retry.WAITS_S)
            self._first = None
            return
        if result.duration_s is None and self._first is not None:  # the engine is still away
            return
        self._executed += 1
        self._lost += 1
        if self._lost >= FEWEST_LOST and self._lost > MOST_LOST * self._executed:
            cause = str(result.reason).partition(";")[0]  # without its remedy
            raise EngineError(
                f"The run stops here: {self._lost} of {self._executed} trials were lost because of "
                f"the machine, the last one because {cause}. Fix this and run the same command to "
                "resume; finished trials are kept."
            )

    def wait(self, error: EngineError) -> None:
        """Wait longer than the last time; after the last wait, raise the first error."""
        self._first = self._first or error
        wait_s = next(self._waits, None)
        if wait_s is None:
            raise self._first
        retry.note_and_wait(str(error), wait_s, self._note)
