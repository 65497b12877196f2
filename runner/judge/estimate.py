"""From numbers to a change with its interval: the only module that does statistics.

The unit of replication is a trial, and only trials of one block are paired. Log ratios within
blocks get a paired t interval, differences over seeds get Welch's. ``docs/statistics.md`` gives
the reasons and simulations.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scipy import special  # not scipy.stats, whose import takes longer than a whole report

from runner.judge.records import Estimate, Forecast
from runner.records import MOST_BLOCKS

CROSS_CHECK_FROM = 7  # pairs: with fewer, the signed-rank test cannot reject anything
POWER = 0.9
FORECAST_RANGES = ((28, 0.75, 1.5), (14, 0.66, 1.85), (0, 0.56, 2.7))
"""From that many pairs on, true need / forecast lies in that range in 80 of 100 runs."""
_MOST_EXACT = 50  # pairs that the signed-rank test counts exactly, as in scipy
_ROUNDING = 1e-12
_LARGEST = 1e70  # tests square variances


def paired(changes: Sequence[float], level: float, size: float = 1.0) -> Estimate | None:
    """Return the mean of changes within blocks with its t interval.

    ``size`` is the size of the compared numbers (1 for log ratios): a spread below their rounding
    error counts as none. ``None`` if there are fewer than two changes, or if they are too large for
    arithmetic.
    """
    n = len(changes)
    if n < 2:  # noqa: PLR2004 (no spread without two)
        return None
    mean, variance = _moments(changes)
    sd = math.sqrt(variance)
    if not sd < _LARGEST:
        return None
    if sd <= _ROUNDING * max(size, abs(mean)):
        return _without_spread(n, mean, level, size)
    return _estimate(n, mean, level, sd, error=sd / math.sqrt(n), df=n - 1.0)


def unpaired(of: Sequence[float], against: Sequence[float], level: float) -> Estimate | None:
    """Return the difference of two means with Welch's interval.

    ``None`` if a side has fewer than two numbers, or if they are too large for arithmetic.
    """
    n = min(len(of), len(against))
    if n < 2:  # noqa: PLR2004 (no spread without two)
        return None
    (ours, our_variance), (theirs, their_variance) = _moments(of), _moments(against)
    mean, sd = ours - theirs, math.sqrt(our_variance + their_variance)
    if not sd < _LARGEST:
        return None
    size = max(map(abs, (*of, *against)))
    if sd <= _ROUNDING * size:
        return _without_spread(n, mean, level, size)
    our_part, their_part = our_variance / len(of), their_variance / len(against)
    share = our_part / (our_part + their_part)
    return _estimate(
        n,
        mean,
        level,
        sd,
        error=math.sqrt(our_part + their_part),
        df=1 / (share**2 / (len(of) - 1) + (1 - share) ** 2 / (len(against) - 1)),
    )


def _moments(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the variance; infinite if they are too large for arithmetic."""
    try:
        mean = math.fsum(numbers) / len(numbers)
        squares = math.fsum((number - mean) * (number - mean) for number in numbers)
    except (OverflowError, ValueError):  # too large, or already infinite
        return math.inf, math.inf
    return mean, squares / (len(numbers) - 1)


def _estimate(n: int, mean: float, level: float, sd: float, *, error: float, df: float) -> Estimate:
    """Return the result of a t test; ``error`` is the standard error of the mean."""
    room = quantile((1 + level) / 2, df) * error
    return Estimate(
        n=n,
        mean=mean,
        low=mean - room,
        high=mean + room,
        level=level,
        p=2 * float(special.stdtr(df, -abs(mean) / error)),
        sd=sd,
        error=error,
        df=df,
    )


def quantile(share: float, df: float) -> float:
    """Return the number that a share of Student's t distribution lies below."""
    return float(special.stdtrit(df, share))


def _without_spread(n: int, mean: float, level: float, size: float) -> Estimate:
    mean = 0.0 if abs(mean) <= _ROUNDING * size else mean
    return Estimate(
        n=n,
        mean=mean,
        low=mean,
        high=mean,
        level=level,
        p=1.0 if mean == 0 else 0.0,
        sd=0.0,
        error=0.0,
        df=n - 1.0,
    )


def at_level(estimate: Estimate, level: float) -> Estimate:
    """Return the same estimate with its interval at another level."""
    if estimate.sd == 0:
        return replace(estimate, level=level)
    room = quantile((1 + level) / 2, estimate.df) * estimate.error
    return replace(estimate, level=level, low=estimate.mean - room, high=estimate.mean + room)


def depends_on_outliers(changes: Sequence[float], level: float) -> bool:
    """Whether the signed-rank test finds no change although the t interval excludes zero."""
    if len(changes) < CROSS_CHECK_FROM:
        return False
    return signed_rank(changes) > 1 - level


def signed_rank(changes: Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test."""
    ordered = sorted(changes, key=abs)
    sizes = [abs(change) for change in ordered]
    if len(changes) > _MOST_EXACT and any(sizes):
        return _approximate_signed_rank([change for change in ordered if change])
    has_ties = any(one == other for one, other in itertools.pairwise(sizes))
    if has_ties or 0 in sizes:
        from scipy import stats  # noqa: PLC0415 (heavy, and real times have no ties)

        return float(stats.wilcoxon(changes).pvalue)
    positive = sum(rank for rank, change in enumerate(ordered, start=1) if change > 0)
    below = _subsets_up_to(len(changes))
    smaller = min(positive, len(below) - 1 - positive)
    return min(1.0, 2 * below[smaller] / below[-1])


def _approximate_signed_rank(ordered: Sequence[float]) -> float:
    """Return the p-value of many changes that are not zero, ordered by size.

    The sum of ranks is nearly normal. Equal sizes share their mean rank, which narrows it.
    """
    n, before, positive, ties = len(ordered), 0, 0.0, 0
    for _, group in itertools.groupby(ordered, key=abs):
        equal = list(group)
        rank = before + (len(equal) + 1) / 2
        positive += rank * sum(change > 0 for change in equal)
        ties += len(equal) ** 3 - len(equal)
        before += len(equal)
    variance = (n * (n + 1) * (2 * n + 1) - ties / 2) / 24
    return float(2 * special.ndtr(-abs(positive - n * (n + 1) / 4) / math.sqrt(variance)))


@functools.lru_cache
def _subsets_up_to(n: int) -> tuple[int, ...]:
    """Return how many subsets of the ranks 1 to n have a sum of at most 0, 1, 2, ..."""
    counts = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for total in range(len(counts) - 1, rank - 1, -1):
            counts[total] += counts[total - rank]
    return tuple(itertools.accumulate(counts))


def forecast(estimate: Estimate, half_width: float) -> Forecast | None:
    """Return about how many more blocks narrow an interval to a half-width.

    The spread so far is taken as the true one, and the range says how wrong that may be. ``None``
    means far too many blocks.
    """
    needed = _needed(estimate, half_width) if half_width > 0 else None
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
    share = (1 + estimate.level) / 2
    normal = float(special.ndtri(share))
    least = max(estimate.n + 1, math.floor((normal * estimate.sd / half_width) ** 2))
    if least > MOST_BLOCKS:
        return None
    return next(
        n
        for n in itertools.count(least)
        if quantile(share, n - 1) * estimate.sd / math.sqrt(n) <= half_width
    )


def smallest_detectable(estimate: Estimate) -> float | None:
    """Return the change that nine in ten such runs would detect; ``None`` without spread.

    Half the interval separates it from zero, and the rest allows for noise.
    """
    if estimate.sd == 0:
        return None
    error = estimate.sd / math.sqrt(estimate.n)
    return estimate.half_width + quantile(POWER, estimate.df) * error


def one_repeat(estimate: Estimate) -> tuple[float, float]:
    """Return the interval into which the change of a single repeat of both trials falls."""
    room = noise(estimate) * math.sqrt(1 + 1 / estimate.n)
    return estimate.mean - room, estimate.mean + room


def noise(estimate: Estimate) -> float:
    """Return the largest change between two single trials of the same code."""
    return quantile((1 + estimate.level) / 2, estimate.df) * estimate.sd


def quantiles(level: float, most: int) -> tuple[float, ...]:
    """Return how many standard errors an interval reaches, for 1 to ``most`` degrees of freedom."""
    return tuple(float(special.stdtrit(df, (1 + level) / 2)) for df in range(1, most + 1))


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
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    adjusted = [1.0] * len(p_values)
    lowest = 1.0
    for above, index in enumerate(order):
        rank = len(p_values) - above
        lowest = min(lowest, p_values[index] * len(p_values) / rank)
        adjusted[index] = lowest
    return tuple(adjusted)


def far_more_often(hits: Mapping[str, int], tries: Mapping[str, int], level: float) -> list[str]:
    """Return the names that are hit far more often than all others together (Fisher's exact)."""
    all_hits, all_tries = sum(hits.values()), sum(tries.values())
    chance = functools.lru_cache(functools.partial(chance_of_hits, all_hits, all_tries))
    return [
        name
        for name, own_tries in tries.items()
        if own_tries < all_tries and chance(hits.get(name, 0), own_tries) < 1 - level
    ]


def chance_of_hits(all_hits: int, all_tries: int, hits: int, tries: int) -> float:
    """Return how likely so many hits or more are among some of all tries, by chance alone."""
    rest = all_tries - all_hits
    fewest, most = max(0, tries - rest), min(all_hits, tries)
    if hits <= fewest:
        return 1.0
    of_all = _log_ways(all_tries, tries)
    return math.fsum(
        math.exp(_log_ways(all_hits, some) + _log_ways(rest, tries - some) - of_all)
        for some in range(hits, most + 1)
    )


def _log_ways(of: int, chosen: int) -> float:
    """Return the logarithm of a binomial coefficient: exact ones are huge with many trials."""
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)
