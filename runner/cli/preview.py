"""The command ``plan``: it prints the trials, the images to build, and how long the run takes.

It loads only what it needs, because people wait for it.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from runner import engines
from runner.cli.arguments import Options
from runner.cli.fitted import fitted
from runner.cli.shard import chosen
from runner.cli.study import known_lock, the_matrix
from runner.cli.warnings import warnings
from runner.errors import Exit
from runner.plan import estimate, make_plan
from runner.prepare.recipe import to_build, to_provide
from runner.records.environment import Image, Lock, Unsupported
from runner.records.run import Plan
from runner.records.study import Matrix, Status
from runner.system.cores import ALLOWED
from runner.system.host import this_host
from runner.system.topology import physical
from runner.text import counted, duration, listed, one_line

MOST_FILES = 20
"""How many files the text lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A run that has not begun. ``to_build`` is ``None`` if no engine answers."""

    matrix: Matrix
    plan: Plan
    to_lock: tuple[str, ...]
    unsupported: Mapping[str, str]
    to_build: tuple[str, ...] | None
    parallel: int
    seconds: float


def plan(options: Options) -> Exit:
    """Show what would run, what must be built, and how long it takes."""
    shard = chosen(options, os.environ)
    locked = known_lock(options)
    matrix = the_matrix(options, known=locked)
    planned = make_plan(matrix, options.seed or 0, options.blocks)
    if shard is not None:
        planned = replace(planned, shard=shard.held_by(planned.blocks))
    images = engines.images(options.engine, this_host().id)
    found = preview(matrix, planned, locked, images)
    if options.json:
        print(as_json(found))
    else:
        print(fitted(as_text(found), sys.stdout, len("measures: ")))
        for warning in warnings(matrix, planned, this_host().cores, options.folder):
            print(fitted(f"warning:  {warning}", sys.stdout, len("warning:  ")))
    return Exit.OK


def preview(matrix: Matrix, plan: Plan, lock: Lock, images: tuple[Image, ...] | None) -> Preview:
    """Preview a plan without running anything."""
    parallel = matrix.trials_at_once or _most_parallel(matrix)
    entries = {request: lock.entry(request) for request in matrix.requests}
    absent = tuple(request.label for request, entry in entries.items() if entry is None)
    unbuilt = [one.request.label for one in to_build(matrix, lock, images or ())]
    unbuilt += [one.request.label for one in to_provide(matrix, lock, images or ())]
    return Preview(
        matrix=matrix,
        plan=plan,
        to_lock=absent,
        unsupported={
            request.label: entry.reason
            for request, entry in entries.items()
            if isinstance(entry, Unsupported)
        },
        to_build=None if images is None else (*unbuilt, *absent),
        parallel=parallel,
        seconds=estimate(matrix, plan.own, (), len(unbuilt) + len(absent), parallel),
    )


def _most_parallel(matrix: Matrix) -> int:
    """Return how many trials may run side by side here."""
    from runner.execute import most_parallel  # noqa: PLC0415 (few matrices need it)

    return most_parallel(matrix, this_host().memory_bytes, physical(ALLOWED))


def as_text(found: Preview) -> str:
    """Return the preview for a person. A lock may say anything, also to a terminal."""
    matrix, plan = found.matrix, found.plan
    cells, trials = counted(len(matrix.cells), "cell"), counted(len(plan.own), "trial")
    blocks = counted(plan.blocks, "block")
    if plan.shard is not None:
        blocks = f"shard {plan.shard}, {len(plan.own_blocks)} of {blocks}"
    lines = [f"{matrix.name}: {cells}, {trials} in {blocks}"]
    for cell in matrix.cells:
        notes = [] if cell.expect is Status.OK else [f"expected: {cell.expect.value}"]
        notes += [] if cell.blocks is None else [f"blocks: {cell.blocks}"]
        lines.append(f"  {cell.id}" + (f"  ({', '.join(notes)})" if notes else ""))
    lines.append(f"runs:     {shlex.join(matrix.experiment.command)}")
    lines.append(f"files:    {_files(matrix)}")
    lines.append(f"measures: {_measured(matrix)}")
    lines.append(f"compares: {_compared(matrix)}")
    lines.append(f"verdicts: after {listed([*map(str, plan.looks)], 'or')} complete blocks")
    lines += [f"unsupported: {label}: {why}" for label, why in found.unsupported.items()]
    lines.append(f"to lock:  {', '.join(found.to_lock) or 'nothing'}")
    if found.to_build is None:
        lines.append("to build: unknown, because no engine answers")
    else:
        lines.append(f"to build: {', '.join(found.to_build) or 'nothing'}")
    times = "one trial" if found.parallel == 1 else counted(found.parallel, "trial")
    guess = f"about {duration(found.seconds)} (a first guess)"
    lines.append(f"takes:    {guess}, {times} at a time")
    return "\n".join(map(one_line, lines))


def _files(matrix: Matrix) -> str:
    names = matrix.experiment.inputs
    more = len(names) - MOST_FILES
    some = ", ".join(names[:MOST_FILES]) or "none"
    return some + (f" and {more:,} more; `plan --json` lists all" if more > 0 else "")


def _measured(matrix: Matrix) -> str:
    return ", ".join(f"{one.name} ({one.source.described})" for one in matrix.metrics)


def _compared(matrix: Matrix) -> str:
    metrics = dict.fromkeys(name for pair in matrix.compare for name in pair.metrics)
    if not metrics:
        return "nothing"
    return f"{counted(len(matrix.compare), 'pair')} of cells, in {listed([*metrics])}"


def as_json(found: Preview) -> str:
    """Return the preview for a program: one JSON object with each of its names on its own line."""
    content = {
        "format": 1,
        "name": found.matrix.name,
        "blocks": found.plan.blocks,
        "command": found.matrix.experiment.command,
        "files": found.matrix.experiment.inputs,
        "cells": [
            {
                "id": cell.id,
                "coordinates": dict(cell.coordinates),
                "parameters": dict(cell.parameters),
                "environment": cell.request.label,
                "expect": cell.expect.value,
            }
            for cell in found.matrix.cells
        ],
        "trials": [
            {"id": trial.id, "cell": trial.cell, "block": trial.block} for trial in found.plan.own
        ],
        "compare": [
            {"of": pair.of, "against": pair.against, "metrics": pair.metrics}
            for pair in found.matrix.compare
        ],
        "looks": found.plan.looks,
        "to_lock": found.to_lock,
        "to_build": found.to_build,
        "unsupported": found.unsupported,
        "parallel": found.parallel,
        "seconds": round(found.seconds),
    }
    # With an indent json would not use its C encoder, which needs a tenth of the time.
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    return "{\n" + ",\n".join(lines) + "\n}"
