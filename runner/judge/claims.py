"""Claims: published sentences, judged by what was measured here.

Two questions decide: could the published size be the result of one run here, and is the direction
shown?
"""

from collections import Counter

from runner.judge import estimate as statistics
from runner.judge.compare import Asked, measure
from runner.judge.records import ClaimVerdict, Comparison, Estimate, JudgedClaim, Look
from runner.judge.samples import Samples
from runner.records.study import Better, Claim, Status

FAR_LESS = 0.75
"""A change that is certainly below this share of the published one contradicts the claim."""

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
    cells = {cell.id for cell in samples.matrix.cells}
    for cell in (claim.of, claim.against):
        if cell is not None and cell not in cells:
            return _inconclusive(claim, f"{cell} is not part of this run.")
    if claim.metric is None or claim.against is None:
        return _of_status(samples, claim)
    metric = samples.matrix.metric(claim.metric)
    compared = measure(samples, Asked(claim.of, claim.against, metric, named=True), look.level)
    estimate = compared.usable
    if estimate is None:
        why = f"{compared.verdict.value.capitalize()}: {compared.reason}."
        return _inconclusive(claim, why, compared)
    if claim.says is Better.NEITHER:
        verdict, evidence = _of_no_change(compared, estimate)
    else:
        verdict, evidence = _of_direction(claim, compared, estimate)
    return JudgedClaim(
        claim=claim,
        verdict=verdict,
        evidence=(*_noise(claim, compared, estimate), *evidence),
        comparison=compared,
    )


def _inconclusive(claim: Claim, why: str, compared: Comparison | None = None) -> JudgedClaim:
    return JudgedClaim(
        claim=claim, verdict=ClaimVerdict.INCONCLUSIVE, evidence=(why,), comparison=compared
    )


def _of_status(samples: Samples, claim: Claim) -> JudgedClaim:
    """Judge a sentence that says how a cell ends."""
    counts = Counter(result.status for result in samples.of(claim.of))
    if not counts:
        return _inconclusive(claim, f"No trial of {claim.of} was executed yet.")
    if set(counts) == {claim.status}:
        verdict = ClaimVerdict.REPRODUCED
    elif claim.status in counts:
        verdict = ClaimVerdict.INCONCLUSIVE
    else:
        verdict = ClaimVerdict.CONTRADICTED
    return JudgedClaim(claim=claim, verdict=verdict, evidence=(_endings(counts),))


def _endings(counts: Counter[Status]) -> str:
    total = counts.total()
    if len(counts) > 1:
        each = ", ".join(f"{count} {_ENDED[status]}" for status, count in counts.items())
        return f"Of {total} trials here, {each}."
    trials = "The single trial" if total == 1 else f"All {total} trials"
    return f"{trials} {_ENDED[next(iter(counts))]}."


def _noise(claim: Claim, compared: Comparison, estimate: Estimate) -> tuple[str, ...]:
    """Say whether two single runs of the same code may differ by the published gap."""
    size = claim.published_change(compared.scale)
    if size is None or estimate.sd == 0:
        return ()
    within = abs(size) <= statistics.noise(estimate)
    relation = "within" if within else "larger than"
    return (f"The published gap is {relation} run-to-run noise on this machine.",)


def _of_no_change(compared: Comparison, estimate: Estimate) -> tuple[ClaimVerdict, tuple[str, ...]]:
    """Judge a sentence that says that nothing changes."""
    if estimate.is_within(compared.measured.change_margin):
        return ClaimVerdict.REPRODUCED, ("The interval lies inside the margin.",)
    if estimate.excludes_zero:
        return ClaimVerdict.CONTRADICTED, ("Here the metric changes.",)
    return ClaimVerdict.INCONCLUSIVE, (
        "The interval includes no change, but also changes beyond the margin.",
    )


def _of_direction(
    claim: Claim, compared: Comparison, estimate: Estimate
) -> tuple[ClaimVerdict, tuple[str, ...]]:
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
