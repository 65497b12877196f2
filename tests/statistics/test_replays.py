"""How often replays get the right verdict, on simulated pairs of runs. Seeds are fixed."""

from math import sqrt
from random import Random

import pytest

from runner.bundle.compare import ERROR, Reproduced, reproduction
from tests.support.judging import stored

RUNS = 200
NOISE = 0.02
BLOCKS = 7


@pytest.mark.parametrize("cells", ["ab", "abcd"])
@pytest.mark.parametrize("change", [1.0, 1.03, 1.1])
def test_a_faithful_replay_is_rarely_called_not_reproduced(cells: str, change: float) -> None:
    """At most 5 %, plus three standard errors, for any number of comparisons."""
    found = verdicts(cells, there=change, here=change)
    room = 3 * sqrt(ERROR * (1 - ERROR) * RUNS)
    assert found.count(Reproduced.NOT_REPRODUCED) <= ERROR * RUNS + room


def test_a_clear_change_is_nearly_always_reproduced() -> None:
    """The change is 10 %, the noise 2 %, in three comparisons of 7 blocks."""
    found = verdicts("abcd", there=1.1, here=1.1)
    assert found.count(Reproduced.REPRODUCED) >= 0.9 * RUNS


def test_a_missing_change_is_nearly_always_found() -> None:
    """The change is 10 %, the noise 2 %, in three comparisons of 7 blocks."""
    found = verdicts("abcd", there=1.1, here=1.0)
    assert found.count(Reproduced.NOT_REPRODUCED) >= 0.95 * RUNS


def verdicts(cells: str, there: float, here: float) -> list[Reproduced]:
    """Return the verdicts on pairs of runs with the replay on a slower host."""
    return [_verdict(Random(seed), cells, there, here) for seed in range(RUNS)]


def _verdict(chance: Random, cells: str, there: float, here: float) -> Reproduced:
    """Return the verdict on one pair; all cells differ from the first by these changes."""
    then, now = (
        stored(
            {
                cell: [
                    speed * (change if number else 1.0) * chance.lognormvariate(0, NOISE)
                    for _ in range(BLOCKS)
                ]
                for number, cell in enumerate(cells)
            }
        )
        for speed, change in ((1.0, there), (1.7, here))
    )
    return reproduction(then, now).verdict
