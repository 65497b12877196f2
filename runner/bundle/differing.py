"""The differences between two runs: hosts, engines, and everything else that affects a result."""

from collections.abc import Iterator, Mapping

from runner.records.environment import Environment
from runner.records.run import Run
from runner.report.evidence import Evidence
from runner.report.words import NOTHING
from runner.runs.identity import differences, short
from runner.text import counted, memory

_DESCRIBED = {"name", "host", "engine", "engine's machine", "bases", "bundle"}
"""Fields of a run's identity that are described in more detail here, or that only a replay has."""


def differing(
    old: Evidence, new: Evidence, names: tuple[str, str] = ("in the bundle", "here")
) -> tuple[list[str], list[str]]:
    """Return a line for each difference between two runs, and the names of what is the same.

    ``names`` say where each run was.
    """
    before, after = _facts(old), _facts(new)
    equal = [name for name in before if before[name] == after.get(name)]
    changed = differences(old.run, new.run)
    flags = list(_flags(old, new, names))
    apart = [
        *(
            f"{name}: {_changed(before.get(name, NOTHING), after.get(name, NOTHING))}"
            for name in dict.fromkeys([*before, *after])
            if name not in equal
        ),
        *flags,
        *(
            f"{' '.join(path)}: {_changed(short(one), short(other))}"
            for path, (one, other) in changed.items()
            if path[0] not in _DESCRIBED
        ),
    ]
    same = [*_same(new.run, {path[0] for path in changed}), *equal]
    return apart, same if flags else [*same, "CPU flags"]


def _changed(before: str, after: str) -> str:
    return f"{before} \N{RIGHTWARDS ARROW} {after}"


def _facts(evidence: Evidence) -> Mapping[str, str]:
    """Return the facts about the measured machine, the engine and the runner."""
    run, machine, engine = evidence.run, evidence.machine, evidence.run.engine
    if engine.name == "venv":
        version, own = engine.version, {"isolation": engine.isolation}
    else:
        version, own = f"{engine.version} (API {engine.api})", {"storage": engine.storage}
    return {
        "processor": ", ".join(evidence.processors) or machine.cpu_model,
        "cores": str(machine.cores),
        "memory": memory(machine.memory_bytes),
        "kernel": machine.kernel,
        "system": machine.system,
        "engine": f"{engine.name} {version}",
        "architecture": engine.architecture,
        "cgroup": f"v{engine.cgroup}" if engine.cgroup else "none",
        **own,
        **_bases(evidence),
        "Python of the runner": run.host.python,
        "version of the runner": run.runner_version,
    }


def _bases(evidence: Evidence) -> Mapping[str, str]:
    found: dict[str, dict[str, None]] = {}
    for images in evidence.images.values():
        for image in images:
            digest = short(image.base.digest.removeprefix("sha256:"))
            base = f"{image.base.kind.value}, {digest}"
            found.setdefault(f"base of {image.label}", {})[base] = None
    return {label: "; ".join(bases) for label, bases in found.items()}


def _flags(old: Evidence, new: Evidence, names: tuple[str, str]) -> Iterator[str]:
    """Yield the CPU flags that only one of the machines has."""
    before, after = (
        {flag for reading in one.readings for flag in reading.cpu_flags} or {*one.machine.cpu_flags}
        for one in (old, new)
    )
    for where, only in zip(names, (before - after, after - before), strict=True):
        if only:
            yield f"CPU flags only {where}: {', '.join(sorted(only))}"


def _same(run: Run, changed: set[str]) -> Iterator[str]:
    """Yield the parts of a run's identity that have not changed."""
    locked = [entry for entry in run.lock.entries if isinstance(entry, Environment)]
    packages = counted(sum(len(entry.packages) for entry in locked), "package")
    named = {
        "script": "script" if run.script_digest else "",
        "command": "command" if run.matrix.experiment.args else "",
        "files": counted(len(run.file_digests), "other file") if run.file_digests else "",
        "data": counted(len(run.data_digests), "data file") if run.data_digests else "",
        "environments": f"{counted(len(locked), 'environment')} with {packages}",
        "cells": f"{counted(len(run.matrix.cells), 'cell')} with their parameters",
        "metrics": "metrics",
        "limits": "limits",
        "matrix-runner": "launcher and build recipe" if run.own_digests else "",
    }
    yield from (text for part, text in named.items() if text and part not in changed)
