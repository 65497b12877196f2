"""Verdicts in words: no p-value, never "significant", and no difference that is none."""

import math

from runner.judge.records import Comparison, Estimate, Look, Verdict
from runner.records import shown
from runner.records.environment import Environment
from runner.records.study import Better, Cell, Metric, Scale
from runner.report.evidence import Evidence
from runner.report.page import Statement
from runner.summarise import measures_wall_time
from runner.text import counted, shortened, unbroken

_MINUS = "\N{MINUS SIGN}"
_WHOLE_PER_CENT_FROM = 10.0


def statement(evidence: Evidence, comparison: Comparison) -> Statement:
    """Return what is said of a comparison: the finding, its interval, and what else changed."""
    of, against, shared = sides(evidence, comparison)
    found = finding(evidence, comparison, of, against)
    notes = [f"also changed: {also}" for also in also_changed(evidence, comparison)]
    notes += adaptations(evidence, comparison)
    if comparison.negligible:
        room = margin(comparison.measured)
        notes.insert(0, f"the difference is smaller than {room}, which we call negligible")
    if comparison.outlier_sensitive:
        notes.insert(0, "it depends on outlying blocks: see the dots")
    return Statement(
        head=f"{shared}: {found}" if shared else _begun(found),
        text=basis(evidence, comparison),
        notes=tuple(notes),
    )


def _begun(sentence: str) -> str:
    """Return a sentence with a capital, unless it begins with a name."""
    ours = sentence.startswith(("no ", "cannot "))
    return sentence[0].upper() + sentence[1:] if ours else sentence


def sides(evidence: Evidence, comparison: Comparison) -> tuple[str, str, str]:
    """Return both cells by what differs between them, and what they share."""
    cells = {cell.id: cell for cell in evidence.run.matrix.cells}
    ours = dict(cells[comparison.of].coordinates)
    theirs = dict(cells[comparison.against].coordinates)
    shared = [axis for axis in ours if axis in theirs and ours[axis] == theirs[axis]]
    names = [
        ", ".join(shown(value) for axis, value in side.items() if axis not in shared)
        for side in (ours, theirs)
    ]
    return names[0], names[1], ", ".join(f"{axis}={shown(ours[axis])}" for axis in shared)


def finding(evidence: Evidence, comparison: Comparison, of: str, against: str) -> str:
    """Return the verdict as the beginning of a sentence, without its interval."""
    metric, estimate = comparison.measured, comparison.estimate
    timed = _is_time(evidence, metric)
    match comparison.verdict:
        case Verdict.LOWER | Verdict.HIGHER if estimate is not None:
            size = amount(estimate.mean, metric)
            if timed:
                return f"{of} is {_speed(comparison.verdict)} than {against} by {size}"
            word = comparison.verdict.value
            return f"{metric.title} is {word} in {of} than in {against} by {size}"
        case Verdict.EQUIVALENT if comparison.identical:
            return f"{of} and {against} gave the same {metric.title} in every block"
        case Verdict.EQUIVALENT:
            return f"no difference larger than {margin(metric)} between {of} and {against}"
        case Verdict.CANNOT_TELL:
            what = "faster" if timed else f"of another {metric.title}"
            return f"cannot tell yet whether {of} is {what} than {against}"
        case _:
            return f"no comparison of {of} with {against}"


def basis(evidence: Evidence, comparison: Comparison) -> str:
    """Return what a verdict rests on: metric, interval and blocks, or why there is none."""
    metric, estimate = comparison.measured, comparison.estimate
    stood_in = _stood_in(evidence, comparison)
    if estimate is None or comparison.verdict is Verdict.NO_COMPARISON:
        return f"{stood_in}{metric.title}: {comparison.reason}."
    if comparison.identical:
        return f"{stood_in}{metric.title}, {counted(estimate.n, 'block')}."
    if estimate.sd == 0:
        return f"{stood_in}{metric.title}: {comparison.reason}."
    parts = [f"{metric.title}: {stretch(evidence, estimate, metric)} ({interval_name(estimate)}"]
    parts[0] += f", {_counted_samples(comparison, estimate)})"
    if comparison.verdict is Verdict.CANNOT_TELL and comparison.forecast is not None:
        more = comparison.forecast
        width = amount(more.half_width, metric)
        parts.append(
            f"about {more.blocks} more blocks ({more.fewest} to {more.most}) would narrow this to "
            f"\N{PLUS-MINUS SIGN}{width}"
        )
    if comparison.verdict is Verdict.CANNOT_TELL and estimate.excludes_zero:
        parts.append(comparison.reason)
    return stood_in + "; ".join(parts) + "."


def stretch(evidence: Evidence, estimate: Estimate, metric: Metric) -> str:
    """Return an interval in words: ``15 % to 21 % faster``."""
    if not _is_time(evidence, metric):
        return _together(estimate.low, estimate.high, metric)
    low, high = amount(estimate.low, metric), amount(estimate.high, metric)
    if low == high:
        low, high = (_fine(end, metric) for end in (estimate.low, estimate.high))
    if estimate.low > 0:
        return f"{low} to {high} slower"
    if estimate.high < 0:
        return f"{high} to {low} faster"
    return f"anywhere from {low} faster to {high} slower"


def _together(low: float, high: float, metric: Metric) -> str:
    """Return an interval with the unit behind it once."""
    if metric.scale is Scale.RATIO:
        return f"{signed(low, metric)} to {signed(high, metric)}"
    digits = max(0, 2 - math.floor(math.log10(max(abs(low), abs(high)) or 1.0)))
    ends = (f"{end:+.{min(digits, 6)}f}".replace("-", _MINUS) for end in (low, high))
    return unbroken(f"{' to '.join(ends)} {unit(metric)}".rstrip())


def interval_name(estimate: Estimate) -> str:
    """Return ``98.4 % interval``."""
    return unbroken(f"{estimate.level * 100:.4g} %") + " interval"


def amount(change: float, metric: Metric) -> str:
    """Return the size of a change without its sign: ``18 %``, ``0.12 points``."""
    if metric.scale is Scale.RATIO:
        return per_cent(abs(math.expm1(change)) * 100)
    return unbroken(f"{abs(change):.3g} {unit(metric)}".rstrip())


def _fine(change: float, metric: Metric) -> str:
    """Return the size of a change in tenths of a per cent, where whole ones say too little."""
    if metric.scale is Scale.DIFFERENCE:
        return amount(change, metric)
    return unbroken(f"{abs(math.expm1(change)) * 100:.1f} %")


def signed(change: float, metric: Metric) -> str:
    """Return a change with its sign: ``+18 %``."""
    sign = _MINUS if change < 0 else "+"
    return sign + amount(change, metric)


def per_cent(value: float) -> str:
    """Return a share in per cent, with a decimal where it is small."""
    return unbroken(f"{value:.0f} %" if value >= _WHOLE_PER_CENT_FROM else f"{value:.1f} %")


def margin(metric: Metric) -> str:
    """Return what is called negligible."""
    if metric.scale is Scale.RATIO:
        return unbroken(f"{metric.margin * 100:g} %")
    return unbroken(f"{metric.margin:g} {unit(metric)}".rstrip())


def unit(metric: Metric) -> str:
    """Return the unit of a difference: per cent differ by points."""
    return "points" if metric.unit == "%" else metric.unit


def also_changed(evidence: Evidence, comparison: Comparison) -> list[str]:
    """Return what else differs between the environments of two cells, in one text or none."""
    cells = {cell.id: cell for cell in evidence.run.matrix.cells}
    of, against = (
        _environment(evidence, cells[one]) for one in (comparison.of, comparison.against)
    )
    if of is None or against is None or of == against:
        return []
    asked = {name for need in of.request.requirements for name in need.distributions}
    ours = {one.name: one.version for one in of.packages if one.name not in asked}
    theirs = {one.name: one.version for one in against.packages if one.name not in asked}
    differing = sum(ours.get(name) != theirs.get(name) for name in ours.keys() | theirs.keys())
    found = []
    if of.python != against.python:
        found.append(f"Python {against.python} \N{RIGHTWARDS ARROW} {of.python}")
    if differing:
        found.append(counted(differing, "package"))
    return [", ".join(found)] if found else []


def adaptations(evidence: Evidence, comparison: Comparison) -> list[str]:
    """Return where the script of one of the cells did not do exactly what the other's did."""
    said: dict[str, set[str]] = {
        cell: {one.adapted for one in evidence.settled(cell) if one.adapted is not None}
        for cell in (comparison.of, comparison.against)
    }
    both = said[comparison.of] & said[comparison.against]
    return [
        f"adapted in {cell}: {shortened(sentence)}"
        for cell, sentences in said.items()
        for sentence in sorted(sentences - both)
    ]


def of_look(look: Look) -> str:
    """Say which look it is, and what that means."""
    level = unbroken(f"{look.level * 100:.4g} %")
    if look.of == 1:
        return f"Verdicts are read once, after {counted(look.blocks, 'block')}, at {level}."
    return (
        f"This is look {look.number} of {look.of}, after {counted(look.blocks, 'block')}. "
        f"Each look reads {level} intervals, so that all of them together err as rarely as one at "
        f"{unbroken('95 %')}."
    )


def _environment(evidence: Evidence, cell: Cell) -> Environment | None:
    entry = evidence.run.lock.entry(cell.request)
    return entry if isinstance(entry, Environment) else None


def _is_time(evidence: Evidence, metric: Metric) -> bool:
    """Whether less of the metric is called faster."""
    lower = metric.scale is Scale.RATIO and metric.better is Better.LOWER
    return lower and measures_wall_time(evidence.run.matrix, metric)


def _speed(verdict: Verdict) -> str:
    return "slower" if verdict is Verdict.HIGHER else "faster"


def _counted_samples(comparison: Comparison, estimate: Estimate) -> str:
    if comparison.paired:
        return counted(estimate.n, "block")
    return f"{counted(estimate.n, 'trial')} a side"


def _stood_in(evidence: Evidence, comparison: Comparison) -> str:
    if comparison.metric == comparison.measured:
        return ""
    state = evidence.judgement.disturbance
    return (
        f"The host was too busy for wall time in {state.stayed} of {state.trials} trials; "
        f"in place of {comparison.metric.title}, "
    )
