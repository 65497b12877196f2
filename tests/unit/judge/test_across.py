"""Across hosts: each host counts once, and the interval is one over hosts."""

import math
import random
from collections.abc import Mapping, Sequence

import pytest
from scipy import stats

from runner.judge import judge
from runner.judge.records import AcrossHosts, Judgement, Stratum, Verdict
from runner.records.run import Machine
from tests.support.judging import matrix, plan_of, results_of
from tests.support.samples import founding_run

Changes = Mapping[int, Sequence[float]]
"""The log ratio in each block of a host."""


def judged(changes: Changes) -> Judgement:
    """Judge a run on several hosts, with the changes that they measured."""
    total, run = sum(map(len, changes.values())), founding_run()
    study = matrix(blocks=total)
    strata: list[Stratum] = []
    logs: list[float] = []
    for host, some in changes.items():
        blocks = tuple(range(len(logs) + 1, len(logs) + len(some) + 1))
        logs += some
        made = Machine(key=str(host), host=run.host, engine=run.engine, bases={}, blocks=blocks)
        strata.append(Stratum(name=f"host {host}", host=host, machine=made, processor=None))
    numbers = {"a": [1.0] * total, "b": [math.exp(one) for one in logs]}
    plan = plan_of(study)
    return judge(study, plan, results_of(plan, {"seconds": numbers}), strata)


def across(changes: Changes) -> AcrossHosts:
    """Return the one line across hosts."""
    [found] = judged(changes).across
    return found


def test_the_interval_is_that_of_the_means_of_hosts() -> None:
    """A host with many blocks counts as much as one with a single block."""
    changes = {1: [0.1, 0.12, 0.14], 2: [0.2], 3: [0.15, 0.17]}
    means = [0.12, 0.2, 0.16]
    found = across(changes)
    estimate = found.comparison.estimate
    assert estimate is not None
    expected = stats.ttest_1samp(means, 0).confidence_interval(estimate.level)
    assert (estimate.n, found.hosts, found.of) == (3, 3, 3)
    assert estimate.mean == pytest.approx(sum(means) / 3)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    assert found.comparison.changes == pytest.approx(dict(zip((1, 2, 3), means, strict=True)))


def test_two_hosts_have_no_line_together() -> None:
    """Both have their own verdicts."""
    found = judged({1: [0.1, 0.11, 0.12, 0.1, 0.11], 2: [0.2, 0.21, 0.22, 0.2, 0.21]})
    assert found.across == ()
    assert [(one.stratum, one.verdict) for one in found.comparisons if one.named] == [
        ("host 1", Verdict.HIGHER),
        ("host 2", Verdict.HIGHER),
    ]


def test_strata_of_one_host_are_no_further_hosts() -> None:
    """A host whose processor changed counts once."""
    run = founding_run()
    study = matrix(blocks=4)
    strata = [
        Stratum(
            name=f"host {host}.{block}",
            host=host,
            machine=Machine(
                key=str(block), host=run.host, engine=run.engine, bases={}, blocks=(block,)
            ),
            processor=None,
        )
        for block, host in ((1, 1), (2, 1), (3, 2), (4, 2))
    ]
    plan = plan_of(study)
    numbers = {"a": [1.0] * 4, "b": [1.1, 1.2, 1.3, 1.4]}
    assert judge(study, plan, results_of(plan, {"seconds": numbers}), strata).across == ()


def test_hosts_that_differ_widen_the_interval_across_them() -> None:
    """Pooling the blocks would miss the true mean change several times as often."""
    chance = random.Random(20)
    runs, missed, missed_pooled = 400, 0, 0
    for _ in range(runs):
        changes = {
            host: [own + chance.gauss(0, 0.04) for _ in range(7)]
            for host in range(1, 6)
            for own in [chance.gauss(0, 0.03)]
        }
        estimate = across(changes).comparison.estimate
        assert estimate is not None
        missed += estimate.excludes_zero
        pooled = [one for some in changes.values() for one in some]
        missed_pooled += bool(stats.ttest_1samp(pooled, 0).pvalue < 1 - estimate.level)
    assert missed / runs < 0.08
    assert missed_pooled / runs > 0.15
