"""Divergence: in matched mode, the first epoch in which the series of two cells differ."""

import math
from collections.abc import Iterator, Sequence

from runner.judge.compare import named
from runner.judge.records import Divergence
from runner.judge.samples import Samples
from runner.summarise import learning_curves

ROUNDING = 1e-6
"""Two float32 numbers with a smaller relative difference are equal except for rounding."""


def divergences(samples: Samples) -> Iterator[Divergence]:
    """Yield where the learning curves of named pairs diverge; nothing outside matched mode."""
    pairs = named(samples.matrix) if samples.matrix.matched else []
    for of, against in dict.fromkeys((one.of, one.against) for one in pairs):
        ours = learning_curves(samples.matrix, samples.of(of))
        theirs = learning_curves(samples.matrix, samples.of(against))
        for name, series in ours.items():
            common = sorted(series.keys() & theirs.get(name, {}).keys())
            if common:
                yield Divergence(
                    of=of,
                    against=against,
                    series=name,
                    first={block: _first(series[block], theirs[name][block]) for block in common},
                    epochs=max(len(series[block]) for block in common),
                )


def _first(ours: Sequence[float], theirs: Sequence[float]) -> int | None:
    """Return the first epoch that differs, counted from 1; ``None`` if none does."""
    for epoch, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
        if not math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING**2):
            return epoch
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs)) + 1
