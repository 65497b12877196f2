"""What travels between a run and its workers, as stored JSON: a block's order, and its answer.

Both sides check everything that they receive. An answer belongs to exactly one order, holds a whole
block, and says which machine executed it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from runner.errors import EngineError
from runner.plan import whole_blocks
from runner.prepare.recipe import environment_digest, used
from runner.records import FORMAT, Record
from runner.records.attempts import Attempts
from runner.records.environment import Base, Image, Lock
from runner.records.run import EngineFacts, Host, Plan, Run, TrialResult
from runner.records.study import Matrix, Status
from runner.runs.checks import expected, refusals
from runner.runs.files import file_name
from runner.system import digest, stored

LARGEST_BYTES = 1 << 28
"""No order and no answer is larger: the logs have limits of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedBase(Record):
    """A base that a worker can load: ``part`` is the file that ``Engine.save_base`` wrote."""

    base: Base
    python: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Record):
    """One block for a worker, with everything that decides how it is executed.

    ``plan`` has only the trials of this block. ``own`` are the digests of our own files, which must
    be the same on both sides. ``inputs`` are the digests of the files of the study by path, and
    ``bases`` are what images are built on, by ``Environment.base_key``.
    """

    format: int = FORMAT
    run: str
    block: int
    matrix: Matrix
    lock: Lock
    plan: Plan
    own: Mapping[str, str]
    inputs: Mapping[str, str]
    bases: Mapping[str, SavedBase]

    @property
    def digest(self) -> str:
        """The digest that the answer repeats."""
        return digest.of_content(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Record):
    """What a worker says about a block: its results with their logs, or why there are none.

    ``bases`` are the bases on the worker's engine. With a ``problem`` there are no results.
    """

    format: int = FORMAT
    order: str
    host: Host
    problem: str | None = None
    engine: EngineFacts | None = None
    bases: Mapping[str, Base]
    parallel: int = 1
    images: tuple[Image, ...] = ()
    results: tuple[TrialResult, ...] = ()
    logs: Mapping[str, str]


def read_order(content: bytes) -> Order:
    """Return the order; ValueError if it is none."""
    return stored.parse(Order, content, FORMAT)


def read_answer(content: object, order: Order, run: Run) -> Answer:
    """Return the answer to an order of a run; ValueError, with the reason, if it is none.

    Whatever a worker sends is untrusted.
    """
    if not isinstance(content, bytes) or len(content) > LARGEST_BYTES:
        raise ValueError("it is not an answer, or it is too large")
    answer = stored.parse(Answer, content, FORMAT)
    for problem in _problems(answer, order, run):
        raise ValueError(problem)
    return answer


def _problems(answer: Answer, order: Order, run: Run) -> Iterator[str]:
    """Yield why an answer does not belong to an order, or does not hold the whole block."""
    if answer.order != order.digest:
        yield "it answers another order"
    if answer.problem is not None:
        return
    if answer.engine is None:
        yield "it names no engine"
        return
    environments = {environment_digest(one) for one in used(order.matrix, order.lock)}
    if {one.environment for one in answer.images} - environments:
        yield "it used an image of another environment"
    planned = {trial.slot: trial for trial in order.plan.trials}
    known, seen = expected(run, order.plan, {one.id for one in answer.images}), set[str]()
    for result in answer.results:
        trial = result.trial
        plan = planned.get(trial.slot)
        if plan is None or replace(trial, attempt=1) != plan or trial.id in seen:
            yield f"it holds {trial.id}, which was not ordered"
        seen.add(trial.id)
        for reason in refusals(result, f"{file_name(trial.id)}.json", known):
            yield f"{trial.id}: {reason}"
    if answer.logs.keys() != seen:
        yield "a log is missing, or belongs to nothing"
    if whole_blocks(order.matrix, order.plan, answer.results) != {order.block}:
        yield "its block is not complete"


def lost_trial(plan: Plan, results: Iterable[TrialResult]) -> TrialResult | None:
    """Return the last attempt of a trial that the machine lost each time, if there is one."""
    attempts = Attempts(results)
    for trial in plan.trials:
        tries = attempts.of(trial)
        if tries and all(one.status is Status.ENGINE_LOST for one in tries):
            return tries[-1]
    return None


def check_program(order: Order, own: Mapping[str, str]) -> None:
    """Raise EngineError unless the worker has the same program as the run."""
    if dict(order.own) != dict(own):
        raise EngineError(
            "it has another version of matrix-runner than the run; install the same one on all "
            "machines."
        )
