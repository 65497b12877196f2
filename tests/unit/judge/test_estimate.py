"""estimate: checked against scipy.stats and statsmodels, and by properties of any numbers."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttest_ind, ttost_paired

from benchmarks.acceptance import SECONDS, look_at, result, study, version
from runner.judge import estimate
from runner.judge.compare import compare
from runner.judge.records import Comparison, Estimate
from runner.judge.samples import changes, gather
from runner.plan import make_plan
from runner.records.study import Scale

LEVELS = (0.9, 0.95, 0.984)
CHANGES = st.lists(st.floats(min_value=-2, max_value=2), min_size=2, max_size=25)
TIMES = st.floats(min_value=1e-6, max_value=1e6)
SPREAD = st.lists(st.floats(min_value=-2, max_value=2), min_size=2, max_size=60).filter(
    lambda numbers: np.std(numbers) > 1e-3  # with less, rounding differs from scipy's
)
PAIRS = st.lists(st.tuples(TIMES, TIMES), min_size=2, max_size=20)
FEW = settings(max_examples=25, deadline=None)
"""For slow tests."""


def hit(tries: int) -> st.SearchStrategy[tuple[int, int]]:
    """Return so many tries, of which some hit."""
    return st.tuples(st.integers(0, tries), st.just(tries))


def equal(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether numbers equal those of another program in all digits that doubles hold for sure."""
    return list(ours) == pytest.approx(list(map(float, theirs)), rel=1e-12, abs=1e-13)


def normal(n: int, mean: float = 0.0, sd: float = 0.05, seed: int = 1) -> list[float]:
    """Return the same normally distributed numbers every time."""
    return [float(one) for one in np.random.default_rng(seed).normal(mean, sd, n)]


def paired(numbers: Sequence[float], level: float = 0.95) -> Estimate:
    """Return an estimate that must exist."""
    found = estimate.paired(numbers, level)
    assert found is not None
    return found


def unpaired(of: Sequence[float], against: Sequence[float], level: float = 0.95) -> Estimate:
    """Return an estimate of two samples that must exist."""
    found = estimate.unpaired(of, against, level)
    assert found is not None
    return found


def compared(of: Sequence[float], against: Sequence[float]) -> Comparison:
    """Compare two cells by their times, with the blocks in this order."""
    blocks = min(len(of), len(against))
    matrix = study(blocks=blocks)
    plan = make_plan(matrix, 1)
    times = {version(1): of, version(0): against}
    results = [result(one, SECONDS, (times[one.cell][one.block - 1],)) for one in plan.trials]
    return compare(gather(matrix, plan, results, blocks), look_at(matrix, plan, blocks))[0]


# --- oracles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [2, 3, 7, 28])
def test_paired_is_the_t_test(n: int, level: float) -> None:
    """Mean, interval and p equal those of statsmodels."""
    numbers = normal(n, 0.03)
    found, oracle = paired(numbers, level), DescrStatsW(numbers)
    assert (found.low, found.high) == pytest.approx(oracle.tconfint_mean(1 - level))
    assert (found.mean, found.sd) == pytest.approx((oracle.mean, math.sqrt(oracle.var_ddof(1))))
    assert (found.p, found.df) == pytest.approx(oracle.ttest_mean(0.0)[1:])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("n", "m"), [(2, 2), (5, 10), (10, 10), (28, 7)])
def test_unpaired_is_welch(n: int, m: int, level: float) -> None:
    """Even if the samples have different spreads and sizes."""
    ours, theirs = normal(n, 93.4, 0.1), normal(m, 93.2, 0.3, seed=2)
    found = unpaired(ours, theirs, level)
    oracle = CompareMeans(DescrStatsW(ours), DescrStatsW(theirs))
    interval = oracle.tconfint_diff(1 - level, usevar="unequal")
    _, p, df = ttest_ind(ours, theirs, usevar="unequal")
    assert (found.low, found.high) == pytest.approx(interval)
    assert (found.p, found.df) == pytest.approx((p, df))


@given(SPREAD, st.sampled_from(LEVELS))
def test_paired_equals_scipy(numbers: list[float], level: float) -> None:
    """The t test of one sample, with its interval at any level."""
    oracle = stats.ttest_1samp(numbers, 0.0)
    interval = oracle.confidence_interval(level)
    for found in (paired(numbers, level), estimate.at_level(paired(numbers, 0.5), level)):
        assert found.level == level
        assert equal((found.p, found.df), (oracle.pvalue, oracle.df))
        assert equal((found.low, found.high), (interval.low, interval.high))


@given(SPREAD, st.one_of(SPREAD, SPREAD.map(lambda numbers: [1.5] * len(numbers))))
def test_unpaired_equals_scipy(ours: list[float], theirs: list[float]) -> None:
    """Welch's t test, also if one side has no spread."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        oracle = stats.ttest_ind(ours, theirs, equal_var=False)
    interval = oracle.confidence_interval(0.984)
    for found in (
        unpaired(ours, theirs, 0.984),
        estimate.at_level(unpaired(ours, theirs, 0.5), 0.984),
    ):
        assert equal((found.p, found.df), (oracle.pvalue, oracle.df))
        assert equal((found.low, found.high), (interval.low, interval.high))


@FEW
@given(st.lists(st.integers(-9, 9).map(float) | st.floats(-2, 2), min_size=1, max_size=55))
def test_signed_rank_equals_scipy(changes: list[float]) -> None:
    """With ties and zeros or without, for few pairs and for many."""
    assume(any(changes))
    assert equal([estimate.signed_rank(changes)], [stats.wilcoxon(changes).pvalue])


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.3])
@pytest.mark.parametrize("digits", [1, 12])
def test_signed_rank_of_many_pairs_equals_scipy(shift: float, digits: int) -> None:
    """With zeros and many ties, and without any."""
    shares = [(number + 0.5) / 400 for number in range(400)]
    changes = [round(change + shift, digits) for change in stats.norm.ppf(shares)]
    assert equal([estimate.signed_rank(changes)], [stats.wilcoxon(changes).pvalue])


@FEW
@given(st.lists(st.floats(min_value=0, max_value=1), max_size=60))
def test_false_discoveries_equal_scipy(p_values: list[float]) -> None:
    """In the given order, with ties."""
    oracle = list(stats.false_discovery_control(p_values)) if p_values else []
    assert equal(estimate.benjamini_hochberg(p_values), oracle)


@FEW
@given(st.lists(st.integers(0, 8).flatmap(hit), min_size=1, max_size=9))
def test_far_more_often_is_fishers_test(counts: list[tuple[int, int]]) -> None:
    """Each name is tested against all others together."""
    hits = {str(at): hits for at, (hits, _) in enumerate(counts)}
    tries = {str(at): tries for at, (_, tries) in enumerate(counts)}
    all_hits, all_tries = sum(hits.values()), sum(tries.values())
    expected = []
    for name, own in tries.items():
        table = [
            [hits[name], own - hits[name]],
            [all_hits - hits[name], all_tries - own - all_hits + hits[name]],
        ]
        oracle = stats.fisher_exact(table, "greater").pvalue
        found = estimate.chance_of_hits(all_hits, all_tries, hits[name], own)
        assert found == pytest.approx(oracle, rel=1e-9)
        if own < all_tries and oracle < 0.01:
            expected.append(name)
    assert estimate.far_more_often(hits, tries, 0.99) == expected


@pytest.mark.parametrize(
    ("hits", "tries"), [(0, 9), (210, 10_000), (1_100, 50_000), (1_900, 50_000)]
)
def test_chances_of_many_trials_are_as_exact(hits: int, tries: int) -> None:
    """The chance of a sum of binomial coefficients, each of which has thousands of digits."""
    oracle = stats.hypergeom.sf(hits - 1, 100_000, 2_000, tries)
    assert estimate.chance_of_hits(2_000, 100_000, hits, tries) == pytest.approx(oracle, rel=1e-7)


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize("mean", [0.0, 0.01, 0.02, 0.03])
def test_equivalence_is_two_one_sided_tests(n: int, mean: float) -> None:
    """A 95 % interval inside the margin is two one-sided tests at 2.5 %."""
    bound = math.log1p(0.03)
    for seed in range(20):
        numbers = normal(n, mean, 0.01, seed)
        found = paired(numbers)
        p, _, _ = ttost_paired(np.array(numbers), np.zeros(n), -bound, bound)
        assert (-bound < found.low and found.high < bound) == (p < 0.025)


@pytest.mark.parametrize("n", [7, 10, 14, 28])
def test_smallest_detectable_has_the_power_it_promises(n: int) -> None:
    """By the exact power of the t test, nine of ten runs find it."""
    found = paired(normal(n))
    smallest = estimate.smallest_detectable(found)
    assert smallest is not None
    exact = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.9) * found.sd
    assert smallest == pytest.approx(exact, rel=0.05)


@FEW
@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=40))
def test_adjusted_p_values_equal_those_of_statsmodels(p_values: list[float]) -> None:
    """This holds for Holm and for Benjamini-Hochberg, in the given order."""
    for ours, method in ((estimate.holm, "holm"), (estimate.benjamini_hochberg, "fdr_bh")):
        theirs = multipletests(p_values, method=method)[1]
        assert ours(p_values) == pytest.approx(list(theirs), abs=1e-12)


def test_without_p_values_nothing_is_adjusted() -> None:
    """A run may have no comparisons."""
    assert estimate.holm([]) == ()
    assert estimate.benjamini_hochberg([]) == ()


@pytest.mark.parametrize("n", [7, 14, 28])
def test_a_forecast_is_the_smallest_sufficient_number_of_blocks(n: int) -> None:
    """With the same spread, it makes the interval as narrow as requested."""
    found = paired(normal(n))
    forecast = estimate.forecast(found, 0.01)
    assert forecast is not None
    total = n + forecast.blocks
    widths = [
        DescrStatsW(scaled(found.sd, blocks)).tconfint_mean(0.05)[1]
        for blocks in (total - 1, total)
    ]
    assert widths[1] <= 0.01 < widths[0]
    assert forecast.fewest <= forecast.blocks <= forecast.most


def scaled(sd: float, n: int) -> list[float]:
    """Return numbers around zero with exactly this spread."""
    numbers = np.array(normal(n))
    return [float(one) for one in (numbers - numbers.mean()) / numbers.std(ddof=1) * sd]


# --- properties that hold for any numbers ------------------------------------------------------


@given(CHANGES.flatmap(lambda numbers: st.tuples(st.just(numbers), st.permutations(numbers))))
def test_the_order_of_blocks_does_not_matter(orders: tuple[list[float], list[float]]) -> None:
    """Any order gives the same estimate except for rounding."""
    one, other = paired(orders[0]), paired(orders[1])
    assert close(one.mean, other.mean)
    if min(one.sd, other.sd) > 1e-6:
        assert close(one.low, other.low)
        assert close(one.high, other.high)


@given(CHANGES)
def test_negating_all_changes_mirrors_the_interval(numbers: list[float]) -> None:
    """Except for rounding in the last digits."""
    one, other = paired(numbers), paired([-number for number in numbers])
    assert close(one.mean, -other.mean)
    assert close(one.low, -other.high)
    assert close(one.high, -other.low)
    assert close(one.p, other.p)


@given(PAIRS, st.sampled_from([1e-3, 0.5, 1000.0, 1024.0]))
def test_another_unit_changes_no_ratio(times: list[tuple[float, float]], factor: float) -> None:
    """Seconds and milliseconds give the same log ratios."""
    ours = dict(enumerate(one for one, _ in times))
    theirs = dict(enumerate(other for _, other in times))
    before = changes(ours, theirs, Scale.RATIO)
    after = changes(
        {block: factor * one for block, one in ours.items()},
        {block: factor * one for block, one in theirs.items()},
        Scale.RATIO,
    )
    assert before is not None
    assert after is not None
    assert list(after.values()) == pytest.approx(list(before.values()), abs=1e-12)


@given(CHANGES, st.sampled_from(LEVELS))
def test_an_estimate_is_consistent(numbers: list[float], level: float) -> None:
    """Low, mean and high are in order, p and interval agree, and every number is finite."""
    found = paired(numbers, level)
    assert found.low <= found.mean + 1e-12
    assert found.mean <= found.high + 1e-12
    assert 0 <= found.p <= 1
    if abs(found.p - (1 - level)) > 1e-9:
        assert found.excludes_zero == (found.p < 1 - level)
    low, high = estimate.one_repeat(found)
    assert low <= found.low + 1e-12
    assert found.high <= high + 1e-12
    assert all(map(math.isfinite, (low, high, estimate.noise(found), found.half_width)))


# --- degenerate numbers ------------------------------------------------------------------------


def test_too_few_numbers_have_no_estimate() -> None:
    """One block has no spread, so it has no interval."""
    assert estimate.paired([], 0.95) is None
    assert estimate.paired([0.1], 0.95) is None
    assert estimate.unpaired([1.0], [1.0, 2.0], 0.95) is None


@pytest.mark.parametrize("mean", [0.0, 0.1, 1e9, -0.1])
def test_numbers_without_spread_are_only_a_mean(mean: float) -> None:
    """There is no warning and no division by zero."""
    for found in (paired([mean] * 5), unpaired([mean + 3.0] * 5, [3.0] * 7)):
        assert found.sd == 0
        assert found.low == found.mean == found.high
        assert found.mean == pytest.approx(mean)
        assert found.p == (1.0 if found.mean == 0 else 0.0)
        assert estimate.smallest_detectable(found) is None
        assert estimate.noise(found) == 0


def test_one_side_may_have_no_spread() -> None:
    """A deterministic cell is compared with a noisy one."""
    found = unpaired(normal(7, 93.0, 0.1), [93.0] * 7)
    assert found.low < found.mean < found.high


@FEW
@given(
    st.lists(st.floats(min_value=-1e9, max_value=1e9), max_size=8),
    st.lists(st.floats(min_value=-1e9, max_value=1e9), max_size=8),
)
def test_any_numbers_have_an_estimate_or_none(of: list[float], against: list[float]) -> None:
    """There is no crash and no NaN."""
    for found in (estimate.paired(of, 0.95), estimate.unpaired(of, against, 0.95)):
        if found is not None:
            assert all(map(math.isfinite, (found.mean, found.low, found.high, found.p, found.df)))
            estimate.forecast(found, 0.02)
            estimate.depends_on_outliers(of, 0.95)


@FEW
@given(st.lists(st.sampled_from([1.0, 1.5]), min_size=1, max_size=9))
def test_repeated_times_never_crash_a_comparison(times: list[float]) -> None:
    """The cause may be a coarse clock, a single block, or equal numbers on both sides."""
    assert compared(times, times).estimate is None or compared(times, times).identical
    compared(times, [1.0] * len(times))


def close(one: float, other: float) -> bool:
    """Whether two numbers on the log scale are equal except for rounding."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
