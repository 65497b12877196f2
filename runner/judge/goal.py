"""The goal of ``--until``: how precise a run has to be before it stops adding blocks."""

import re

from runner.errors import ConfigError
from runner.judge.records import Goal
from runner.records.study import Matrix, Scale
from runner.text import did_you_mean

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
    metric = next((one for one in matrix.metrics if one.name == name), None)
    if metric is None:
        hint = did_you_mean(name, [one.name for one in matrix.metrics])
        raise ConfigError(f"--until: the matrix has no metric {name!r}{hint}")
    if metric.scale is Scale.RATIO and not per_cent:
        raise ConfigError(f"--until: {name} is compared by ratios; write '{name}:±{number}%'.")
    share = metric.scale is Scale.RATIO
    return Goal(metric=name, half_width=float(number) / 100 if share else float(number))
