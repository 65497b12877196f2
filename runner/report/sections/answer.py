"""The answer: may I upgrade, what does it cost, how sure is that? It needs no further section."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from runner.judge.records import FEWEST_BLOCKS, Advice, Decision, Look, Verdict
from runner.records import shown
from runner.records.study import PolicyLimit
from runner.report import words
from runner.report.changes import TONES, Change, asked, by_candidate, by_importance
from runner.report.drawing import Bar
from runner.report.environments import also_changed
from runner.report.evidence import Evidence
from runner.report.records import Row, Section, Statement, Table
from runner.text import counted, listed, unbroken

MOST_NAMED = 3
MOST_WITH_NOTES = 3
MOST_ROWS = 12
CHANGE = 4
"""The column of the change."""
_ADVICE = {
    Advice.ADOPT: "Upgrade to {candidate} (adopt)",
    Advice.HOLD: "Do not upgrade to {candidate} (hold)",
    Advice.CANNOT_TELL: "Not clear yet whether to upgrade to {candidate} (cannot tell)",
}
_FINE = {Advice.ADOPT: "within every limit", Advice.CANNOT_TELL: "not clear yet"}


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
    for candidate, found in candidates.items():
        decision = decisions.get(candidate)
        if decision is None:
            statement = _found(evidence, found)
        else:
            limits = [one for one in found if one.judged is not None]
            statement = _decided(evidence, decision, limits)
        few = len(candidates) <= MOST_WITH_NOTES
        yield statement if few else replace(statement, notes=statement.notes[:1])


def _decided(evidence: Evidence, decision: Decision, limits: Sequence[Change]) -> Statement:
    """Say what the policy advises, because of which changes, and where."""
    head = _ADVICE[decision.advice].format(candidate=_candidate(limits[0]))
    if decision.advice is Advice.ADOPT:
        head += f": {_worst(evidence, limits)}"
        notes = ["Even the bad end of every interval is within its limit."]
    else:
        reasons = [one for one in limits if one.judged and one.judged.advice is decision.advice]
        head += f": {_effects(evidence, reasons)}"
        notes = [_where(limits, decision.advice)]
    notes += [_more_blocks(evidence, limits)] if decision.advice is Advice.CANNOT_TELL else []
    notes += [*_replaced(evidence, limits), *also_changed(evidence, limits)]
    return Statement(f"{head}.", notes=tuple(filter(None, notes)), tone=TONES[decision.advice])


def _found(evidence: Evidence, changes: Sequence[Change]) -> Statement:
    """Say what changes, without advice: there is no policy."""
    different = [one for one in changes if one.improves is not None]
    first = changes[0]
    head = f"{_candidate(first)} against {_baseline(first)}: "
    head += _effects(evidence, different) if different else _no_difference(changes)
    others = [one for one in changes if one not in different] if different else []
    notes = [f"No clear difference: {_subjects(others)}." if others else ""]
    tones = {one.tone for one in different} or {"open"}
    notes += [] if different else [_more_blocks(evidence, changes)]
    notes += [*_replaced(evidence, changes), *also_changed(evidence, changes)]
    notes += _also_measured(evidence, changes)
    tone = tones.pop() if len(tones) == 1 else "open"
    return Statement(f"{head}.", notes=tuple(filter(None, notes)), tone=tone)


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


def _candidate(one: Change) -> str:
    replaced = dict(one.against.coordinates)
    return " and ".join(
        f"{axis} {shown(value)}"
        for axis, value in one.of.coordinates
        if replaced.get(axis) != value
    )


def _baseline(one: Change) -> str:
    replacing = dict(one.of.coordinates)
    return " and ".join(
        shown(value) for axis, value in one.against.coordinates if replacing.get(axis) != value
    )


def _place(one: Change) -> str:
    """Name what both cells share: a word alone, a number with the name of its axis."""
    return ", ".join(
        value if value[:1].isalpha() and value not in {"true", "false"} else f"{axis}={value}"
        for axis, value in one.shared
    )


def _effects(evidence: Evidence, changes: Sequence[Change]) -> str:
    """Say how each metric changes, the largest change first: ``time 44 % slower (...) for x``."""
    return "; ".join(
        _of_metric(evidence, title, some) for title, some in _by_title(changes).items()
    )


def _by_title(changes: Sequence[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for one in changes:
        found.setdefault(_title(one), []).append(one)
    return found


def _of_metric(evidence: Evidence, title: str, changes: list[Change]) -> str:
    changes.sort(key=_size, reverse=True)
    texts = []
    most = MOST_NAMED if len(changes) <= MOST_NAMED else 1
    for one in changes[:most]:
        place = _place(one)
        texts.append(f"{_effect(evidence, one)}{f' for {place}' if place else ''}")
    if len(changes) > most:
        texts.append(f"less for {counted(len(changes) - most, 'more cell')}")
    return f"{title} {', '.join(texts)}".strip()


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
    if one.judged is not None and one.judged.advice is Advice.CANNOT_TELL:
        inside.append(f"limit {limit_of(evidence, one.judged.limit)}")
    if compared.usable is not None and not compared.identical:
        old, new = (words.with_unit(number, compared.measured) for number in (one.old, one.new))
        inside.append(f"{old} \N{RIGHTWARDS ARROW} {new}")
    return f"{size or ends} ({'; '.join(inside)})" if inside else size or ends


def _worst(evidence: Evidence, limits: Sequence[Change]) -> str:
    """Say for each metric how bad it may become."""
    texts = []
    for title, some in _by_title(limits).items():
        worst = max(some, key=_worst_end)
        place = _place(worst)
        texts.append(f"{title} {_effect(evidence, worst)}{f' for {place}' if place else ''}")
    at_worst = "" if len(texts) == len(limits) else "at worst "
    return f"{at_worst}{'; '.join(texts)}"


def _worst_end(one: Change) -> float:
    """Return the bad end of an interval, so that a larger number is worse."""
    compared = one.comparison
    if compared is None or compared.usable is None:
        return float("-inf")
    upwards = one.judged is None or one.judged.limit.change > 0
    return compared.usable.high if upwards else -compared.usable.low


def _where(limits: Sequence[Change], advice: Advice) -> str:
    """Say which values carry the change, and how the other cells do."""
    advised: dict[str, set[Advice]] = {}
    for one in limits:
        if one.judged is not None:
            advised.setdefault(one.of.id, set()).add(one.judged.advice)
    cells = {one.of.id: one for one in limits}
    worst = {cell: _worst_of(found) for cell, found in advised.items()}
    affected = [cells[cell] for cell, found in worst.items() if found is advice]
    others = [cells[cell] for cell, found in worst.items() if found is not advice]
    if not affected[0].shared:
        return ""
    if not others:
        every = "both" if len(affected) == 2 else f"all {len(affected)}"  # noqa: PLR2004
        return f"In {every} cells." if len(affected) > 1 else ""
    named = f"Only {_carrying(affected, others)}; "
    kinds = [
        f"{_FINE[kind]}: {_subjects(some)}"
        for kind in (Advice.CANNOT_TELL, Advice.ADOPT)
        if (some := [cells[cell] for cell, found in worst.items() if kind is found is not advice])
    ]
    return f"{named}{'; '.join(kinds)}."


def _worst_of(found: set[Advice]) -> Advice:
    return next(one for one in (Advice.HOLD, Advice.CANNOT_TELL, Advice.ADOPT) if one in found)


def _carrying(affected: Sequence[Change], others: Sequence[Change]) -> str:
    """Name the values of the axis that separates the affected cells from the others."""
    for axis, _ in affected[0].shared:
        ours = dict.fromkeys(dict(one.shared)[axis] for one in affected)
        theirs = {dict(one.shared)[axis] for one in others}
        if not theirs & ours.keys():
            return f"{axis} {listed(list(ours))}"
    return f"{len(affected)} of {counted(len(affected) + len(others), 'cell')}"


def _subjects(changes: Sequence[Change]) -> str:
    """Name places, or metrics where there are no places; a few of them."""
    names = list(dict.fromkeys(_place(one) or _title(one) for one in changes))
    more = len(names) - MOST_NAMED
    return listed([*names[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _no_difference(changes: Sequence[Change]) -> str:
    known = [one.comparison for one in changes if one.comparison]
    if known and all(one.verdict is Verdict.EQUIVALENT for one in known):
        return f"no difference beyond the margin in {_titles(changes)}"
    return f"no clear difference yet in {_titles(changes)}"


def _titles(changes: Sequence[Change]) -> str:
    return listed(list(dict.fromkeys(map(_title, changes))))


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
    rows = [row(evidence, one) for one in by_importance(changes)]
    if len(rows) <= MOST_ROWS:
        rows = [row(evidence, one) for one in changes]
    limits = any(one.limit for one in changes)
    columns = ("cell", "metric", "old", "new", "change", "limit" if limits else "margin", "verdict")
    first, rest = tuple(rows[:MOST_ROWS]), tuple(rows[MOST_ROWS:])
    more = Table(counted(len(rest), "more change"), columns, rest, folded=True, bars=CHANGE)
    return (Table("Old and new", columns, first, bars=CHANGE), *([more] if rest else []))


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
        limit_of(evidence, one.limit) if one.limit else words.margin(measured),
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
    if set(evidence.run.matrix.baseline) <= set(one.against.coordinates):
        return words.values(one.of)
    replaced = f"{_candidate(one)} against {_baseline(one)}"
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


def limit_of(evidence: Evidence, limit: PolicyLimit) -> str:
    """Return a limit of the policy: ``+3 %``."""
    metric = evidence.run.matrix.metric(limit.metric)
    size, unit = (limit.change * 100, "%") if limit.relative else (limit.change, words.unit(metric))
    sign = "+" if size > 0 else ""
    return unbroken(f"{sign}{words.printed(round(size, 6))} {unit}".rstrip())


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
        until = f" before the look after {following}" if judgement.next_look else ""
        yield f"{_are(since, 'later block')} not included in the verdicts{until}."
    if plan.left:
        cells = ", ".join(
            f"{cell} after {counted(blocks, 'block')}" for cell, blocks in sorted(plan.left.items())
        )
        yield f"These cells left the plan because everything about them was decided: {cells}."
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
