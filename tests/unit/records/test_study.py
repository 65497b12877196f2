"""Queries on a matrix: which cells replace which, and what can be a CPU time."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.records.study import Better, Metric, Scale
from tests.support.matrices import study

AXES = """\
format: 1
name: small
axes:
  size: [1, 2]
  lib: {package: numpy, versions: ["1.0", "2.0"]}
  other: {package: scipy, versions: ["5", "6"]}
experiment: {script: run.py}
metrics: {seconds: {unit: s, better: lower}}
"""
RUN_AXES = AXES.replace('{package: numpy, versions: ["1.0", "2.0"]}', "[a, b]").replace(
    '{package: scipy, versions: ["5", "6"]}', "[x, y]"
)
TIME = Metric(name="seconds", unit="s", better=Better.LOWER, title="time")


def pairs(folder: Path, text: str) -> list[tuple[str, str]]:
    """Return the default comparisons, of against against."""
    return [(of.id, against.id) for of, against in study(folder, text).against_baseline()]


def test_every_build_axis_is_compared_with_the_others_equal(tmp_path: Path) -> None:
    """Two versions of two packages in two sizes: four comparisons for each package."""
    found = pairs(tmp_path, AXES)
    assert len(found) == 8
    for of, against in found:
        ours, theirs = (dict(part.split("=") for part in one.split(",")) for one in (of, against))
        [changed] = [axis for axis in ours if ours[axis] != theirs[axis]]
        assert changed in {"lib", "other"}
        assert theirs[changed] in {"1.0", "5"}


def test_without_build_axes_the_first_axis_is_compared(tmp_path: Path) -> None:
    """Each value of it against its first, whatever the other axes are."""
    found = pairs(tmp_path, RUN_AXES)
    assert len(found) == 4
    assert all(of == against.replace("size=1", "size=2") for of, against in found)


def test_a_baseline_restricts_run_axes(tmp_path: Path) -> None:
    """A run axis that the baseline names is compared only there."""
    found = pairs(tmp_path, AXES + 'baseline: {lib: "2.0", size: 2}\n')
    assert all(of.startswith("size=2,") for of, _ in found)
    assert ("size=2,lib=1.0,other=5", "size=2,lib=2.0,other=5") in found
    assert ("size=2,lib=2.0,other=6", "size=2,lib=2.0,other=5") in found


def test_a_baseline_of_run_axes_only_is_compared_along_them(tmp_path: Path) -> None:
    """Whoever asks for one size against the other gets that."""
    found = pairs(tmp_path, AXES + "baseline: {size: 2}\n")
    assert len(found) == 4
    assert all(of == against.replace("size=2", "size=1") for of, against in found)


@pytest.mark.parametrize(
    ("metric", "cpu_time", "why"),
    [
        (TIME, TIME, None),
        (TIME, replace(TIME, unit="us"), None),
        (replace(TIME, unit="rows/s"), TIME, "time is not a time"),
        (TIME, replace(TIME, unit="MB"), "time is not a time"),
        (TIME, replace(TIME, scale=Scale.DIFFERENCE), "time is not compared by ratios"),
        (TIME, replace(TIME, better=Better.HIGHER), "a higher time is better"),
    ],
)
def test_only_a_time_can_be_the_cpu_time_of_a_time(
    metric: Metric, cpu_time: Metric, why: str | None
) -> None:
    """A rate, a size or an inverted time cannot."""
    assert cpu_time.why_not_cpu_time_of(metric) == why
