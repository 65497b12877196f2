"""The key of a run, and the differences between two runs.

The key covers everything that can change a measurement: cells with their parameters and limits,
environments, their bases, the script, data files, our own files in the container, the host and the
engine. Claims, policy, expected statuses and the number of blocks are not part of it. Runs of one
study on several machines differ only in their machines: the host, the engine and the bases.
"""

from collections import Counter
from collections.abc import Mapping

from runner.records import shown
from runner.records.environment import (
    Entry,
    EnvironmentRequest,
    Lock,
    ReadyImage,
    Unsupported,
)
from runner.records.run import EngineFacts, Run
from runner.records.study import Metric, MetricSource
from runner.system import digest
from runner.system.stored import leaves


def key(run: Run) -> str:
    """Return the digest of everything that can change a measurement."""
    return digest.of_content({**_study(run), **_machine(run)})


def study_key(run: Run) -> str:
    """Return the digest of everything but the machine: the same on every host."""
    return digest.of_content(_study(run))


def common_seed(run: Run) -> int:
    """Return the seed of 32 bits that runs of this study have on every host."""
    return int(digest.of_content(["seed", study_key(run)])[:8], 16)


Differences = Mapping[tuple[str, ...], tuple[str | None, str | None]]
"""Both values of each field that differs, by its path; None for a missing field."""


def differences(then: Run, now: Run) -> Differences:
    """Return what differs between two runs in what the key covers."""
    before, after = ({**_study(run), **_machine(run)} for run in (then, now))
    return _differing(before, after)


def differences_of_studies(then: Run, now: Run) -> Differences:
    """Return the differences between two runs, apart from their machines."""
    return _differing(_study(then), _study(now))


def _differing(then: Mapping[str, object], now: Mapping[str, object]) -> Differences:
    before, after = (
        {path: shown(value) for path, value in leaves(fields)} for fields in (then, now)
    )
    return {
        path: (before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }


def _study(run: Run) -> Mapping[str, object]:
    """Return the fields that the key covers and that no machine changes, with names for people."""
    matrix, named = run.matrix, labels(run.lock)
    return {
        "name": matrix.name,
        "cells": {
            cell.id: {
                "parameters": dict(cell.parameters),
                "timeout_s": cell.timeout_s,
                "environment": named.get(cell.request, cell.request.label),
                **({"variables": dict(cell.variables)} if cell.variables else {}),
                **({"limits": cell.limits} if cell.limits else {}),
            }
            for cell in matrix.cells
        },
        "limits": matrix.limits,
        "metrics": {metric.name: _origin(metric) for metric in matrix.metrics},
        "environments": {named[entry.request]: _environment(entry) for entry in run.lock.entries},
        **_experiment(run),
        "matrix-runner": dict(run.own_digests),
        "base": matrix.base,
        **({"bundle": run.bundle} if run.bundle else {}),
    }


def _machine(run: Run) -> Mapping[str, object]:
    """Return the fields that the key covers and that depend on the machine."""
    return {
        "host": run.host.id,
        "engine": _engine(run.engine),
        **({"engine's machine": run.engine.machine} if run.engine.machine else {}),
        "bases": {python: base.digest for python, base in run.bases.items()},
        **({"trials side by side": run.parallel} if run.parallel > 1 else {}),
    }


def _origin(metric: Metric) -> object:
    """Return where a metric comes from. A result holds only the metrics that it was parsed for."""
    source = metric.source
    if source == MetricSource():
        return True
    return [source.origin.value, source.file, source.selects, source.series]


def _experiment(run: Run) -> Mapping[str, object]:
    experiment = run.matrix.experiment
    script = {"path": experiment.script, "sha256": run.script_digest}
    return {
        **({"script": script} if experiment.script is not None else {}),
        **({"command": list(experiment.command)} if experiment.args else {}),
        **({"files": dict(run.file_digests)} if experiment.files else {}),
        "data": dict(run.data_digests),
    }


def labels(lock: Lock) -> Mapping[EnvironmentRequest, str]:
    """Return a label for each request; equal ones are numbered."""
    found: dict[EnvironmentRequest, str] = {}
    times: Counter[str] = Counter()
    for entry in lock.entries:
        label = entry.request.label
        times[label] += 1
        found[entry.request] = f"{label} ({times[label]})" if times[label] > 1 else label
    return found


def _environment(entry: Entry) -> Mapping[str, object]:
    if isinstance(entry, ReadyImage):
        return {entry.source.kind.value: entry.source.written, "sha256": entry.digest}
    if isinstance(entry, Unsupported):
        return {"unsupported": entry.reason}
    return {
        "python": entry.python,
        **({"base": entry.request.base} if entry.request.base else {}),
        "platform": entry.platform,
        "as of": entry.as_of.isoformat(),
        "build tools": " ".join(entry.build_tools),
        "compile": entry.request.compile,
        **{wheel.name: wheel.hash for wheel in entry.wheels},
        "packages": {
            package.name: f"{package.version} ({digest.of_content(package.hashes)[:12]})"
            for package in entry.packages
        },
    }


def _engine(engine: EngineFacts) -> str:
    """Return the engine; for venv with its sandbox, which changes the numbers."""
    sandbox = engine.version.partition(" ")[0]
    return f"venv ({sandbox})" if engine.name == "venv" else engine.name


def short(value: str | None) -> str:
    """Return the value of a field as a person reads it: a digest is shortened."""
    if value is None:
        return "none"
    content = value.removeprefix("sha256:")
    is_digest = len(content) == 64 and not set(content) - set("0123456789abcdef")  # noqa: PLR2004
    return f"{content[:16]}..." if is_digest else value
