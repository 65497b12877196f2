"""The terminal: what a run does, as it does it. Nothing else but ``cli`` writes there.

A terminal shows what has finished, above one live line of what is going on. Anything else gets
plain lines, and one more whenever half a minute went by without any, so that nobody takes silence
for a hang. Texts are never read as markup, and no control character of them is written: what the
experiment prints is untrusted.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TextIO

from runner.observer import Observer
from runner.records.environment import Image
from runner.records.run import Plan, Trial, TrialResult
from runner.records.study import Cell, Status

# ruff: noqa: ARG002 (an observer is told more than each of its methods needs)

HEARTBEAT_S = 30.0
POLL_S = 1.0
PLAIN_WIDTH = 160

Piece = tuple[str, str]
"""A part of a line: its text and its style, as rich names styles."""

_INDENT = " " * 8
_LARGEST_READABLE = 99
_LEAST_ROOM = 22
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and movements of the cursor
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"  # all others
)


def clean(text: str) -> str:
    """Return the text as one line, without terminal escapes and unprintable characters."""
    text = _ESCAPE.sub("", text)
    return "".join(character if character.isprintable() else " " for character in text)


def cut(text: str, width: int) -> str:
    """Return at most ``width`` characters of the text, with an ellipsis where it was longer."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def in_words(seconds: float) -> str:
    """Return a duration as people say it: ``41 s``, ``32 min``, ``2 h 05 min``."""
    if seconds <= _LARGEST_READABLE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes <= _LARGEST_READABLE:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def observer_for(stream: TextIO) -> "Progress":
    """Return the observer that shows a run on that stream, to be used in a ``with`` statement."""
    return Progress(stream)


@dataclass(frozen=True, slots=True)
class _Activity:
    """What is going on: its name, since when, and the last line that it printed."""

    name: str
    started_at: float
    printed: str = ""


class Progress:
    """The observer for people. Signs of life are shown while it is open as a context."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # A screen asks for the current line at any time from a thread of its own. It takes no lock
        # for that, because this is only ever replaced as a whole.
        self._activity: _Activity | None = None
        self._total = 0
        self._done = 0
        self._started: set[tuple[str, int, bool]] = set()
        self._id_width = 0
        self._durations: list[float] = []
        self._expected_end: float | None = None
        self._screen: _LiveScreen | _PlainScreen = (
            _LiveScreen(stream, self._current)
            if _takes_control_codes(stream)
            else _PlainScreen(stream, self._current, clock)
        )

    def __enter__(self) -> Observer:
        self._screen.open()
        return self

    def __exit__(self, *error: object) -> None:
        self._activity = None
        self._screen.close()

    def note(self, text: str) -> None:
        """Show what a person should know."""
        self._screen.write((text, ""))

    def planned(self, plan: Plan, done: int, estimate_s: float | None) -> None:
        """Show how much there is to do."""
        self._total = len(plan.trials)
        self._done = done
        self._id_width = max((len(trial.cell) for trial in plan.trials), default=0)
        text = f"{_counted(self._total, 'trial')} in {_counted(plan.blocks, 'block')}"
        if done:
            text += f", {done} of them done before"
        if estimate_s is not None:
            self._expected_end = self._clock() + estimate_s
            text += f", about {in_words(estimate_s)}" + (" left" if done else "")
        self._screen.write((text, "bold"))

    def image_started(self, label: str) -> None:
        """Show that an image is being built; the live line does, where there is one."""
        self._activity = _Activity(f"image {label}: building", self._clock())
        if isinstance(self._screen, _PlainScreen):
            self._screen.write((self._activity.name, ""))

    def image_ready(self, image: Image, seconds: float) -> None:
        """Show how long an image took and how large it is."""
        if self._activity and self._activity.name == f"image {image.label}: building":
            self._activity = None  # several are built at once
        facts = f"{in_words(seconds)}, {image.size_bytes / 1e6:.0f} MB"
        self._screen.write((f"image {image.label}: ready in {facts}", ""))

    def trial_started(self, trial: Trial, cell: Cell, image: Image | None) -> None:
        """Make the trial what is going on; one that is repeated is one more than was planned."""
        self._total += trial.place in self._started
        self._started.add(trial.place)
        name = f"{self._place(self._done + 1)} {cell.id}  b{trial.block}"
        self._activity = _Activity(name, self._clock())

    def trial_output(self, trial: Trial, line: str) -> None:
        """Keep the line as the last one printed."""
        # A progress bar returns to the start of its line: what it wrote last is what counts.
        printed = clean(line.rstrip().rpartition("\r")[2]).strip()
        if self._activity and printed:
            self._activity = replace(self._activity, printed=printed)
        self._screen.beat()

    def trial_finished(self, result: TrialResult, cell: Cell) -> None:
        """Show the result in one line, and the reason of a failure in a second."""
        ok = result.status is Status.OK
        printed = self._activity.printed if ok and self._activity else ""
        self._activity = None
        self._done += 1
        if result.duration_s is not None:
            self._durations.append(result.duration_s)
        took = f"{result.duration_s:6.1f} s" if result.duration_s is not None else " " * 8
        word, style = _judged(result.status, cell.expect)
        head = (
            f"{self._place(self._done)} {cell.id:{self._id_width}}  b{result.trial.block}  {took}  "
        )
        room = self._screen.width - len(head + word)
        left = _part(self._left(), room)
        said = _part(printed, room - len(left))
        self._screen.write((head, ""), (word, style), (said, ""), (left, "dim"))
        if result.reason:
            reason = cut(clean(result.reason), self._screen.width - len(_INDENT))
            self._screen.write((_INDENT + reason, style))
        if result.disturbed:
            self._screen.write((f"{_INDENT}disturbed: {result.disturbed}", "yellow"))

    def block_finished(self, block: int, blocks: int) -> None:
        """Show that the report is worth another look."""
        self._screen.write((f"block {block} of {blocks} done, the report is up to date", "dim"))

    def _current(self) -> str | None:
        """Return the line of what is going on; ``None`` if nothing is."""
        activity = self._activity
        if activity is None:
            return None
        times = (in_words(self._clock() - activity.started_at), self._left())
        tail = "  " + ", ".join(filter(None, times))
        room = self._screen.width - len(activity.name + tail)
        return activity.name + _part(activity.printed, room) + tail

    def _left(self) -> str:
        """Return the time left of the run in words; nothing if it is unknown or over."""
        now = self._clock()
        trials = self._total - self._done
        seconds: float | None = None
        if self._durations:
            mean = sum(self._durations) / len(self._durations)
            spent = now - self._activity.started_at if self._activity else 0.0
            seconds = mean * trials - min(spent, mean)
        elif self._expected_end is not None:
            seconds = max(self._expected_end - now, 0.0)
        return f"about {in_words(seconds)} left" if seconds is not None and trials > 0 else ""

    def _place(self, number: int) -> str:
        """Return where a trial stands in the run: ``[ 3/43]``."""
        return f"[{number:{len(str(self._total))}}/{self._total}]"


class _PlainScreen:
    """Lines without any control code, for files, pipes and the logs of CI."""

    width = PLAIN_WIDTH

    def __init__(
        self, stream: TextIO, current: Callable[[], str | None], clock: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._current = current
        self._clock = clock
        self._written_at = clock()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def write(self, *pieces: Piece) -> None:
        with self._lock:
            self._put("".join(text for text, _ in pieces))

    def beat(self) -> None:
        """Write the current line if nothing was written for long."""
        with self._lock:
            if self._clock() - self._written_at >= HEARTBEAT_S and (current := self._current()):
                self._put(current)

    def _keep_beating(self) -> None:
        with suppress(BrokenPipeError):  # the next line of the run itself meets it, too
            while not self._closed.wait(POLL_S):
                self.beat()

    def _put(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"  # a StringIO has none
        text = clean(text).rstrip().encode(encoding, "replace").decode(encoding)
        with _if_possible():
            self._stream.write(text + "\n")
            self._stream.flush()
        self._written_at = self._clock()


class _LiveScreen:
    """Lines that scroll away above a live one; colours go by ``NO_COLOR``, which rich reads."""

    def __init__(self, stream: TextIO, current: Callable[[], str | None]) -> None:
        from rich import console, live, text  # noqa: PLC0415, only a terminal needs rich

        def line() -> text.Text:
            return text.Text(clean(current() or ""), no_wrap=True, overflow="ellipsis")

        self._assemble = text.Text.assemble
        self._console = console.Console(file=stream, force_terminal=True)
        self._live = live.Live(
            console=self._console,
            get_renderable=line,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @property
    def width(self) -> int:
        return self._console.width

    def open(self) -> None:
        self._live.start()

    def close(self) -> None:
        with _if_possible():
            self._live.stop()

    def write(self, *pieces: Piece) -> None:
        cleaned = [(clean(text), style) for text, style in pieces]
        with _if_possible():
            self._console.print(self._assemble(*cleaned), soft_wrap=True)
            self._live.refresh()

    def beat(self) -> None:
        """Do nothing: the live line is refreshed by itself."""


@contextmanager
def _if_possible() -> Iterator[None]:
    """Go on where a line cannot be written, as on a full disk: results are saved elsewhere.

    Only who reads through a pipe can say that it is enough.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:
        pass


def _takes_control_codes(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor and show an ellipsis."""
    capable = os.environ.get("TERM") not in {"dumb", "unknown"}
    return stream.isatty() and capable and "utf" in stream.encoding.lower()


def _part(text: str, room: int) -> str:
    """Return a further part of a line that has that much room; nothing if that is too little."""
    return f"  {cut(text, room - 2)}" if text and room >= _LEAST_ROOM else ""


def _counted(count: int, noun: str) -> str:
    """Return a number of things: ``1 block``, ``7 blocks``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _judged(status: Status, expected: Status) -> Piece:
    """Return the word of a status, and the style that says whether it was expected."""
    if status is expected:
        ok = status is Status.OK
        return (status.value, "green") if ok else (f"{status.value} as expected", "dim")
    if status is Status.OK:
        return f"ok, but {expected.value} was expected", "yellow"
    return status.value, "red"
