"""Measure how the CPU seconds of planning, saving, resuming and reporting grow with a run.

Usage::

    python -m benchmarks.growth [TRIALS ...] [--json FILE]

A *wide* run has ten blocks of more and more cells, a *long* one ten cells in more and more blocks.
For each verb the exponent of a power law is fitted, by least squares of the logarithms: 1 is linear
and 2 is quadratic. What takes no time grows from nothing, so imports are done before. The files are
on a memory disk where there is one. The exit code is 1 if an exponent exceeds its limit.
"""

import argparse
import gc
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.journal import MEMORY
from benchmarks.rows import Row, finished, limited, save, with_json
from runner.ledger import Ledger
from runner.plan import make_plan
from runner.records.run import TrialResult
from runner.report import write
from runner.runs.folder import RunFolder
from tests.support.large import invented, large_matrix, prepared_folder

TRIALS = (100, 1000, 10_000, 100_000)
OTHER = 10
"""How many blocks a wide run has, and how many cells a long one."""
WARM_UP = 600
LIMIT = 1.1
"""The largest exponent."""
SHAPES = ("wide", "long")


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=TRIALS, metavar="TRIALS")
    asked = with_json(parser).parse_args()
    rows: list[Row] = []
    print(f"{'CPU s':14}" + "".join(f"{count:>11,}" for count in asked.counts), flush=True)
    measured("long", WARM_UP)  # imports
    for shape in SHAPES:
        costs = [measured(shape, count) for count in asked.counts]
        for verb in costs[0]:
            seconds = [cost[verb] for cost in costs]
            print(f"{verb + ', ' + shape:14}" + "".join(f"{one:11.3f}" for one in seconds))
            rows.append(grown(verb, shape, asked.counts, seconds))
        save(rows, asked.json)  # the next shape may have to be stopped
    print()
    return finished(rows, asked.json)


def grown(verb: str, shape: str, counts: Sequence[int], seconds: Sequence[float]) -> Row:
    """Return the row of a verb."""
    what = f"growth of {verb}, {shape} run, {min(counts):,} to {max(counts):,} trials"
    return limited(what, "as exponent", [exponent(counts, seconds)], most=LIMIT)


def measured(shape: str, trials: int) -> Mapping[str, float]:
    """Return the CPU seconds of each verb for a run of so many trials."""
    cells, blocks = (trials // OTHER, OTHER) if shape == "wide" else (OTHER, trials // OTHER)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        return dict(_measured(Path(place) / "run", cells, blocks))


def _measured(path: Path, cells: int, blocks: int) -> Iterator[tuple[str, float]]:
    matrix = large_matrix(cells, blocks, versions=max(2, min(cells // 5, 20)))
    folder = prepared_folder(path, matrix)
    yield "plan", seconds_of(lambda: folder.save(make_plan(matrix, seed=1)))
    invention = tuple(invented(matrix, folder.plan(), seed=1))
    yield "store", seconds_of(partial(store, folder, invention))
    del invention
    yield "resume", seconds_of(partial(resume, folder))
    yield "report", seconds_of(partial(write, folder))


def store(folder: RunFolder, invention: Iterable[tuple[TrialResult, str]]) -> None:
    """Save every result with its log, as a run does."""
    for result, log in invention:
        folder.save_result(result, log)


def resume(folder: RunFolder) -> None:
    """Read everything, and decide what is left to do: only disturbed trials may run again."""
    run, plan = folder.run(), folder.plan()
    results, _ = folder.salvage(run, plan)
    ledger = Ledger(run.matrix, plan, results)
    if ledger.complete < plan.blocks or len(ledger.missing()) > len(results) / 10:
        raise SystemExit(f"{folder.path} is not complete")


def seconds_of(act: Callable[[], object]) -> float:
    """Return the CPU seconds of a function."""
    gc.collect()
    began = time.process_time()
    act()
    return time.process_time() - began


def exponent(counts: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of the line through the logarithms."""
    xs, ys = [math.log(one) for one in counts], [math.log(one) for one in seconds]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - x_mean) ** 2 for x in xs
    )


if __name__ == "__main__":
    raise SystemExit(main())
