"""Matched mode: the first epoch in which the series of two cells part."""

import math
from collections.abc import Mapping, Sequence

from runner.judge.compare import named
from runner.judge.records import Divergence
from runner.judge.samples import Samples
from runner.records.study import Scale, Status

ROUNDING = 1e-6
"""Relative difference over which two float32 numbers are no longer the same but for rounding."""


def divergences(samples: Samples) -> tuple[Divergence, ...]:
    """Return where the learning curves of named pairs part; nothing outside matched mode."""
    if not samples.matrix.matched:
        return ()
    pairs = dict.fromkeys((one.of, one.against) for one in named(samples.matrix))
    return tuple(part for pair in pairs for part in _of_pair(samples, *pair))


def learning_curves(samples: Samples, cell: str) -> Mapping[int, Mapping[str, Sequence[float]]]:
    """Return the series of a cell by block and name, less those that are metrics of ratios."""
    timed = {one.name for one in samples.matrix.metrics if one.scale is Scale.RATIO}
    return {
        result.trial.block: {
            name: series for name, series in result.series.items() if name not in timed and series
        }
        for result in samples.of(cell)
        if result.status is Status.OK
    }


def _of_pair(samples: Samples, of: str, against: str) -> list[Divergence]:
    ours, theirs = learning_curves(samples, of), learning_curves(samples, against)
    common = sorted(ours.keys() & theirs.keys())
    names = dict.fromkeys(name for block in common for name in ours[block] if name in theirs[block])
    return [
        Divergence(
            of=of,
            against=against,
            series=name,
            first={
                block: _first(ours[block][name], theirs[block][name])
                for block in common
                if name in ours[block] and name in theirs[block]
            },
            epochs=max(len(ours[block].get(name, ())) for block in common),
        )
        for name in names
    ]


def _first(ours: Sequence[float], theirs: Sequence[float]) -> int | None:
    for epoch, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
        if not math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING**2):
            return epoch
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs)) + 1
