"""Signals, as a process of its own sees them: once is orderly, twice is at once."""

import signal
import subprocess
import sys
import time

import pytest

from runner.system.signals import AT_ONCE
from tests.support.studies import ROOT

WAITS = """
import sys, time
from runner.system import signals

signals.listen()
try:
    print("on", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("orderly", flush=True)
    time.sleep(float(sys.argv[1]))
    print("done", flush=True)
"""
HOLDS = """
import time
from runner.system import signals

signals.listen()
try:
    with signals.held():
        print("on", flush=True)
        time.sleep(1)
        print("whole", flush=True)
except KeyboardInterrupt:
    print("orderly", flush=True)
"""


def _as_usual() -> None:
    """Ignore no signal: a shell has SIGINT ignored in its background, and nohup SIGHUP."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def program(code: str, *words: str) -> subprocess.Popen[str]:
    """Start a program, and wait until it listens."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_as_usual,  # noqa: PLW1509
    )
    assert started.stdout
    assert started.stdout.readline() == "on\n"
    return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_for_an_orderly_end(number: signal.Signals) -> None:
    """What is to be done at the end is done."""
    with program(WAITS, "0") as started:
        started.send_signal(number)
        assert started.communicate(timeout=10) == ("orderly\ndone\n", "")
    assert started.returncode == 0


def test_the_second_signal_ends_at_once() -> None:
    """However long the orderly end would take; it says what becomes of the rest."""
    with program(WAITS, "60") as started:
        started.send_signal(signal.SIGINT)
        assert started.stdout
        assert started.stdout.readline() == "orderly\n"
        time.sleep(0.2)
        started.send_signal(signal.SIGTERM)
        assert started.communicate(timeout=10) == ("", AT_ONCE.decode())
    assert started.returncode == 130


def test_two_signals_in_one_moment_are_one() -> None:
    """``timeout`` tells a process, and then its group, to which the process belongs."""
    with program(WAITS, "0.5") as started:
        started.send_signal(signal.SIGTERM)
        started.send_signal(signal.SIGINT)
        assert started.communicate(timeout=10) == ("orderly\ndone\n", "")
    assert started.returncode == 0


def test_a_step_that_must_not_be_cut_in_two_is_not() -> None:
    """The interruption comes at its end."""
    with program(HOLDS) as started:
        started.send_signal(signal.SIGINT)
        assert started.communicate(timeout=10) == ("whole\norderly\n", "")
