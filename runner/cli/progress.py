"""The progress of a run as lines for a person: how each event reads, and how much is left.

``screen`` shows the lines.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TextIO

from runner.cli.screen import Piece, screen_for
from runner.observer import Observer
from runner.records.environment import Image
from runner.records.run import Plan, Trial, TrialResult
from runner.records.study import Cell, Matrix, Metric, Status
from runner.summarise import metric_value
from runner.text import counted, cut, duration, one_line, size

# ruff: noqa: ARG002 (not every line shows everything that the event carries)

_INDENT = " " * 8
_LEAST_ROOM = 22
TONES = {
    "green": ("Upgrade to ", "adopt ", "faster "),
    "red": ("Do not upgrade ", "hold ", "slower "),
    "yellow": ("Not clear yet ", "cannot tell "),
}
"""How lines of an answer begin, by their colour."""


@dataclass(frozen=True, slots=True)
class _Activity:
    """What is happening now: its name, its start, and the last line that it printed."""

    name: str
    started_at: float
    printed: str = ""


class Progress:
    """The observer that prints for people. Use it in a ``with`` statement."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        *,
        quiet: bool = False,
        verbose: bool = False,
        live: bool = True,
    ) -> None:
        """Print everything, or with ``quiet`` only notes and failures.

        Without ``live``, a terminal gets no line that changes. With ``verbose``, the line of each
        trial has every metric, and not only what counts most.
        """
        self._clock = clock
        self._quiet = quiet
        self._verbose = verbose
        # The screen's thread reads it without a lock, so it is only ever replaced as a whole.
        self._activity: _Activity | None = None
        self._total = 0
        self._done = 0
        self._finished: set[tuple[str, int, bool]] = set()
        self._id_width = 0
        self._spent_s = 0.0
        self._expected_end: float | None = None
        self._metrics: tuple[Metric, ...] = ()
        self._screen = screen_for(stream, self._current, clock, live=live and not quiet)

    def __enter__(self) -> Observer:
        self._screen.open()
        return self

    def __exit__(self, *error: object) -> None:
        self._activity = None
        self._screen.close()

    def note(self, text: str) -> None:
        """Show a note."""
        self._screen.write((text, ""))

    def began(self, matrix: Matrix) -> None:
        """Remember the metrics to show."""
        self._metrics = matrix.metrics if self._verbose else (matrix.headline,)

    def step(self, text: str) -> None:
        """Show what is being done."""
        if not self._quiet:
            self.note(text)

    def planned(self, plan: Plan, done: int, estimate_s: float | None) -> None:
        """Show how much there is to do."""
        self._total = len(plan.trials)
        self._done = done
        self._id_width = max((len(_name(trial)) for trial in plan.trials), default=0)
        text = f"{counted(self._total, 'trial')} in {counted(plan.blocks, 'block')}"
        if controls := sum(trial.control for trial in plan.trials):
            text += f" ({controls} of them of the A/A control)"
        if done:
            text += f", resuming: {done} already done"
        if estimate_s is not None:
            self._expected_end = self._clock() + estimate_s
            text += f", about {duration(estimate_s)}" + (" left" if done else "")
        if not self._quiet:
            self._screen.write((text, "bold"))

    def image_started(self, label: str) -> None:
        """Show that an image is being built."""
        self._activity = _Activity(f"image {label}: building", self._clock())
        if not self._quiet:
            self._screen.announce(self._activity.name)

    def image_ready(self, image: Image, seconds: float) -> None:
        """Show how long the build took and how large the image is."""
        if self._activity and self._activity.name == f"image {image.label}: building":
            self._activity = None  # unless another build has begun since
        facts = f"{duration(seconds)}, {size(image.size_bytes)}"
        self.step(f"image {image.label}: ready in {facts}")

    def trial_started(self, trial: Trial, cell: Cell, image: Image | None) -> None:
        """Make the trial the current activity."""
        number = self._done + (trial.slot not in self._finished)
        name = f"{self._count(number)} {_name(trial)}  b{trial.block}{_again(trial)}"
        self._activity = _Activity(name, self._clock())

    def trial_output(self, trial: Trial, line: str) -> None:
        """Remember the line as the last one printed."""
        # A progress bar returns to the start of its line: only its last state counts.
        printed = one_line(line.rstrip().rpartition("\r")[2]).strip()
        if self._activity and printed:
            self._activity = replace(self._activity, printed=printed)
        self._screen.beat()

    def trial_finished(self, result: TrialResult, cell: Cell) -> None:
        """Show the result in one line, and the reason of a failure in a second."""
        self._activity = None
        trial = result.trial
        self._done += trial.slot not in self._finished
        self._finished.add(trial.slot)
        self._spent_s += result.waited_s + (result.duration_s or 0.0)
        if self._quiet and not result.failed_unexpectedly(cell.expect):
            return
        took = f"{result.duration_s:6.1f} s" if result.duration_s is not None else " " * 8
        word, style = _outcome(result.status, cell.expect)
        head = (
            f"{self._count(self._done)} {_name(trial):{self._id_width}}  b{trial.block}"
            f"{_again(trial)}  {took}  "
        )
        room = self._screen.width - len(head + word)
        left = _part(self._left(), room)
        said = _part(self._number(result), room - len(left))
        self._screen.write((head, ""), (word, style), (said, ""), (left, "dim"))
        if result.reason:
            reason = cut(one_line(result.reason), self._screen.width - len(_INDENT))
            self._screen.write((_INDENT + reason, style))
        if result.occupied_by:
            head = f"{_INDENT}went ahead although this process held its cores: "
            self._screen.write((head + one_line(result.occupied_by), "yellow"))
        if result.disturbed:
            self._screen.write((f"{_INDENT}disturbed: {result.disturbed}", "yellow"))

    def intervals(self, lines: Sequence[str]) -> None:
        """Show the intervals so far."""
        for line in lines:
            self._screen.write((f"  {line}", ""))

    def answered(self, lines: Sequence[str]) -> None:
        """Show the verdicts in their colours."""
        for line in lines:
            self._screen.write((line, _tone(line)))

    def block_finished(self, block: int, blocks: int) -> None:
        """Show that the report has news."""
        if not self._quiet:
            self._screen.write((f"block {block} of {blocks} done, report updated", "dim"))

    def _number(self, result: TrialResult) -> str:
        """Return what a trial measured: ``time per epoch 1.22 s``."""
        numbers = [(one, metric_value(result, one)) for one in self._metrics]
        if all(number is None for _, number in numbers):
            return ""
        from runner.report.words import with_unit  # noqa: PLC0415 (only a trial needs words)

        return ", ".join(
            f"{one.title} {with_unit(number, one)}" for one, number in numbers if number is not None
        )

    def _current(self) -> str | None:
        """Return the line for the current activity; ``None`` if there is none."""
        activity = self._activity
        if activity is None or self._quiet:
            return None
        times = (duration(self._clock() - activity.started_at), self._left())
        tail = "  " + ", ".join(filter(None, times))
        room = self._screen.width - len(activity.name + tail)
        return activity.name + _part(activity.printed, room) + tail

    def _left(self) -> str:
        """Say how much time is left of the run; nothing if that is unknown or it is over."""
        now = self._clock()
        trials = self._total - self._done
        seconds: float | None = None
        if self._spent_s:  # with all repeats, and with the time until others left the core
            mean = self._spent_s / len(self._finished)
            spent = now - self._activity.started_at if self._activity else 0.0
            seconds = mean * trials - min(spent, mean)
        elif self._expected_end is not None:
            seconds = max(self._expected_end - now, 0.0)
        return f"about {duration(seconds)} left" if seconds is not None and trials > 0 else ""

    def _count(self, number: int) -> str:
        """Return the number of a trial and the total: ``[ 3/43]``."""
        return f"[{number:{len(str(self._total))}}/{self._total}]"


def _name(trial: Trial) -> str:
    return f"{trial.cell} (A/A control)" if trial.control else trial.cell


def _again(trial: Trial) -> str:
    return f", attempt {trial.attempt}" if trial.attempt > 1 else ""


def _part(text: str, room: int) -> str:
    """Return another part of a line, cut to the room left for it; nothing if that is too small."""
    return f"  {cut(text, room - 2)}" if text and room >= _LEAST_ROOM else ""


def _tone(line: str) -> str:
    """Return the colour of a line of the answer, whose first words are an advice or a verdict."""
    for style, beginnings in TONES.items():
        if line.startswith(beginnings):
            return style
    return ""


def _outcome(status: Status, expected: Status) -> Piece:
    """Return the word for a status, in a style that shows whether it was expected."""
    if status is expected:
        ok = status is Status.OK
        return (status.value, "green") if ok else (f"{status.value} as expected", "dim")
    if status is Status.OK:
        return f"ok, but {expected.value} was expected", "yellow"
    return status.value, "red"
