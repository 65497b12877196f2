"""Conclusions: the decision, verdicts, the sensitivity check, learning curves, the screening."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from runner.judge.records import (
    FEWEST_BLOCKS,
    Advice,
    Check,
    Comparison,
    Decision,
    JudgedLimit,
    Look,
    Verdict,
)
from runner.records import shown
from runner.records.environment import Environment
from runner.records.study import AxisKind, Metric, PolicyLimit, Scale
from runner.report import figures, words
from runner.report.drawing import Bar
from runner.report.evidence import Evidence
from runner.report.records import Figure, Section, Statement, Table
from runner.summarise import learning_curves
from runner.text import counted, memory, shortened, unbroken

_CONTROL = (
    "Each block contained a second copy of {cell}, hidden among the other trials. There is no "
    "real difference between the two copies, so a sound run finds none. This check never changes "
    "a verdict."
)
_SCREENED = (
    "These comparisons were not chosen in advance. At most 1 in 20 of the differences found is "
    "expected to be a false alarm. The intervals are widened because the differences were "
    "selected, and the sizes of the changes are slightly overstated. To get a verdict on a "
    "comparison, name it under `compare:`."
)
_TONES = {Advice.ADOPT: "good", Advice.HOLD: "bad", Advice.CANNOT_TELL: "open"}
_ADVICE = {
    Advice.ADOPT: "Upgrade to {candidate} (adopt)",
    Advice.HOLD: "Do not upgrade to {candidate} (hold)",
    Advice.CANNOT_TELL: "Not clear yet whether to upgrade to {candidate} (cannot tell)",
}


def decision(evidence: Evidence) -> Section | None:
    """Say for each candidate whether the policy allows it, and why, with the numbers."""
    matrix, judgement = evidence.run.matrix, evidence.judgement
    if not matrix.policy:
        return None
    limits = ", ".join(
        f"{matrix.metric(limit.metric).title} {_limit(evidence, limit)}" for limit in matrix.policy
    )
    baseline = " and ".join(f"{axis} {shown(value)}" for axis, value in matrix.baseline)
    lead = f"Limits for upgrading from {baseline}: {limits}."
    if judgement.look is None:
        return Section("Decision", (lead,), (_before_first_look(evidence),))
    return Section(
        "Decision",
        (),
        tuple(_decided(evidence, one) for one in judgement.decisions),
        tables=(_limits(evidence, judgement.decisions),),
        notes=(lead,),
    )


def _limit(evidence: Evidence, limit: PolicyLimit) -> str:
    """Return a limit of the policy: ``+3 %``."""
    metric = evidence.run.matrix.metric(limit.metric)
    size, unit = (limit.change * 100, "%") if limit.relative else (limit.change, words.unit(metric))
    sign = "+" if size > 0 else ""
    return unbroken(f"{sign}{words.printed(round(size, 6))} {unit}".rstrip())


def _before_first_look(evidence: Evidence) -> Statement:
    complete = evidence.judgement.complete
    looks = [one for one in evidence.plan.looks if one > complete and one >= FEWEST_BLOCKS]
    if not looks:
        needs = f"A comparison needs {counted(FEWEST_BLOCKS, 'block')}, and no look of this run "
        return Statement("No verdicts", f"{needs}comes after so many. Begin one with more blocks.")
    return Statement(
        "No verdicts yet",
        f"Verdicts are read after {counted(looks[0], 'complete block')}; so far "
        f"{_are(complete, 'block')} complete. Reading verdicts after every block would find "
        "differences that do not exist.",
    )


def _are(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"


def _decided(evidence: Evidence, decision: Decision) -> Statement:
    matrix, first = evidence.run.matrix, decision.limits[0]
    replaced = dict(matrix.cell(first.against).coordinates)
    candidate = " and ".join(
        f"{axis} {shown(value)}"
        for axis, value in matrix.cell(first.of).coordinates
        if replaced[axis] != value
    )
    head, tone = _ADVICE[decision.advice].format(candidate=candidate), _TONES[decision.advice]
    if decision.advice is Advice.ADOPT:
        compared = [one.comparison for one in decision.limits if one.comparison]
        notes = tuple(
            dict.fromkeys(filter(None, (words.replaced(evidence, one) for one in compared)))
        )
        found = "Every limit is met, even at the bad end of its interval."
        return Statement(head, found, notes, tone)
    reasons = [one for one in decision.limits if one.advice is decision.advice]
    others = _unaffected(evidence, decision)
    return Statement(head, others, tuple(_reason(evidence, one) for one in reasons), tone)


def _unaffected(evidence: Evidence, decision: Decision) -> str:
    """Say which other cells of a candidate keep every limit: the change is not everywhere."""
    advice: dict[str, set[Advice]] = {}
    for one in decision.limits:
        advice.setdefault(one.of, set()).add(one.advice)
    fine = [cell for cell, found in advice.items() if found == {Advice.ADOPT}]
    if not fine:
        return ""
    pairs = {one.of: one.comparison for one in decision.limits if one.comparison}
    names = [words.sides(evidence, pairs[cell])[2] for cell in fine if cell in pairs]
    return f"Within every limit: {', '.join(names)}." if all(names) else ""


def _reason(evidence: Evidence, limit: JudgedLimit) -> str:
    compared = limit.comparison
    if compared is None:
        return f"{limit.of}: {limit.reason}."
    if compared.usable is None:
        return f"{words.headline(evidence, compared)}. {words.basis(evidence, compared)}"
    bound = f"the limit of {_limit(evidence, limit.limit)}"
    if compared.measured != compared.metric:
        bound += f" on {compared.metric.title}"
    reason = limit.reason.replace("the limit", bound)
    sentences = f"{words.headline(evidence, compared)}. {reason[0].upper()}{reason[1:]}."
    return " ".join(filter(None, (sentences, words.replaced(evidence, compared))))


def _limits(evidence: Evidence, decisions: Iterable[Decision]) -> Table:
    """Show old and new numbers, the change beside its limit, and the advice."""
    limits = [limit for decision in decisions for limit in decision.limits]
    rows, bars = [], []
    for one in limits:
        compared, texts = one.comparison, ("does it run?", *[words.NOTHING] * 4)
        if compared is not None:
            numbers = (
                words.medians(evidence, cell, compared) for cell in (compared.against, compared.of)
            )
            interval = _interval(evidence, compared)
            texts = (words.judged(compared), *numbers, interval, _limit(evidence, one.limit))
        name = words.values(evidence.run.matrix.cell(one.of))
        rows.append((name, *texts, one.advice.value))
        bars.append(_bar(one))
    columns = ("cell", "metric", "old", "new", "change", "limit", "advice")
    return Table("Old and new", columns, tuple(rows), bars=tuple(bars))


def _bar(limit: JudgedLimit) -> Bar | None:
    """Return the interval of a limit, drawn on a scale on which everything fits."""
    compared = limit.comparison
    if compared is None or (estimate := compared.usable) is None:
        return None
    bound = limit.limit.change
    if compared.scale is Scale.RATIO:
        bound = math.log1p(bound)
    elif limit.limit.relative:
        return None  # its size depends on the baseline
    ends = estimate.low, estimate.high
    extent = 1.1 * max(map(abs, (*ends, bound))) or 1.0
    return Bar(*ends, bound, extent, _TONES[limit.advice])


def _interval(evidence: Evidence, compared: Comparison | None) -> str:
    if compared is None or compared.estimate is None:
        return words.NOTHING
    if compared.identical:
        return "identical"
    return words.interval(evidence.run.matrix, compared.estimate, compared.measured)


def verdicts(evidence: Evidence) -> Section | None:
    """Give the verdict on each comparison that was named before the run."""
    judgement = evidence.judgement
    if not evidence.run.matrix.compare:
        return None
    if judgement.look is None:
        return Section("Verdicts", statements=(_before_first_look(evidence),))
    named = [one for one in judgement.comparisons if one.named]
    return Section(
        "Verdicts",
        (_which_look(judgement.look), *_since_look(evidence)),
        tuple(_compared(evidence, one) for one in named),
        tuple(_figures(evidence, named, judgement.look.level)),
    )


def _which_look(look: Look) -> str:
    level = unbroken(f"{look.level * 100:.4g} %")
    if look.of == 1:
        return f"Verdicts are read once, after {counted(look.blocks, 'block')}, at {level}."
    return (
        f"This is look {look.number} of {look.of}, after {counted(look.blocks, 'block')}. Each "
        f"look uses {level} intervals, so that all {look.of} looks together are wrong as rarely "
        f"as a single look at {unbroken('95 %')}."
    )


def _since_look(evidence: Evidence) -> Iterator[str]:
    """Say which blocks are not included, which cells left the plan, and if the host was busy."""
    judgement, plan, state = evidence.judgement, evidence.plan, evidence.judgement.disturbance
    since = judgement.complete - judgement.look.blocks if judgement.look else 0
    if since:
        following = counted(judgement.next_look or 0, "block")
        until = f" before the look after {following}" if judgement.next_look else ""
        yield (f"{_are(since, 'later block')} in the tables below, but not in the verdicts{until}.")
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


def _compared(evidence: Evidence, comparison: Comparison) -> Statement:
    notes = []
    if comparison.outlier_sensitive:
        notes.append("The verdict depends on outlying blocks: see the dots in the figure.")
    if comparison.negligible:
        room = words.margin(comparison.measured)
        notes.append(f"The difference is smaller than {room}, which we call negligible.")
    notes += [*_also_changed(evidence, comparison), *_adaptations(evidence, comparison)]
    return Statement(
        words.headline(evidence, comparison), words.basis(evidence, comparison), tuple(notes)
    )


def _also_changed(evidence: Evidence, comparison: Comparison) -> Iterator[str]:
    """Yield one sentence if more than the compared package differs between the environments."""
    yield from _settings(evidence, comparison)
    ours, theirs = (evidence.environment(cell.request) for cell in evidence.pair(comparison))
    if ours is None or theirs is None or ours == theirs:
        return
    of, against = (dict(cell.coordinates) for cell in evidence.pair(comparison))
    compared = {
        axis.kind for axis in evidence.run.matrix.axes if of[axis.name] != against[axis.name]
    }
    if AxisKind.LOCK in compared:
        yield from _differences(ours, theirs)
        return
    requirements = (*ours.request.requirements, *theirs.request.requirements)
    asked = {name for need in requirements for name in need.distributions}
    versions, before = (
        {one.name: one.version for one in side.packages if one.name not in asked}
        for side in (ours, theirs)
    )
    differing = len({name for name, _ in versions.items() ^ before.items()})
    found = []
    if ours.python != theirs.python and AxisKind.PYTHON not in compared:
        found.append(f"Python {theirs.python} \N{RIGHTWARDS ARROW} {ours.python}")
    if differing:
        found.append(counted(differing, "other package"))
    if found:
        yield f"Also changed: {', '.join(found)}."


def _settings(evidence: Evidence, comparison: Comparison) -> Iterator[str]:
    """Yield one sentence if limits or variables differ, besides a compared variable."""
    matrix, arrow = evidence.run.matrix, "\N{RIGHTWARDS ARROW}"
    of, against = evidence.pair(comparison)
    ours, theirs = matrix.limits_of(of), matrix.limits_of(against)
    found = []
    if ours.cpus != theirs.cpus:
        found.append(f"cores {theirs.cpus} {arrow} {ours.cpus}")
    if ours.memory_bytes != theirs.memory_bytes:
        found.append(f"memory {memory(theirs.memory_bytes)} {arrow} {memory(ours.memory_bytes)}")
    compared = {axis.variable for axis in matrix.axes}
    for name in sorted({**of.variables, **against.variables}.keys() - compared):
        values = [cell.variables.get(name, "not set") for cell in (against, of)]
        if values[0] != values[1]:
            found.append(f"{name} {shortened(values[0])} {arrow} {shortened(values[1])}")
    if found:
        yield f"Also changed: {', '.join(found)}."


def _differences(ours: Environment, theirs: Environment) -> Iterator[str]:
    """Yield what differs between two lock files, package by package."""
    after, before = ({one.name: one.version for one in side.packages} for side in (ours, theirs))
    both = sorted(after.keys() & before.keys())
    arrow = "\N{RIGHTWARDS ARROW}"
    changed = [
        f"{name} {before[name]} {arrow} {after[name]}"
        for name in both
        if after[name] != before[name]
    ]
    if ours.python != theirs.python:
        changed.insert(0, f"Python {theirs.python} {arrow} {ours.python}")
    added = [f"{name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    removed = [f"{name} {before[name]}" for name in sorted(before.keys() - after.keys())]
    for word, found in (("Changed", changed), ("Added", added), ("Removed", removed)):
        if found:
            yield f"{word}: {', '.join(found)}."
    same = sum(after[name] == before[name] for name in both)
    yield f"Unchanged: {counted(same, 'package')}."


def _adaptations(evidence: Evidence, comparison: Comparison) -> Iterator[str]:
    """Yield what the script had to do differently in only one of the cells."""
    cells = evidence.pair(comparison)
    ours, theirs = (
        {one.adapted for one in evidence.settled(cell) if one.adapted} for cell in cells
    )
    for cell, only in zip(cells, (ours - theirs, theirs - ours), strict=True):
        for sentence in sorted(only):
            yield f"Adapted in {cell.id}: {shortened(sentence)}"


def _figures(evidence: Evidence, named: Sequence[Comparison], level: float) -> Iterator[Figure]:
    """Draw one figure for each metric that was measured."""
    metrics: dict[str, Metric] = {one.measured.name: one.measured for one in named}
    for metric in metrics.values():
        rows = [(words.pair(evidence, one), one) for one in named if one.measured == metric]
        figure = figures.changes(f"change-of-{metric.name}", metric, rows, level)
        if figure is not None:
            yield figure


def sensitivity(evidence: Evidence) -> Section | None:
    """Compare the baseline with its control, and name the smallest change that would be found."""
    checks = evidence.judgement.checks
    if not checks:
        return None
    return Section(
        "Sensitivity check (A/A)",
        (_CONTROL.format(cell=checks[0].comparison.of),),
        tuple(_checked(evidence, one) for one in checks),
    )


def _checked(evidence: Evidence, check: Check) -> Statement:
    compared, metric = check.comparison, check.comparison.measured
    if (estimate := compared.usable) is None:
        return Statement(f"{metric.title}: no check", f"Reason: {compared.reason}.")
    if compared.identical:
        head = f"{metric.title}: identical in both copies"
        return Statement(head, "The seed alone determines this metric.")
    false_alarm = compared.verdict in {Verdict.LOWER, Verdict.HIGHER}
    found = "a difference that is not real" if false_alarm else "no difference"
    sentences = [f"{words.interval_name(estimate)}."]
    if false_alarm:
        sentences.append("Treat verdicts on this metric with caution.")
    if check.smallest is not None:
        sentences.append(
            f"The smallest change that would be found nine times out of ten is "
            f"{words.amount(check.smallest, metric)}."
        )
    span = words.interval(evidence.run.matrix, estimate, metric)
    return Statement(f"{metric.title}: {found} ({span})", " ".join(sentences))


def learning(evidence: Evidence) -> Section | None:
    """Draw the learning curves, and in matched mode say where they diverge."""
    series: dict[str, dict[str, list[Sequence[float]]]] = {}
    for cell in evidence.cells[: figures.MOST_CURVES]:
        for name, blocks in learning_curves(evidence.run.matrix, evidence.ok(cell)).items():
            if curves := [curve for curve in blocks.values() if len(curve) > 1]:
                series.setdefault(name, {})[words.values(cell)] = curves
    if not series:
        return None
    titles = {one.name: words.heading(one) for one in evidence.run.matrix.metrics}
    titled: dict[str, dict[str, list[Sequence[float]]]] = {}
    for name, cells in islice(series.items(), figures.MOST_SERIES):
        title = titles.get(name, name.replace("_", " "))
        titled[name if title in titled else title] = cells
    lead = []
    if len(evidence.cells) > figures.MOST_CURVES:
        lead.append(f"Only the first {figures.MOST_CURVES} cells are drawn.")
    if len(series) > figures.MOST_SERIES:
        lead.append(f"Only the first {figures.MOST_SERIES} series are drawn.")
    drawn = figures.curves("learning-curves", titled)
    return Section("Learning curves", tuple(lead), tuple(_divergence(evidence)), (drawn,))


def _divergence(evidence: Evidence) -> Iterator[Statement]:
    for one in evidence.judgement.divergences:
        epochs = [first for first in one.first.values() if first is not None]
        if epochs:
            found = (
                f"They diverge in epoch {min(epochs)} at the earliest, and in {len(epochs)} of "
                f"{counted(len(one.first), 'block')}."
            )
        else:
            found = f"The same in all {one.epochs} epochs, except for the rounding of float32."
        title = one.series.replace("_", " ")
        yield Statement(f"{title} of {one.of} and {one.against}", found)


def screening(evidence: Evidence) -> Section | None:
    """List all comparisons that were not named before the run, folded."""
    rest = [one for one in evidence.judgement.comparisons if not one.named]
    if not rest:
        return None
    found = sum(one.verdict in {Verdict.LOWER, Verdict.HIGHER} for one in rest)
    differ = f"{found} of them {'differs' if found == 1 else 'differ'}"
    rows = []
    for one in rest:
        verdict = "identical" if one.identical else one.verdict.value
        interval = _interval(evidence, one)
        rows.append((one.of, one.against, words.judged(one), verdict, interval))
    columns = ("cell", "compared with", "metric", "verdict", "interval")
    table = Table(counted(len(rest), "comparison"), columns, tuple(rows), folded=True)
    lead = f"{counted(len(rest), 'further comparison')}; {differ}. {_SCREENED}"
    return Section("Screening", (lead,), tables=(table,))
