"""Carrying a run to its end: block by block and look by look, whatever the engine does."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from runner.engines.protocol import Engine
from runner.errors import ConfigError, EngineLostError, Exit, NoSpaceError, RunFolderError
from runner.execute import Study, execute, staged
from runner.judge import judge, may_change, next_plan
from runner.judge.records import Goal
from runner.observer import Observer
from runner.plan import complete_blocks, estimate, pending, to_repeat
from runner.prepare import prepare
from runner.prepare.recipe import to_build
from runner.records.attempts import Attempts
from runner.records.run import Trial
from runner.records.study import Status
from runner.report import write as write_report
from runner.runs import registry
from runner.runs.enter import Execution, digests_of_inputs
from runner.system import signals
from runner.system.host import avoid_cores, runs_here
from runner.system.retry import Patience, retry

_T = TypeVar("_T")


class Course:
    """A run on its way: what it works with, and where it stands."""

    def __init__(
        self,
        execution: Execution,
        engine: Engine,
        observer: Observer,
        goal: Goal | None = None,
        budget_s: float | None = None,
    ) -> None:
        self._run, self._folder, self._root = execution.run, execution.folder, execution.root
        self._matrix = execution.run.matrix
        self._plan = execution.plan
        self._results = list(execution.results)
        self._engine = engine
        self._observer = observer
        self._goal = goal
        self._deadline = None if budget_s is None else time.monotonic() + budget_s
        self._patience = Patience(observer.note)
        self._report: Path | None = None

    def carry_out(self) -> Exit:
        """Execute what is missing, with the report rewritten after each block.

        At each look the cells about which all is decided leave, and while the goal is not reached
        the blocks up to the next look are added. No block begins that would end after the budget.
        An engine that is lost is waited for.
        """
        self._look()
        if not self._missing():
            return self._nothing_left()
        self._announce()
        with self._reported_when_cut_short():
            while self._missing():
                try:
                    with self._ready() as study:
                        self._execute(study)
                    break
                except EngineLostError as error:
                    self._patience.wait(error)
        self._observer.note(f"report: {self._report or self._write_report()}")
        return self._exit()

    def _missing(self) -> tuple[Trial, ...]:
        return pending(self._matrix, self._plan, self._results)

    def _nothing_left(self) -> Exit:
        self._observer.note(f"{self._folder.path} is complete: nothing is left to do.")
        self._observer.note(
            "Begin another run with --new, or add blocks to this one with --blocks N."
        )
        self._observer.note(f"report: {self._write_report()}")
        return Exit.OK

    def _announce(self) -> None:
        """Say what is about to be done, and how long that may take."""
        trials = self._missing()
        self._observer.note(f"run {self._folder.path}")
        waiting = len(to_build(self._matrix, self._run.lock, self._engine.images()))
        seconds = estimate(self._matrix, trials, self._results, waiting)
        self._observer.planned(self._plan, len(self._plan.trials) - len(trials), seconds)

    @contextlib.contextmanager
    def _ready(self) -> Iterator[Study]:
        """Have images and inputs on the engine; at the end only images are left of the run."""
        prepared = prepare(
            self._matrix,
            self._run.lock,
            self._engine,
            self._observer,
            self._folder.save_build_log,
        )
        self._folder.save_images(tuple(prepared.images.values()))
        self._check_inputs()
        self._make_room()
        study = Study(
            matrix=self._matrix,
            lock=self._run.lock,
            prepared=prepared,
            root=self._root,
            run=registry.remember(self._folder.path),
            guards=self._plan.guards,
        )
        with staged(study, self._engine):
            yield study

    def _execute(self, study: Study) -> None:
        """Execute what is missing, block by block, as far as the budget reaches."""
        trials = self._missing()
        while trials and self._fits(trials):
            block = trials[0].block
            self._execute_block(study, [trial for trial in trials if trial.block == block])
            self._look()
            self._report = self._patiently(self._write_report)
            self._observer.block_finished(block, self._plan.blocks)
            trials = tuple(trial for trial in self._missing() if trial.block > block)

    def _execute_block(self, study: Study, to_do: Sequence[Trial]) -> None:
        """Execute trials of one block; at its end, those again that the machine spoilt."""
        block = to_do[0].block
        while to_do:
            for result in execute(study, to_do, self._engine, self._folder, self._observer):
                self._results.append(result)
                self._patience.hear(result)
            to_do = to_repeat(self._matrix, self._plan, block, self._results)

    def _fits(self, trials: Sequence[Trial]) -> bool:
        """Whether the next block ends before the deadline, as far as can be known."""
        if self._deadline is None:
            return True
        block = [trial for trial in trials if trial.block == trials[0].block]
        seconds = estimate(self._matrix, block, self._results, 0)
        left = self._deadline - time.monotonic()
        if seconds <= left:
            return True
        self._observer.note(
            f"block {block[0].block} would take about {seconds:.0f} s and {max(left, 0):.0f} s of "
            "the budget are left: the run stops here, and the same command goes on."
        )
        return False

    def _look(self) -> None:
        """Go on with the plan that a due look leads to: cells may leave, or blocks be added."""
        complete = complete_blocks(self._plan, self._results)
        if not may_change(self._plan, complete, self._goal):
            return
        with signals.deferred():  # half an import could not be done again
            judgement = judge(self._matrix, self._plan, self._results)
        following = next_plan(self._matrix, self._plan, judgement, self._goal)
        for note in following.notes:
            self._observer.note(note)
        if following.plan != self._plan:
            self._plan = following.plan
            self._patiently(partial(self._folder.save_plan, self._plan))
            done = len(self._plan.trials) - len(self._missing())
            self._observer.planned(self._plan, done, None)

    def _patiently(self, save: Callable[[], _T]) -> _T:
        """Save something, and wait where the disk is full."""
        return retry(save, NoSpaceError, self._observer.note)

    @contextlib.contextmanager
    def _reported_when_cut_short(self) -> Iterator[None]:
        """Write the report where the run is cut short; what did that is not hidden by it."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(RunFolderError):
                self._observer.note(f"report: {self._write_report()}")
            raise

    def _write_report(self) -> Path:
        """Write the report in one go: half an import of what draws could not be done again."""
        with signals.deferred():
            return write_report(self._folder)

    def _check_inputs(self) -> None:
        """Refuse what was edited while images were built: the run does not say it executes that."""
        known = self._run.script_digest, self._run.data_digests
        if digests_of_inputs(self._matrix, self._root) != known:
            raise ConfigError(
                "the script or a data file was edited while images were built; repeat the command: "
                "it begins a run with what is there now."
            )

    def _make_room(self) -> None:
        """Keep this process off the measured cores where the engine runs on this machine."""
        facts = self._engine.describe()
        cores = facts.cpus
        if runs_here(self._run.host, facts) and cores == self._run.host.cores:
            avoid_cores(range(cores - self._matrix.limits.cpus, cores))

    def _exit(self) -> Exit:
        """Return 5 if a trial stays lost, 1 if one failed and its cell does not expect that."""
        expected = {cell.id: cell.expect for cell in self._matrix.cells}
        attempts = Attempts(self._results)
        lost = sum(known[-1].status is Status.ENGINE_LOST for known in attempts)
        if lost:
            self._observer.note(
                f"trials that were lost to the machine: {lost}; the same command repeats them"
            )
            return Exit.ENGINE
        failed = any(
            one.status not in {Status.OK, expected[one.trial.cell]} for one in attempts.counting()
        )
        return Exit.CELL_FAILED if failed else Exit.OK
