"""What can be told while a run goes on. ``progress`` shows it to a person, tests keep a list."""

from typing import Protocol

from runner.records.environment import Image
from runner.records.run import Plan, Trial, TrialResult
from runner.records.study import Cell


class Observer(Protocol):
    """Hears every step of a run as it happens."""

    def note(self, text: str) -> None:
        """Something a person should know, in one line."""
        ...

    def planned(self, plan: Plan, done: int, estimate_s: float | None) -> None:
        """The trials are known; ``done`` of them were executed before."""
        ...

    def image_started(self, label: str) -> None:
        """An image is about to be built."""
        ...

    def image_ready(self, image: Image, seconds: float) -> None:
        """An image was built in that many seconds."""
        ...

    def trial_started(self, trial: Trial, cell: Cell, image: Image | None) -> None:
        """A trial is about to be executed."""
        ...

    def trial_output(self, trial: Trial, line: str) -> None:
        """The experiment printed a line; untrusted text."""
        ...

    def trial_finished(self, result: TrialResult, cell: Cell) -> None:
        """A trial ended and its result is saved."""
        ...

    def block_finished(self, block: int, blocks: int) -> None:
        """All trials of a block ended and the report is rewritten."""
        ...
