"""Units: times, rates and sizes, as people write them."""

import pytest

from runner.records import units


@pytest.mark.parametrize(
    "unit",
    [
        "s",
        "ms",
        "us",
        "µs",
        "\N{GREEK SMALL LETTER MU}s",
        "min",
        "h",
        "s/epoch",
        "us/sample",
        "seconds per step",
        "CPU s",
    ],
)
def test_times(unit: str) -> None:
    """The unit of what is counted is a time."""
    assert units.is_time(unit)
    assert not units.is_rate(unit)
    assert not units.is_size(unit)


@pytest.mark.parametrize(
    "unit",
    [
        "rows/s",
        "1/s",
        "it/sec",
        "MB/s",
        "Mbit/s",
        "GFLOP/s",
        "GFLOPS",
        "fps",
        "samples per second",
        "MHz",
    ],
)
def test_rates(unit: str) -> None:
    """The unit of what is divided by is a time, or a word stands for that."""
    assert units.is_rate(unit)
    assert not units.is_time(unit)
    assert not units.is_size(unit)


@pytest.mark.parametrize("unit", ["MB", "MiB", "bytes", "B", "%", "points"])
def test_sizes(unit: str) -> None:
    """The speed of a machine changes neither bytes nor shares."""
    assert units.is_size(unit)


@pytest.mark.parametrize("unit", ["", "J", "steps", "cycles", "x"])
def test_everything_else_is_unknown(unit: str) -> None:
    """No guess is made about it."""
    assert not any(is_one(unit) for is_one in (units.is_time, units.is_rate, units.is_size))
