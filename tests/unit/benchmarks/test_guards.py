"""benchmarks/guards: when the check of a trial misses more than its peer."""

import pytest

from benchmarks.guards import CHECKS_BY_NAME, KINDS, LIMIT, SHARES, Tallies, Tally, rows, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 100, 0.0, 0.037), (50, 100, 0.404, 0.596), (100, 100, 0.963, 1.0), (8, 10, 0.490, 0.943)],
)
def test_wilson_intervals(successes: int, trials: int, low: float, high: float) -> None:
    """These are the values of the formula, as tables have them."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=0.001)


def tallies(ours: int, peers: int) -> Tallies:
    """Return how many of 100 checks called the core busy."""
    return {
        name: Tally(busy=busy, checks=100, seconds=1)
        for name, busy in zip(CHECKS_BY_NAME, (ours, peers), strict=True)
    }


@pytest.mark.parametrize(
    ("ours", "peers", "false", "met"),
    [(100, 100, 0, True), (99, 100, 0, True), (80, 100, 0, False), (80, 100, 50, None)],
)
def test_missing_more_is_significant(ours: int, peers: int, false: int, met: bool | None) -> None:
    """A few more may be chance, and a core that others use shows nothing."""
    found = {
        (kind, share): tallies(ours, peers) if share >= LIMIT else tallies(0, false)
        for kind in KINDS
        for share in SHARES
    }
    of_kinds = list(rows(found))[: len(KINDS)]
    assert [row.met for row in of_kinds] == [met if kind.stays else None for kind in KINDS]


def test_one_share_is_enough() -> None:
    """Misses of weak competitors are not hidden by those that everybody finds."""
    weak = min(share for share in SHARES if share >= LIMIT)
    found = {
        (kind, share): tallies(70 if share == weak else 100, 100 if share >= LIMIT else 0)
        for kind in KINDS
        for share in SHARES
    }
    first = next(rows(found))
    assert first.met is False
    assert "5%" in first.note
