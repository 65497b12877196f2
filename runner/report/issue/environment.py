"""Where it was measured: what differs between the two environments, and the machine."""

from collections.abc import Iterator, Mapping

from runner.judge.records import Check, Verdict
from runner.records import shown
from runner.records.environment import Entry, Environment, ReadyImage, Unsupported
from runner.report import words
from runner.report.evidence import Evidence
from runner.report.issue.records import Part
from runner.report.issue.subject import Subject, named_metrics, sides
from runner.report.records import Table, rows
from runner.report.sections.environment import INSTRUCTIONS
from runner.report.words import NOTHING
from runner.text import counted, memory, shortened

CHARACTERS_OF_A_REASON = 1000
MOST_SENTENCES = 10

_ARROW = "\N{RIGHTWARDS ARROW}"


def environments(evidence: Evidence, subject: Subject) -> Iterator[Part]:
    """Yield what differs between the environments, package by package, and between the cells."""
    entries = [evidence.run.lock.entry(cell.request) for cell in subject.cells]
    old, new = entries[0], entries[-1]
    if not (isinstance(old, Environment) and isinstance(new, Environment)):
        for cell, entry in zip(subject.cells, entries, strict=True):
            yield f"{cell.id}: {_described(entry)}."
    elif old == new:
        whose = (
            "The environment" if subject.other is None else "Both cells have the same environment"
        )
        yield f"{whose}: {_described(new)}."
        yield _packages(counted(len(new.packages), "package"), _versions(new))
    else:
        yield from _difference(evidence, subject, old, new)
    yield from _also_different(evidence, subject)


def _described(entry: Entry | None) -> str:
    match entry:
        case Environment():
            when = f"{entry.as_of:%Y-%m-%d}"
            return f"Python {entry.python}, with packages from the index as of {when}"
        case ReadyImage():
            return f"{entry.source.kind.value} {entry.source.written}, {entry.digest}"
        case Unsupported():
            return shortened(f"unsupported: {entry.reason}", CHARACTERS_OF_A_REASON).rstrip(".")
        case None:
            return "not locked"


def _versions(environment: Environment) -> Mapping[str, str]:
    return {one.name: one.version for one in environment.packages}


def _packages(caption: str, versions: Mapping[str, str]) -> Table:
    return Table(caption, ("package", "version"), rows(versions.items()), folded=True)


def _difference(
    evidence: Evidence, subject: Subject, old: Environment, new: Environment
) -> Iterator[Part]:
    """Yield what differs between two environments, with the compared packages first."""
    before, after = _versions(old), _versions(new)
    needs = (*old.request.requirements, *new.request.requirements)
    asked = {name for need in needs for name in need.distributions}
    every = sorted(before.keys() | after.keys(), key=lambda one: (one not in asked, one))
    both = [(one, before.get(one, NOTHING), after.get(one, NOTHING)) for one in every]
    differing = [row for row in both if row[1] != row[2]]
    added, removed = (sum(row[side] == NOTHING for row in differing) for side in (1, 2))
    same = {one: version for one, version, other in both if version == other}
    yield (
        f"Packages: {len(differing) - added - removed} changed, {added} added, {removed} removed, "
        f"{len(same)} unchanged. A dash means that the package is not there."
    )
    table = (
        ("Python", old.python, new.python),
        ("package index as of", f"{old.as_of:%Y-%m-%d}", f"{new.as_of:%Y-%m-%d}"),
        *differing,
    )
    yield Table("Packages that differ", ("", *sides(evidence, subject)), rows(table))
    if same:
        yield _packages(f"Unchanged: {counted(len(same), 'package')}", same)


def _also_different(evidence: Evidence, subject: Subject) -> Iterator[str]:
    """Yield other differences between the cells, and what the script did differently."""
    matrix, other = evidence.run.matrix, subject.other
    if other is None:
        return
    axes = {name for axis in matrix.axes for name in (axis.name, axis.variable)}
    found = []
    for before, after in (
        (other.parameters, subject.cell.parameters),
        (other.variables, subject.cell.variables),
    ):
        for name in sorted((before.keys() | after.keys()) - axes):
            values = [shortened(shown(side.get(name, "not set"))) for side in (before, after)]
            if values[0] != values[1]:
                found.append(f"{name} {values[0]} {_ARROW} {values[1]}")
    old, new = matrix.limits_of(other), matrix.limits_of(subject.cell)
    if old.cpus != new.cpus:
        found.append(f"cores {old.cpus} {_ARROW} {new.cpus}")
    if old.memory_bytes != new.memory_bytes:
        found.append(f"memory {memory(old.memory_bytes)} {_ARROW} {memory(new.memory_bytes)}")
    if found:
        yield shortened(f"Also different: {', '.join(found)}.", CHARACTERS_OF_A_REASON)
    for cell in subject.cells:
        adapted = dict.fromkeys(one.adapted for one in evidence.settled(cell) if one.adapted)
        for sentence in list(adapted)[:MOST_SENTENCES]:
            yield f"The script says about {cell.id}: {shortened(sentence)}"


def machine(evidence: Evidence, subject: Subject) -> Iterator[Part]:
    """Yield the machine, how the engine limited a trial, and how noisy it was."""
    run, host, engine = evidence.run, evidence.machine, evidence.run.engine
    for stratum in evidence.strata:
        if subject.worst is not None and stratum.name == subject.worst.stratum:
            host, engine = stratum.machine.host, stratum.machine.engine
    limits = run.matrix.limits_of(subject.cell)
    flags = [flag for flag in host.cpu_flags if flag.startswith(INSTRUCTIONS)]
    chosen = () if subject.always_fails else named_metrics(evidence, subject)
    where = subject.worst.stratum if subject.worst else ""
    checks = [
        one
        for one in evidence.judgement.checks
        if one.comparison.metric.name in chosen and one.comparison.stratum == where
    ]
    items = (
        ("CPU", host.cpu_model),
        ("vector instructions", ", ".join(flags) or "none of avx, avx2, fma, avx512"),
        ("cores, memory", f"{host.cores}, {memory(host.memory_bytes)}"),
        ("limits of a trial", f"{counted(limits.cpus, 'core')}, {memory(limits.memory_bytes)}"),
        ("system", f"{host.system}, kernel {host.kernel}"),
        ("engine", f"{engine.name} {engine.version}"),
        ("matrix-runner", run.runner_version),
        ("run", f"{run.id}, started {words.instant(run.created_at)}"),
        ("disturbed trials", _disturbed(evidence, subject)),
        *(("noise (A/A check)", _noise(one)) for one in checks),
    )
    yield Table("Machine", ("item", "value"), rows(items))


def _disturbed(evidence: Evidence, subject: Subject) -> str:
    state, ids = evidence.judgement.disturbance, [cell.id for cell in subject.cells]
    attempts = sum(state.attempts.get(one, 0) for one in ids)
    disturbed = sum(state.disturbed.get(one, 0) for one in ids)
    return (
        f"{disturbed} of {counted(attempts, 'attempt')} of these cells; {state.stayed} of "
        f"{counted(state.trials, 'trial')} of the whole run stayed disturbed after repeats"
    )


def _noise(check: Check) -> str:
    """Say what the comparison of the baseline with its second copy found."""
    compared, metric = check.comparison, check.comparison.measured
    if (estimate := compared.usable) is None:
        return f"{metric.title}: no check, because {compared.reason}"
    if compared.identical:
        return f"{metric.title}: identical in two copies of the baseline"
    low, high = (words.signed(end, metric, fine=True) for end in (estimate.low, estimate.high))
    found = f"{metric.title}: {low} to {high} between two copies of the baseline"
    if compared.verdict in {Verdict.LOWER, Verdict.HIGHER}:
        return f"{found}, a difference that is not real"
    if check.smallest is None:
        return found
    smallest = words.amount(check.smallest, metric)
    return f"{found}; a change of {smallest} would be found nine times out of ten"
