"""The first signal interrupts, the second one ends the program, and critical sections are kept."""

import signal
import subprocess
import sys
import threading

import pytest

from runner.system import signals
from tests.support.studies import ROOT

CLEANS_UP_FOREVER = """
import time
from runner.system import signals

signals.SAME_S = 0.0
signals.listen()
try:
    print("on", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cleaning up", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def listening() -> None:
    """Handle signals as the program does; the tests' shell may ignore some of them."""
    for number in signals.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signals.listen()


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_the_first_signal_interrupts(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    """A log gets no message about it."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert capfd.readouterr() == ("", "")


def test_two_signals_at_the_same_moment_are_one() -> None:
    """``timeout`` signals a process, and then the group that the process belongs to."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)


def test_the_second_signal_ends_the_program_immediately() -> None:
    """The program does not finish its clean-up, and says how to resume."""
    with subprocess.Popen(
        [sys.executable, "-c", CLEANS_UP_FOREVER],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as program:
        assert program.stdout
        assert program.stdout.readline() == "on\n"
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "cleaning up\n"
        program.send_signal(signal.SIGTERM)
        assert program.communicate(timeout=10) == ("", signals.IMMEDIATE.decode())
    assert program.returncode == 130


def test_an_ignored_signal_stays_ignored() -> None:
    """As ``nohup`` wants it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.listen()
    signal.raise_signal(signal.SIGHUP)


def test_an_exiting_program_ignores_signals() -> None:
    """Its exit code is not replaced by a signal."""
    signals.ignore()
    for number in signals.SIGNALS:
        signal.raise_signal(number)


def test_an_interruption_waits_for_the_end_of_a_critical_section() -> None:
    """The section is completed, and its end raises the interruption."""
    steps = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 (the section is what is tested)
        with signals.deferred():
            signal.raise_signal(signal.SIGINT)
            steps.append("completed")
        steps.append("continued")
    assert steps == ["completed"]


def test_nested_sections_deliver_an_interruption_once_at_the_outermost_end() -> None:
    """The end of an inner section neither raises it nor ends the deferral."""
    steps = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with signals.deferred():
            with signals.deferred():
                signal.raise_signal(signal.SIGINT)
                steps.append("inner")
            with signals.deferred():
                steps.append("another inner")
            steps.append("outer")
        steps.append("continued")
    assert steps == ["inner", "another inner", "outer"]
    with signals.deferred():
        steps.append("later")  # and nothing is raised a second time


def test_a_signal_between_inner_sections_is_deferred_too() -> None:
    """The outer section still protects what follows an inner one."""
    steps = []
    with pytest.raises(KeyboardInterrupt), signals.deferred():  # noqa: PT012
        with signals.deferred():
            pass
        signal.raise_signal(signal.SIGINT)
        steps.append("completed")
    assert steps == ["completed"]


def test_an_exception_in_a_nested_section_keeps_the_deferral() -> None:
    """Afterwards the outer section still defers, and later signals interrupt at once again."""
    steps = []

    def fails() -> None:
        with signals.deferred():
            raise ValueError("no")

    with pytest.raises(KeyboardInterrupt), signals.deferred():  # noqa: PT012
        with pytest.raises(ValueError, match="no"):
            fails()
        signal.raise_signal(signal.SIGINT)
        steps.append("completed")
    assert steps == ["completed"]
    signals.listen()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_interruption_is_not_lost_where_its_section_fails() -> None:
    """It replaces the exception, which stays visible as its context."""
    with pytest.raises(KeyboardInterrupt) as raised, signals.deferred():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        raise ValueError("no")
    assert isinstance(raised.value.__context__, ValueError)


def test_a_section_of_another_thread_does_not_delay_the_main_thread() -> None:
    """Only the main thread is interrupted, so other threads have nothing to delay."""
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with signals.deferred():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(10)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    leave.set()
    thread.join()
