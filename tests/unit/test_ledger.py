"""The ledger: what the results so far leave to do, by block."""

import random
from dataclasses import replace

import pytest

from runner.ledger import Ledger, StopRule
from runner.plan import complete_blocks, make_plan, pending, to_repeat
from runner.records.run import Trial, TrialResult
from runner.records.study import Status
from tests.support.large import large_matrix
from tests.support.samples import ok_result

MATRIX = large_matrix(cells=2, blocks=3, versions=2)


def make_result(trial: Trial, status: Status = Status.OK) -> TrialResult:
    """Return a result without numbers."""
    return replace(ok_result(trial, {}, {}), status=status)


@pytest.mark.parametrize("seed", range(20))
def test_a_ledger_answers_as_if_it_read_everything_again(seed: int) -> None:
    """Trials are done, lost or disturbed in any order of blocks, and the plan may change."""
    luck = random.Random(seed)
    plan = make_plan(MATRIX, seed)
    ledger = Ledger(MATRIX, plan, ())
    results: list[TrialResult] = []
    for at in range(30):
        if at == 20:
            plan = make_plan(MATRIX, seed, 4, replace(plan, left={MATRIX.cells[1].id: 2}))
            ledger.follow(plan)
        trial = luck.choice(pending(MATRIX, plan, results) or plan.trials)
        status = luck.choice((Status.OK, Status.OK, Status.FAILED, Status.ENGINE_LOST))
        disturbed = luck.choice((None, None, "other processes"))
        results.append(replace(make_result(trial, status), disturbed=disturbed))
        ledger.add(results[-1])
        waiting = pending(MATRIX, plan, results)
        assert ledger.missing() == waiting
        assert ledger.complete == complete_blocks(plan, results)
        for block in range(plan.blocks + 1):
            assert ledger.to_repeat(block) == to_repeat(MATRIX, plan, block, results)
            later = [one for one in waiting if one.block > block]
            first = [one for one in later if one.block == later[0].block]
            assert list(ledger.next_block(block)) == first


def test_a_ledger_keeps_numbers_instead_of_series() -> None:
    """They are the same numbers, and take a small part of the memory."""
    plan = make_plan(MATRIX, 1)
    seconds = (9.0, 9.0, 9.0, 2.0, 4.0)
    ledger = Ledger(MATRIX, plan, ())
    ledger.add(ok_result(plan.trials[0], {"test_accuracy": 90.0}, {"epoch_seconds": seconds}))
    (kept,) = ledger.results
    assert kept.series == {}
    assert kept.values == {"test_accuracy": 90.0, "epoch_seconds": 4.0}


@pytest.mark.parametrize(
    ("statuses", "rule", "reason"),
    [
        ("ok failed", StopRule(), None),
        ("failed", StopRule(), None),  # the other cell of the block is still missing
        ("failed failed", StopRule(), "Stopped because every cell failed unexpectedly in block 1."),
        ("failed failed", StopRule(keep_going=True), None),
        ("no-image no-image", StopRule(), "Stopped because every cell failed unexpectedly in b"),
        ("engine-lost engine-lost", StopRule(max_fail=1), None),
        ("ok failed ok", StopRule(max_fail=2), None),
        ("ok failed ok failed", StopRule(max_fail=2), "Stopped after 2 unexpected failures."),
        ("failed", StopRule(max_fail=1, keep_going=True), "Stopped after 1 unexpected failure."),
    ],
)
def test_a_command_stops_if_trials_fail(statuses: str, rule: StopRule, reason: str | None) -> None:
    """After so many unexpected failures, or after a block in which every cell failed."""
    matrix = replace(MATRIX, compare=())  # no control
    plan = make_plan(matrix, 1, 2)
    executed = [
        make_result(trial, Status(status))
        for trial, status in zip(plan.trials, statuses.split(), strict=False)
    ]
    ledger = Ledger(matrix, plan, ())
    for result in executed:
        ledger.add(result)
    stop = ledger.why_stop(rule)
    assert (stop is None) == (reason is None)
    if stop is not None:
        assert stop.reason.startswith(str(reason))
        assert stop.cell == executed[-1].trial.cell
