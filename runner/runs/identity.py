"""What makes two runs the same, and in which fields two runs differ.

All that would make numbers incomparable: cells with their parameters and limits, environments, the
script, data files, our own files, the host. What does not touch a measurement (claims, policy, what
is expected, the number of blocks) is not in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from runner.records import shown
from runner.records.environment import Environment, Unsupported
from runner.records.run import EngineFacts, Run
from runner.system import digest

SHORT = 16
"""So many characters of a digest tell two of them apart."""


def key(run: Run) -> str:
    """Return the digest of all that touches a measurement: a run of the same key goes on."""
    return digest.of_content(measured(run))


def measured(run: Run) -> Mapping[str, object]:
    """Return all that touches a measurement, in words that a person can follow."""
    matrix = run.matrix
    return {
        "name": matrix.name,
        "cells": {
            cell.id: {
                "parameters": dict(cell.parameters),
                "timeout_s": cell.timeout_s,
                "environment": cell.request.label,
            }
            for cell in matrix.cells
        },
        "limits": asdict(matrix.limits),
        "metrics": {metric.name: True for metric in matrix.metrics},
        "environments": {entry.request.label: _environment(entry) for entry in run.lock.entries},
        "script": {"path": matrix.experiment.script, "sha256": run.script_digest},
        "data": dict(run.data_digests),
        "matrix-runner": dict(run.own_digests),
        "host": run.host.id,
        "engine": _engine(run.engine),
        **({"engine's machine": run.engine.machine} if run.engine.machine else {}),
        "base": matrix.base,
    }


def differences(then: Run, now: Run) -> Mapping[tuple[str, ...], tuple[str | None, str | None]]:
    """Return each field that differs, by its path, with both values; None where there is none."""
    before, after = dict(_fields(measured(then))), dict(_fields(measured(now)))
    return {
        path: (before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }


def short(value: str | None) -> str:
    """Return the value of a field as a person reads it: of a digest only its beginning."""
    if value is None:
        return "none"
    is_digest = len(value) == 64 and not set(value) - set("0123456789abcdef")  # noqa: PLR2004
    return f"{value[:SHORT]}..." if is_digest else value


def _engine(engine: EngineFacts) -> str:
    """Return the engine; numbers from behind other walls do not mix."""
    kind = engine.version.partition(" ")[0]
    return f"venv ({kind})" if engine.name == "venv" else engine.name


def _environment(entry: Environment | Unsupported) -> Mapping[str, object]:
    if isinstance(entry, Unsupported):
        return {"unsupported": entry.reason}
    return {
        "python": entry.python,
        "platform": entry.platform,
        "as of": entry.as_of.isoformat(),
        "build tools": " ".join(entry.build_tools),
        "compile": entry.request.compile,
        "packages": {
            package.name: f"{package.version} ({digest.of_content(package.hashes)[:12]})"
            for package in entry.packages
        },
    }


def _fields(content: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is in nested mappings, each with the names that lead to it."""
    if not isinstance(content, Mapping):
        yield path, shown(content) if isinstance(content, bool) else str(content)
        return
    for name, value in content.items():
        yield from _fields(value, (*path, str(name)))
