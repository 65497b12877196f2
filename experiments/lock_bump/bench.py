"""Keep a list sorted while it grows and shrinks, as a schedule does."""

import trial
from sortedcontainers import SortedList


def work(rounds: int) -> int:
    """Add to a sorted list and take from it; return the sum of what was taken."""
    numbers, taken = SortedList(), 0
    for number in range(1000 * rounds):
        numbers.add(number * 7919 % 1000003)
        if number % 10:
            taken += numbers.pop(number * 104729 % len(numbers))
    return taken


with trial.timed("work_seconds"):
    print(work(int(trial.parameters["rounds"])))
