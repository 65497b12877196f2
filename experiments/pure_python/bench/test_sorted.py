"""Three things that a sorted collection is used for."""

import random
from typing import Any

from sortedcontainers import SortedDict, SortedList

_RANDOM = random.Random(7)
NUMBERS = [_RANDOM.random() for _ in range(2000)]
LETTERS = "the quick brown fox jumps over the lazy dog" * 20


def test_add(benchmark: Any) -> None:
    """Add two thousand numbers to an empty list."""
    assert list(benchmark(added)) == sorted(NUMBERS)


def added() -> SortedList:
    """Return a list to which the numbers were added one by one."""
    kept = SortedList()
    for number in NUMBERS:
        kept.add(number)
    return kept


def test_find(benchmark: Any) -> None:
    """Find the place of every number."""
    kept = SortedList(NUMBERS)
    places = benchmark(lambda: [kept.index(number) for number in NUMBERS])
    assert sorted(places) == list(range(len(NUMBERS)))


def test_count(benchmark: Any) -> None:
    """Count the letters of a text."""
    assert benchmark(counted).peekitem(0) == (" ", 160)


def counted() -> SortedDict:
    """Return how often each letter occurs."""
    counts = SortedDict()
    for letter in LETTERS:
        counts[letter] = counts.get(letter, 0) + 1
    return counts
