"""The intervals between two looks: lines without a verdict."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.judge import intervals
from runner.records.study import Matrix, Pair
from runner.report import interval_lines
from tests.support.judging import matrix, plan_of, results_of

SLOWER = {"a": [1.0, 1.1, 0.9, 1.0, 1.05], "b": [1.5, 1.6, 1.4, 1.5, 1.55]}
VERDICTS = re.compile(r"slower|faster|better|worse|difference|hold|adopt|tell")


def lines(study: Matrix, numbers: Mapping[str, Sequence[float]], blocks: int) -> list[str]:
    """Return what a terminal shows after so many blocks of a study of seven."""
    plan = plan_of(study, 5)
    some = [one for one in results_of(plan, {"seconds": numbers}) if one.trial.block <= blocks]
    return interval_lines(study, intervals(study, plan, some))


def test_intervals_begin_after_three_blocks_and_narrow() -> None:
    """With fewer they say nothing. No line has a word of a verdict."""
    assert lines(matrix(), SLOWER, 1) == lines(matrix(), SLOWER, 2) == []
    (third,), (fifth,) = (lines(matrix(), SLOWER, blocks) for blocks in (3, 5))
    assert third.startswith("time, b: 1.0")
    assert third.endswith("(3 blocks)")
    plain = fifth.replace("\N{NO-BREAK SPACE}", " ")
    assert plain == "time, b: 1.00 s → 1.50 s, +43 % to +57 % (5 blocks)"
    assert not VERDICTS.search(third + fifth)


def test_an_interval_between_looks_is_as_wide_as_at_one() -> None:
    """The level is that of a look, so it does not jump there."""
    study = matrix()
    plan = plan_of(study, 5)
    results = results_of(plan, {"seconds": SLOWER})
    (found,) = intervals(study, plan, results)
    assert found.estimate.level == 0.984
    one_look = replace(study, looks=1)
    (found,) = intervals(one_look, plan_of(one_look, 5), results)
    assert found.estimate.level == 0.95


def test_of_many_intervals_the_widest_are_shown() -> None:
    """The others are counted. A cell that is compared twice is named with its partner."""
    cells = [f"c{number}" for number in range(12)]
    study = matrix(cells)
    numbers = {
        cell: [1.0 + 0.01 * number * (-1) ** block for block in range(5)]
        for number, cell in enumerate(cells)
    }
    shown = lines(study, numbers, 5)
    assert [line.split(":")[0] for line in shown[:-1]] == [f"time, c{n}" for n in range(4, 12)]
    assert shown[-1] == "and 3 comparisons with a narrower interval"
    pairs = tuple(Pair(of="v=b", against=f"v={one}", metrics=("seconds",)) for one in "ac")
    study = replace(matrix(("a", "b", "c")), compare=pairs)
    shown = lines(study, {**SLOWER, "c": SLOWER["a"]}, 5)
    assert [line.split(":")[0] for line in shown] == ["time, b against a", "time, b against c"]
