"""benchmarks/guards: when the check or the whole guard of a trial misses more than its peer."""

from collections.abc import Sequence

import pytest

from benchmarks import guards
from benchmarks.guards import (
    BESIDE,
    BURSTS,
    CHECKS_BY_NAME,
    KINDS,
    LIMIT,
    NONE,
    SHARES,
    WHOLE,
    Tallies,
    Tally,
    Trials,
    Tried,
    counted,
    in_rounds,
    of_guards,
    prices,
    rows,
    undisturbed_s,
    wilson,
    with_ticks,
)
from runner.engines.protocol import Launch
from runner.inside import LAUNCHER
from tests.support.trials import launch


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


# --- the whole guard ----------------------------------------------------------------------------

QUIET = Tried(wall_s=0.5, waited_s=0.05, flagged=False)
SLOW = Tried(wall_s=0.6, waited_s=0.05, flagged=False)
FLAGGED = Tried(wall_s=0.6, waited_s=0.5, flagged=True)


def trials(
    ours: Sequence[Tried], peers: Sequence[Tried], alone: Sequence[Tried] = (QUIET,) * 20
) -> Trials:
    """Return the same trials beside every competitor, and others without one."""
    return {
        (name, guard): alone if name == NONE else found
        for name in BURSTS
        for guard, found in zip(WHOLE, (ours, peers), strict=True)
    }


def test_only_slow_trials_that_are_not_flagged_are_missed() -> None:
    """A flagged trial that was not slowed is no miss either."""
    found = [QUIET, SLOW, FLAGGED, Tried(wall_s=0.52, waited_s=0, flagged=True)]
    one = counted(found, 0.5)
    assert (one.slowed, one.missed, one.flagged, one.trials) == (2, 1, 2, 4)


def test_the_usual_time_is_that_of_undisturbed_trials() -> None:
    """Neither a competitor nor flagged trials change it, unless all are flagged."""
    assert undisturbed_s(trials([SLOW], [SLOW], [QUIET, FLAGGED, FLAGGED])) == 0.5
    assert undisturbed_s(trials([QUIET], [QUIET], [FLAGGED])) == 0.6


@pytest.mark.parametrize(
    ("ours", "peers", "alone", "met"),
    [
        ([FLAGGED] * 20, [FLAGGED] * 20, [QUIET] * 20, True),
        ([QUIET] * 20, [FLAGGED] * 20, [QUIET] * 20, True),
        ([FLAGGED] * 19 + [SLOW], [FLAGGED] * 20, [QUIET] * 20, True),
        ([FLAGGED] * 10 + [SLOW] * 10, [FLAGGED] * 20, [QUIET] * 20, False),
        ([FLAGGED] * 20, [SLOW] * 20, [QUIET] * 20, True),
        ([SLOW] * 20, [FLAGGED] * 20, [QUIET] * 12 + [FLAGGED] * 8, None),
        ([SLOW] * 20, [FLAGGED] * 20, [QUIET] * 12 + [SLOW] * 8, None),
    ],
)
def test_the_guard_may_not_miss_significantly_more(
    ours: Sequence[Tried], peers: Sequence[Tried], alone: Sequence[Tried], met: bool | None
) -> None:
    """One more may be chance, and a core that others use shows nothing."""
    assert of_guards(trials(ours, peers, alone)).met is met


def test_one_competitor_is_enough() -> None:
    """Misses beside one competitor are not hidden by the others."""
    found = {**trials([FLAGGED] * 20, [FLAGGED] * 20), (BESIDE[1], WHOLE[0]): [SLOW] * 20}
    row = of_guards(found)
    assert row.met is False
    assert f"significantly more: {BESIDE[1]}" in row.note


def test_without_counters_nothing_is_claimed() -> None:
    """The row says why."""
    row = of_guards({}, "no control group can be made here")
    assert (row.met, row.ours, row.note) == (None, None, "no control group can be made here")
    assert row.goal


def test_the_price_of_a_guard() -> None:
    """Flagged trials and waits, only beside competitors."""
    flagged, waits = prices(trials([QUIET, FLAGGED], [FLAGGED, FLAGGED]))
    assert flagged.ours is not None
    assert flagged.theirs is not None
    assert (flagged.ours.median, flagged.theirs.median) == (0.5, 1.0)
    assert waits.ratio is not None
    assert waits.ratio.median == pytest.approx(0.275 / 0.5)


def test_the_peer_is_the_launcher_with_another_check() -> None:
    """Its check works by the kernel's ticks, and the launcher uses it."""
    names: dict[str, object] = {"__name__": "launcher"}
    exec(compile(with_ticks(LAUNCHER.read_text()), "launcher.py", "exec"), names)  # noqa: S102
    names["core_seconds"] = lambda _: (7.0, 0.0)
    wait_for_quiet = names["wait_for_quiet"]
    assert callable(wait_for_quiet)
    quiet = {"window_s": 0.1, "patience_s": 1, "foreign_share": 0.05}
    waited_s, share = wait_for_quiet({**quiet, "short_window_s": 0.1, "until_s": 0.0}, {0})
    assert share == 0.0
    assert 0.1 <= waited_s < 1
    with pytest.raises(ValueError, match="no line"):
        with_ticks("pass")


def test_every_second_round_begins_with_the_other_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine does meanwhile favours neither."""
    monkeypatch.setattr(guards, "BURSTS", {NONE: BURSTS[NONE]})
    launches = {guard: launch(guard) for guard in WHOLE}
    begun: list[str] = []

    def attempt(one: Launch) -> Tried:
        begun.append(one.image)
        return QUIET

    found = in_rounds(attempt, launches, 2)
    assert begun == [*WHOLE, *reversed(WHOLE)]
    assert found == {(NONE, guard): [QUIET, QUIET] for guard in WHOLE}
