"""Published sentences: reproduced, direction only, contradicted or inconclusive, with evidence.

Two questions decide. Could the published size be one run here? Is the direction shown?
"""

import math
from collections import Counter

from runner.judge import estimate as statistics
from runner.judge.compare import Asked, is_inside, margin, measure
from runner.judge.records import ClaimVerdict, Comparison, Estimate, JudgedClaim, Look, Verdict
from runner.judge.samples import Samples
from runner.records.study import Better, Claim, Scale

FAR_LESS = 0.75
"""A change wholly under this share of a published one is another finding."""


def judge_claim(samples: Samples, claim: Claim, look: Look) -> JudgedClaim:
    """Judge one published sentence by what was measured up to a look."""
    cells = {cell.id for cell in samples.matrix.cells}
    absent = [cell for cell in (claim.of, claim.against) if cell and cell not in cells]
    if absent:
        return _inconclusive(claim, f"{absent[0]} is not part of this run.")
    if claim.metric is None or claim.against is None:
        return _of_status(samples, claim)
    metric = samples.matrix.metric(claim.metric)
    compared = measure(samples, Asked(claim.of, claim.against, metric, named=True), look.level)
    estimate = compared.estimate
    if estimate is None or compared.verdict is Verdict.NO_COMPARISON:
        return _inconclusive(claim, f"No comparison: {compared.reason}.", compared)
    if estimate.sd == 0 and compared.verdict is Verdict.CANNOT_TELL:
        return _inconclusive(claim, f"Cannot tell: {compared.reason}.", compared)
    if claim.says is Better.NEITHER:
        verdict, evidence = _of_no_change(compared, estimate)
    else:
        verdict, evidence = _of_direction(claim, compared, estimate)
    return JudgedClaim(
        claim=claim,
        verdict=verdict,
        evidence=(*_luck(claim, compared, estimate), *evidence),
        comparison=compared,
    )


def published_change(claim: Claim, scale: Scale) -> float | None:
    """Return the published change on a scale; ``None`` if no two numbers were published."""
    if claim.published is None:
        return None
    of, against = claim.published
    if scale is Scale.DIFFERENCE:
        return of - against
    return math.log(of / against) if of > 0 and against > 0 else None


def _of_status(samples: Samples, claim: Claim) -> JudgedClaim:
    counts = Counter(result.status for result in samples.of(claim.of))
    told = ", ".join(f"{status.value} in {count}" for status, count in counts.items())
    if not counts:
        return _inconclusive(claim, f"No trial of {claim.of} was executed yet.")
    trials = "the one trial" if counts.total() == 1 else f"{counts.total()} trials"
    evidence = (f"Of {trials} here: {told}.",)
    if set(counts) == {claim.status}:
        return JudgedClaim(claim=claim, verdict=ClaimVerdict.REPRODUCED, evidence=evidence)
    if claim.status not in counts:
        return JudgedClaim(claim=claim, verdict=ClaimVerdict.CONTRADICTED, evidence=evidence)
    return JudgedClaim(claim=claim, verdict=ClaimVerdict.INCONCLUSIVE, evidence=evidence)


def _of_no_change(compared: Comparison, estimate: Estimate) -> tuple[ClaimVerdict, tuple[str, ...]]:
    """Judge a sentence that says that nothing changes."""
    if is_inside(estimate, margin(compared.measured)):
        return ClaimVerdict.REPRODUCED, ("The interval lies inside the margin.",)
    if estimate.excludes_zero:
        return ClaimVerdict.CONTRADICTED, ("There is a change here, larger than nothing.",)
    return ClaimVerdict.INCONCLUSIVE, ("The interval holds no change, and more than the margin.",)


def _of_direction(
    claim: Claim, compared: Comparison, estimate: Estimate
) -> tuple[ClaimVerdict, tuple[str, ...]]:
    """Judge a sentence that says in which direction a metric goes, and perhaps how far."""
    sign = 1 if claim.says is Better.HIGHER else -1
    shown = (estimate.low if sign > 0 else -estimate.high) > 0
    other_way = (estimate.high if sign > 0 else -estimate.low) < 0
    size = published_change(claim, compared.scale)
    low, high = statistics.one_repeat(estimate)
    possible = size is None or low <= size <= high
    negligible = margin(compared.measured)
    bound = negligible if size is None else min(negligible, FAR_LESS * abs(size))
    evidence = (
        "" if size is None
        else "A change of the published size could be one run here." if possible
        else "No single run here would show a change of the published size.",
        "The direction is shown." if shown
        else "The direction is the other one here." if other_way
        else "The direction is not shown.",
    )  # fmt: skip
    sentences = tuple(filter(None, evidence))
    # Of a sentence that says no size, a small change in its direction is no contradiction.
    too_small = is_inside(estimate, bound) and not (shown and size is None)
    if other_way or too_small or not (shown or possible):
        return ClaimVerdict.CONTRADICTED, sentences
    if shown:
        return (ClaimVerdict.REPRODUCED if possible else ClaimVerdict.DIRECTION_ONLY), sentences
    return ClaimVerdict.INCONCLUSIVE, sentences


def _luck(claim: Claim, compared: Comparison, estimate: Estimate) -> tuple[str, ...]:
    """Say whether the published gap is one that two single runs of the same code may have."""
    size = published_change(claim, compared.scale)
    if size is None or estimate.sd == 0:
        return ()
    within = abs(size) <= statistics.luck(estimate)
    word = "within" if within else "larger than"
    return (f"The published gap is {word} what the luck of single runs gives here.",)


def _inconclusive(claim: Claim, why: str, compared: Comparison | None = None) -> JudgedClaim:
    return JudgedClaim(
        claim=claim, verdict=ClaimVerdict.INCONCLUSIVE, evidence=(why,), comparison=compared
    )
