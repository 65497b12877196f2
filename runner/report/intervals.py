"""The intervals between two looks as lines for a terminal. They contain no word of a verdict."""

from collections import Counter
from collections.abc import Iterator, Sequence

from runner.judge.records import Interval
from runner.records.study import Matrix
from runner.report import words
from runner.text import counted

MOST = 8
"""How many intervals are shown: the widest ones."""


def lines(matrix: Matrix, intervals: Sequence[Interval]) -> Iterator[str]:
    """Yield a line for each interval, the metric first, and the number of those left out."""
    shown = set(sorted(range(len(intervals)), key=lambda at: -_width(intervals[at]))[:MOST])
    pairs = Counter(of for of, _ in {(one.of, one.against) for one in intervals})
    for at, one in enumerate(intervals):
        if at in shown:
            yield _line(matrix, one, is_only=pairs[one.of] == 1)
    if left := len(intervals) - len(shown):
        yield f"and {counted(left, 'comparison')} with a narrower interval"


def _width(interval: Interval) -> float:
    return interval.estimate.half_width


def _line(matrix: Matrix, one: Interval, *, is_only: bool) -> str:
    name = words.values(matrix.cell(one.of))
    if not is_only:
        name += f" against {words.values(matrix.cell(one.against))}"
    old, new = (words.with_unit(number, one.measured) for number in (one.old, one.new))
    ends = words.signed_interval(one.estimate, one.measured)
    blocks = counted(one.estimate.n, "block")
    return f"{one.measured.title}, {name}: {old} \N{RIGHTWARDS ARROW} {new}, {ends} ({blocks})"
