"""history: steps in a series of runs."""

import math
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.judge.history import FEWEST_RUNS, steps, winsorised

FIVE_PER_CENT = math.log1p(0.05)


def series(runs: int = 60, sd: float = 0.01, seed: int = 1) -> list[float]:
    """Log ratios to the reference cell that only spread."""
    return [float(one) for one in np.random.default_rng(seed).normal(0.0, sd, runs)]


def stepped(at: int, by: float, runs: int = 60) -> list[float]:
    """Log ratios that are higher by so much from a run on."""
    return [point + by * (index >= at) for index, point in enumerate(series(runs))]


@pytest.mark.parametrize("by", [FIVE_PER_CENT, -FIVE_PER_CENT])
def test_a_step_is_found_where_it_is(by: float) -> None:
    """The position is the index of the first run at the new level; the interval holds the step."""
    (step,) = steps(stepped(40, by))
    assert step.position == 40
    assert step.change.low < by < step.change.high
    assert step.change.n == 20


def test_two_steps_are_two() -> None:
    """A cell that got slower and was repaired."""
    there = stepped(20, FIVE_PER_CENT)
    back = [point - FIVE_PER_CENT * (index >= 40) for index, point in enumerate(there)]
    assert [step.position for step in steps(back)] == [20, 40]


def test_a_flat_series_has_no_step() -> None:
    """Nor has one that never varies at all, nor a very short one."""
    assert steps(series()) == ()
    assert steps([0.0] * 60) == ()
    assert steps([0.0, 0.0, 0.0, 0.5, 0.5]) == ()
    assert steps([]) == ()


def test_one_odd_run_is_no_step() -> None:
    """However far off it is, in the middle or at the end."""
    for at in (0, 30, 59):
        odd = series()
        odd[at] += 2.0
        assert steps(odd) == ()


def test_a_small_step_is_no_alarm() -> None:
    """A change of 2 % in a very quiet series is seen, and is too small to tell."""
    quiet = [point / 10 + 0.02 * (index >= 40) for index, point in enumerate(series())]
    assert steps(quiet) == ()


def test_the_newest_runs_must_agree() -> None:
    """A level of three runs is told; not if the last of them lies at the old level again."""
    there = stepped(57, 0.2)
    assert [step.position for step in steps(there)] == [57]
    assert steps([*there[:-1], 0.0]) == ()


def test_a_step_without_any_noise_is_found() -> None:
    """Numbers that repeat exactly, as counts of instructions do."""
    (step,) = steps([0.0] * 30 + [0.1] * 30)
    assert step.position == 30
    assert step.change.mean == pytest.approx(0.1)


def test_points_are_clipped_to_the_running_median_of_five() -> None:
    """Three standard deviations to either side, and shorter windows at the ends."""
    points = [0.0, 0.1, 9.0, 0.2, -0.1, -9.0]
    clipped = winsorised(points, 0.1)
    assert clipped[2] == pytest.approx(median([0.0, 0.1, 9.0, 0.2, -0.1]) + 0.3)
    assert clipped[5] == pytest.approx(median([0.2, -0.1, -9.0]) - 0.3)
    assert clipped[:2] == points[:2]


@given(st.lists(st.floats(min_value=-5, max_value=5), max_size=40))
def test_any_series_has_steps_far_enough_apart(points: list[float]) -> None:
    """Nothing crashes, and no level is shorter than the fewest runs."""
    found = [0, *(step.position for step in steps(points)), len(points)]
    if len(found) > 2:
        assert all(end - start >= FEWEST_RUNS for start, end in pairwise(found))


def test_turning_the_series_upside_down_turns_the_change() -> None:
    """Slower for one cell is faster for the other."""
    up, down = steps(stepped(40, 0.1)), steps([-point for point in stepped(40, 0.1)])
    assert [step.position for step in up] == [step.position for step in down]
    assert up[0].change.mean == pytest.approx(-down[0].change.mean, abs=1e-12)
