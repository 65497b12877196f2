"""Where the trials ran: environments, host and engine, and how they were measured."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

from runner.judge.records import Stratum
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    ReadyImage,
    Unsupported,
)
from runner.records.run import EngineFacts, Run, sandboxed
from runner.report.environments import merged, names, reported
from runner.report.evidence import Evidence
from runner.report.records import Section, Table, rows
from runner.report.words import NOTHING, image_sizes, instant
from runner.system import digest
from runner.text import counted, listed, memory, shortened

ENVIRONMENTS_IN_A_TABLE = 6
MOST_DIGESTS = 10
OWN_CORES = "each on cores of its own, also those of the A/A control"
MOST_BLOCKS = 12
INSTRUCTIONS = ("avx", "avx2", "fma", "avx512")
"""Prefixes of the CPU flags that decide which kernels a framework chooses."""

_TRIALS = (
    "Every trial ran in a fresh {boundary}. A block is one pass over all cells in a new random "
    "order, and all its trials share one seed. Slow drift of the machine therefore affects all "
    "cells alike."
)
_NUMBERS = (
    "If a metric is a series, such as one time per epoch, the number of a trial is what the table "
    "below says: usually the median without the first two entries. The report shows the median "
    "over trials, never the best trial. Trials that were not ok give no number."
)
_COMPARISONS = (
    "Times and other ratios are compared within each block: the change is the log of the ratio of "
    "two numbers, and the interval is a paired t interval over blocks. Shares, such as an "
    "accuracy, are compared by their difference: within each block, or over seeds (Welch) where "
    "the matrix turns pairing off. Comparisons named before the run share one error rate (Holm); "
    "all others are a screening. Two cells are equivalent if the interval lies inside the margin. "
    "No trial is ever left out because of what it measured."
)


def environments(evidence: Evidence) -> Section:
    """Show what each environment contains, and how they differ."""
    named = names(evidence)
    found = reported(evidence)
    inside = {name: found[request] for request, name in named.items()}
    packages = {
        name: {package.name: package.version for package in entry.packages}
        for request, name in named.items()
        if (entry := evidence.environment(request))
    }
    every = sorted({package for versions in packages.values() for package in versions})
    differing = [
        package
        for package in every
        if len({versions.get(package) for versions in packages.values()}) > 1
    ]
    items = dict.fromkeys(item for one in inside.values() for item in one)
    where = "environment" if evidence.run.engine.name == "venv" else "container"
    within = f"Versions reported from inside the {where}"
    differ = f"Packages that differ ({len(differing)})"
    same = f"Packages identical in all environments: {len(every) - len(differing)}."
    return Section(
        "environments",
        "Environments",
        ("Packages were resolved from the index as it was at the time in the column 'as of'.",),
        tables=(
            _overview(evidence, named),
            *_side_by_side(within, "item", items, inside),
            *_side_by_side(differ, "package", differing, packages, folded=True),
        ),
        notes=(same,) if len(packages) > 1 else (),
    )


def _overview(evidence: Evidence, names: Mapping[EnvironmentRequest, str]) -> Table:
    found = []
    for request, name in names.items():
        images = evidence.images[request]
        bases = dict.fromkeys(f"{image.base.name}, {image.base.kind.value}" for image in images)
        image = (image_sizes(evidence, request), "; ".join(bases) or NOTHING)
        found.append((name, *_locked(evidence, request), *image))
    columns = ("environment", "Python", "as of", "packages", "image", "base")
    return Table("Environments", columns, rows(found))


def _locked(evidence: Evidence, request: EnvironmentRequest) -> tuple[str, str, str]:
    match evidence.run.lock.entry(request):
        case Environment() as entry:
            return entry.python, instant(entry.as_of), str(len(entry.packages))
        case ReadyImage() as entry:
            return NOTHING, NOTHING, f"{entry.source.kind.value} {entry.source.written}"
        case Unsupported() as entry:
            return shortened(f"unsupported: {entry.reason}"), NOTHING, NOTHING
        case None:
            return "not locked", NOTHING, NOTHING


def _side_by_side(
    caption: str,
    title: str,
    items: Iterable[str],
    columns: Mapping[str, Mapping[str, str]],
    *,
    folded: bool = False,
) -> list[Table]:
    """Lay environments beside one another, a few in each table; a dash means it has no such row."""
    tables = []
    for start in range(0, len(columns), ENVIRONMENTS_IN_A_TABLE):
        some = list(columns)[start : start + ENVIRONMENTS_IN_A_TABLE]
        texts = ((item, *(columns[name].get(item, NOTHING) for name in some)) for item in items)
        tables.append(Table(caption, (title, *some), rows(texts), folded=folded))
    return tables


def host(evidence: Evidence) -> Section:
    """Show the machine, the engine, the limits, and the digests of everything that ran."""
    return Section(
        "host",
        "Host and engine",
        tables=(
            *_machines(evidence),
            Table("Run and digests", ("item", "value"), rows(_digests(evidence.run))),
        ),
    )


def _machines(evidence: Evidence) -> tuple[Table, ...]:
    """Show the machine; several ones side by side."""
    if len(evidence.strata) == 1:
        return (Table("Machine", ("item", "value"), rows(_machine(evidence))),)
    columns = ("host", "blocks", "processor", "cores, memory", "system", "engine")
    found = (_stratum(one) for one in evidence.strata)
    limits = Table("Limits", ("item", "value"), rows([_limits(evidence)]))
    return Table("Machines", columns, rows(found)), limits


def _stratum(stratum: Stratum) -> tuple[str, ...]:
    machine, host = stratum.machine, stratum.machine.host
    engine = machine.engine
    remote = f", on another machine ({engine.machine[:8]})" if engine.machine else ""
    return (
        stratum.name,
        _blocks(machine.blocks),
        stratum.processor or host.cpu_model,
        f"{host.cores}, {memory(host.memory_bytes)}",
        f"{host.system}, kernel {host.kernel}",
        f"{engine.name} {engine.version}{remote}"
        + (f"; {machine.parallel} trials side by side" if machine.parallel > 1 else ""),
    )


def _blocks(numbers: Sequence[int]) -> str:
    some = list(map(str, numbers[:MOST_BLOCKS]))
    more = len(numbers) - len(some)
    return listed([*some, *([f"{more:,} more"] if more else [])])


def _machine(evidence: Evidence) -> list[tuple[str, str]]:
    machine, host = evidence.machine, evidence.run.host
    engine = evidence.run.engine
    flags = [flag for flag in machine.cpu_flags if flag.startswith(INSTRUCTIONS)]
    parallel = evidence.run.parallel
    runner = f"may be a different one: {host.cpu_model}, {host.system}"
    return [
        ("CPU", machine.cpu_model),
        ("vector instructions", ", ".join(flags) or "none of avx, avx2, fma, avx512"),
        ("cores, memory", f"{machine.cores}, {memory(machine.memory_bytes)}"),
        ("system", f"{machine.system}, kernel {machine.kernel}"),
        *_engine(engine),
        _limits(evidence),
        *(() if parallel == 1 else (("trials side by side", f"{parallel}, {OWN_CORES}"),)),
        *(() if evidence.here else (("runner's machine", runner),)),
    ]


def _limits(evidence: Evidence) -> tuple[str, str]:
    engine, limits = evidence.run.engine, evidence.run.matrix.limits
    bound = "without swap" if engine.name != "venv" or engine.cgroup else "(not enforced)"
    allowed = (
        f"{counted(limits.cpus, 'core')}, {memory(limits.memory_bytes)} {bound}, "
        f"{counted(limits.pids, 'process', 'processes')}, {limits.timeout_s:,g} s"
    )
    return "limits of a trial", allowed


def _engine(engine: EngineFacts) -> list[tuple[str, str]]:
    system = f"{engine.system}, {engine.architecture}"
    if engine.name == "venv":
        return [("engine", f"venv, {engine.version}, {system}"), ("isolation", engine.isolation)]
    version = f"{engine.name} {engine.version} (API {engine.api}), storage {engine.storage}"
    return [("engine", version), ("engine's system", f"{system}, cgroup v{engine.cgroup}")]


def _digests(run: Run) -> list[tuple[str, str]]:
    return [
        ("run", f"{run.id}, started {instant(run.created_at)}"),
        ("runner", f"{run.runner_version} on Python {run.host.python}"),
        ("git commit", run.git_commit or "unknown"),
        ("matrix", run.matrix_digest),
        ("lock", run.lock_digest),
        *_input_digests(run),
    ]


def _input_digests(run: Run) -> list[tuple[str, str]]:
    """Return the digest of each file that trials read; of many small ones a single digest."""
    found, files = dict(run.input_digests), run.file_digests
    if len(files) > MOST_DIGESTS:
        found = {name: digest_ for name, digest_ in found.items() if name not in files}
        found[counted(len(files), "other file")] = digest.of_content(files)
    return list(found.items())


def method(evidence: Evidence) -> Section:
    """Say in plain words how the numbers were obtained."""
    parameters = merged(cell.parameters for cell in evidence.cells)
    command = shlex.join(evidence.run.matrix.experiment.command)
    settings = (("command", command), *parameters.items())
    return Section(
        "method",
        "How it was measured",
        (_TRIALS.format(boundary=_boundary(evidence.run)), _NUMBERS, _COMPARISONS),
        tables=(
            Table("Command and parameters", ("item", "value"), rows(settings)),
            Table(
                "Where the metrics come from",
                ("metric", "comes from", "of a series counts the"),
                rows(
                    (one.title, one.source.described, one.reduction)
                    for one in evidence.run.matrix.metrics
                ),
            ),
        ),
    )


def _boundary(run: Run) -> str:
    """Name what encloses a trial."""
    most = max([run.parallel, *(machine.parallel for machine in run.machines)])
    company = "alone" if most == 1 else f"up to {most} of them side by side"
    alone = f"on {counted(run.matrix.cpus, 'core')}, {company}"
    if run.engine.name != "venv":
        return f"container {alone}, without a network"
    network = "without" if sandboxed(run.engine.version) else "with"
    return f"process {alone}, {network} a network"
