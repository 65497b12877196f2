"""Divergence: in matched mode, the first epoch in which the series of two cells differ."""

import math
from collections.abc import Iterator, Sequence

from runner.judge.compare import named
from runner.judge.records import Divergence
from runner.judge.samples import Samples
from runner.summarise import learning_curves

ROUNDING = 1e-6
"""Two float32 numbers with a smaller relative difference are equal except for rounding."""


def divergences(samples: Samples) -> tuple[Divergence, ...]:
    """Return where the learning curves of named pairs diverge; nothing outside matched mode."""
    if not samples.matrix.matched:
        return ()
    pairs = dict.fromkeys((one.of, one.against) for one in named(samples.matrix))
    return tuple(found for pair in pairs for found in _of_pair(samples, *pair))


def _of_pair(samples: Samples, of: str, against: str) -> Iterator[Divergence]:
    ours, theirs = (learning_curves(samples.matrix, samples.of(cell)) for cell in (of, against))
    for name in ours:
        common = sorted(ours[name].keys() & theirs.get(name, {}).keys())
        if common:
            yield Divergence(
                of=of,
                against=against,
                series=name,
                first={block: _first(ours[name][block], theirs[name][block]) for block in common},
                epochs=max(len(ours[name][block]) for block in common),
            )


def _first(ours: Sequence[float], theirs: Sequence[float]) -> int | None:
    """Return the first epoch that differs, counted from 1; ``None`` if none does."""
    for epoch, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
        if not math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING**2):
            return epoch
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs)) + 1
