"""From numbers to a change with its interval: the only module that does statistics.

The unit of replication is a trial, and only trials of one block are paired. Log ratios within
blocks get a paired t interval, differences over seeds get Welch's. ``docs/statistics.md`` gives
the reasons and simulations.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special, stats

from runner.judge.records import Estimate, Forecast

CROSS_CHECK_FROM = 7  # pairs: with fewer, the signed-rank test cannot reject anything
POWER = 0.9
FORECAST_RANGES = ((28, 0.75, 1.5), (14, 0.66, 1.85), (0, 0.56, 2.7))
"""From that many pairs on, true need / forecast lies in that range in 80 of 100 runs."""
_MOST_BLOCKS = 10_000
_T_NEEDS_MORE = 50  # blocks that t's quantiles require beyond normal ones, at most
_ROUNDING = 1e-12
_LARGEST = 1e70  # tests square variances


def paired(changes: Sequence[float], level: float, size: float = 1.0) -> Estimate | None:
    """Return the mean of changes within blocks with its t interval.

    ``size`` is the size of the compared numbers (1 for log ratios): a spread below their rounding
    error counts as none. ``None`` if there are fewer than two changes, or if they are too large for
    arithmetic.
    """
    if len(changes) < 2:  # noqa: PLR2004 (no spread without two)
        return None
    array = np.asarray(changes, dtype=float)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = float(array.mean()), float(array.std(ddof=1))
    if not sd < _LARGEST:
        return None
    if sd <= _ROUNDING * max(size, abs(mean)):
        return _without_spread(len(changes), mean, level, size)
    found = stats.ttest_1samp(array, 0.0)
    return _estimate(found, len(changes), mean, level, sd)


def unpaired(of: Sequence[float], against: Sequence[float], level: float) -> Estimate | None:
    """Return the difference of two means with Welch's interval.

    ``None`` if a side has fewer than two numbers, or if they are too large for arithmetic.
    """
    n = min(len(of), len(against))
    if n < 2:  # noqa: PLR2004 (no spread without two)
        return None
    ours, theirs = np.asarray(of, dtype=float), np.asarray(against, dtype=float)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(ours.mean() - theirs.mean())
        sd = math.sqrt(float(ours.var(ddof=1)) + float(theirs.var(ddof=1)))
    if not sd < _LARGEST:
        return None
    size = float(max(abs(ours).max(), abs(theirs).max()))
    if sd <= _ROUNDING * size:
        return _without_spread(n, mean, level, size)
    with warnings.catch_warnings():  # Welch works if one side has no spread
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.ttest_ind(ours, theirs, equal_var=False)
    return _estimate(found, n, mean, level, sd)


def _estimate(found: Any, n: int, mean: float, level: float, sd: float) -> Estimate:
    """Return the result of one of scipy's t-tests, with the interval at a level."""
    interval = found.confidence_interval(level)
    return Estimate(
        n=n,
        mean=mean,
        low=float(interval.low),
        high=float(interval.high),
        level=level,
        p=float(found.pvalue),
        sd=sd,
        df=float(found.df),
    )


def _without_spread(n: int, mean: float, level: float, size: float) -> Estimate:
    mean = 0.0 if abs(mean) <= _ROUNDING * size else mean
    p = 1.0 if mean == 0 else 0.0
    return Estimate(n=n, mean=mean, low=mean, high=mean, level=level, p=p, sd=0.0, df=n - 1.0)


def depends_on_outliers(changes: Sequence[float], level: float) -> bool:
    """Whether the signed-rank test finds no change although the t interval excludes zero."""
    if len(changes) < CROSS_CHECK_FROM:
        return False
    return bool(stats.wilcoxon(changes).pvalue > 1 - level)


def forecast(estimate: Estimate, half_width: float) -> Forecast | None:
    """Return about how many more blocks narrow an interval to a half-width.

    The spread so far is taken as the true one, and the range says how wrong that may be. ``None``
    means far too many blocks.
    """
    needed = _needed(estimate, half_width)
    if needed is None:
        return None
    fewest, most = next((low, high) for n, low, high in FORECAST_RANGES if estimate.n >= n)
    more = max(1, needed - estimate.n)
    return Forecast(
        blocks=more,
        fewest=min(more, max(1, math.floor(needed * fewest) - estimate.n)),
        most=max(more, math.ceil(needed * most) - estimate.n),
        half_width=half_width,
    )


def _needed(estimate: Estimate, half_width: float) -> int | None:
    """Return the fewest blocks that make the interval that narrow; ``None``: far too many."""
    # A normal quantile instead of t's larger one gives a slightly too small number to start from.
    quantile = float(special.ndtri((1 + estimate.level) / 2))
    least = max(estimate.n + 1, math.floor((quantile * estimate.sd / half_width) ** 2))
    if least > _MOST_BLOCKS:
        return None
    sizes = np.arange(least, least + _T_NEEDS_MORE)
    quantiles = special.stdtrit(sizes - 1, (1 + estimate.level) / 2)
    return int(sizes[quantiles * estimate.sd / np.sqrt(sizes) <= half_width][0])


def smallest_detectable(estimate: Estimate) -> float | None:
    """Return the change that nine in ten such runs would detect; ``None`` without spread.

    Half the interval separates it from zero, and the rest allows for noise.
    """
    if estimate.sd == 0:
        return None
    error = estimate.sd / math.sqrt(estimate.n)
    return estimate.half_width + float(stats.t.ppf(POWER, estimate.df)) * error


def one_repeat(estimate: Estimate) -> tuple[float, float]:
    """Return the interval into which the change of a single repeat of both trials falls."""
    room = noise(estimate) * math.sqrt(1 + 1 / estimate.n)
    return estimate.mean - room, estimate.mean + room


def noise(estimate: Estimate) -> float:
    """Return the largest change between two single trials of the same code."""
    return float(stats.t.ppf((1 + estimate.level) / 2, estimate.df)) * estimate.sd


def quantiles(level: float, most: int) -> tuple[float, ...]:
    """Return how many standard errors an interval reaches, for 1 to ``most`` degrees of freedom."""
    return tuple(float(one) for one in special.stdtrit(np.arange(1, most + 1), (1 + level) / 2))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted by Holm's step-down method, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted for the false discovery rate, in the order given."""
    if not p_values:
        return ()
    return tuple(float(p) for p in stats.false_discovery_control(p_values))


def far_more_often(hits: Mapping[str, int], tries: Mapping[str, int], level: float) -> list[str]:
    """Return the names that are hit far more often than all others together (Fisher's exact)."""
    found = []
    for name in tries:
        own, own_tries = hits.get(name, 0), tries[name]
        others = sum(hits.values()) - own
        other_tries = sum(tries.values()) - own_tries
        table = [[own, own_tries - own], [others, other_tries - others]]
        if other_tries and stats.fisher_exact(table, "greater").pvalue < 1 - level:
            found.append(name)
    return found
