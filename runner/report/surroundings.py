"""What the trials ran in: environments, host and engine, and how they were measured."""

from collections.abc import Mapping

from runner.records import shown
from runner.records.environment import Environment, EnvironmentRequest, Unsupported
from runner.records.run import EngineFacts, Run, isolation, sandboxed
from runner.report.evidence import Evidence
from runner.report.page import Section, Table, chunks, facts, left
from runner.report.wording import NOTHING, duration, instant
from runner.text import counted, memory, shortened, size, unbroken

ENVIRONMENTS_IN_A_TABLE = 6
INSTRUCTIONS = ("avx", "avx2", "fma", "avx512")
"""Beginnings of the CPU flags that decide which kernels a framework takes."""


def environments(evidence: Evidence) -> Section:
    """Show what each environment holds, and in what they differ."""
    names = _names(evidence)
    inside = {name: _inside(evidence, request) for request, name in names.items()}
    packages = {
        name: {package.name: package.version for package in entry.packages}
        for request, name in names.items()
        if isinstance(entry := evidence.run.lock.entry(request), Environment)
    }
    differing = _differing(packages)
    held = {package for versions in packages.values() for package in versions}
    several = len(packages) > 1
    return Section(
        title="Environments",
        lead=("Packages were resolved as the package index stood at the instant in column as of.",),
        tables=(
            _overview(evidence, names),
            *_side_by_side(
                f"Versions as seen from inside the {_shell(evidence.run)}", "what", inside
            ),
            *_side_by_side(
                f"Packages that differ ({len(held & differing)})",
                "package",
                _only(packages, differing),
                folded=True,
            ),
        ),
        notes=(f"Packages identical in all environments: {len(held - differing)}.",)
        if several
        else (),
    )


def host(evidence: Evidence) -> Section:
    """Show the machine, the engine, the limits and the digests of all that was executed."""
    run = evidence.run
    return Section(
        title="Host and engine",
        tables=(
            facts("Machine", _machine(evidence)),
            facts("What was executed", _digests(run)),
        ),
    )


def method(evidence: Evidence) -> Section:
    """Say in plain words how the numbers came about."""
    trials = (
        f"Every trial was one fresh {_boundary(evidence.run)}. A block is one "
        "pass over all cells in a fresh random order, and all its trials share one seed; so the "
        "slow drift of a machine meets all cells alike."
    )
    numbers = (
        "Where the script wrote a series, such as one time per epoch, the number of a trial is "
        "the median of that series without its first two entries. The report shows the median "
        "over trials, never the best one. Trials that were not ok give no number."
    )
    limits = (
        "A trial is compared only with trials of its own block: the change in a block is the log "
        "of the ratio of two numbers, the interval a paired t interval over blocks. Shares such "
        "as an accuracy are compared by their difference over seeds (Welch). Comparisons named "
        "before the run share one error rate (Holm); all others are a screening. Equivalence is "
        "read off the same interval: it must lie inside the margin. A change is never read off an "
        "outcome that was picked: no trial is left out for what it measured."
    )
    return Section(
        title="How it was measured",
        lead=(trials, numbers, limits),
        tables=_parameters(evidence),
    )


def _boundary(run: Run) -> str:
    """Say in what a trial was executed."""
    alone = f"on {counted(run.matrix.limits.cpus, 'core')}, alone"
    if run.engine.name != "venv":
        return f"container {alone}, without a network"
    network = "without" if sandboxed(run.engine.version) else "with"
    return f"process {alone}, {network} a network"


def _shell(run: Run) -> str:
    return "environment" if run.engine.name == "venv" else "container"


def _names(evidence: Evidence) -> Mapping[EnvironmentRequest, str]:
    """Name each environment for people; those that share a label get a number."""
    requests = list(dict.fromkeys(cell.request for cell in evidence.cells))
    labels = [request.label for request in requests]
    return {
        request: label if labels.count(label) == 1 else f"{label} ({number})"
        for number, (request, label) in enumerate(zip(requests, labels, strict=True), start=1)
    }


def _overview(evidence: Evidence, names: Mapping[EnvironmentRequest, str]) -> Table:
    return Table(
        caption="What was built",
        columns=left("environment", "Python", "as of", "packages", "image", "base"),
        rows=tuple(
            (name, *_locked(evidence, request), *_built(evidence, request))
            for request, name in names.items()
        ),
    )


def _locked(evidence: Evidence, request: EnvironmentRequest) -> tuple[str, str, str]:
    match evidence.run.lock.entry(request):
        case Environment() as entry:
            return entry.python, instant(entry.as_of), str(len(entry.packages))
        case Unsupported() as entry:
            return shortened(f"unsupported: {entry.reason}"), NOTHING, NOTHING
        case None:
            return "not locked", NOTHING, NOTHING


def _built(evidence: Evidence, request: EnvironmentRequest) -> tuple[str, str]:
    images = evidence.images[request]
    sizes = dict.fromkeys(unbroken(size(image.size_bytes)) for image in images)
    bases = dict.fromkeys(f"{image.base.name}, {image.base.kind.value}" for image in images)
    return ", ".join(sizes) or NOTHING, "; ".join(bases) or NOTHING


def _inside(evidence: Evidence, request: EnvironmentRequest) -> Mapping[str, str]:
    """What scripts said of their environment; several values if its cells differ in one."""
    seen: dict[str, dict[str, None]] = {}
    for cell in evidence.cells:
        for result in evidence.settled(cell.id) if cell.request == request else ():
            for key, value in result.environment.items():
                seen.setdefault(key, {})[shown(value)] = None
    return {key: shortened(", ".join(values)) for key, values in seen.items()}


def _differing(columns: Mapping[str, Mapping[str, str]]) -> set[str]:
    entries = {entry for column in columns.values() for entry in column}
    return {
        entry for entry in entries if len({column.get(entry) for column in columns.values()}) > 1
    }


def _only(
    columns: Mapping[str, Mapping[str, str]], entries: set[str]
) -> Mapping[str, Mapping[str, str]]:
    return {
        name: {entry: column[entry] for entry in sorted(column) if entry in entries}
        for name, column in columns.items()
    }


def _side_by_side(
    caption: str, what: str, columns: Mapping[str, Mapping[str, str]], *, folded: bool = False
) -> tuple[Table, ...]:
    """Lay environments beside one another, a few in a table, with a dash where one lacks a row."""
    entries = list(dict.fromkeys(entry for column in columns.values() for entry in column))
    if folded:
        entries.sort()
    return tuple(
        Table(
            caption=caption,
            columns=left(what, *names),
            rows=tuple(
                (entry, *(columns[name].get(entry, NOTHING) for name in names)) for entry in entries
            ),
            folded=folded,
        )
        for names in chunks(columns, ENVIRONMENTS_IN_A_TABLE)
    )


def _machine(evidence: Evidence) -> list[tuple[str, str]]:
    measured, host = evidence.measured, evidence.run.host
    engine, limits = evidence.run.engine, evidence.run.matrix.limits
    flags = [flag for flag in measured.cpu_flags if flag.startswith(INSTRUCTIONS)]
    runner = f"perhaps another one: {host.cpu_model}, {host.system}"
    bound = "without swap" if engine.name != "venv" or engine.cgroup else "(not enforced)"
    allowed = (
        f"{counted(limits.cpus, 'core')}, {memory(limits.memory_bytes)} {bound}, "
        f"{limits.pids} processes, {duration(limits.timeout_s)}"
    )
    return [
        ("CPU", measured.cpu_model),
        ("vector instructions", ", ".join(flags) or "none of avx, avx2, fma, avx512"),
        ("cores, memory", f"{measured.cores}, {memory(measured.memory_bytes)}"),
        ("system", f"{measured.system}, kernel {measured.kernel}"),
        *_engine(engine),
        ("limits of a trial", allowed),
        *(() if evidence.here else (("runner's machine", runner),)),
    ]


def _engine(engine: EngineFacts) -> list[tuple[str, str]]:
    system = f"{engine.system}, {engine.architecture}"
    if engine.name == "venv":
        return [
            ("engine", f"venv, {engine.version}, {system}"),
            ("isolation", isolation(engine.version, engine.cgroup)),
        ]
    version = f"{engine.name} {engine.version} (API {engine.api}), storage {engine.storage}"
    return [("engine", version), ("engine's system", f"{system}, cgroup v{engine.cgroup}")]


def _digests(run: Run) -> list[tuple[str, str]]:
    return [
        ("run", f"{run.id}, started {instant(run.created_at)}"),
        ("runner", f"{run.runner_version} on Python {run.host.python}"),
        ("git commit", run.git_commit or "not known"),
        ("matrix", run.matrix_digest),
        ("lock", run.lock_digest),
        (run.matrix.experiment.script, run.script_digest),
        *run.data_digests.items(),
    ]


def _parameters(evidence: Evidence) -> tuple[Table, ...]:
    """Parameters of the experiment; several values if cells differ in one."""
    seen: dict[str, dict[str, None]] = {}
    for cell in evidence.cells:
        for name, value in cell.parameters.items():
            seen.setdefault(name, {})[shown(value)] = None
    rows = [(name, ", ".join(values)) for name, values in seen.items()]
    return (facts("Parameters of the experiment", rows),) if rows else ()
