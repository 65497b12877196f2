"""Everything that can be reported during a run. The command line shows it to a person."""

from collections.abc import Sequence
from typing import Protocol

from runner.records.environment import Image
from runner.records.run import Plan, Trial, TrialResult
from runner.records.study import Cell, Matrix


class Observer(Protocol):
    """Gets every step of a run as it happens."""

    def note(self, text: str) -> None:
        """Show one line to the user."""
        ...

    def began(self, matrix: Matrix) -> None:
        """The trials of a study are about to be planned; its first metric counts most."""
        ...

    def step(self, text: str) -> None:
        """Show one line about what is being done, which the user may not want to read."""
        ...

    def planned(self, plan: Plan, done: int, estimate_s: float | None) -> None:
        """The trials are planned; ``done`` of them are already executed."""
        ...

    def image_started(self, label: str) -> None:
        """The build of an image starts."""
        ...

    def image_ready(self, image: Image, seconds: float) -> None:
        """An image was built."""
        ...

    def trial_started(self, trial: Trial, cell: Cell, image: Image | None) -> None:
        """A trial starts."""
        ...

    def trial_output(self, trial: Trial, line: str) -> None:
        """The experiment printed a line. It is untrusted text."""
        ...

    def trial_finished(self, result: TrialResult, cell: Cell) -> None:
        """A trial ended, and its result is saved."""
        ...

    def intervals(self, lines: Sequence[str]) -> None:
        """The intervals after a block, between two looks: they are no verdicts."""
        ...

    def answered(self, lines: Sequence[str]) -> None:
        """The verdicts, as the report gives them."""
        ...

    def block_finished(self, block: int, blocks: int, *, reported: bool) -> None:
        """All trials of a block ended, and perhaps the report is rewritten."""
        ...
