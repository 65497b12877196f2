"""The progress of a run as lines for a person: how each event reads, and how much is left.

``screen`` shows the lines.
"""

import threading
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
from runner.text import counted, cut, duration, one_line, shortened, size

# ruff: noqa: ARG002 (not every line shows everything that the event carries)

_INDENT = " " * 8
_LEAST_ROOM = 22
_NUMBER_WIDTH = 24
"""The room for what a trial measured: ``time per epoch 1.22 s``."""
TONES = {
    "green": ("Upgrade to ", "adopt ", "faster "),
    "red": ("Do not upgrade ", "hold ", "slower "),
    "magenta": ("Not clear yet ", "cannot tell "),
}
"""How lines of an answer begin, by their colour: each can be read on black and on white."""


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
        self._running: dict[tuple[str, int, bool], _Activity] = {}
        """The trials that run now, in the order in which they started."""
        self._lock = threading.Lock()  # trials that run side by side print from other threads
        self._parallel = 1
        self._total = 0
        self._done = 0
        self._finished: set[tuple[str, int, bool]] = set()
        self._id_width = 0
        self._spent_s = 0.0
        self._expected_end: float | None = None
        self._metrics: tuple[Metric, ...] = ()
        self._cells: tuple[Cell, ...] = ()
        self._names: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
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
        """Remember the metrics to show, and the cells."""
        self._cells = matrix.cells
        self._metrics = matrix.metrics if self._verbose else (matrix.headline,)

    def step(self, text: str) -> None:
        """Show what is being done."""
        if not self._quiet:
            self.note(text)

    def planned(self, plan: Plan, done: int, estimate_s: float | None) -> None:
        """Show how much there is to do."""
        self._total = len(plan.own)
        self._done = done
        self._name_cells(plan)
        blocks = len(plan.own_blocks) if plan.shard else plan.blocks
        text = f"{counted(self._total, 'trial')} in {counted(blocks, 'block')}"
        if controls := sum(trial.control for trial in plan.own):
            text += f" ({controls} of them of the A/A control)"
        if done:
            text += f", resuming: {done} already done"
        if estimate_s is not None:
            self._expected_end = self._clock() + estimate_s
            text += f", about {duration(estimate_s)}" + (" left" if done else " (a first guess)")
        if not self._quiet:
            self._screen.write((text, "bold"))

    def _name_cells(self, plan: Plan) -> None:
        """Name cells by their ids, or by their values alone where the ids leave no room."""
        self._names = {}
        self._id_width = self._longest(plan)
        others = len(f"{self._count(0)}   b{plan.blocks}  {0:6.1f} s  ok  ")
        if self._cells and self._id_width + others + _NUMBER_WIDTH > self._screen.width:
            from runner.report.words import values  # noqa: PLC0415 (only narrow lines need words)

            self._names = {cell.id: values(cell) for cell in self._cells}
            self._id_width = self._longest(plan)

    def _longest(self, plan: Plan) -> int:
        return max((len(self._name(trial)) for trial in plan.trials), default=0)

    def _name(self, trial: Trial) -> str:
        name = self._names.get(trial.cell) or trial.cell
        return f"{name} (A/A control)" if trial.control else name

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
        number = self._done + len(self._running) + (trial.slot not in self._finished)
        name = f"{self._count(number)} {self._name(trial)}  b{trial.block}{_again(trial)}"
        with self._lock:
            self._running[trial.slot] = _Activity(name, self._clock())
            self._parallel = max(self._parallel, len(self._running))
            self._show_running(self._running[trial.slot])

    def trial_output(self, trial: Trial, line: str) -> None:
        """Remember the line as the last one printed."""
        # A progress bar returns to the start of its line: only its last state counts.
        printed = one_line(line.rstrip().rpartition("\r")[2]).strip()
        with self._lock:
            if printed and (running := self._running.get(trial.slot)):
                self._running[trial.slot] = replace(running, printed=printed)
                self._show_running(self._running[trial.slot])
        self._screen.beat()

    def _show_running(self, activity: _Activity | None) -> None:
        """Make a trial the current activity; say how many others run."""
        others = len(self._running) - 1
        if activity and others > 0:
            activity = replace(activity, name=f"{activity.name} and {others} more")
        self._activity = activity

    def trial_finished(self, result: TrialResult, cell: Cell) -> None:
        """Show the result in one line, and the reason of a failure in a second."""
        with self._lock:
            self._running.pop(result.trial.slot, None)
            self._show_running(next(iter(self._running.values()), None))
        trial = result.trial
        self._done += trial.slot not in self._finished
        self._finished.add(trial.slot)
        self._spent_s += result.waited_s + (result.duration_s or 0.0)
        if self._quiet and not result.failed_unexpectedly(cell.expect):
            return
        took = f"{result.duration_s:6.1f} s" if result.duration_s is not None else " " * 8
        word, style = _outcome(result.status, cell.expect)
        head = (
            f"{self._count(self._done)} {self._name(trial):{self._id_width}}  b{trial.block}"
            f"  {took}  "
        )
        is_known = result.reason is not None and self._reasons.get(trial.cell) == result.reason
        number = "as before" if is_known else self._number(result)
        said = f"{_again(trial)}{'  ' if number else ''}{number}"
        left = f"  {self._left()}"
        if len(head + word + said + left) > self._screen.width:
            left = ""
        self._screen.write((head, ""), (word, style), (said, ""), (left.rstrip(), "dim"))
        if result.reason and not is_known:
            self._reasons[trial.cell] = result.reason
            reason = shortened(one_line(result.reason))
            self._screen.write((_INDENT + reason, "dim" if style == "dim" else ""))
        if result.occupied_by:
            head = f"{_INDENT}went ahead although this process held its cores: "
            self._screen.write((head + one_line(result.occupied_by), ""))
        if result.disturbed:
            self._screen.write((f"{_INDENT}disturbed", "magenta"), (f": {result.disturbed}", ""))

    def intervals(self, lines: Sequence[str]) -> None:
        """Show the intervals so far."""
        for line in lines:
            self._screen.write((f"  {line}", ""))

    def answered(self, lines: Sequence[str]) -> None:
        """Show the verdicts in their colours."""
        for line in lines:
            self._screen.write(*_toned(line))

    def block_finished(self, block: int, blocks: int, *, reported: bool) -> None:
        """Show how far the run is, and whether the report has news."""
        if not self._quiet:
            news = ", report updated" * reported
            self._screen.write((f"block {block} of {blocks} done{news}", "dim"))

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
            starts = [one.started_at for one in tuple(self._running.values())]
            spent = sum(min(now - start, mean) for start in starts)
            seconds = (mean * trials - spent) / self._parallel
        elif self._expected_end is not None:
            seconds = max(self._expected_end - now, 0.0)
        return f"about {duration(seconds)} left" if seconds is not None and trials > 0 else ""

    def _count(self, number: int) -> str:
        """Return the number of a trial and the total: ``[ 3/43]``."""
        return f"[{number:{len(str(self._total))}}/{self._total}]"


def _again(trial: Trial) -> str:
    return f", attempt {trial.attempt}" if trial.attempt > 1 else ""


def _part(text: str, room: int) -> str:
    """Return another part of a line, cut to the room left for it; nothing if that is too small."""
    return f"  {cut(text, room - 2)}" if text and room >= _LEAST_ROOM else ""


def _toned(line: str) -> tuple[Piece, Piece]:
    """Return a line of the answer with its first words, an advice or a verdict, in their colour."""
    for style, beginnings in TONES.items():
        for beginning in beginnings:
            if line.startswith(beginning):
                end = line.partition(":")[0] if beginning[0].isupper() else beginning
                return (end, style), (line[len(end) :], "")
    return (line, ""), ("", "")


def _outcome(status: Status, expected: Status) -> Piece:
    """Return the word for a status, in a style that shows whether it was expected."""
    if status is expected:
        ok = status is Status.OK
        return (status.value, "green") if ok else (f"{status.value} as expected", "dim")
    if status is Status.OK:
        return f"ok, but {expected.value} was expected", "magenta"
    return status.value, "red"
