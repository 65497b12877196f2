"""What an issue is about: a cell, the cell that it is compared with, and what is known of both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.errors import ConfigError
from runner.judge.records import Comparison, Verdict
from runner.records import Value, as_id, shown
from runner.records.run import TrialResult
from runner.records.study import AxisKind, Better, Cell, Status
from runner.report import words
from runner.report.evidence import Evidence
from runner.report.words import NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A cell and the cell that it is compared with, if there is one.

    ``failing`` are its results that are not ok. ``comparisons`` are those of the two cells, by the
    name of the metric. ``worst`` is the one that the title names.
    """

    cell: Cell
    other: Cell | None
    failing: tuple[TrialResult, ...]
    always_fails: bool
    comparisons: Mapping[str, Comparison]
    worst: Comparison | None

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Both cells, the old one first."""
        return (self.cell,) if self.other is None else (self.other, self.cell)


def subject_of(evidence: Evidence, cell: Cell) -> Subject:
    """Return what an issue about a cell is about; ConfigError if that is nothing."""
    found = [one for one in evidence.judgement.comparisons if one.of == cell.id]
    candidates = [one for one in found if one.named] or found
    worst = max(candidates, key=_badness, default=None)
    other = _counterpart(evidence, cell) if worst is None else evidence.pair(worst)[1]
    settled = evidence.settled(cell)
    failing = tuple(one for one in settled if one.status is not Status.OK)
    if other is None and not failing:
        raise ConfigError(
            f"{cell.id} is the baseline, and it does not fail; name a cell that is compared with "
            "it."
        )
    against = None if other is None else other.id
    return Subject(
        cell=cell,
        other=other,
        failing=failing,
        always_fails=bool(failing) and len(failing) == len(settled),
        comparisons={
            one.metric.name: one
            for one in found
            if one.against == against and worst is not None and one.stratum == worst.stratum
        },
        worst=worst,
    )


def _badness(comparison: Comparison) -> float:
    """Return by how many margins a metric became worse; least if that is not certain."""
    if comparison.usable is None or verdict(comparison) not in {"worse", "changed"}:
        return -math.inf
    return abs(comparison.usable.mean) / comparison.measured.change_margin


def verdict(comparison: Comparison) -> str:
    """Return a verdict as a maintainer needs it: ``worse``, ``better``, or not known."""
    match comparison.verdict:
        case Verdict.LOWER | Verdict.HIGHER:
            return _direction(comparison)
        case Verdict.EQUIVALENT if comparison.identical:
            return "identical"
        case Verdict.EQUIVALENT:
            return f"no difference larger than {words.margin(comparison.measured)}"
        case Verdict.CANNOT_TELL:
            return "no clear difference yet"
        case Verdict.NO_COMPARISON:
            return f"none: {comparison.reason}"


def _direction(comparison: Comparison) -> str:
    metric = comparison.measured
    if comparison.negligible:
        return f"a difference, but smaller than {words.margin(metric)}"
    if metric.better is Better.NEITHER:
        return "changed"
    return "better" if comparison.verdict.value == metric.better.value else "worse"


def _counterpart(evidence: Evidence, cell: Cell) -> Cell | None:
    """Return what a cell is compared with, where there is no comparison yet or none at all."""
    matrix = evidence.run.matrix
    compared = [pair.against for pair in matrix.compare if pair.of == cell.id]
    named = [one for one in matrix.cells if one.id in compared]
    usual = [other for one, other in matrix.against_baseline() if one == cell]
    baseline = matrix.baseline_cell()
    found = [*named, *usual, None if baseline == cell else baseline]
    return found[0]


def name(evidence: Evidence, cell: Cell) -> str:
    """Name a cell: ``tensorflow 2.0.0 (model=sequential)``."""
    matrix = evidence.run.matrix
    builds = [one for one in cell.coordinates if matrix.axis(one[0]).builds]
    named = ", ".join(_value(evidence, *one) for one in builds)
    rest = as_id(one for one in cell.coordinates if one not in builds)
    return f"{named} ({rest})" if named and rest else named or rest or matrix.name


def sides(evidence: Evidence, subject: Subject) -> tuple[str, str]:
    """Name the old and the new side by the values that differ."""
    theirs, ours = (dict(cell.coordinates) for cell in (subject.cells[0], subject.cell))
    differing = [axis for axis in ours if shown(ours[axis]) != shown(theirs.get(axis))]
    old, new = (
        ", ".join(_value(evidence, axis, side.get(axis, NOTHING)) for axis in differing)
        for side in (theirs, ours)
    )
    return old, new


def _value(evidence: Evidence, axis: str, value: Value) -> str:
    is_python = evidence.run.matrix.axis(axis).kind is AxisKind.PYTHON and axis == "python"
    return f"{'Python' if is_python else axis} {shown(value)}"


def named_metrics(evidence: Evidence, subject: Subject) -> Sequence[str]:
    """Return the metrics that were chosen before the run for these two cells.

    If there are none, the one in the title or the first one.
    """
    if subject.other is not None:
        for pair in evidence.run.matrix.compare:
            if (pair.of, pair.against) == (subject.cell.id, subject.other.id):
                return pair.metrics
    if subject.worst is not None:
        return [subject.worst.metric.name]
    return [one.name for one in evidence.run.matrix.metrics[:1]]
