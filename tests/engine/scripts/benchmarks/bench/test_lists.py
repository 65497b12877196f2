"""How fast a sorted list is."""

from typing import Any

from sortedcontainers import SortedList


def test_add(benchmark: Any) -> None:
    """Add a number."""
    kept = SortedList(range(10_000))
    benchmark(kept.add, 5_000.5)


def test_find(benchmark: Any) -> None:
    """Find a number."""
    kept = SortedList(range(10_000))
    assert benchmark(kept.index, 777) == 777
