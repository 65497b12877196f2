"""The command ``diff``: what differs between two cells, or between two runs."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from runner.cli.arguments import Options
from runner.cli.explain import find_cell
from runner.cli.study import known_lock, the_matrix
from runner.errors import ConfigError, Exit
from runner.records import shown
from runner.records.environment import Entry, Environment, Lock, ReadyImage
from runner.records.run import Run
from runner.records.study import Cell, Matrix
from runner.report.environments import ARROW, differences
from runner.runs.folder import RunFolder, find_run
from runner.runs.identity import labels
from runner.system import program
from runner.text import counted, memory, one_line

MOST_LINES = 100


def diff(options: Options) -> Exit:
    """Print the differences between two runs if both names are runs, else between two cells."""
    names = (options.first, options.second)
    runs = [name for name in names if _is_run(options.reports, name)]
    if len(runs) == 1:
        other = names[1] if runs[0] == names[0] else names[0]
        raise ConfigError(
            f"{runs[0]} is a run, but {other} is none; name two runs, or two cells of the matrix."
        )
    if runs:
        one, other_run = (find_run(options.reports, name) for name in names)
        lines = list(run_differences(one, other_run))
    else:
        matrix = the_matrix(options)
        cells = [find_cell(matrix, name) for name in names]
        lines = list(cell_differences(matrix, known_lock(options), cells[0], cells[1]))
    for line in lines[:MOST_LINES]:
        print(one_line(line))
    if len(lines) > MOST_LINES:
        print(f"and {counted(len(lines) - MOST_LINES, 'more difference')}")
    return Exit.OK


def _is_run(reports: Path, name: str) -> bool:
    return any((path / "run.json").is_file() for path in (Path(name), reports / name))


def cell_differences(matrix: Matrix, lock: Lock, one: Cell, other: Cell) -> Iterator[str]:
    """Yield a line for each difference between two cells: environment, parameters, limits."""
    yield f"{one.id} {ARROW} {other.id}"
    before, after = _settings(matrix, one), _settings(matrix, other)
    found = [
        f"{name}: {before.get(name, 'not set')} {ARROW} {after.get(name, 'not set')}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    found += _environments(one, other, lock)
    yield from (f"  {line}" for line in found or ["nothing differs"])


def _settings(matrix: Matrix, cell: Cell) -> Mapping[str, str]:
    """Return everything about a cell except its environment, by name."""
    limits = matrix.limits_of(cell)
    values = {field.name: getattr(limits, field.name) for field in dataclasses.fields(limits)}
    values["timeout_s"] = cell.timeout_s
    return {
        **{f"parameters.{name}": shown(value) for name, value in cell.parameters.items()},
        **{f"variables.{name}": shown(value) for name, value in cell.variables.items()},
        **dict(_limit(name, value) for name, value in values.items()),
        "blocks": str(cell.blocks or matrix.blocks),
        "expect": cell.expect.value,
    }


def _limit(name: str, value: float) -> tuple[str, str]:
    """Return the name and the value of a limit, as a person writes them."""
    if name.endswith("_bytes"):
        return f"limits.{name.removesuffix('_bytes')}", memory(int(value))
    if name.endswith("_s"):
        return f"limits.{name.removesuffix('_s')}", f"{value:g} s"
    return f"limits.{name}", f"{value}"


def _environments(one: Cell, other: Cell, lock: Lock) -> Iterator[str]:
    """Yield what differs between the locked environments of two cells."""
    before, after = lock.entry(one.request), lock.entry(other.request)
    if isinstance(before, Environment) and isinstance(after, Environment):
        if before != after:
            yield from differences(after, before)
    elif one.request != other.request:
        yield f"environment: {_described(one, before)} {ARROW} {_described(other, after)}"


def _described(cell: Cell, entry: Entry | None) -> str:
    """Return an environment in a few words."""
    if entry is None:
        return f"{cell.request.label} (not locked yet; `{program.name()} lock` does it)"
    if isinstance(entry, Environment):
        return f"Python {entry.python} with {counted(len(entry.packages), 'package')}"
    if isinstance(entry, ReadyImage):
        return f"{entry.source.kind.value} {entry.source.written} ({entry.digest[:19]})"
    return f"unsupported ({entry.reason})"


def run_differences(one: RunFolder, other: RunFolder) -> Iterator[str]:
    """Yield a line for each difference between two runs: digests, machine, engine, study."""
    from runner.bundle.differing import differing  # noqa: PLC0415 (it loads what judges)
    from runner.report.evidence import gather  # noqa: PLC0415

    stored = one.stored(), other.stored()
    before, after = (found.run for found in stored)
    yield f"{one.path} {ARROW} {other.path}"
    digests = {
        "matrix": (before.matrix_digest, after.matrix_digest),
        "lock": (before.lock_digest, after.lock_digest),
        "script": (before.script_digest or "", after.script_digest or ""),
        "seed": (str(stored[0].plan.seed), str(stored[1].plan.seed)),
        "blocks": (str(stored[0].plan.blocks), str(stored[1].plan.blocks)),
        "commit": (before.git_commit or "none", after.git_commit or "none"),
    }
    names = (f"in {before.id}", f"in {after.id}")
    apart, same = differing(gather(stored[0]), gather(stored[1]), names)
    alone = list(_alone(before, after))
    left = tuple(f"{kind} {name} " for kind, _, only in alone for name in only)
    lines = [
        *(
            f"{name}: {a.removeprefix('sha256:')[:12]} {ARROW} {b.removeprefix('sha256:')[:12]}"
            for name, (a, b) in digests.items()
            if a != b
        ),
        *(f"{kind} only in {run}: {', '.join(only)}" for kind, run, only in alone),
        *(line for line in apart if not line.startswith(left)),
    ]
    yield from (f"  {line}" for line in lines or ["nothing differs"])
    equal = [name for name, (a, b) in digests.items() if a == b and name not in same]
    yield f"the same: {', '.join([*equal, *same])}"


def _alone(before: Run, after: Run) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield the kind, the run and the names of what only one of two runs has."""
    for run, other in ((before, after), (after, before)):
        theirs, known = _names(other), _names(run)
        for kind, names in known.items():
            if only := [name for name in names if name not in theirs[kind]]:
                yield kind, run.id, only


def _names(run: Run) -> Mapping[str, Collection[str]]:
    """Return the names of the cells and the environments of a run."""
    return {
        "cells": {cell.id: None for cell in run.matrix.cells}.keys(),
        "environments": dict.fromkeys(labels(run.lock).values()).keys(),
    }
