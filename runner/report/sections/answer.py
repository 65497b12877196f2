"""The answer: may I upgrade, what does it cost, how sure is that? It needs no further section."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from runner.judge.records import FEWEST_BLOCKS, Advice, Decision, Look, Verdict
from runner.records import shown
from runner.records.study import Better, Metric, Scale
from runner.report import words
from runner.report.changes import TONES, Change, asked, by_candidate, by_importance, spelt
from runner.report.drawing import Bar
from runner.report.environments import also_changed
from runner.report.evidence import Evidence
from runner.report.records import Row, Section, Statement, Table
from runner.text import counted, cut, listed, unbroken

MOST_NAMED = 3
MOST_WITH_NOTES = 3
MOST_ROWS = 12
LONGEST_PLACE = 80
CHANGE = 4
"""The column of the change."""
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


def answer(evidence: Evidence) -> Section:
    """Answer the question of a run, or say why there is no answer yet."""
    changes = asked(evidence)
    if any(one.is_answered for one in changes):
        return Section(
            "answer",
            "Answer",
            statements=(*_answers(evidence, changes), _how_sure(evidence)),
            tables=_tables(evidence, changes),
            key=True,
        )
    return Section(
        "answer",
        "So far",
        tables=_tables(evidence, changes),
        notes=(_why_no_verdict(evidence, changes),),
        key=True,
    )


# --- the answer in plain words -------------------------------------------------------------------


def _answers(evidence: Evidence, changes: Sequence[Change]) -> Iterator[Statement]:
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
        head += f": {_effects(evidence, reasons, most)}"
        notes = [_where(limits, decision.advice)]
    notes += [_more_blocks(evidence, limits)] if decision.advice is Advice.CANNOT_TELL else []
    notes += [*_replaced(evidence, limits), *also_changed(evidence, limits)]
    return Statement(f"{head}.", notes=tuple(filter(None, notes)), tone=TONES[decision.advice])


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
    head = f"{changes[0].named} against {_baseline(changes[0])}: {said}."
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


def _baseline(one: Change) -> str:
    ours = {axis for axis, _ in one.coming}
    if all(axis in ours for axis, _ in one.going):
        going = " and ".join(shown(value) for _, value in one.going)
    else:
        going = spelt(one.going)
    return going or words.values(one.against)


def _place(one: Change) -> str:
    """Name what both cells share: a word alone, a number with the name of its axis."""
    named = [
        value if value[:1].isalpha() and value not in {"true", "false"} else f"{axis}={value}"
        for axis, value in one.shared
    ]
    return cut(", ".join(named), LONGEST_PLACE)


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
        texts.append(f"less for {cells}" if way else f"also {cells}")
    return ", ".join(texts)


def _with_place(evidence: Evidence, one: Change) -> str:
    place, effect = _place(one), _effect(evidence, one)
    if not place:
        return effect
    return f"{effect} for {place}" if one.comparison else f"for {place}, {effect}"


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
            return f"{axis} {_some(named)}"
    return f"{len(affected)} of {counted(len(affected) + len(others), 'cell')}"


def _some(names: Sequence[str]) -> str:
    """List a few names, and count the others."""
    more = len(names) - MOST_NAMED
    return listed([*names[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _subjects(changes: Sequence[Change]) -> str:
    """Name places, or what is compared where there are no places; a few of them."""
    return _some(list(dict.fromkeys(_place(one) or one.of.id for one in changes)))


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


# --- old and new ---------------------------------------------------------------------------------


def _tables(evidence: Evidence, changes: Sequence[Change]) -> tuple[Table, ...]:
    """Show old and new numbers and each change beside its limit; of many, the important ones."""
    if not changes:
        return ()
    ordered = changes if len(changes) <= MOST_ROWS else by_importance(changes)
    rows = [row(evidence, one) for one in ordered]
    rows = [replace(one, name=name) for one, name in zip(rows, _addresses(ordered), strict=True)]
    kinds = dict.fromkeys("limit" if one.judged or one.limit else "margin" for one in changes)
    allowed = " or ".join(sorted(kinds))
    columns = ("cell", "metric", "old", "new", "change", allowed, "verdict")
    first, rest = tuple(rows[:MOST_ROWS]), tuple(rows[MOST_ROWS:])
    more = Table(counted(len(rest), "more change"), columns, rest, folded=True, bars=CHANGE)
    return (Table("Old and new", columns, first, bars=CHANGE), *([more] if rest else []))


def _addresses(changes: Iterable[Change]) -> Iterator[str]:
    """Yield an address for each change: metric and cell, with a number from the second on."""
    seen = Counter[str]()
    for one in changes:
        name = "/".join(filter(None, (one.metric.name if one.metric else "", one.of.id)))
        seen[name] += 1
        yield f"{name}/{seen[name]}" if seen[name] > 1 else name


def row(evidence: Evidence, one: Change, *, screened: bool = False) -> Row:
    """Return a change as a row. One that was only screened has neither a bar nor its basis."""
    name, compared, metric = _name(evidence, one), one.comparison, one.metric
    verdict = words.verdict_of(evidence, one.judged, one.comparison)
    if metric is None:
        texts = (name, "does it run?", *[words.NOTHING] * 4, verdict)
        basis = (f"{one.judged.reason}.",) if one.judged else ()
        return Row(texts, cell=one.of.id, tone=one.tone, basis=basis)
    measured = compared.measured if compared else metric
    effect = words.effect(evidence, compared) if compared else (words.NOTHING,)
    texts = (
        name,
        words.judged(compared) if compared else metric.title,
        words.with_unit(one.old, measured),
        words.with_unit(one.new, measured),
        "\n".join(filter(None, effect)),
        limit_of(evidence, one),
        verdict,
    )
    estimate = compared.usable if compared else None
    numbers = {2: one.old, 3: one.new, 4: estimate.mean if estimate else None}
    return Row(
        texts,
        {column: number for column, number in numbers.items() if number is not None},
        cell=one.of.id,
        metric=metric.name,
        bar=None if screened else _bar(one),
        tone=one.tone,
        basis=() if screened else tuple(_basis(evidence, one)),
    )


def _name(evidence: Evidence, one: Change) -> str:
    """Name the cell, and the one it is compared with unless that is the baseline."""
    if one.replaces(evidence.run.matrix.baseline):
        return words.values(one.of)
    replaced = f"{one.named} against {_baseline(one)}"
    return ", ".join(filter(None, (replaced, _place(one))))


def _basis(evidence: Evidence, one: Change) -> Iterator[str]:
    """Say how a change was computed, and what restricts it."""
    compared, metric = one.comparison, one.metric
    if compared is None or metric is None:
        return
    if one.judged is not None:
        reason = one.judged.reason
        if compared.usable is not None:
            yield f"{reason[0].upper()}{reason[1:]}."
    yield words.basis(evidence, compared)
    if compared.usable is not None and not compared.identical:
        yield words.computed(compared)
    if compared.outlier_sensitive:
        yield "The verdict depends on outlying blocks: see the dots in the figure."
    if compared.negligible:
        yield f"The difference is smaller than {words.margin(compared.measured)}: negligible."
    yield from also_changed(evidence, [one])
    yield from words.adaptations(evidence, compared)


def limit_of(evidence: Evidence, one: Change) -> str:
    """Return the limit of a change: ``+3 %``, or ``-1 % (-0.93 points)``; else its margin."""
    limit = one.limit
    if limit is None:
        measured = one.comparison.measured if one.comparison else one.metric
        return f"\N{PLUS-MINUS SIGN}{words.margin(measured)}" if measured else words.NOTHING
    metric = evidence.run.matrix.metric(limit.metric)
    size, unit = (limit.change * 100, "%") if limit.relative else (limit.change, words.unit(metric))
    sign = "+" if size > 0 else ""
    text = unbroken(f"{sign}{words.printed(float(f'{size:.6g}'))} {unit}".rstrip())
    bound = one.judged.bound if one.judged else None
    if limit.relative and metric.scale is Scale.DIFFERENCE and bound is not None:
        text += f" ({words.signed(bound, metric)})"
    return text


def _bar(one: Change) -> Bar | None:
    """Return the interval beside its limit or margin, on a scale on which everything fits."""
    compared = one.comparison
    if compared is None or (estimate := compared.usable) is None:
        return None
    margin = compared.measured.change_margin
    limits = (-margin, margin) if one.judged is None else (one.judged.bound or 0.0,)
    ends = estimate.low, estimate.high
    extent = 1.1 * max(map(abs, (*ends, *limits))) or 1.0
    return Bar(*ends, limits, extent, one.tone)


# --- how sure ------------------------------------------------------------------------------------


def _how_sure(evidence: Evidence) -> Statement:
    """Say what the intervals mean, what this machine can find, and what is not included."""
    judgement = evidence.judgement
    sentences = [_intervals(judgement.look)] if judgement.look else []
    sentences += [*_sensitivity(evidence), _as_expected(evidence)]
    return Statement("How sure?", " ".join(sentences), tuple(_restrictions(evidence)))


def _restrictions(evidence: Evidence) -> Iterator[str]:
    judgement, plan, state = evidence.judgement, evidence.plan, evidence.judgement.disturbance
    since = judgement.complete - judgement.look.blocks if judgement.look else 0
    if since:
        following = counted(judgement.next_look or 0, "block")
        until = f"; the next look is after {following}" if judgement.next_look else ""
        yield f"{_are(since, 'later block')} not included in the verdicts{until}."
    if plan.left:
        cells = [
            f"{cell} after {counted(blocks, 'block')}" for cell, blocks in sorted(plan.left.items())
        ]
        yield (
            f"Some cells left the plan because everything about them was decided: {_some(cells)}."
        )
    if state.busy:
        yield (
            f"The host was too busy to judge times and rates: {state.stayed} of "
            f"{counted(state.trials, 'trial')} stayed disturbed. A time with a `cpu_time` is "
            "judged by that; the others are not judged."
        )


def _as_expected(evidence: Evidence) -> str:
    surprises = sum(not evidence.as_expected(cell) for cell in evidence.cells)
    if surprises:
        return f"{counted(surprises, 'cell')} ended unexpectedly."
    return "All cells ended as expected."


def _intervals(look: Look) -> str:
    level = unbroken(f"{look.level * 100:.4g} %")
    which = f", look {look.number} of {look.of}" if look.of > 1 else ""
    blocks = counted(look.blocks, "block")
    return f"The ranges are {level} intervals from {blocks}{which}."


def _sensitivity(evidence: Evidence) -> Iterator[str]:
    """Say in one line which changes the A/A check would find, and if it found one."""
    smallest, false_alarms = [], []
    for check in evidence.judgement.checks:
        compared = check.comparison
        if compared.usable is None or compared.identical or check.smallest is None:
            continue
        title = compared.measured.title
        smallest.append(f"{title} {words.amount(check.smallest, compared.measured)}")
        if compared.verdict in {Verdict.LOWER, Verdict.HIGHER}:
            false_alarms.append(title)
    if smallest:
        yield f"Changes that this machine finds nine times in ten: {', '.join(smallest)}."
    if false_alarms:
        yield (
            f"Two copies of the baseline differ in {listed(false_alarms)}, so be careful with "
            f"{'it' if len(false_alarms) == 1 else 'them'}."
        )


def _are(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"


# --- no verdict yet ------------------------------------------------------------------------------


def _why_no_verdict(evidence: Evidence, changes: Sequence[Change]) -> str:
    """Say in one sentence why there is no verdict."""
    judgement, complete = evidence.judgement, evidence.judgement.complete
    if not changes:
        return (
            "Nothing is compared, so there is no verdict. Name what to compare under `compare:`, "
            "or set a `baseline:`."
        )
    if judgement.look is not None:
        reasons = [one.comparison.reason for one in changes if one.comparison]
        return f"No verdict: {reasons[0]}." if reasons else "No verdict: no trial was executed."
    looks = [one for one in evidence.plan.looks if one > complete and one >= FEWEST_BLOCKS]
    if not looks:
        return (
            f"No verdict: a comparison needs {counted(FEWEST_BLOCKS, 'block')}, and this run plans "
            f"{len({one.block for one in evidence.plan.trials})}."
        )
    return (
        f"No verdict yet: the first is read after {counted(looks[0], 'complete block')}, and "
        f"{_are(complete, 'block')} complete."
    )
