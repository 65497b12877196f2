"""Across hosts: what the mean changes of several hosts show together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from runner.judge import estimate as statistics
from runner.judge.compare import with_holm
from runner.judge.records import (
    FEWEST_HOSTS,
    AcrossHosts,
    Comparison,
    Look,
    Stratum,
    Verdict,
)


def across(
    strata: Sequence[Stratum], comparisons: Iterable[Comparison], look: Look
) -> tuple[AcrossHosts, ...]:
    """Return what the named comparisons show across hosts, if at least three hosts have numbers.

    Each host counts once, with its mean change, however many blocks it has. A host that is judged
    by another quantity than the metric is left out.
    """
    grouped: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in comparisons:
        if one.named:
            grouped.setdefault((one.of, one.against, one.metric.name), []).append(one)
    hosts = {one.name: one.host for one in strata}
    found = [draft for some in grouped.values() if (draft := _across(some, hosts, look))]
    return tuple(
        AcrossHosts(comparison=one, hosts=len(one.changes), of=len(set(hosts.values())))
        for one in with_holm(found, look)
    )


def _across(
    comparisons: Sequence[Comparison], hosts: Mapping[str, int], look: Look
) -> Comparison | None:
    """Return a comparison whose changes are the means of the hosts."""
    changes: dict[int, list[float]] = {}
    for one in comparisons:
        if one.measured == one.metric and one.changes:
            changes.setdefault(hosts[one.stratum], []).extend(one.changes.values())
    means = {host: fmean(found) for host, found in changes.items()}
    estimate = statistics.paired(list(means.values()), look.level)
    if len(means) < FEWEST_HOSTS or estimate is None:
        return None
    verdict = Verdict.CANNOT_TELL
    if estimate.excludes_zero:
        verdict = Verdict.HIGHER if estimate.mean > 0 else Verdict.LOWER
    elif estimate.is_within(comparisons[0].metric.change_margin):
        verdict = Verdict.EQUIVALENT
    return replace(
        comparisons[0],
        measured=comparisons[0].metric,
        stratum="",
        verdict=verdict,
        reason="",
        estimate=estimate,
        changes=means,
        old=None,
        new=None,
        negligible=estimate.excludes_zero
        and estimate.is_within(comparisons[0].metric.change_margin),
        identical=False,
        outlier_sensitive=False,
        forecast=None,
    )
