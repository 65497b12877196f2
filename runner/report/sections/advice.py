"""One statement for each candidate: whether it may replace the baseline, what changes, where."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from runner.judge.records import Advice, Decision, Verdict
from runner.records.study import Better, Metric
from runner.report import words
from runner.report.changes import TONES, Change, by_candidate
from runner.report.environments import also_changed
from runner.report.evidence import Evidence
from runner.report.records import Statement
from runner.report.sections.comparing import limit_of
from runner.text import counted, listed

MOST_NAMED = 3
MOST_WITH_NOTES = 3
_ADVICE = {
    Advice.ADOPT: "Upgrade to {candidate} (adopt)",
    Advice.HOLD: "Do not upgrade to {candidate} (hold)",
    Advice.CANNOT_TELL: "Not clear yet whether to upgrade to {candidate} (cannot tell)",
}
_REASON = {Advice.HOLD: "Beyond a limit", Advice.CANNOT_TELL: "Not clear yet"}
_FINE = {Advice.ADOPT: "within every limit", Advice.CANNOT_TELL: "not clear yet"}


def _is_judged(one: Change) -> bool:
    return one.comparison is not None and one.comparison.usable is not None


def _is_open(one: Change) -> bool:
    return bool(one.comparison and one.comparison.verdict is Verdict.CANNOT_TELL)


_KINDS: tuple[tuple[str, Callable[[Change], bool]], ...] = (
    ("no clear difference yet in ", lambda one: _is_judged(one) and _is_open(one)),
    (
        "no difference beyond the margin in ",
        lambda one: _is_judged(one) and not _is_open(one) and not one.is_different,
    ),
    ("no verdict on ", lambda one: not _is_judged(one)),
)
"""What can be said of changes that show no difference."""


def answers(evidence: Evidence, changes: Sequence[Change]) -> Iterator[Statement]:
    """Yield one statement for each candidate; of many candidates, only one line each."""
    decisions = {one.candidate: one for one in evidence.judgement.decisions}
    candidates = by_candidate(changes)
    most = MOST_NAMED if len(candidates) <= MOST_WITH_NOTES else 1
    for found in candidates:
        if limits := [one for one in found if one.judged is not None]:
            statement = _decided(evidence, decisions[limits[0].candidate], limits, most)
        else:
            statement = _found(evidence, found, most)
        yield statement if most > 1 else replace(statement, notes=())


def _decided(
    evidence: Evidence, decision: Decision, limits: Sequence[Change], most: int
) -> Statement:
    """Say what the policy advises, because of which changes, and where."""
    head = _ADVICE[decision.advice].format(candidate=limits[0].named)
    if decision.advice is Advice.ADOPT:
        head += f": {_worst(evidence, limits)}"
        notes = ["Even the bad end of every interval is within its limit."]
    else:
        reasons = [one for one in limits if one.judged and one.judged.advice is decision.advice]
        head += f": {_effects(evidence, reasons, most) or 'the hosts differ'}"
        notes = [] if decision.advices else [_where(limits, decision.advice)]
    notes += [_by_host(decision)] if decision.advices else []
    notes += [_more_blocks(evidence, limits)] if decision.advice is Advice.CANNOT_TELL else []
    notes += [*_replaced(evidence, limits), *also_changed(evidence, limits)]
    return Statement(f"{head}.", notes=tuple(filter(None, notes)), tone=TONES[decision.advice])


def _by_host(decision: Decision) -> str:
    """Say what the policy says of each host: ``hold on host 1; adopt on host 2 and host 3``."""
    hosts: dict[Advice, list[str]] = {}
    for name, advice in decision.advices.items():
        hosts.setdefault(advice, []).append(name)
    if len(hosts) == 1:
        return f"The same on each of {len(decision.advices)} hosts."
    found = (f"{advice.value} on {some_of(names)}" for advice, names in hosts.items())
    return f"By host: {'; '.join(found)}."


def _found(evidence: Evidence, changes: Sequence[Change], most: int) -> Statement:
    """Say what changes, without advice: there is no policy."""
    different = [one for one in changes if one.is_different]
    others = [
        f"{beginning}{_metrics(some, changes)}"
        for beginning, fits in _KINDS
        if (some := [one for one in changes if fits(one)])
    ]
    said = _effects(evidence, different, most) if different else "; ".join(others)
    notes = [f"{one[0].upper()}{one[1:]}." for one in others] if different else []
    notes += [] if different else [_more_blocks(evidence, changes)]
    notes += [*_replaced(evidence, changes), *also_changed(evidence, changes)]
    notes += _also_measured(evidence, changes)
    head = f"{changes[0].named} against {changes[0].replaced}: {said}."
    return Statement(head, notes=tuple(filter(None, notes)), tone=_tone(changes))


def _tone(changes: Sequence[Change]) -> str:
    """Return the tone that all changes have; those within the margin have none."""
    tones = {one.tone for one in changes} - {""}
    return tones.pop() if len(tones) == 1 else "open" if tones else ""


def _also_measured(evidence: Evidence, changes: Sequence[Change]) -> list[str]:
    """Give the other numbers of a study of two cells, which are no answer to its question."""
    if len(evidence.cells) > 2:  # noqa: PLR2004 (two sides)
        return []
    of, against = changes[0].of.id, changes[0].against.id
    texts = []
    for metric in evidence.run.matrix.metrics:
        pair = (evidence.summaries[cell, metric.name].median for cell in (against, of))
        old, new = (words.with_unit(number, metric) for number in pair)
        if metric not in {one.metric for one in changes} and words.NOTHING not in {old, new}:
            texts.append(f"{metric.title} {old} \N{RIGHTWARDS ARROW} {new}")
    return [f"Also measured: {', '.join(texts)}."] if texts else []


def _effects(evidence: Evidence, changes: Sequence[Change], most: int) -> str:
    """Say how each metric changes, the largest change first: ``time 44 % slower (...) for x``."""
    texts = []
    for some in _by_metric(changes).values():
        ways: dict[str, list[Change]] = {}
        for one in sorted(some, key=_goodness):
            ways.setdefault(_way(one), []).append(one)
        effects = [_in_one_way(evidence, way, same, most) for way, same in ways.items()]
        texts.append(f"{_title(some[0])} {', '.join(effects)}".strip())
    return "; ".join(texts)


def _by_metric(changes: Iterable[Change]) -> dict[Metric | None, list[Change]]:
    found: dict[Metric | None, list[Change]] = {}
    for one in changes:
        found.setdefault(one.comparison.measured if one.comparison else None, []).append(one)
    return found


def _goodness(one: Change) -> int:
    """Sort what became worse before what is open, and that before what became better."""
    return {"": 1, "worse": 0, "better": 2}[_way(one)]


def _way(one: Change) -> str:
    """Return in which way the whole interval lies: ``worse``, ``better``, or nothing.

    Of a metric without a better direction, more counts as worse here.
    """
    estimate = one.comparison.usable if one.comparison else None
    if estimate is None or not estimate.excludes_zero:
        return ""
    better = one.comparison.metric.better if one.comparison else Better.NEITHER
    return "better" if (estimate.mean > 0) is (better is Better.HIGHER) else "worse"


def _in_one_way(evidence: Evidence, way: str, changes: Sequence[Change], most: int) -> str:
    """Say how large the largest changes are, and count the others."""
    ordered = sorted(changes, key=_size, reverse=True)
    most = most if len(ordered) <= most else 1
    texts = [_with_place(evidence, one) for one in ordered[:most]]
    if ordered[most:]:
        cells = counted(len(ordered) - most, "more cell")
        if changes[0].stratum:
            cells = f"{len(ordered) - most} more cells and hosts"
        texts.append(f"less for {cells}" if way else f"also {cells}")
    return ", ".join(texts)


def _with_place(evidence: Evidence, one: Change) -> str:
    place, effect = f"for {one.place}" if one.place else "", _effect(evidence, one)
    place = " ".join(filter(None, (place, f"on {one.stratum}" if one.stratum else "")))
    if not place:
        return effect
    return f"{effect} {place}" if one.comparison else f"{place}, {effect}"


def _title(one: Change) -> str:
    return one.comparison.measured.title if one.comparison else ""


def _size(one: Change) -> float:
    estimate = one.comparison.usable if one.comparison else None
    return abs(estimate.mean) if estimate else 0.0


def _effect(evidence: Evidence, one: Change) -> str:
    """Say how large a change is: ``44 % slower (36 % to 53 %; 1.23 s to 1.80 s)``."""
    compared = one.comparison
    if compared is None:
        return one.judged.reason if one.judged else ""
    size, ends = words.effect(evidence, compared)
    inside = [ends.strip("()")] if size else []
    if _needs_its_limit(one):
        inside.append(f"limit {limit_of(evidence, one)}")
    if compared.usable is not None and not compared.identical:
        old, new = (words.with_unit(number, compared.measured) for number in (one.old, one.new))
        inside.append(f"{old} \N{RIGHTWARDS ARROW} {new}")
    return f"{size or ends} ({'; '.join(inside)})" if inside else size or ends


def _needs_its_limit(one: Change) -> bool:
    """Whether the change alone does not explain the advice: the limit may demand more."""
    if one.judged is None or one.judged.advice is Advice.ADOPT:
        return False
    return one.judged.advice is Advice.CANNOT_TELL or _way(one) != "worse"


def _worst(evidence: Evidence, limits: Sequence[Change]) -> str:
    """Say for each metric how bad it may become."""
    metrics = _by_metric(limits)
    texts = [
        f"{_title(some[0])} {_with_place(evidence, max(some, key=_worst_end))}"
        for some in metrics.values()
    ]
    at_worst = "" if len(texts) == len(limits) else "at worst "
    return f"{at_worst}{'; '.join(texts)}"


def _worst_end(one: Change) -> float:
    """Return the bad end of an interval, so that a larger number is worse."""
    compared = one.comparison
    if compared is None or compared.usable is None:
        return float("-inf")
    rises = compared.metric.better is not Better.HIGHER
    return compared.usable.high if rises else -compared.usable.low


def _where(limits: Sequence[Change], advice: Advice) -> str:
    """Say in which cells the advice has its reason, and how the others do."""
    advised: dict[str, set[Advice]] = {}
    for one in limits:
        if one.judged is not None:
            advised.setdefault(one.of.id, set()).add(one.judged.advice)
    cells = {one.of.id: one for one in limits}
    worst = {cell: _worst_of(found) for cell, found in advised.items()}
    affected = [cells[cell] for cell, found in worst.items() if found is advice]
    others = [cells[cell] for cell, found in worst.items() if found is not advice]
    if not others:
        every = "both" if len(affected) == 2 else f"all {len(affected)}"  # noqa: PLR2004
        return f"In {every} cells." if len(affected) > 1 else ""
    kinds = [
        f"{_FINE[kind]}: {_subjects(some)}"
        for kind in (Advice.CANNOT_TELL, Advice.ADOPT)
        if (some := [cells[cell] for cell, found in worst.items() if kind is found is not advice])
    ]
    return f"{_REASON[advice]}: {_carrying(affected, others)}; {'; '.join(kinds)}."


def _worst_of(found: set[Advice]) -> Advice:
    return next(one for one in (Advice.HOLD, Advice.CANNOT_TELL, Advice.ADOPT) if one in found)


def _carrying(affected: Sequence[Change], others: Sequence[Change]) -> str:
    """Name the values of the axis that separates the affected cells from the others."""
    for axis, _ in affected[0].shared:
        ours, theirs = (
            dict.fromkeys(dict(one.shared).get(axis) for one in side) for side in (affected, others)
        )
        named = [value for value in ours if value is not None]
        if len(named) == len(ours) and not theirs.keys() & ours.keys():
            return f"{axis} {some_of(named)}"
    return f"{len(affected)} of {counted(len(affected) + len(others), 'cell')}"


def _subjects(changes: Sequence[Change]) -> str:
    """Name places, or what is compared where there are no places; a few of them."""
    named = (
        f"{one.place or one.of.id}{f' on {one.stratum}' if one.stratum else ''}" for one in changes
    )
    return some_of(list(dict.fromkeys(named)))


def _metrics(some: Sequence[Change], every: Sequence[Change]) -> str:
    """Name the metrics of some changes, with their places unless the metric has no others."""
    total, everywhere, partly = _by_metric(every), [], []
    for metric, found in _by_metric(some).items():
        if len(found) < len(total[metric]):
            partly.append(f"{_title(found[0])} for {_subjects(found)}")
        else:
            everywhere.append(_title(found[0]))
    return "; ".join(filter(None, (*partly, listed(everywhere))))


def _more_blocks(evidence: Evidence, limits: Sequence[Change]) -> str:
    """Say how many blocks would probably decide the widest interval."""
    open_ = [one.comparison for one in limits if one.tone == "open" and one.comparison]
    forecasts = [one for one in open_ if one.forecast is not None]
    if not forecasts:
        return ""
    widest = max(forecasts, key=lambda one: one.forecast.blocks if one.forecast else 0)
    return words.forecast(evidence, widest)


def _replaced(evidence: Evidence, changes: Sequence[Change]) -> list[str]:
    sentences = (words.replaced(evidence, one.comparison) for one in changes)
    return list(dict.fromkeys(filter(None, sentences)))


def some_of(names: Sequence[str]) -> str:
    """List a few names, and count the others."""
    more = len(names) - MOST_NAMED
    return listed([*names[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])
