"""Measure what merging whole runs and journalling single blocks cost as a run grows.

Usage::

    python -m benchmarks.journal [BLOCKS ...]

Each run has two cells and the A/A control, and its blocks come from a thousand hosts. It is merged
at once, as after a Slurm array. Then its last blocks are missing again and arrive one by one, as on
a cluster. The files are on a memory disk where there is one, so the figures are those of our own
code: a disk adds two syncs for each trial.
"""

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from runner.records.run import Run, TrialResult
from runner.runs.merge import Part, begun, read_part
from tests.support.large import large_run

BLOCKS = (100, 1000, 10_000)
HOSTS = 1000
SINGLE = 20
"""How many blocks arrive one by one."""
BLOCK_S = 60.0
"""How long a block takes in the last column."""
MEMORY = Path("/dev/shm")  # noqa: S108 (only a temporary folder is made there)


def main() -> int:
    """Measure and print."""
    counts = [int(word) for word in sys.argv[1:]] or BLOCKS
    titles = ("blocks", "plan.json", "trials/", "read", "merge", "one block", "memory", "hosts")
    print("".join(f"{title:>12}" for title in titles))
    for count in counts:
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
            print("".join(f"{cell:>12}" for cell in _measured(Path(place), count)), flush=True)
    print(
        f"Times are seconds. `hosts` is how many hosts one run can serve if a block takes "
        f"{BLOCK_S:.0f} s."
    )
    return 0


def _measured(place: Path, count: int) -> Iterator[str]:
    folder = large_run(place / "run", cells=2, blocks=count, versions=2)
    yield f"{count:,}"
    yield _megabytes(folder.path / "plan.json")
    yield _megabytes(*(folder.path / "trials").iterdir())
    began = time.perf_counter()
    part = read_part(folder)
    yield f"{time.perf_counter() - began:.2f}"
    numbers = sorted(part.blocks)
    at_once = _on_hosts(part, {number: part.blocks[number] for number in numbers[:-SINGLE]})
    began = time.perf_counter()
    with begun(at_once, place / "reports") as merged:
        merged.take(at_once)
        yield f"{time.perf_counter() - began:.2f}"
        began = time.perf_counter()
        for number in numbers[-SINGLE:]:
            merged.take(_on_hosts(part, {number: part.blocks[number]}))
        each = (time.perf_counter() - began) / SINGLE
    yield f"{each:.4f}"
    yield f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    yield f"{BLOCK_S / each:,.0f}"
    shutil.rmtree(place / "reports")


def _megabytes(*paths: Path) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB"


def _on_hosts(part: Part, blocks: Mapping[int, tuple[TrialResult, ...]]) -> list[Part]:
    """Return the part as one of each host, with every thousandth block."""
    hosts = [
        {number: found for number, found in blocks.items() if number % HOSTS == host}
        for host in range(HOSTS)
    ]
    return [
        replace(part, run=_of_host(part.run, host), blocks=own)
        for host, own in enumerate(hosts)
        if own
    ]


def _of_host(run: Run, host: int) -> Run:
    return replace(run, host=replace(run.host, id=f"{host:064x}"), key=f"{host:064x}")


if __name__ == "__main__":
    raise SystemExit(main())
