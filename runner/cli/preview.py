"""What ``plan`` tells before anything runs: trials, images to build, and how long it takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from runner.cli.options import Options
from runner.cli.progress import in_words
from runner.plan import estimate, make_plan
from runner.prepare.recipe import to_build
from runner.records.environment import Image, Lock, Unsupported
from runner.records.run import Plan
from runner.records.study import Matrix, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What would happen. ``to_build`` is ``None`` where no engine answers."""

    matrix: Matrix
    plan: Plan
    to_lock: tuple[str, ...]
    unsupported: Mapping[str, str]
    to_build: tuple[str, ...] | None
    seconds: float


def look(
    matrix: Matrix, lock: Lock, images: Mapping[str, Image] | None, options: Options
) -> Outlook:
    """Look ahead without running anything."""
    locked = {entry.request: entry for entry in lock.entries}
    entries = {cell.request: locked.get(cell.request) for cell in matrix.cells}
    absent = tuple(request.label for request, entry in entries.items() if entry is None)
    plan = make_plan(matrix, options.seed or 0, options.blocks)
    waiting = [environment.request.label for environment in to_build(matrix, lock, images or {})]
    return Outlook(
        matrix=matrix,
        plan=plan,
        to_lock=absent,
        unsupported={
            request.label: entry.reason
            for request, entry in entries.items()
            if isinstance(entry, Unsupported)
        },
        to_build=None if images is None else (*waiting, *absent),
        seconds=estimate(matrix, plan.trials, (), len(waiting) + len(absent)),
    )


def as_text(outlook: Outlook) -> str:
    """Return the outlook for a person."""
    matrix, plan = outlook.matrix, outlook.plan
    lines = [f"{matrix.name}: {len(matrix.cells)} cells, {len(plan.trials)} trials"]
    lines[0] += f" in {plan.blocks} blocks" if plan.blocks > 1 else " in one block"
    for cell in matrix.cells:
        notes = [] if cell.expect is Status.OK else [f"expected: {cell.expect.value}"]
        notes += [] if cell.blocks is None else [f"blocks: {cell.blocks}"]
        lines.append(f"  {cell.id}" + (f"  ({', '.join(notes)})" if notes else ""))
    lines.append(f"compares: {_compared(matrix)}")
    lines.append(f"verdicts: after {_listed(plan.looks)} complete blocks")
    lines += [f"unsupported: {label}: {why}" for label, why in outlook.unsupported.items()]
    lines.append(f"to lock:  {', '.join(outlook.to_lock) or 'nothing'}")
    if outlook.to_build is None:
        lines.append("to build: cannot tell, no engine answers")
    else:
        lines.append(f"to build: {', '.join(outlook.to_build) or 'nothing'}")
    lines.append(f"takes:    about {in_words(outlook.seconds)}, one trial at a time")
    return "\n".join(lines)


def _compared(matrix: Matrix) -> str:
    """Say what was named to be compared."""
    metrics = dict.fromkeys(name for pair in matrix.compare for name in pair.metrics)
    if not metrics:
        return "nothing"
    pairs = "1 pair" if len(matrix.compare) == 1 else f"{len(matrix.compare)} pairs"
    return f"{pairs} of cells, in {', '.join(metrics)}"


def _listed(numbers: tuple[int, ...]) -> str:
    return " or ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(numbers[-1]))))


def as_json(outlook: Outlook) -> str:
    """Return the outlook for a program: one JSON object, each of its names on a line of its own."""
    content = {
        "format": 1,
        "name": outlook.matrix.name,
        "blocks": outlook.plan.blocks,
        "cells": [
            {
                "id": cell.id,
                "coordinates": dict(cell.coordinates),
                "parameters": dict(cell.parameters),
                "environment": cell.request.label,
                "expect": cell.expect.value,
            }
            for cell in outlook.matrix.cells
        ],
        "trials": [
            {"id": trial.id, "cell": trial.cell, "block": trial.block}
            for trial in outlook.plan.trials
        ],
        "compare": [
            {"of": pair.of, "against": pair.against, "metrics": pair.metrics}
            for pair in outlook.matrix.compare
        ],
        "looks": outlook.plan.looks,
        "to_lock": outlook.to_lock,
        "to_build": outlook.to_build,
        "unsupported": outlook.unsupported,
        "seconds": round(outlook.seconds),
    }
    # An indent would keep json from its C encoder, which takes a tenth of the time.
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    return "{\n" + ",\n".join(lines) + "\n}"
