"""Execute the blocks of a run on the workers of a cluster, each block whole on one host.

The cluster decides which worker gets a block, and executes the block of a lost worker again. A
block is saved when its answer arrives, so a run that ends early continues with what is missing.
"""

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import ModuleType

from runner.cluster.address import read_address
from runner.cluster.orders import Answer, Order, SavedBase, read_answer
from runner.cluster.packing import Packing
from runner.cluster.protocol import BlockLostError, Cluster, Submitted
from runner.cluster.worker import CLAIM
from runner.engines import connect as connect_engine
from runner.engines.protocol import Engine
from runner.errors import ConfigError, EngineError, Exit, NoSpaceError
from runner.judge.records import Goal
from runner.ledger import StopRule
from runner.observer import Observer
from runner.pipeline import NEVER, Pipeline
from runner.prepare import find_bases
from runner.runs import identity
from runner.runs.enter import Execution
from runner.runs.files import file_name
from runner.runs.folder import RunFolder
from runner.runs.merge import MergedRun, Part
from runner.system import retry, stored, tempdir
from runner.system.host import this_host
from runner.text import counted, one_line

INSTALL = "pip install 'matrix-runner[cluster]'"
POLL_S = 1.0
ALONE_S = 120.0
"""How long a run waits for a worker when there is none."""


def connect(url: str) -> Cluster:
    """Connect to the scheduler at an address; EngineError if it does not answer.

    ConfigError if the address is wrong, or if Dask is not installed.
    """
    read_address(url)  # first, because nothing has to be installed for that
    cluster: Cluster = _dask().DaskCluster(url)
    return cluster


def serve(url: str, name: str, engine: Engine, choice: str, observer: Observer) -> None:
    """Be a worker of the scheduler at an address until it goes away, on the chosen engine.

    EngineError if another worker claims this host, or if the scheduler does not answer.
    """
    read_address(url)
    dask = _dask()
    CLAIM.take(engine)

    def again() -> Engine:
        return connect_engine(choice, this_host().id, observer.note)

    try:
        dask.serve(url, name, again, observer)
    finally:
        CLAIM.release()
    raise EngineError(
        f"the scheduler at {url} is gone, or has sent this worker away; "
        "see what its run says, and then start this worker again."
    )


def _dask() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about packages that only a dashboard needs
            return import_module("runner.cluster.dask")
    except ImportError as error:
        raise ConfigError(
            f"a cluster needs Dask distributed ({error}); install it with `{INSTALL}`."
        ) from error


class ClusterPipeline(Pipeline):
    """A run whose blocks are executed by workers."""

    def __init__(
        self,
        execution: Execution,
        engine: Engine,
        observer: Observer,
        cluster: Cluster,
        *,
        goal: Goal | None = None,
        budget_s: float | None = None,
        stop_rule: StopRule = NEVER,
    ) -> None:
        self._merged = MergedRun(execution.folder)  # which removes what is not a whole block
        results = tuple(one for found in self._merged.part.blocks.values() for one in found)
        execution = replace(execution, results=results)
        super().__init__(execution, engine, observer, goal, budget_s, stop_rule=stop_rule)
        self._cluster = cluster
        self._answered: set[int] = set()
        """The blocks that this command need not submit again."""
        self._lost: set[int] = set()
        self._running: dict[int, tuple[Order, Submitted]] = {}
        self._alone_since: float | None = None

    def _execute_missing(self) -> None:
        """Have every missing block executed by a worker."""
        self._check_inputs()
        with tempdir.folder() as folder:
            packing = Packing(self._run, self._root, self._engine, folder, self._observer)
            bases = packing.save_bases(find_bases(self._matrix, self._run.lock, self._engine))
            self._cluster.serve(packing.find)
            try:
                while self._submit(bases):
                    self._cluster.wait([one for _, one in self._running.values()], POLL_S)
                    saved = self._collect()
                    if saved:  # no worker waits for the report
                        self._submit(bases)
                    if not all(map(self._finish_block, saved)):
                        return
            finally:
                for _, submitted in self._running.values():
                    submitted.cancel()

    def _submit(self, bases: Mapping[str, SavedBase]) -> bool:
        """Submit a block for each idle worker; return whether there is something to wait for."""
        waiting = sorted({trial.block for trial in self._missing()} - self._answered - self._lost)
        waiting = [block for block in waiting if block not in self._running]
        workers = len(self._cluster.workers())
        self._check_not_alone(workers, bool(waiting))
        for block in waiting[: max(workers - len(self._running), 0)]:
            trials = tuple(trial for trial in self._plan.trials if trial.block == block)
            if (shortage := self._shortage(trials)) is not None:
                self._observer.note(shortage)
                self._answered.update(waiting)
                break
            order = Order(
                run=self._run.id,
                block=block,
                matrix=self._matrix,
                lock=self._run.lock,
                plan=replace(self._plan, trials=trials),
                own=self._run.own_digests,
                inputs=self._run.input_digests,
                bases=bases,
            )
            self._observer.step(f"block {block}: submitted")
            self._running[block] = order, self._cluster.submit(stored.dump(order, indent=None))
        return bool(self._running or waiting)

    def _check_not_alone(self, workers: int, is_needed: bool) -> None:
        """EngineError if there has been no worker for too long."""
        if workers or not is_needed:
            self._alone_since = None
            return
        now = time.monotonic()
        if self._alone_since is None:
            self._alone_since = now
            self._observer.note("No worker is connected; waiting for one.")
        elif now - self._alone_since > ALONE_S:
            raise EngineError(
                "no worker is connected to the scheduler: start `matrix-runner worker` on each "
                "host, and run the same command to resume (finished blocks are kept)."
            )

    def _collect(self) -> list[int]:
        """Save the blocks that are done, and return their numbers."""
        saved = []
        for block in [one for one, (_, task) in self._running.items() if task.done()]:
            order, submitted = self._running.pop(block)
            answer = self._answer(order, submitted)
            if answer is not None:
                self._answered.add(block)
                self._save(order, answer)
                saved.append(block)
        return saved

    def _answer(self, order: Order, submitted: Submitted) -> Answer | None:
        """Return the results of a block, or None if it has to be submitted again or is lost.

        A worker that cannot execute a block would fail with the next one, too.
        """
        try:
            worker, content = submitted.answer()
        except BlockLostError as error:
            self._lost.add(order.block)
            self._observer.note(f"Block {order.block} is lost: {error}.")
            return None
        try:
            answer = read_answer(content, order, self._run)
            problem = answer.problem
        except ValueError as error:
            problem = (
                f"its answer is not valid ({error}); install the same matrix-runner on all "
                "machines."
            )
        else:
            if problem is None:
                return answer
        self._observer.note(
            f"Block {order.block} goes to another worker, and {worker} is sent away: "
            f"{one_line(problem)}"
        )
        self._cluster.dismiss(worker)
        if not self._cluster.workers():
            raise EngineError(
                "no worker is left that can execute blocks; the last one said: "
                f"{one_line(problem).rstrip('.')}. Fix that and run the same command to resume "
                "(finished blocks are kept)."
            )
        return None

    def _save(self, order: Order, answer: Answer) -> None:
        """Merge a block into the run, like a block of any other run."""
        with tempdir.folder() as folder:
            logs = RunFolder(folder)
            for trial, log in answer.logs.items():
                logs.save_text(f"logs/{file_name(trial)}.log", log)
            part = self._part(order.block, answer, logs)
            take = partial(self._merged.take, [part])
            retry.retry(take, NoSpaceError, self._observer.note)
        for result in answer.results:
            self.ledger.add(result)
            self._observer.trial_finished(result, self._matrix.cell(result.trial.cell))

    def _part(self, block: int, answer: Answer, logs: RunFolder) -> Part:
        """Return an answer as a run of one block on the machine that executed it."""
        engine = self._run.engine if answer.engine is None else answer.engine
        run = replace(
            self._run,
            host=answer.host,
            engine=engine,
            bases=answer.bases,
            parallel=answer.parallel,
            machines=(),
        )
        return Part(
            folder=logs,
            run=replace(run, key=identity.key(run)),
            plan=self._merged.part.plan,  # a look may have changed it since
            images=answer.images,
            blocks={block: answer.results},
            halves={},
            refused=(),
        )

    def _exit_code(self) -> Exit:
        """Return 5 if a block is lost, else what its results say."""
        code = super()._exit_code()
        if self._lost:
            self._observer.note(
                f"{counted(len(self._lost), 'block')} lost. Run the same command to try again."
            )
            return Exit.ENGINE
        return code
