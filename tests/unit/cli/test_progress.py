"""The progress of a run, in plain lines and on a terminal."""

import contextlib
import errno
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import TextIO

import pytest

from runner.cli import screen
from runner.cli.progress import Progress
from runner.records.environment import Base, BaseKind, EnvironmentRequest, Image
from runner.records.run import Plan, Trial, TrialResult
from runner.records.study import Cell, Status
from tests.support.samples import founding_run
from tests.support.terminal import seen_on

ROOT = Path(__file__).parents[3]

HOSTILE = "\x1b[2J\x1b]0;title\x07[bold red]x[/] [/nothing] :bomb:\x9b31m\u202e\x08\x00 end"
CLEANED = "[bold red]x[/] [/nothing] :bomb:\\u202e\\x08\\x00 end"


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now


def make_cell(model: str, expect: Status = Status.OK) -> Cell:
    """Return a cell with that model."""
    return Cell(
        coordinates=(("tf", "2.0.0"), ("model", model)),
        request=EnvironmentRequest(requirements=()),
        parameters={},
        timeout_s=900.0,
        expect=expect,
    )


CELLS = (make_cell("sequential"), make_cell("functional"), make_cell("bad", Status.FAILED))
IMAGE = Image(
    environment="e1",
    label="tf=2.0.0",
    id="sha256:1",
    size_bytes=851_000_000,
    base=Base(kind=BaseKind.ASSEMBLED, name="b", digest="sha256:2"),
)
PLAN = Plan(
    seed=1,
    blocks=4,
    trials=tuple(
        Trial(cell=cell.id, block=block, position=position, seed=1)
        for block in range(1, 5)
        for position, cell in enumerate(CELLS, start=1)
    ),
)


def make_result(
    trial: Trial, status: Status = Status.OK, reason: str | None = None, duration_s: float = 52.06
) -> TrialResult:
    """Return a result of a trial."""
    return TrialResult(
        trial=trial,
        status=status,
        reason=reason,
        values={},
        series={},
        environment={},
        started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        duration_s=duration_s,
    )


@pytest.fixture
def stream() -> StringIO:
    """Return a stream that is not a terminal."""
    return StringIO()


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


def test_a_run_in_plain_lines(stream: StringIO, clock: Clock) -> None:
    """One line for the plan, two for an image, one for a trial, a second for its reason."""
    seen = Progress(stream, clock)
    first, second, third, *_ = PLAN.trials
    seen.note("locked 2 environments")
    seen.image_started(IMAGE.label)
    seen.image_ready(IMAGE, 41.2)
    seen.began(founding_run().matrix)
    seen.planned(PLAN, 0, 600.0)
    seen.trial_started(first, CELLS[0], IMAGE)
    seen.trial_output(first, "epoch 50/50\n")
    measured = replace(make_result(first), series={"epoch_seconds": (9.0, 9.0, 1.22)})
    seen.trial_finished(measured, CELLS[0])
    seen.trial_finished(make_result(second, Status.TIMED_OUT, "stopped", 900.0), CELLS[1])
    seen.trial_finished(make_result(third, Status.FAILED, "ValueError: no", 3.0), CELLS[2])
    seen.block_finished(1, 4, reported=True)
    number = "time per epoch 1.22\N{NO-BREAK SPACE}s"
    assert stream.getvalue().splitlines() == [
        "locked 2 environments",
        "image tf=2.0.0: building",
        "image tf=2.0.0: ready in 41 s, 851 MB",
        "12 trials in 4 blocks, about 10 min (a first guess)",
        f"[ 1/12] tf=2.0.0,model=sequential  b1    52.1 s  ok  {number}  about 10 min left",
        "[ 2/12] tf=2.0.0,model=functional  b1   900.0 s  timed-out  about 79 min left",
        "        stopped",
        "[ 3/12] tf=2.0.0,model=bad         b1     3.0 s  failed as expected  about 48 min left",
        "        ValueError: no",
        "block 1 of 4 done, report updated",
    ]


def test_intervals_and_answers_in_plain_lines(stream: StringIO, clock: Clock) -> None:
    """A pipe gets no colours."""
    seen = Progress(stream, clock)
    seen.intervals(["time, b: 1 s, +1 % to +2 % (5 blocks)"])
    seen.answered(["Do not upgrade to b (hold): slower.", "hold  time, b"])
    assert stream.getvalue().splitlines() == [
        "  time, b: 1 s, +1 % to +2 % (5 blocks)",
        "Do not upgrade to b (hold): slower.",
        "hold  time, b",
    ]


def test_a_disturbed_trial_is_shown_and_so_is_its_repeat(stream: StringIO, clock: Clock) -> None:
    """The disturbance has its own line; a repeat is another attempt of the same trial."""
    seen = Progress(stream, clock)
    seen.planned(replace(PLAN, trials=PLAN.trials[:1], blocks=1), 0, None)
    first = PLAN.trials[0]
    for trial, disturbed in ((first, "pages were swapped in"), (replace(first, attempt=2), None)):
        seen.trial_started(trial, CELLS[0], IMAGE)
        seen.trial_finished(replace(make_result(trial), disturbed=disturbed), CELLS[0])
    assert stream.getvalue().splitlines()[1:] == [
        "[1/1] tf=2.0.0,model=sequential  b1    52.1 s  ok",
        "        disturbed: pages were swapped in",
        "[1/1] tf=2.0.0,model=sequential  b1    52.1 s  ok, attempt 2",
    ]


def test_a_failure_that_repeats_is_told_once(stream: StringIO, clock: Clock) -> None:
    """Its reason is shown again only if it is another one."""
    seen = Progress(stream, clock)
    seen.planned(PLAN, 0, None)
    failing = [trial for trial in PLAN.trials if trial.cell == CELLS[0].id]
    for trial, reason in zip(failing, ("no memory", "no memory", "no disk"), strict=False):
        seen.trial_finished(make_result(trial, Status.FAILED, reason), CELLS[0])
    text = stream.getvalue()
    assert text.count("no memory") == text.count("no disk") == 1
    assert text.count("failed  as before") == 1


def test_a_resumed_run_continues_its_count(stream: StringIO, clock: Clock) -> None:
    """The first trial has the number after those that are done."""
    seen = Progress(stream, clock)
    seen.planned(PLAN, 11, 60.0)
    last = next(one for one in reversed(PLAN.trials) if one.cell == CELLS[2].id)
    seen.trial_finished(make_result(last, Status.OK), CELLS[2])
    assert stream.getvalue().splitlines() == [
        "12 trials in 4 blocks, resuming: 11 already done, about 60 s left",
        "[12/12] tf=2.0.0,model=bad         b4    52.1 s  ok, but failed was expected",
    ]


def test_a_trial_without_its_turn_is_marked(stream: StringIO, clock: Clock) -> None:
    """A process held the name of the core for longer than the patience."""
    seen = Progress(stream, clock)
    seen.planned(PLAN, 0, None)
    seen.trial_finished(replace(make_result(PLAN.trials[0]), occupied_by="somebody"), CELLS[0])
    assert stream.getvalue().splitlines()[-1] == (
        "        went ahead although this process held its cores: somebody"
    )


def test_the_control_is_labelled(stream: StringIO, clock: Clock) -> None:
    """It is one of the planned trials, and no mere repetition of the baseline."""
    seen = Progress(stream, clock)
    control = replace(PLAN.trials[0], control=True)
    seen.planned(replace(PLAN, trials=(PLAN.trials[0], control), blocks=1), 0, None)
    for trial in (PLAN.trials[0], control):
        seen.trial_finished(make_result(trial), CELLS[0])
    assert stream.getvalue().splitlines() == [
        "2 trials in 1 block (1 of them of the A/A control)",
        "[1/2] tf=2.0.0,model=sequential                b1    52.1 s  ok  about 52 s left",
        "[2/2] tf=2.0.0,model=sequential (A/A control)  b1    52.1 s  ok",
    ]


def test_time_left_includes_waiting_and_repeats(stream: StringIO, clock: Clock) -> None:
    """Each trial so far took two attempts, and waited ten seconds for its core."""
    seen = Progress(stream, clock)
    first, second = PLAN.trials[0], PLAN.trials[1]
    seen.planned(replace(PLAN, trials=(first, second), blocks=1), 0, None)
    for trial in (first, replace(first, attempt=2)):
        seen.trial_finished(replace(make_result(trial), waited_s=5.0), CELLS[0])
    assert stream.getvalue().splitlines()[-1].endswith("about 2 min left")


def test_the_current_line_appears_every_half_minute(stream: StringIO, clock: Clock) -> None:
    """However much the experiment prints, only its last line is shown, every 30 s."""
    seen = Progress(stream, clock)
    seen.planned(PLAN, 0, 600.0)
    seen.trial_started(PLAN.trials[0], CELLS[0], IMAGE)
    for second in range(1, 71):
        clock.now += 1
        seen.trial_output(PLAN.trials[0], f"epoch {second}")
    head = "[ 1/12] tf=2.0.0,model=sequential  b1"
    assert stream.getvalue().splitlines()[1:] == [
        f"{head}  epoch 30  30 s, about 10 min left",
        f"{head}  epoch 60  60 s, about 9 min left",
    ]


def test_the_heartbeat_starts_and_stops(stream: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build without output has lines, too, and no thread is left at the end."""
    monkeypatch.setattr(screen, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(screen, "POLL_S", 0.01)
    before = threading.active_count()
    with Progress(stream) as seen:
        seen.image_started("tf=2.0.0")
        deadline = time.monotonic() + 10
        while stream.getvalue().count("building") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert stream.getvalue().count("image tf=2.0.0: building  0 s\n") >= 2
    assert threading.active_count() == before


def test_there_is_no_heartbeat_between_trials(stream: StringIO, clock: Clock) -> None:
    """There is nothing to report."""
    seen = Progress(stream, clock)
    clock.now += 100
    seen.trial_output(PLAN.trials[0], "late")
    assert not stream.getvalue()


def test_time_left_counts_the_running_trial(stream: StringIO, clock: Clock) -> None:
    """The time of the current trial is subtracted, up to the mean of a trial."""
    seen = Progress(stream, clock)
    seen.planned(PLAN, 0, None)
    seen.trial_finished(make_result(PLAN.trials[0], duration_s=300.0), CELLS[0])
    seen.trial_started(PLAN.trials[1], CELLS[1], IMAGE)
    for elapsed in (120.0, 3000.0):
        clock.now += elapsed
        seen.trial_output(PLAN.trials[1], "")
    assert [line.rpartition("  ")[2] for line in stream.getvalue().splitlines()[1:]] == [
        "about 55 min left",
        "2 min, about 53 min left",
        "52 min, about 50 min left",
    ]


def test_untrusted_text_cannot_control_a_terminal(stream: StringIO, clock: Clock) -> None:
    """Control characters in reasons and printed lines are not written."""
    seen = Progress(stream, clock)
    seen.planned(PLAN, 0, None)
    seen.trial_started(PLAN.trials[0], CELLS[0], IMAGE)
    clock.now += 31
    seen.trial_output(PLAN.trials[0], "\b\b\r 1/2\r" + HOSTILE + "\r\n")
    seen.trial_finished(
        make_result(PLAN.trials[0], Status.FAILED, HOSTILE + "\n" + "y" * 500), CELLS[0]
    )
    seen.note(HOSTILE)
    lines = stream.getvalue().split("\n")
    assert all(line.isprintable() and len(line) <= 250 for line in lines)
    assert lines[1].startswith(f"[ 1/12] {CELLS[0].id}  b1  {CLEANED}  31 s")
    assert lines[3].endswith("yyy…")
    assert lines[4] == CLEANED


def test_a_stream_without_unicode_gets_lines() -> None:
    """Characters outside the encoding become question marks."""
    raw = BytesIO()
    Progress(TextIOWrapper(raw, encoding="ascii")).note("5 µs … 日本")
    assert raw.getvalue().decode() == "5 ?s ? ??\n"


class Refusing(StringIO):
    """A stream whose disk is full, or whose terminal is gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        """Refuse."""
        raise self.error


def test_a_run_continues_if_its_lines_cannot_be_written() -> None:
    """Results are saved elsewhere. Only a closed pipe ends the run."""
    with Progress(Refusing(OSError(errno.ENOSPC, "full"))) as observer:
        observer.note("goes nowhere")
    unread = Progress(Refusing(BrokenPipeError()))
    with pytest.raises(BrokenPipeError), unread as observer:
        observer.note("nobody reads this")


def test_a_run_continues_if_its_terminal_is_closed(environment: pytest.MonkeyPatch) -> None:
    """A closed terminal answers with an error."""
    ours, theirs = pty.openpty()
    stream = os.fdopen(theirs, "w", encoding="utf-8")
    with Progress(stream) as observer:
        observer.note("is seen")
        seen = b""
        while b"is seen" not in seen:
            seen += os.read(ours, 4096)
        os.close(ours)
        observer.note("goes nowhere")
    with contextlib.suppress(OSError):
        stream.close()


def test_rich_is_not_loaded_without_a_terminal() -> None:
    """Plain lines do not cost the import of rich."""
    code = (
        "import sys; from runner.cli.progress import Progress;"
        "Progress(sys.stdout).note('x'); print('rich' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert shown.stdout == "x\nFalse\n"


@contextlib.contextmanager
def terminal(columns: int = 100) -> Iterator[tuple[TextIO, list[bytes]]]:
    """Yield a pseudo-terminal and a list that gets its output at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    written: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end was closed
            while chunk := os.read(ours, 4096):
                written.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield stream, written
    reader.join()
    os.close(ours)


def show_hostile_run(stream: TextIO) -> None:
    """Show a run with hostile texts."""
    with Progress(stream) as seen:
        seen.planned(PLAN, 0, 600.0)
        seen.image_started("any")
        seen.image_ready(replace(IMAGE, label="[bold]any[/]"), 41.2)
        seen.trial_started(PLAN.trials[0], CELLS[0], IMAGE)
        seen.trial_output(PLAN.trials[0], HOSTILE)
        seen.note("any")  # draws the live line anew, too
        seen.trial_finished(make_result(PLAN.trials[0], Status.FAILED, HOSTILE), CELLS[0])
        seen.trial_finished(make_result(PLAN.trials[2], Status.FAILED, "no"), CELLS[2])


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set the variables of an ordinary terminal with 100 columns."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    return monkeypatch


def test_a_terminal_has_a_live_line(environment: pytest.MonkeyPatch) -> None:
    """It shows the running trial below the finished ones. Markup stays text."""
    threads = set(threading.enumerate())
    with terminal() as (stream, written):
        show_hostile_run(stream)
    text = b"".join(written).decode()
    assert f"[ 1/12] {CELLS[0].id}  b1  {CLEANED[:10]}" in text
    assert text.count(CLEANED) >= 1
    assert "\x1b[2J" not in text
    assert "title" not in text
    assert "\u202e" not in text
    assert "\x9b" not in text
    assert "\x1b[31mfailed\x1b[0m" in text
    assert "\x1b[2mfailed as expected\x1b[0m" in text
    assert "image [bold]any[/]: ready" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)  # rich asks its thread to end and does not wait for it
        assert not thread.is_alive()


@pytest.mark.parametrize("plain", [False, True])
def test_an_answer_has_the_colours_of_its_advice(
    environment: pytest.MonkeyPatch, plain: bool
) -> None:
    """NO_COLOR turns them off."""
    if plain:
        environment.setenv("NO_COLOR", "1")
    with terminal() as (stream, written), Progress(stream) as seen:
        seen.answered(
            ["Do not upgrade to b (hold): slow.", "adopt  time", "cannot tell  time", "why"]
        )
    text = b"".join(written).decode()
    for code, words in ((31, "Do not upgrade to b (hold)"), (32, "adopt "), (35, "cannot tell ")):
        assert (f"\x1b[{code}m{words}\x1b[0m" in text) is not plain
        assert words in text


def test_a_narrow_terminal_shows_whole_words_and_the_metric(
    environment: pytest.MonkeyPatch,
) -> None:
    """Cells have shorter names there; no line is broken inside of a word, and none is left."""
    environment.setenv("COLUMNS", "80")
    matrix = founding_run().matrix
    first = Trial(cell=matrix.cells[0].id, block=1, position=1, seed=1)
    done = replace(make_result(first), series={"epoch_seconds": (9.0, 9.0, 1.22)})
    with terminal(80) as (stream, written), Progress(stream) as seen:
        seen.began(matrix)
        seen.planned(replace(PLAN, trials=(first, replace(first, control=True))), 0, 600.0)
        seen.note("Trials run as processes, which do not contain a hostile script at all times.")
        seen.note(
            "locking 2 environments missing from reports/compare/tf-bf5ddb52-x12345/matrix.lock"
        )
        seen.trial_started(first, matrix.cells[0], IMAGE)
        seen.trial_output(first, "epoch 50/50")
        seen.trial_finished(done, matrix.cells[0])
        seen.trial_finished(
            make_result(replace(first, control=True), Status.FAILED, "no " * 30), matrix.cells[0]
        )
    number = "time per epoch 1.22\N{NO-BREAK SPACE}s"
    assert seen_on(80, b"".join(written)) == (
        "2 trials in 4 blocks (1 of them of the A/A control), about 10 min (a first",
        "  guess)",
        "Trials run as processes, which do not contain a hostile script at all times.",
        "locking 2 environments missing from",
        "  reports/compare/tf-bf5ddb52-x12345/matrix.lock",
        f"[1/2] 1.15.0, sequential                b1    52.1 s  ok  {number}",
        "[2/2] 1.15.0, sequential (A/A control)  b1    52.1 s  failed",
        f"        {' '.join(['no'] * 24)}",
        f"          {' '.join(['no'] * 6)}",
    )


def test_no_color_is_honoured(environment: pytest.MonkeyPatch) -> None:
    """The live line stays, without colours."""
    environment.setenv("NO_COLOR", "1")
    with terminal() as (stream, written):
        show_hostile_run(stream)
    text = b"".join(written).decode()
    assert "\x1b[31m" not in text
    assert "\x1b[?25l" in text


def test_a_dumb_terminal_gets_plain_lines(environment: pytest.MonkeyPatch) -> None:
    """They contain no control codes."""
    environment.setenv("TERM", "dumb")
    with terminal() as (stream, written):
        show_hostile_run(stream)
    assert b"\x1b" not in b"".join(written)


def test_quiet_prints_only_notes_and_unexpected_failures(stream: StringIO, clock: Clock) -> None:
    """No plan, no image, no trial that ended as expected, and no current line."""
    first, second, third, *_ = PLAN.trials
    with Progress(stream, clock, quiet=True) as seen:
        seen.note("warning: few blocks")
        seen.step("run reports/1")
        seen.image_started(IMAGE.label)
        seen.image_ready(IMAGE, 41.2)
        seen.planned(PLAN, 0, 600.0)
        seen.trial_started(first, CELLS[0], IMAGE)
        clock.now += 99
        seen.trial_output(first, "epoch 1")
        seen.trial_finished(make_result(first), CELLS[0])
        seen.trial_finished(make_result(third, Status.FAILED, "as always"), CELLS[2])
        seen.trial_finished(make_result(second, Status.FAILED, "no memory"), CELLS[1])
        seen.block_finished(1, 4, reported=True)
    said = stream.getvalue().splitlines()
    assert [line.strip() for line in (said[0], said[2])] == ["warning: few blocks", "no memory"]
    assert "tf=2.0.0,model=functional  b1" in said[1]
    assert len(said) == 3


def test_verbose_prints_every_metric_of_a_trial(stream: StringIO, clock: Clock) -> None:
    """A trial that failed has none."""
    matrix = founding_run().matrix
    first, second, *_ = PLAN.trials
    with Progress(stream, clock, verbose=True) as seen:
        seen.began(replace(matrix, metrics=matrix.metrics[:2]))
        values = {"epoch_seconds": 1.2345, "us_per_sample": 20.5}
        seen.trial_finished(replace(make_result(first), values=values), CELLS[0])
        seen.trial_finished(make_result(second, Status.FAILED, "no memory"), CELLS[1])
    first_line, second_line, _ = stream.getvalue().replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert "time per epoch 1.23 s, time per sample 20.5" in first_line
    assert second_line.rstrip().endswith("failed")
