"""The goal of ``--until``: how precise a run has to be before it stops adding blocks."""

import re

from runner.errors import ConfigError
from runner.judge.records import Goal
from runner.records.study import Matrix, Scale
from runner.text import did_you_mean, listed

DECIDED = "decided"


def read_goal(text: str, matrix: Matrix) -> Goal:
    """Read ``epoch_seconds:±2%``, ``test_accuracy:±0.1`` or ``decided``; ConfigError if wrong."""
    if text == DECIDED:
        return Goal()
    written = re.fullmatch(r"([^:]+):(?:±|\+-|\+/-)?([0-9]{1,6}(?:\.[0-9]{1,6})?)(%?)", text)
    if written is None or float(written[2]) == 0:
        raise ConfigError(
            f"--until: {text!r} is not a goal; write METRIC:±2%, METRIC:±0.1 or {DECIDED}."
        )
    name, number, per_cent = written.groups()
    scales = {metric.name: metric.scale for metric in matrix.metrics}
    if name not in scales:
        hint = did_you_mean(name, scales) or f"; its metrics are {listed(list(scales))}"
        raise ConfigError(f"--until: the matrix has no metric {name!r}{hint}")
    if scales[name] is Scale.DIFFERENCE:
        return Goal(metric=name, half_width=float(number))
    if not per_cent:
        raise ConfigError(f"--until: {name} is compared by ratios; write '{name}:±{number}%'.")
    return Goal(metric=name, half_width=float(number) / 100)
