"""Old and new: a row for each change, with its interval beside its limit."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from runner.records.study import Scale
from runner.report import words
from runner.report.changes import Change, by_importance
from runner.report.drawing import Bar
from runner.report.environments import also_changed
from runner.report.evidence import Evidence
from runner.report.records import Row, Table
from runner.text import counted, unbroken

MOST_ROWS = 12
CHANGE = 4
"""The column of the change."""


def tables(evidence: Evidence, changes: Sequence[Change]) -> tuple[Table, ...]:
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
        return ", ".join(filter(None, (words.values(one.of), one.stratum)))
    replaced = f"{one.named} against {one.replaced}"
    return ", ".join(filter(None, (replaced, one.place, one.stratum)))


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
