"""Where the lines of a run are shown: a terminal with a live line at its end, or plain text.

No control character of a text is written, and no text is read as markup: the experiment's output
is untrusted.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from runner.text import one_line, wrapped

HEARTBEAT_S = 30.0
POLL_S = 1.0
PLAIN_WIDTH = 160

Piece = tuple[str, str]
"""A part of a line: its text and its style in rich's terms."""


def screen_for(
    stream: TextIO,
    current: Callable[[], str | None],
    clock: Callable[[], float],
    *,
    live: bool = True,
) -> "_PlainScreen | _LiveScreen":
    """Return the screen for a stream; ``current`` returns the current line, if there is one.

    Without ``live``, a terminal gets plain lines, too.
    """
    if live and _takes_control_codes(stream):
        return _LiveScreen(stream, current)
    return _PlainScreen(stream, current, clock)


def _takes_control_codes(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor and show an ellipsis."""
    capable = os.environ.get("TERM") not in {"dumb", "unknown"}
    return stream.isatty() and capable and "utf" in stream.encoding.lower()


class _PlainScreen:
    """Lines without control codes, for files, pipes and the logs of CI.

    After half a minute of silence the current line is written, so that nobody thinks it hangs.
    """

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

    def announce(self, text: str) -> None:
        self.write((text, ""))

    def beat(self) -> None:
        with self._lock:
            if self._clock() - self._written_at >= HEARTBEAT_S and (current := self._current()):
                self._put(current)

    def _keep_beating(self) -> None:
        with suppress(BrokenPipeError):  # the next line of the run meets it, too
            while not self._closed.wait(POLL_S):
                self.beat()

    def _put(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"  # a StringIO has none
        text = one_line(text).rstrip().encode(encoding, "replace").decode(encoding)
        with _unwritable_ignored():
            self._stream.write(text + "\n")
            self._stream.flush()
        self._written_at = self._clock()


class _LiveScreen:
    """Finished lines scroll away above a live one. rich honours ``NO_COLOR``."""

    def __init__(self, stream: TextIO, current: Callable[[], str | None]) -> None:
        from rich import console, live, text  # noqa: PLC0415, only a terminal needs rich

        def line() -> text.Text:
            return text.Text(one_line(current() or ""), no_wrap=True, overflow="ellipsis")

        def broken(*pieces: Piece) -> Iterator[text.Text]:
            """Yield lines that the terminal need not break: it would do so inside of words."""
            whole, at = text.Text.assemble(*pieces), 0
            for part in wrapped(whole.plain, self.width):
                body = part.lstrip(" ")
                start = whole.plain.index(body, at)
                at = start + len(body)
                yield text.Text(" " * (len(part) - len(body))) + whole[start:at]

        self._broken = broken
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
        with _unwritable_ignored():
            self._live.stop()

    def write(self, *pieces: Piece) -> None:
        cleaned = [(one_line(text), style) for text, style in pieces]
        with _unwritable_ignored():
            for line in self._broken(*cleaned):
                self._console.print(line, soft_wrap=True)
            self._live.refresh()

    def announce(self, text: str) -> None:
        """Do nothing: the live line shows the step."""

    def beat(self) -> None:
        """Do nothing: rich refreshes the live line."""


@contextmanager
def _unwritable_ignored() -> Iterator[None]:
    """Ignore that a line cannot be written, as on a full disk: results are saved elsewhere.

    A closed pipe still ends the program: its reader has seen enough.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:
        pass
