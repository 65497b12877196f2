"""Change points in a series of runs: when a cell got slower or faster than the reference cell.

The series holds one log ratio to the reference cell for each run, all from one host. Single odd
runs are clipped, the penalty is so high that a flat series of a year hardly ever gives an alarm,
and a step is told only once two runs agree on it. Simulations: ``docs/statistics.md``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

import numpy as np

from runner.judge.estimate import unpaired
from runner.judge.records import Estimate

FEWEST_RUNS = 3
"""Runs that a level must last."""
PENALTY = 5.0
"""What one more change point costs, in natural logarithms of the number of runs."""
YEAR = 52
"""Shorter series pay for a change point as this many runs do: they are looked at again and again
while they grow, and their spread is known badly."""
SMALLEST_STEP = math.log1p(0.03)
"""A smaller change of the log ratio is no alarm."""
AGREEING = 2
"""As many of the newest runs must lie on the new side of a step."""
LEVEL = 0.95
_NEIGHBOURS = 2  # on either side: a running median of five
_CLIP = 3.0  # robust standard deviations
_NORMAL_MAD = 0.6745  # the median of the absolute value of a standard normal number


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change between two neighbouring runs.

    ``position`` counts the runs before it, so that it is the index of the first run at the new
    level. ``change`` is the new level less the old one, as log ratios.
    """

    position: int
    change: Estimate


def steps(log_ratios: Sequence[float]) -> tuple[Step, ...]:
    """Return the steps in a series of log ratios to the reference cell, the oldest run first."""
    if len(log_ratios) < 2 * FEWEST_RUNS:
        return ()
    sd = robust_sd(log_ratios)
    if sd == 0:
        return ()
    import ruptures  # noqa: PLC0415 (heavy, and only a history needs it)

    clipped = winsorised(log_ratios, sd)
    search = ruptures.KernelCPD(kernel="linear", min_size=FEWEST_RUNS)
    search.fit(np.asarray(clipped).reshape(-1, 1) / sd)
    found = search.predict(pen=PENALTY * math.log(max(YEAR, len(clipped))))
    bounds = [0, *(int(end) for end in found)]
    levels = [clipped[start:end] for start, end in pairwise(bounds)]
    newest = log_ratios[-AGREEING:]
    told = []
    for position, old, new in zip(bounds[1:], levels, levels[1:], strict=False):
        change = unpaired(new, old, LEVEL)
        if change is None or abs(change.mean) <= SMALLEST_STEP:
            continue
        if new is not levels[-1] or _agree(newest, fmean(old), fmean(new)):
            told.append(Step(position=position, change=change))
    return tuple(told)


def robust_sd(log_ratios: Sequence[float]) -> float:
    """Return the spread from run to run, from first differences, so that steps do not count.

    Differences are clipped like the points, and not reduced to their median, which knows the spread
    of a short series too badly.
    """
    differences = np.diff(log_ratios)
    usual = float(np.median(np.abs(differences))) / _NORMAL_MAD
    if usual > 0:  # else most runs repeat the one before
        differences = np.clip(differences, -_CLIP * usual, _CLIP * usual)
    return float(np.sqrt(np.mean(differences**2) / 2))


def winsorised(log_ratios: Sequence[float], sd: float) -> list[float]:
    """Clip each point to the running median of five plus and minus three standard deviations."""
    middles = [
        median(log_ratios[max(0, index - _NEIGHBOURS) : index + _NEIGHBOURS + 1])
        for index in range(len(log_ratios))
    ]
    return [
        min(max(point, middle - _CLIP * sd), middle + _CLIP * sd)
        for point, middle in zip(log_ratios, middles, strict=True)
    ]


def _agree(newest: Sequence[float], old: float, new: float) -> bool:
    """Whether all newest runs, as they are, lie nearer to the new level than to the old one."""
    return all(abs(point - new) < abs(point - old) for point in newest)
