"""Claims: published sentences, judged by what was measured here.

Two questions decide: is the direction shown, and could one run here have the published size?
"""

from collections import Counter

from runner.judge import estimate as statistics
from runner.judge.compare import Asked, measure
from runner.judge.records import ClaimVerdict, Comparison, Estimate, JudgedClaim, Look
from runner.judge.samples import Samples
from runner.records.study import Better, Claim, Status

FAR_LESS = 0.75
"""A change that is certainly below this share of the published one contradicts the claim."""

Ruling = tuple[ClaimVerdict, tuple[str, ...]]
"""A verdict with its evidence."""

_ENDED = {
    Status.OK: "ended ok",
    Status.FAILED: "failed",
    Status.BAD_OUTPUT: "gave bad output",
    Status.TIMED_OUT: "timed out",
    Status.OUT_OF_MEMORY: "ran out of memory",
    Status.NO_IMAGE: "had no image",
    Status.UNSUPPORTED: "had an unsupported environment",
}


def judge_claim(samples: Samples, claim: Claim, look: Look) -> JudgedClaim:
    """Judge one published sentence by what was measured up to a look."""
    compared = None
    evidence: tuple[str, ...]
    cells = {cell.id for cell in samples.matrix.cells}
    absent = [cell for cell in (claim.of, claim.against) if cell is not None and cell not in cells]
    if absent:
        verdict, evidence = ClaimVerdict.INCONCLUSIVE, (f"{absent[0]} is not part of this run.",)
    elif claim.metric is None or claim.against is None:
        verdict, evidence = _of_status(samples, claim)
    else:
        metric = samples.matrix.metric(claim.metric)
        asked = Asked(claim.of, claim.against, metric, named=True)
        compared = measure(samples, asked, look.level)
        verdict, evidence = _of_comparison(claim, compared)
    return JudgedClaim(
        claim=claim,
        verdict=verdict,
        evidence=evidence,
        comparison=compared,
        stratum=samples.stratum,
    )


def _of_status(samples: Samples, claim: Claim) -> Ruling:
    """Judge a sentence that says how a cell ends."""
    counts = Counter(result.status for result in samples.of(claim.of))
    if not counts and samples.disturbance.attempts.get(claim.of):
        return ClaimVerdict.INCONCLUSIVE, (f"The machine disturbed every trial of {claim.of}.",)
    if not counts:
        return ClaimVerdict.INCONCLUSIVE, (f"No trial of {claim.of} was executed yet.",)
    if set(counts) == {claim.status}:
        verdict = ClaimVerdict.REPRODUCED
    elif claim.status in counts:
        verdict = ClaimVerdict.INCONCLUSIVE
    else:
        verdict = ClaimVerdict.CONTRADICTED
    return verdict, (_endings(counts),)


def _endings(counts: Counter[Status]) -> str:
    total = counts.total()
    if len(counts) > 1:
        each = ", ".join(f"{count} {_ENDED[status]}" for status, count in counts.items())
        return f"Of {total} trials here, {each}."
    trials = "The single trial" if total == 1 else f"All {total} trials"
    return f"{trials} {_ENDED[next(iter(counts))]}."


def _of_comparison(claim: Claim, compared: Comparison) -> Ruling:
    """Judge a sentence that compares two cells."""
    estimate, size = compared.usable, claim.published_change(compared.scale)
    if estimate is None:
        why = f"{compared.verdict.value.capitalize()}: {compared.reason}."
        return ClaimVerdict.INCONCLUSIVE, (why,)
    if claim.says is Better.NEITHER:
        verdict, evidence = _of_no_change(compared, estimate)
    else:
        verdict, evidence = _of_direction(claim, compared, estimate)
    if size is not None and compared.measured != compared.metric:
        quantities = f"{compared.metric.title} was published, {compared.measured.title} is judged"
        evidence = (f"{quantities}.", *evidence)
    if size is None or estimate.sd == 0:
        return verdict, evidence
    relation = "within" if abs(size) <= statistics.noise(estimate) else "larger than"
    gap = f"The published gap is {relation} run-to-run noise on this machine."
    return verdict, (gap, *evidence)


def _of_no_change(compared: Comparison, estimate: Estimate) -> Ruling:
    """Judge a sentence that says that nothing changes."""
    if estimate.is_within(compared.measured.change_margin):
        return ClaimVerdict.REPRODUCED, ("The interval lies inside the margin.",)
    if estimate.excludes_zero:
        return ClaimVerdict.CONTRADICTED, ("Here the metric changes.",)
    return ClaimVerdict.INCONCLUSIVE, (
        "The interval includes no change, but also changes beyond the margin.",
    )


def _of_direction(claim: Claim, compared: Comparison, estimate: Estimate) -> Ruling:
    """Judge a sentence that says in which direction a metric changes, and perhaps how far."""
    sign = 1 if claim.says is Better.HIGHER else -1
    low, high = sorted((sign * estimate.low, sign * estimate.high))
    shown, opposite = low > 0, high < 0
    direction = (
        "The direction is shown." if shown
        else "Here the change goes the opposite way." if opposite
        else "The direction is not shown."
    )  # fmt: skip
    margin, size = compared.measured.change_margin, claim.published_change(compared.scale)
    if size is None:
        # A small change in the claimed direction does not contradict a sentence without a size.
        if opposite or (estimate.is_within(margin) and not shown):
            return ClaimVerdict.CONTRADICTED, (direction,)
        verdict = ClaimVerdict.REPRODUCED if shown else ClaimVerdict.INCONCLUSIVE
        return verdict, (direction,)
    least, most = statistics.one_repeat(estimate)
    possible = least <= size <= most
    evidence = (
        "A single run here could show the published change." if possible
        else "A change of the published size is not plausible here.",
        direction,
    )  # fmt: skip
    too_small = estimate.is_within(min(margin, FAR_LESS * abs(size)))
    if opposite or too_small or not (shown or possible):
        return ClaimVerdict.CONTRADICTED, evidence
    if not shown:
        return ClaimVerdict.INCONCLUSIVE, evidence
    return (ClaimVerdict.REPRODUCED if possible else ClaimVerdict.DIRECTION_ONLY), evidence
