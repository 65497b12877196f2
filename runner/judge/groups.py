"""Groups instead of ranks: cells that were not told apart share a letter."""

from collections.abc import Mapping
from itertools import combinations
from statistics import median
from string import ascii_uppercase

from runner.judge import estimate as statistics
from runner.judge.compare import FEWEST, Asked, measure
from runner.judge.records import Look
from runner.judge.samples import Samples
from runner.records.study import Better, Metric

MOST_CELLS = 40
"""With more, every pair would take too long, and nobody reads so many letters."""


def groups(samples: Samples, metric: Metric, look: Look) -> Mapping[str, str]:
    """Return the letters of each cell, A for the best; empty where there is nothing to group.

    Every pair is compared once, and Holm's method keeps the error rate of all of them together.
    """
    measured = samples.measured(metric)
    numbers = {
        cell.id: list(found.values())
        for cell in samples.matrix.cells
        if len(found := samples.numbers(cell.id, measured)) >= FEWEST
    }
    if metric.better is Better.NEITHER or not 1 < len(numbers) <= MOST_CELLS:
        return {}
    best_last = metric.better is Better.HIGHER
    order = sorted(numbers, key=lambda cell: median(numbers[cell]), reverse=best_last)
    pairs = list(combinations(order, 2))
    asked = [Asked(*pair, metric, named=False) for pair in pairs]
    compared = [measure(samples, one, look.level) for one in asked]
    adjusted = statistics.holm([one.estimate.p if one.estimate else 1.0 for one in compared])
    apart = {pair for pair, p in zip(pairs, adjusted, strict=True) if p < 1 - look.level}
    return _letters(order, apart)


def _letters(order: list[str], apart: set[tuple[str, str]]) -> Mapping[str, str]:
    """Give a letter to every longest stretch of neighbours of which no two were told apart."""
    letters = dict.fromkeys(order, "")
    reached = -1
    names = iter(ascii_uppercase * 2)
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and not any(
            (order[one], order[last + 1]) in apart for one in range(first, last + 1)
        ):
            last += 1
        if last > reached:
            reached = last
            letter = next(names)
            for index in range(first, last + 1):
                letters[order[index]] += letter
    return letters
