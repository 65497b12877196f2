"""The ledger of a command: the results of its run by block, and what they leave to do.

A question about a block costs as much as the block, however many others there are. So executing a
run costs as much as its trials.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from runner.plan import complete_blocks, pending, to_repeat
from runner.records.attempts import Attempts
from runner.records.run import Plan, Trial, TrialResult
from runner.records.study import Matrix, Status
from runner.summarise import condenser
from runner.text import counted

Slot = tuple[str, int, bool]
"""What all attempts of a trial share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """When a command stops because trials fail: after so many, or when nothing works."""

    max_fail: int | None = None
    keep_going: bool = False
    """Whether it continues after a block in which every cell failed."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a command stops, and the cell that failed last."""

    reason: str
    cell: str


class Ledger:
    """Everything that one command knows about the trials of its run."""

    def __init__(self, matrix: Matrix, plan: Plan, known: Iterable[TrialResult]) -> None:
        """Begin with the results ``known`` from earlier commands."""
        self._matrix = matrix
        self._condensed = condenser(matrix)
        self._expected = {cell.id: cell.expect for cell in matrix.cells}
        self.results: list[TrialResult] = []
        """All results, condensed, in the order in which they came."""
        self._by_block: dict[int, list[TrialResult]] = {}
        self._missing: tuple[Trial, ...] | None = None
        """What is missing, if that is known since the last result."""
        self._every = _Failures(self._expected)
        self._own = _Failures(self._expected)
        for result in known:
            self._keep(result)
        self.follow(plan)

    def follow(self, plan: Plan) -> None:
        """Follow another plan from now on: cells left it, or blocks were added."""
        trials: dict[int, list[Trial]] = {}
        for trial in plan.trials:
            trials.setdefault(trial.block, []).append(trial)
        self.plan = plan
        self._blocks = {
            number: replace(plan, trials=tuple(found)) for number, found in trials.items()
        }
        self._complete = 0
        self._missing = None

    def add(self, result: TrialResult) -> None:
        """Add a result of this command."""
        self._own.count(self._keep(result))

    def _keep(self, result: TrialResult) -> TrialResult:
        result = self._condensed(result)
        self._missing = None
        self.results.append(result)
        self._by_block.setdefault(result.trial.block, []).append(result)
        self._every.count(result)
        return result

    def missing(self) -> tuple[Trial, ...]:
        """Return all trials that need an attempt, in order."""
        if self._missing is None:
            self._missing = pending(self._matrix, self.plan, self.results)
        return self._missing

    def failed(self) -> Sequence[TrialResult]:
        """Return the attempts that count and ended unexpectedly, in the order of their trials."""
        return tuple(
            one
            for one in Attempts(self.results).counting()
            if one.failed_unexpectedly(self._expected[one.trial.cell])
        )

    def next_block(self, after: int) -> tuple[Trial, ...]:
        """Return what is missing of the next block that is not done; nothing if all are."""
        for number in range(after + 1, self.plan.blocks + 1):
            if missing := pending(self._matrix, self._block(number), self._of(number)):
                return missing
        return ()

    def to_repeat(self, number: int) -> tuple[Trial, ...]:
        """Return the trials to repeat at the end of a block."""
        return to_repeat(self._matrix, self._block(number), number, self._of(number))

    @property
    def complete(self) -> int:
        """How many blocks are complete, counted from the first one without a gap."""
        while (number := self._complete + 1) <= self.plan.blocks:
            if complete_blocks(self._block(number), self._of(number)) < number:
                break
            self._complete = number
        return self._complete

    def why_stop(self, rule: StopRule) -> Stop | None:
        """Return why the command stops here, or None."""
        failed = self._own.failed
        if not failed:
            return None
        last = next(reversed(failed.values())).trial.cell
        if rule.max_fail is not None and len(failed) >= rule.max_fail:
            return Stop(f"Stopped after {counted(len(failed), 'unexpected failure')}.", last)
        number = self.results[-1].trial.block
        if not rule.keep_going and self._is_broken(number):
            return Stop(f"Stopped because every cell failed unexpectedly in block {number}.", last)
        return None

    def _is_broken(self, number: int) -> bool:
        """Whether every cell of a block that should work failed."""
        return all(
            trial.slot in self._every.failed
            for trial in reversed(self._block(number).trials)  # the last ones may be missing still
            if self._expected[trial.cell] is Status.OK
        )

    def _block(self, number: int) -> Plan:
        """Return the plan of one block, which is empty if every cell has left it."""
        return self._blocks.get(number) or replace(self.plan, trials=())

    def _of(self, number: int) -> Sequence[TrialResult]:
        return self._by_block.get(number, ())


class _Failures:
    """The trials of which the attempt that counts ended unexpectedly, the newest failure last."""

    def __init__(self, expected: dict[str, Status]) -> None:
        self.failed: dict[Slot, TrialResult] = {}
        self._expected = expected
        self._telling: set[Slot] = set()

    def count(self, result: TrialResult) -> None:
        """Count an attempt. It replaces earlier ones unless only those say something."""
        slot = result.trial.slot
        if result.says_something():
            self._telling.add(slot)
        elif slot in self._telling:
            return
        self.failed.pop(slot, None)
        if result.failed_unexpectedly(self._expected[result.trial.cell]):
            self.failed[slot] = result
