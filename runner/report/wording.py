"""How numbers, sizes, dates and lists are written in a report."""

from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from math import floor, log10

from runner.records.study import Metric
from runner.text import unbroken

NOTHING = "\N{EM DASH}"
"""Stands where there is no number."""

_MINUS = "\N{MINUS SIGN}"
_TINY, _HUGE = 1e-4, 1e12
_LISTED = 6
_MINUTE_S = 60
_SYMBOLS = {"us": "\N{MICRO SIGN}s"}


def heading(metric: Metric) -> str:
    """Return title and unit of a metric: ``time per epoch (s)``."""
    title = metric.title or metric.name
    unit = _SYMBOLS.get(metric.unit, metric.unit)
    return f"{title} ({unit})" if unit else title


def number(value: float | None, unit: str, like: float | None = None) -> str:
    """Write a measured number: two decimals for per cent, else three significant digits.

    With ``like`` it gets the decimals of that number instead of its own.
    """
    if value is None:
        return NOTHING
    reference = value if like is None else like
    if reference and not _TINY <= abs(reference) < _HUGE:
        text = f"{value:.2e}"
    else:
        text = f"{value:,.{_decimals(reference, unit)}f}"
    return text.replace("-", _MINUS, 1) if value < 0 else text


def spread(low: float | None, high: float | None, unit: str, like: float | None) -> str:
    """Write the smallest and the largest number, with the decimals of ``like``."""
    if low is None or high is None:
        return NOTHING
    return unbroken(f"{number(low, unit, like)} to {number(high, unit, like)}")


def printed(value: float) -> str:
    """Write a published number with the digits it was published with, and no more."""
    text = format(Decimal(repr(value)), "f")
    text = text.removesuffix(".0")
    return text.replace("-", _MINUS, 1)


def _decimals(value: float, unit: str) -> int:
    if unit == "%":
        return 2
    if value == 0:
        return 0
    return max(0, 2 - floor(log10(abs(value))))


def duration(seconds: float) -> str:
    """Write a time limit: ``15 min``, ``90 s``."""
    if seconds >= _MINUTE_S and seconds % _MINUTE_S == 0:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds:g} s"


def instant(when: datetime) -> str:
    """Write an instant: ``2026-11-23 15:04 UTC``."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def listed(items: Sequence[str]) -> str:
    """Write a list; of a long one only how many there are, the first and the last."""
    if len(items) > _LISTED:
        return f"{len(items)} values from {items[0]} to {items[-1]}"
    return ", ".join(items)
