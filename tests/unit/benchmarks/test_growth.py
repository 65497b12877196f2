"""benchmarks/growth and benchmarks/memory: when a run grows too fast or needs too much."""

import pytest

from benchmarks.growth import exponent, grown
from benchmarks.memory import flat

COUNTS = (100, 1000, 10_000)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power(power: float) -> None:
    """A factor does not change it."""
    assert exponent(COUNTS, [0.03 * count**power for count in COUNTS]) == pytest.approx(power)


@pytest.mark.parametrize(("power", "met"), [(1.0, True), (1.09, True), (1.2, False)])
def test_the_limit_of_growth(power: float, met: bool) -> None:
    """The row names the verb and the sizes."""
    row = grown("plan", "wide", COUNTS, [count**power for count in COUNTS])
    assert row.what == "growth of plan, wide run, 100 to 10,000 trials"
    assert row.met is met


@pytest.mark.parametrize(("long_mb", "met"), [(70.0, True), (80.0, True), (80.1, False)])
def test_memory_may_differ_by_twenty_megabytes(long_mb: float, met: bool) -> None:
    """The difference counts, and not the ratio."""
    row = flat("memory", long_mb, 60.0)
    assert row.met is met
    assert row.note == f"{long_mb - 60:+.1f} MB"
