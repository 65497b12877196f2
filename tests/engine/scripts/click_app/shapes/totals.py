"""Totals."""

from collections.abc import Iterable


def total(areas: Iterable[float]) -> float:
    """Return the sum."""
    return sum(areas)
