"""Strata: which blocks belong together, and what is decided if hosts differ."""

from collections.abc import Sequence
from dataclasses import replace

from runner.judge import strata_of
from runner.judge.records import Advice, Decision
from runner.judge.strata import joined
from runner.records.run import Machine, Run
from tests.support.fakes import QUIET
from tests.support.judging import matrix, plan_of, results_of
from tests.support.samples import founding_run

STUDY = matrix()
PLAN = plan_of(STUDY, 6)
RESULTS = results_of(PLAN, {"seconds": {"a": [1.0] * 6, "b": [1.0] * 6}})


def machine(name: str, blocks: Sequence[int], *, key: str = "") -> Machine:
    """Return a machine of a merged run."""
    run = founding_run(STUDY)
    host = replace(run.host, id=name, cpu_model=f"processor of {name}")
    return Machine(
        key=key or name, host=host, engine=run.engine, bases=run.bases, blocks=tuple(blocks)
    )


def merged(*machines: Machine) -> Run:
    """Return a run that was merged from these machines."""
    return replace(founding_run(STUDY), machines=machines)


def names(run: Run) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Return the number of the host and the blocks of each stratum."""
    found = strata_of(run, [replace(one, reading=None) for one in RESULTS])
    return {one.name: (one.host, one.machine.blocks) for one in found}


def test_a_run_on_one_machine_is_one_stratum() -> None:
    """So nothing about it changes, whatever its trials report."""
    moved = [
        replace(one, reading=replace(QUIET, processor=f"processor {one.trial.block}"))
        for one in RESULTS
    ]
    [alone] = strata_of(founding_run(STUDY), moved)
    assert alone.machine.blocks == (1, 2, 3, 4, 5, 6)


def test_hosts_are_numbered_by_their_first_blocks() -> None:
    """The order in which the runs were merged does not matter."""
    one, other = machine("x", [2, 5]), machine("y", [1, 4])
    expected = {"host 1": (1, (1, 4)), "host 2": (2, (2, 5))}
    assert names(merged(one, other)) == names(merged(other, one)) == expected


def test_two_entries_of_the_same_machine_are_one_stratum() -> None:
    """Its kernel may have been replaced between two shards; its key is the same."""
    assert names(merged(machine("x", [1]), machine("x", [2]))) == {"host 1": (1, (1, 2))}


def test_another_engine_or_processor_of_a_host_is_a_stratum_of_its_own() -> None:
    """It is no other host."""
    run = merged(machine("x", [1, 2], key="docker"), machine("x", [3], key="venv"))
    assert names(run) == {"host 1.1": (1, (1, 2)), "host 1.2": (1, (3,))}
    moved = [
        replace(one, reading=replace(QUIET, processor="new" if one.trial.block == 2 else "old"))
        for one in RESULTS
    ]
    found = strata_of(merged(machine("x", [1, 2, 3])), moved)
    assert [(one.name, one.processor, one.machine.blocks) for one in found] == [
        ("host 1.1", "old", (1, 3)),
        ("host 1.2", "new", (2,)),
    ]


def test_a_decision_must_hold_on_every_host() -> None:
    """Otherwise nothing is advised, and the advice of each host is kept."""

    def decision(advice: Advice) -> Decision:
        return Decision(candidate="v=b", advice=advice, limits=())

    for others, expected in (
        ([Advice.HOLD], Advice.HOLD),
        ([Advice.HOLD, Advice.HOLD], Advice.HOLD),
        ([Advice.ADOPT, Advice.ADOPT], Advice.ADOPT),
        ([Advice.ADOPT, Advice.HOLD], Advice.CANNOT_TELL),
        ([Advice.ADOPT, Advice.CANNOT_TELL], Advice.CANNOT_TELL),
    ):
        by_name = {f"host {number}": [decision(one)] for number, one in enumerate(others)}
        [found] = joined(by_name)
        assert found.advice is expected
        assert list(found.advices.values()) == others
