"""The attempts of each trial: the only place that knows which of them counts.

It belongs to the records because verbs on both sides of *summarise* need it: plan repeats trials,
judge and report read their results.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from runner.records.run import Trial, TrialResult


class Attempts:
    """The results of a run, grouped by trial, in order of first appearance."""

    def __init__(self, results: Iterable[TrialResult]) -> None:
        grouped: dict[tuple[str, int, bool], list[TrialResult]] = {}
        for result in results:
            grouped.setdefault(result.trial.slot, []).append(result)
        self._by_slot = {
            slot: tuple(sorted(found, key=lambda one: one.trial.attempt))
            for slot, found in grouped.items()
        }

    def __iter__(self) -> Iterator[tuple[TrialResult, ...]]:
        return iter(self._by_slot.values())

    def of(self, trial: Trial) -> tuple[TrialResult, ...]:
        """Return the attempts of a trial, the oldest first."""
        return self._by_slot.get(trial.slot, ())

    def next(self, trial: Trial) -> Trial:
        """Return the trial as the attempt that would come next."""
        known = self.of(trial)
        return replace(trial, attempt=known[-1].trial.attempt + 1) if known else trial

    def counting(self) -> tuple[TrialResult, ...]:
        """Return the attempt that counts of each trial.

        That is the newest one that says something about its cell. If none does, it is the newest.
        """
        return tuple(
            next((one for one in reversed(known) if one.says_something()), known[-1])
            for known in self
        )
