"""Strata: the machines of a merged run. Each is judged by itself.

Blocks of several hosts are never pooled: versions may differ by host, and an interval over all
blocks would then be too narrow. ``docs/statistics.md`` gives the figures.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from runner.judge.records import Advice, Decision, Stratum
from runner.records.run import Machine, Run, TrialResult


def strata_of(run: Run, results: Iterable[TrialResult]) -> tuple[Stratum, ...]:
    """Return the strata of a run in the order of their first blocks: one unless it was merged.

    A stratum is a host with its engine, its bases and its processor. The hosts are numbered.
    """
    processors = _processors(results)
    if not any(machine.blocks for machine in run.machines):
        alone = Machine(
            key=run.key,
            host=run.host,
            engine=run.engine,
            bases=run.bases,
            parallel=run.parallel,
            blocks=tuple(sorted(processors)),
        )
        return (Stratum(name="host 1", host=1, machine=alone, processor=None),)
    grouped: dict[tuple[str, str], list[int]] = {}
    machines: dict[str, Machine] = {}
    for machine in run.machines:
        machines.setdefault(machine.key, machine)
        for block in machine.blocks:
            processor = processors.get(block) or machine.host.cpu_model
            grouped.setdefault((machine.key, processor), []).append(block)
    found = sorted(grouped.items(), key=lambda one: min(one[1]))
    return tuple(
        _numbered(
            [
                (replace(machines[key], blocks=tuple(sorted(blocks))), processor)
                for (key, processor), blocks in found
            ]
        )
    )


def _processors(results: Iterable[TrialResult]) -> Mapping[int, str]:
    """Return the processor that the trials of each block reported."""
    found: dict[int, set[str]] = {}
    for one in results:
        known = found.setdefault(one.trial.block, set())
        if one.reading is not None and one.reading.processor:
            known.add(one.reading.processor)
    return {block: "; ".join(sorted(names)) for block, names in found.items()}


def _numbered(found: Sequence[tuple[Machine, str]]) -> Iterator[Stratum]:
    """Yield a stratum for each machine and processor: ``host 2``, or ``host 2.1`` of several."""
    hosts = [(machine.host.id, machine.engine.machine) for machine, _ in found]
    numbers = {host: number for number, host in enumerate(dict.fromkeys(hosts), start=1)}
    seen, total = Counter[int](), Counter(hosts)
    for host, (machine, processor) in zip(hosts, found, strict=True):
        number = numbers[host]
        seen[number] += 1
        name = f"host {number}" if total[host] == 1 else f"host {number}.{seen[number]}"
        yield Stratum(name=name, host=number, machine=machine, processor=processor)


def split(
    strata: Sequence[Stratum], results: Iterable[TrialResult]
) -> Mapping[str, Sequence[TrialResult]]:
    """Return the results of each stratum, by its name."""
    by_block = {block: one.name for one in strata for block in one.machine.blocks}
    found: dict[str, list[TrialResult]] = {one.name: [] for one in strata}
    for one in results:
        if (name := by_block.get(one.trial.block)) is not None:
            found[name].append(one)
    return {name: some for name, some in found.items() if some}


def joined(decisions: Mapping[str, Sequence[Decision]]) -> tuple[Decision, ...]:
    """Join the decisions about strata, by name. One that does not hold on all of them is none."""
    by_candidate: dict[str, dict[str, Decision]] = {}
    for name, found in decisions.items():
        for one in found:
            by_candidate.setdefault(one.candidate, {})[name] = one
    return tuple(
        Decision(
            candidate=candidate,
            advice=_common([one.advice for one in found.values()]),
            limits=tuple(limit for one in found.values() for limit in one.limits),
            advices={name: one.advice for name, one in found.items() if name},
        )
        for candidate, found in by_candidate.items()
    )


def _common(advices: Sequence[Advice]) -> Advice:
    return advices[0] if len(set(advices)) == 1 else Advice.CANNOT_TELL
