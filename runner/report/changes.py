"""The changes that a run was asked about: every limit of the policy, and every named comparison.

The page, the summary, the terminal and the exported files all show these.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from runner.judge.records import Advice, Comparison, JudgedLimit, Verdict
from runner.records import Coordinates, as_id, shown
from runner.records.study import Better, Cell, Metric, PolicyLimit
from runner.report.evidence import Evidence
from runner.text import cut

TONES = {Advice.ADOPT: "good", Advice.HOLD: "bad", Advice.CANNOT_TELL: "open"}
LONGEST_PLACE = 80
_NO_ANSWER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one metric if the cell ``of`` replaces the cell ``against``.

    ``old`` and ``new`` are medians in the unit of ``metric``. Before the first look there is no
    ``comparison``. A cell that does not run has ``judged`` without a metric.
    """

    of: Cell
    against: Cell
    metric: Metric | None
    old: float | None = None
    new: float | None = None
    comparison: Comparison | None = None
    limit: PolicyLimit | None = None
    judged: JudgedLimit | None = None

    @property
    def key(self) -> tuple[str, str, str, Metric | None]:
        """The two cells, the stratum and the metric."""
        return self.of.id, self.against.id, self.stratum, self.metric

    @property
    def stratum(self) -> str:
        """The name of the host that it was judged on, if the run has several."""
        known = self.comparison or self.judged
        return known.stratum if known else ""

    @property
    def coming(self) -> Coordinates:
        """The values that only the new cell has."""
        return tuple(one for one in self.of.coordinates if one not in self.against.coordinates)

    @property
    def going(self) -> Coordinates:
        """The values that only the old cell has."""
        return tuple(one for one in self.against.coordinates if one not in self.of.coordinates)

    @property
    def candidate(self) -> str:
        """What would come instead: ``tensorflow=2.0.0``."""
        return as_id(self.coming) or self.of.id

    @property
    def named(self) -> str:
        """The candidate as a sentence names it: ``tensorflow 2.0.0``."""
        return spelt(self.coming) or spelt(self.of.coordinates)

    def replaces(self, baseline: Coordinates) -> bool:
        """Whether it would replace nothing but values of the baseline."""
        return bool(self.going) and set(self.going) <= set(baseline)

    @property
    def shared(self) -> tuple[tuple[str, str], ...]:
        """What both cells have in common."""
        replaced = dict(self.against.coordinates)
        return tuple(
            (axis, shown(one)) for axis, one in self.of.coordinates if replaced.get(axis) == one
        )

    @property
    def place(self) -> str:
        """Where it is: what both cells share, a number with the name of its axis."""
        named = [
            value if value[:1].isalpha() and value not in {"true", "false"} else f"{axis}={value}"
            for axis, value in self.shared
        ]
        return cut(", ".join(named), LONGEST_PLACE)

    @property
    def replaced(self) -> str:
        """What would be replaced: ``1.15.0``, with its axis if that is not the candidate's."""
        ours = {axis for axis, _ in self.coming}
        if all(axis in ours for axis, _ in self.going):
            going = " and ".join(shown(value) for _, value in self.going)
        else:
            going = spelt(self.going)
        return going or ", ".join(shown(value) for _, value in self.against.coordinates)

    @property
    def improves(self) -> bool | None:
        """Whether the metric became better; ``None`` if that is not known or not a question."""
        compared = self.comparison
        if compared is None or not self.is_different:
            return None
        better = compared.measured.better
        if better is Better.NEITHER:
            return None
        return (compared.verdict is Verdict.HIGHER) is (better is Better.HIGHER)

    @property
    def is_different(self) -> bool:
        """Whether a difference larger than the margin was shown, better or not."""
        compared = self.comparison
        different = compared is not None and compared.verdict in {Verdict.LOWER, Verdict.HIGHER}
        return different and not (compared and compared.negligible)

    @property
    def tone(self) -> str:
        """How good the change is: ``good``, ``bad``, ``open``, or nothing."""
        if self.judged is not None:
            return TONES[self.judged.advice]
        if self.improves is not None:
            return "good" if self.improves else "bad"
        verdict = self.comparison.verdict if self.comparison else Verdict.NO_COMPARISON
        return "open" if verdict in {Verdict.CANNOT_TELL, Verdict.NO_COMPARISON} else ""

    @property
    def is_answered(self) -> bool:
        """Whether an interval says something about it, or the cell does not run."""
        if self.comparison is None:
            return self.judged is not None
        return self.comparison.usable is not None


def spelt(coordinates: Coordinates) -> str:
    """Return values with the names of their axes: ``tensorflow 2.0.0 and model sequential``."""
    return " and ".join(f"{axis} {shown(value)}" for axis, value in coordinates)


def asked(evidence: Evidence) -> tuple[Change, ...]:
    """Return the changes that a run was asked about, in the order of the matrix."""
    if evidence.judgement.look is None:
        return tuple(_so_far(evidence))
    limits = [_limited(evidence, one) for one in _limits(evidence)]
    known = {one.key for one in limits}
    broken = {one.key[:3] for one in limits if one.metric is None}
    named = [change(evidence, one) for one in evidence.judgement.comparisons if one.named]
    others = [one for one in named if one.key not in known]
    return (*limits, *(one for one in others if one.is_answered or one.key[:3] not in broken))


def change(evidence: Evidence, compared: Comparison) -> Change:
    """Return the change that a comparison found."""
    of, against = evidence.pair(compared)
    old, new = _medians(evidence, compared)
    return Change(
        of=of, against=against, metric=compared.metric, old=old, new=new, comparison=compared
    )


def _medians(evidence: Evidence, compared: Comparison) -> tuple[float | None, float | None]:
    """Return the compared medians; if nothing could be compared, those of all trials."""
    if compared.usable is not None or compared.measured != compared.metric or compared.stratum:
        return compared.old, compared.new
    ids = compared.against, compared.of
    old, new = (evidence.summaries[cell, compared.metric.name].median for cell in ids)
    return old, new


def _limits(evidence: Evidence) -> Iterator[JudgedLimit]:
    for decision in evidence.judgement.decisions:
        yield from decision.limits


def _limited(evidence: Evidence, judged: JudgedLimit) -> Change:
    if judged.comparison is None:
        of, against = evidence.cell(judged.of), evidence.cell(judged.against)
        return Change(of=of, against=against, metric=None, judged=judged)
    return replace(change(evidence, judged.comparison), limit=judged.limit, judged=judged)


def _so_far(evidence: Evidence) -> Iterator[Change]:
    """Yield the same changes before the first look, with the medians so far."""
    matrix = evidence.run.matrix
    limits = {one.metric: one for one in matrix.policy}
    candidates = matrix.against_baseline() if limits else ()
    found = {
        (of.id, against.id, name): limits[name] for of, against in candidates for name in limits
    }
    named = [(pair.of, pair.against, name) for pair in matrix.compare for name in pair.metrics]
    known = {cell.id for cell in evidence.cells}
    for of, against, name in dict.fromkeys([*found, *named]):
        if {of, against} <= known:
            limit = found.get((of, against, name))
            yield Change(
                of=evidence.cell(of),
                against=evidence.cell(against),
                metric=matrix.metric(name) if limit is None else matrix.limited(limit),
                old=evidence.summaries[against, name].median,
                new=evidence.summaries[of, name].median,
                limit=limit,
            )


def by_candidate(changes: Iterable[Change]) -> list[list[Change]]:
    """Group changes by what differs between their cells."""
    found: dict[tuple[Coordinates, Coordinates], list[Change]] = {}
    for one in changes:
        found.setdefault((one.coming, one.going), []).append(one)
    return list(found.values())


def by_importance(changes: Iterable[Change]) -> list[Change]:
    """Sort changes: the bad ones first, then the undecided ones, then the others."""
    order = {"bad": 0, "open": 1, "good": 2, "": 2}
    return sorted(changes, key=lambda one: order[one.tone] if one.is_answered else _NO_ANSWER)
