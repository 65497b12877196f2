"""Verdicts: the correct one for given numbers, and none without enough of them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.judge import judge
from runner.judge.records import Advice, ClaimVerdict, Verdict
from runner.records.study import Better, Claim, PolicyLimit, Scale, Status
from tests.support.judging import judged, matrix, only, plan_of, results_of

NOISE = (0.004, -0.011, 0.008, -0.002, 0.013, -0.009, -0.003)
BASE = [1.0 + noise for noise in NOISE]
LIKE_BASE = [1.0 + noise for noise in (-0.006, 0.009, -0.001, 0.012, -0.008, 0.003, -0.007)]
FAINT = [*(1.012 * value for value in BASE[:6]), 1.01]
SLOWER = [value * 1.2 for value in LIKE_BASE]


def test_a_slower_cell_is_called_slower() -> None:
    """The interval excludes zero and contains the true change."""
    found = only(judged({"seconds": {"a": BASE, "b": SLOWER}}))
    assert found.verdict is Verdict.HIGHER
    assert found.estimate
    assert found.estimate.low < 0.1823 < found.estimate.high
    assert found.estimate.level == 0.984


def test_equal_cells_are_equivalent_within_the_margin() -> None:
    """The interval excludes every change larger than the margin."""
    assert only(judged({"seconds": {"a": BASE, "b": LIKE_BASE}})).verdict is Verdict.EQUIVALENT


def test_an_inconclusive_verdict_has_a_forecast() -> None:
    """It says about how many more blocks would decide."""
    noisy = [1.3, 0.8, 1.1, 0.9, 1.25, 0.7, 1.0]
    found = only(judged({"seconds": {"a": BASE, "b": noisy}}))
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.forecast
    assert found.forecast.fewest <= found.forecast.blocks <= found.forecast.most


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_few_blocks_decide_nothing(blocks: int) -> None:
    """With fewer than five blocks there is no comparison, however large the difference."""
    found = only(judged({"seconds": {"a": BASE[:blocks], "b": SLOWER[:blocks]}}))
    assert found.verdict is Verdict.NO_COMPARISON
    assert found.reason.startswith(f"{blocks} of the 5 blocks that a comparison needs")


def test_before_the_first_look_nothing_is_judged() -> None:
    """There is no verdict, and the run says when there will be one."""
    study = matrix()
    plan = plan_of(study)
    numbers = {"seconds": {"a": BASE, "b": SLOWER}}
    results = [one for one in results_of(plan, numbers) if one.trial.block <= 6]
    found = judge(study, plan, results)
    assert (found.look, found.complete, found.next_look) == (None, 6, 7)
    assert (found.comparisons, found.claims, found.decisions) == ((), (), ())


def test_blocks_since_the_look_wait_for_the_next() -> None:
    """Between looks, the verdicts of the last look stay."""
    study = matrix(blocks=5)
    plan = plan_of(study, 7)
    found = judge(study, plan, results_of(plan, {"seconds": {"a": BASE, "b": SLOWER}}))
    assert found.look
    assert (found.look.number, found.look.blocks, found.complete) == (1, 5, 7)
    assert len(only(found).changes) == 5


def test_one_look_has_the_usual_level() -> None:
    """A run with a single planned look gets 95 % intervals."""
    study = replace(matrix(), looks=1)
    found = judged({"seconds": {"a": BASE, "b": SLOWER}}, study)
    assert found.look
    assert (found.look.of, found.look.level) == (1, 0.95)


def test_all_trials_of_a_cell_failed() -> None:
    """There is no comparison, and the reason names the cell and how it ended."""
    found = only(judged({"seconds": {"a": BASE, "b": [None] * 7}}))
    assert found.verdict is Verdict.NO_COMPARISON
    assert found.reason == "no trial of v=b gave numbers (failed)"


def test_a_block_with_a_failure_still_counts_for_other_cells() -> None:
    """A pair uses the blocks in which both cells have a number."""
    some = [None, *SLOWER[1:]]
    found = only(judged({"seconds": {"a": BASE, "b": some}}))
    assert sorted(found.changes) == [2, 3, 4, 5, 6, 7]
    assert found.verdict is Verdict.HIGHER


def test_times_that_never_vary_are_not_believed() -> None:
    """The same difference in every block means a coarse clock, or that nothing was measured."""
    found = only(judged({"seconds": {"a": [1.0] * 7, "b": [0.9] * 7}}))
    assert found.verdict is Verdict.CANNOT_TELL
    assert "clock" in found.reason


def test_identical_numbers_are_equivalent() -> None:
    """Two cells with the same numbers in every block need no statistical test."""
    found = only(judged({"accuracy": {"a": BASE, "b": BASE}}), "accuracy")
    assert found.identical
    assert found.verdict is Verdict.EQUIVALENT


def test_accuracies_without_noise_are_compared_directly() -> None:
    """If they never vary, every difference is real."""
    found = only(judged({"accuracy": {"a": [90.0] * 7, "b": [91.0] * 7}}), "accuracy")
    assert found.verdict is Verdict.HIGHER


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_a_ratio_needs_numbers_above_zero(wrong: float) -> None:
    """The reason says how to compare the metric instead."""
    found = only(judged({"seconds": {"a": BASE, "b": [wrong, *BASE[1:]]}}))
    assert found.verdict is Verdict.NO_COMPARISON
    assert "scale: difference" in found.reason


def test_huge_numbers_do_not_crash() -> None:
    """Numbers that overflow give no comparison."""
    huge = {"accuracy": {"a": [1e308, -1e308] * 3 + [1.0], "b": [-1e308, 1e308] * 3 + [1.0]}}
    assert only(judged(huge), "accuracy").verdict is Verdict.NO_COMPARISON


@pytest.mark.parametrize(("last", "sensitive"), [(1.02, False), (0.9999, True)])
def test_a_difference_that_ranks_do_not_confirm_is_marked(last: float, *, sensitive: bool) -> None:
    """A single opposite block changes the signed-rank test, but not the t test."""
    numbers = [1.02, 1.021, 1.019, 1.022, 1.018, 1.02, last]
    found = only(judged({"seconds": {"a": [1.0] * 7, "b": numbers}}))
    assert (found.verdict, found.outlier_sensitive) == (Verdict.HIGHER, sensitive)


def test_only_wall_times_of_disturbed_trials_are_left_out() -> None:
    """The machine cannot disturb an accuracy."""
    numbers = {
        "seconds": {"a": BASE, "b": SLOWER},
        "accuracy": {"a": BASE, "b": LIKE_BASE},
    }
    found = judged(numbers, disturbed=[3])
    assert 3 not in only(found).changes
    assert 3 in only(found, "accuracy").changes


def test_two_in_seven_disturbed_are_not_too_many() -> None:
    """Up to 30 % wall time is compared, without the disturbed blocks."""
    found = judged({"seconds": {"a": BASE, "b": SLOWER}}, disturbed=[1, 2])
    assert not found.disturbance.busy
    assert sorted(only(found).changes) == [3, 4, 5, 6, 7]


def test_many_named_comparisons_share_their_error_rate() -> None:
    """A difference that is clear alone may not be clear enough among many comparisons."""
    faint = [value * 1.028 for value in (1.03, 0.98, 1.02, 0.985, 1.02, 0.99, 1.02)]
    alone = {"a": BASE, "b": faint}
    others = {f"c{number}": LIKE_BASE for number in range(30)}
    among = judged({"seconds": {**alone, **others}}).comparisons
    [one] = [found for found in among if found.named and found.of == "v=b"]
    assert one.verdict is not Verdict.HIGHER


# --- policy --------------------------------------------------------------------------------------

LIMITS = (
    PolicyLimit(metric="seconds", change=0.03, relative=True),
    PolicyLimit(metric="accuracy", change=-0.2, relative=False),
)


@pytest.mark.parametrize(
    ("seconds", "accuracy", "advice"),
    [
        (LIKE_BASE, LIKE_BASE, Advice.ADOPT),
        (SLOWER, LIKE_BASE, Advice.HOLD),
        ([0.8 * value for value in LIKE_BASE], [value + 1 for value in LIKE_BASE], Advice.ADOPT),
        (LIKE_BASE, [value - 1 for value in LIKE_BASE], Advice.HOLD),
        ([1.3, 0.8, 1.1, 0.9, 1.25, 0.7, 1.0], LIKE_BASE, Advice.CANNOT_TELL),
        ([None] * 7, [None] * 7, Advice.HOLD),
        ([None, *LIKE_BASE[1:]], [None, *LIKE_BASE[1:]], Advice.CANNOT_TELL),
    ],
)
def test_the_policy_decides(
    seconds: Sequence[float | None], accuracy: Sequence[float | None], advice: Advice
) -> None:
    """Adopt if all limits are kept; hold if one is clearly exceeded or a candidate does not run."""
    numbers = {
        "seconds": {"a": BASE, "b": seconds},
        "accuracy": {"a": BASE, "b": accuracy},
    }
    study = replace(matrix(metrics=("seconds", "accuracy")), policy=LIMITS)
    [decision] = judged(numbers, study).decisions
    assert (decision.candidate, decision.advice) == ("v=b", advice)


def test_every_candidate_is_decided_even_if_it_is_not_named() -> None:
    """Named comparisons do not limit the policy."""
    study = replace(matrix("abc"), policy=LIMITS[:1])
    study = replace(study, compare=study.compare[:1])
    found = judged({"seconds": {"a": BASE, "b": LIKE_BASE, "c": SLOWER}}, study).decisions
    advice = {one.candidate: one.advice for one in found}
    assert advice == {"v=b": Advice.ADOPT, "v=c": Advice.HOLD}


@pytest.mark.parametrize(
    ("change", "relative", "advice"),
    [(0.5, False, Advice.ADOPT), (0.1, False, Advice.HOLD), (0.5, True, Advice.ADOPT)],
)
def test_a_limit_may_be_in_the_unit_of_the_metric(
    change: float, relative: bool, advice: Advice
) -> None:
    """If the baseline takes one second, half a second more is 50 %."""
    limit = PolicyLimit(metric="seconds", change=change, relative=relative)
    study = replace(matrix(), policy=(limit,))
    [decision] = judged({"seconds": {"a": BASE, "b": SLOWER}}, study).decisions
    assert decision.advice is advice


# --- claims --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "published", "numbers", "verdict"),
    [
        (Better.HIGHER, (1.2, 1.0), SLOWER, ClaimVerdict.REPRODUCED),
        (Better.HIGHER, (2.0, 1.0), SLOWER, ClaimVerdict.DIRECTION_ONLY),
        (Better.HIGHER, None, SLOWER, ClaimVerdict.REPRODUCED),
        (Better.HIGHER, None, FAINT, ClaimVerdict.REPRODUCED),
        (Better.HIGHER, (1.5, 1.0), FAINT, ClaimVerdict.CONTRADICTED),
        (Better.HIGHER, None, LIKE_BASE, ClaimVerdict.CONTRADICTED),
        (Better.LOWER, (0.8, 1.0), SLOWER, ClaimVerdict.CONTRADICTED),
        (Better.LOWER, (0.8, 1.0), LIKE_BASE, ClaimVerdict.CONTRADICTED),
        (Better.LOWER, (0.99, 1.0), [1.1, 0.8, 1.1, 0.9, 1.2, 0.8, 1.0], ClaimVerdict.INCONCLUSIVE),
        (Better.NEITHER, None, LIKE_BASE, ClaimVerdict.REPRODUCED),
        (Better.NEITHER, None, SLOWER, ClaimVerdict.CONTRADICTED),
    ],
)
def test_a_claim_is_judged(
    says: Better,
    published: tuple[float, float] | None,
    numbers: Sequence[float],
    verdict: ClaimVerdict,
) -> None:
    """It depends on whether the size is possible here and the direction is shown."""
    claim = Claim(
        id="a", text="A.", of="v=b", against="v=a", metric="seconds", says=says, published=published
    )
    study = replace(matrix(), claims=(claim,))
    [found] = judged({"seconds": {"a": BASE, "b": numbers}}, study).claims
    assert found.verdict is verdict
    assert found.evidence


@pytest.mark.parametrize(
    ("published", "measured", "contradicted"),
    [
        # Log changes: 3 % is 0.030, three quarters of it are 0.022, and half of it is 0.015.
        (1.03, 0.010, True),
        (1.03, 0.019, True),
        (1.03, 0.025, False),
        # The margin, 0.030, is the bound if it is less than three quarters of the published change.
        (1.50, 0.027, True),
        (1.50, 0.033, False),
    ],
)
@pytest.mark.parametrize("says", [Better.HIGHER, Better.LOWER])
def test_a_change_far_below_the_published_one_contradicts_a_claim(
    says: Better, published: float, measured: float, *, contradicted: bool
) -> None:
    """The bound is three quarters of the published change, and at most the margin."""
    sign = 1 if says is Better.HIGHER else -1
    jitter = (0.001, -0.001, 0.0005, -0.0005, 0.001, -0.001, 0.0)
    numbers = [
        base * math.exp(sign * measured + noise) for base, noise in zip(BASE, jitter, strict=True)
    ]
    claim = Claim(
        id="a",
        text="A.",
        of="v=b",
        against="v=a",
        metric="seconds",
        says=says,
        published=(published**sign, 1.0),
    )
    study = replace(matrix(), claims=(claim,))
    [found] = judged({"seconds": {"a": BASE, "b": numbers}}, study).claims
    assert (found.verdict is ClaimVerdict.CONTRADICTED) is contradicted


@pytest.mark.parametrize(
    ("numbers", "verdict", "evidence"),
    [
        ([None] * 7, ClaimVerdict.REPRODUCED, "All 7 trials failed."),
        (BASE, ClaimVerdict.CONTRADICTED, "All 7 trials ended ok."),
        (
            [None, *BASE[1:]],
            ClaimVerdict.INCONCLUSIVE,
            "Of 7 trials here, 1 failed, 6 ended ok.",
        ),
    ],
)
def test_a_claim_of_a_status_is_judged(
    numbers: Sequence[float | None], verdict: ClaimVerdict, evidence: str
) -> None:
    """It holds if all trials end that way, and is contradicted if none does."""
    claim = Claim(id="a", text="A.", of="v=b", status=Status.FAILED)
    study = replace(matrix(), claims=(claim,))
    [found] = judged({"seconds": {"a": BASE, "b": numbers}}, study).claims
    assert (found.verdict, found.evidence) == (verdict, (evidence,))


@pytest.mark.parametrize(
    ("expected", "verdict"),
    [(Status.NO_IMAGE, ClaimVerdict.REPRODUCED), (Status.OK, ClaimVerdict.INCONCLUSIVE)],
)
def test_a_missing_image_counts_if_it_is_expected(expected: Status, verdict: ClaimVerdict) -> None:
    """Otherwise it says nothing about the cell, and the next command tries to build it again."""
    study = replace(matrix(), claims=(Claim(id="a", text="A.", of="v=b", status=Status.NO_IMAGE),))
    cells = (study.cells[0], replace(study.cells[1], expect=expected))
    study = replace(study, cells=cells)
    plan = plan_of(study)
    results = [
        one if one.status is Status.OK else replace(one, status=Status.NO_IMAGE)
        for one in results_of(plan, {"seconds": {"a": BASE, "b": [None] * 7}})
    ]
    [found] = judge(study, plan, results).claims
    assert found.verdict is verdict


# --- properties ----------------------------------------------------------------------------------

TIMES = st.lists(st.floats(0.5, 2.0), min_size=7, max_size=7)
WIDE = st.lists(st.floats(1e-6, 1e6), min_size=7, max_size=7)


@given(ours=TIMES, theirs=TIMES, order=st.permutations(range(14)))
def test_the_order_of_results_does_not_matter(
    ours: list[float], theirs: list[float], order: list[int]
) -> None:
    """Results may be read from the disk in any order."""
    study = matrix()
    plan = plan_of(study)
    results = results_of(plan, {"seconds": {"a": ours, "b": theirs}})
    shuffled = [results[index] for index in order]
    assert only(judge(study, plan, results)) == only(judge(study, plan, shuffled))


@given(ours=WIDE, theirs=WIDE)
def test_swapping_two_cells_mirrors_the_verdict(ours: list[float], theirs: list[float]) -> None:
    """If b is slower than a, then a is faster than b, by the same interval."""
    forth = only(judged({"seconds": {"a": ours, "b": theirs}}))
    back = only(judged({"seconds": {"a": theirs, "b": ours}}))
    mirror = {Verdict.LOWER: Verdict.HIGHER, Verdict.HIGHER: Verdict.LOWER}
    assert back.verdict is mirror.get(forth.verdict, forth.verdict)
    assert (back.negligible, back.identical) == (forth.negligible, forth.identical)
    assert forth.estimate
    assert back.estimate
    assert back.estimate.low == pytest.approx(-forth.estimate.high, abs=1e-9)
    assert back.estimate.high == pytest.approx(-forth.estimate.low, abs=1e-9)


@given(ours=TIMES, theirs=TIMES, factor=st.sampled_from([1e-6, 0.125, 60.0, 1e6]))
def test_scaling_all_times_changes_no_ratio(
    ours: list[float], theirs: list[float], factor: float
) -> None:
    """A ratio has no unit, so seconds and microseconds give the same verdict."""
    plain = only(judged({"seconds": {"a": ours, "b": theirs}}))
    scaled = only(
        judged({"seconds": {"a": [x * factor for x in ours], "b": [x * factor for x in theirs]}})
    )
    assert plain.verdict is scaled.verdict
    assert plain.estimate
    assert scaled.estimate
    assert scaled.estimate.mean == pytest.approx(plain.estimate.mean, abs=1e-9)


@given(data=st.data())
def test_any_numbers_have_a_verdict(data: st.DataObject) -> None:
    """Any numbers and failures give a verdict and a reason in words."""
    blocks = data.draw(st.integers(1, 9))
    numbers = st.lists(
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        min_size=blocks,
        max_size=blocks,
    )
    made = {
        metric: {cell: data.draw(numbers) for cell in "abc"} for metric in ("seconds", "accuracy")
    }
    for comparison in judged(made).comparisons:
        assert comparison.reason
        if comparison.verdict in {Verdict.LOWER, Verdict.HIGHER}:
            assert comparison.estimate
            assert comparison.estimate.n >= 5
            assert comparison.scale in Scale


def test_old_and_new_are_medians_of_the_blocks_that_both_have() -> None:
    """A slow drift must not show the opposite of the change, if one cell lacks some blocks."""
    drift = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
    faster = [None, None, *(0.95 * one + 0.001 * at for at, one in enumerate(drift[2:]))]
    found = only(judged({"seconds": {"a": drift, "b": faster}}))
    assert found.estimate is not None
    assert found.old is not None
    assert found.new is not None
    assert found.estimate.mean < 0
    assert found.new < found.old == 1.4
