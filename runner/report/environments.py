"""Environments: their names, what scripts reported, and what differs between two cells."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.records import Scalar, shown
from runner.records.environment import Environment, EnvironmentRequest
from runner.records.study import AxisKind, Cell
from runner.report.changes import Change
from runner.report.evidence import Evidence
from runner.text import counted, memory, shortened

ARROW = "\N{RIGHTWARDS ARROW}"
MOST_SENTENCES = 6


def also_changed(evidence: Evidence, changes: Sequence[Change]) -> list[str]:
    """Return what changed besides the compared values, each sentence once."""
    pairs = {(one.of.id, one.against.id): (one.of, one.against) for one in changes}
    found = dict.fromkeys(
        sentence
        for of, against in pairs.values()
        for sentence in (*_settings(evidence, of, against), *_packages(evidence, of, against))
    )
    return list(found)[:MOST_SENTENCES]


def _packages(evidence: Evidence, of: Cell, against: Cell) -> Iterator[str]:
    """Yield a sentence if more than the compared package differs between the environments."""
    ours, theirs = evidence.environment(of.request), evidence.environment(against.request)
    if ours is None or theirs is None or ours == theirs:
        return
    old, new = dict(against.coordinates), dict(of.coordinates)
    compared = {
        axis.kind for axis in evidence.run.matrix.axes if new.get(axis.name) != old.get(axis.name)
    }
    if AxisKind.LOCK in compared:
        yield from differences(ours, theirs)
        return
    requirements = (*ours.request.requirements, *theirs.request.requirements)
    asked = {name for need in requirements for name in need.distributions}
    versions, before = (
        {one.name: one.version for one in side.packages if one.name not in asked}
        for side in (ours, theirs)
    )
    differing = len({name for name, _ in versions.items() ^ before.items()})
    found = []
    if ours.python != theirs.python and AxisKind.PYTHON not in compared:
        found.append(f"Python {theirs.python} {ARROW} {ours.python}")
    if differing:
        found.append(counted(differing, "other package"))
    if found:
        yield f"Also changed: {', '.join(found)}."


def _settings(evidence: Evidence, of: Cell, against: Cell) -> Iterator[str]:
    """Yield one sentence if limits or variables differ, besides a compared variable."""
    matrix = evidence.run.matrix
    ours, theirs = matrix.limits_of(of), matrix.limits_of(against)
    found = []
    if ours.cpus != theirs.cpus:
        found.append(f"cores {theirs.cpus} {ARROW} {ours.cpus}")
    if ours.memory_bytes != theirs.memory_bytes:
        found.append(f"memory {memory(theirs.memory_bytes)} {ARROW} {memory(ours.memory_bytes)}")
    compared = {axis.variable for axis in matrix.axes}
    for name in sorted({**of.variables, **against.variables}.keys() - compared):
        values = [cell.variables.get(name, "not set") for cell in (against, of)]
        if values[0] != values[1]:
            found.append(f"{name} {shortened(values[0])} {ARROW} {shortened(values[1])}")
    if found:
        yield f"Also changed: {', '.join(found)}."


def differences(ours: Environment, theirs: Environment) -> Iterator[str]:
    """Yield what differs between two environments, package by package."""
    after, before = ({one.name: one.version for one in side.packages} for side in (ours, theirs))
    both = sorted(after.keys() & before.keys())
    changed = [
        f"{name} {before[name]} {ARROW} {after[name]}"
        for name in both
        if after[name] != before[name]
    ]
    if ours.python != theirs.python:
        changed.insert(0, f"Python {theirs.python} {ARROW} {ours.python}")
    added = [f"{name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    removed = [f"{name} {before[name]}" for name in sorted(before.keys() - after.keys())]
    for word, found in (("Changed", changed), ("Added", added), ("Removed", removed)):
        if found:
            yield f"{word}: {', '.join(found)}."
    same = sum(after[name] == before[name] for name in both)
    yield f"Unchanged: {counted(same, 'package')}."


def names(evidence: Evidence) -> Mapping[EnvironmentRequest, str]:
    """Name each environment; environments that share a label get a number."""
    requests = list(dict.fromkeys(cell.request for cell in evidence.cells))
    labels = [request.label for request in requests]
    return {
        request: label if labels.count(label) == 1 else f"{label} ({number})"
        for number, (request, label) in enumerate(zip(requests, labels, strict=True), start=1)
    }


def reported(evidence: Evidence) -> Mapping[EnvironmentRequest, Mapping[str, str]]:
    """Return what scripts reported about each environment."""
    found: dict[EnvironmentRequest, list[Mapping[str, Scalar]]] = {}
    for cell in evidence.cells:
        some = found.setdefault(cell.request, [])
        some += (one.environment for one in evidence.settled(cell))
    return {
        request: {item: shortened(values) for item, values in merged(some).items()}
        for request, some in found.items()
    }


def merged(mappings: Iterable[Mapping[str, Scalar]]) -> Mapping[str, str]:
    """Return each name with all its different values."""
    seen: dict[str, dict[str, None]] = {}
    for mapping in mappings:
        for name, value in mapping.items():
            seen.setdefault(name, {})[shown(value)] = None
    return {name: ", ".join(values) for name, values in seen.items()}
