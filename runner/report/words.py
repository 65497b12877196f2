"""How a report writes numbers, changes and verdicts.

A verdict quotes no p-value, never says "significant", and names no difference that was not shown.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal

from runner.judge.records import Comparison, Estimate, JudgedLimit, Verdict
from runner.records import Value, shown, units
from runner.records.environment import EnvironmentRequest
from runner.records.study import AxisKind, Better, Cell, Matrix, Metric, Scale, Status
from runner.report import HOPELESS
from runner.report.evidence import Evidence
from runner.report.records import Row, Table
from runner.summarise import Summary
from runner.text import counted, listed, shortened, size, unbroken

NOTHING = "\N{EM DASH}"
"""Stands for a missing number."""

UNEXPECTED = "\N{CROSS MARK}"
"""Marks a cell that did not end as expected."""

MULTIPLES_FROM = math.log(10)
"""From a factor of ten, a change is written as ``12x`` instead of in per cent."""

MOST_LISTED = 10
"""How many results a sentence names."""

_LARGEST_EXPONENT = 700.0
_MINUS = "\N{MINUS SIGN}"
_PARTS_OF_A_SECOND = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SMALL_SECONDS = 0.1
_SYMBOLS = {"us": "\N{MICRO SIGN}s"}
_TINY, _HUGE = 1e-4, 1e12
_WHOLE_PER_CENT_FROM = 10.0
_MOST_DECIMALS = 4


# Numbers


def heading(metric: Metric) -> str:
    """Return title and unit of a metric: ``time per epoch (s)``."""
    return f"{metric.title} ({symbol(metric)})" if metric.unit else metric.title


def symbol(metric: Metric) -> str:
    """Return the unit of a metric as a person writes it."""
    return _SYMBOLS.get(metric.unit, metric.unit)


def number(value: float | None, unit: str, like: float | None = None) -> str:
    """Write a measured number: two decimals for per cent, else three significant digits.

    With ``like`` it gets the decimals of that number instead of its own.
    """
    if value is None:
        return NOTHING
    reference = value if like is None else like
    if reference and not _TINY <= abs(reference) < _HUGE:
        text = f"{value:.2e}"
    elif unit == "%" or not reference:
        text = f"{value:,.{2 if unit == '%' else 0}f}"
    else:
        text = f"{value:,.{max(0, 2 - math.floor(math.log10(abs(reference))))}f}"
    return text.replace("-", _MINUS, 1) if value < 0 else text


def tick(value: float, *, signed: bool = False) -> str:
    """Write a number beside an axis: ``0.25``, ``+20``, ``0``."""
    if value == 0:
        return "0"
    return f"{value:{'+' if signed else ''}.4g}".replace("-", _MINUS, 1)


def factor(value: float) -> str:
    """Write a ratio beside an axis: ``2x``, or ``-50 %`` for a half."""
    if value == 1:
        return "0"
    return f"{value:,.0f}x" if value > 1 else f"{_MINUS}{_per_cent((1 - value) * 100)}"


def median_and_range(summary: Summary, metric: Metric) -> str:
    """Write the median and, in a second line, the smallest and the largest number."""
    middle = number(summary.median, metric.unit)
    if summary.n <= 1:
        return middle
    low, high = (
        number(end, metric.unit, like=summary.median) for end in (summary.low, summary.high)
    )
    return f"{middle}\n({unbroken(f'{low} to {high}')})"


def with_unit(value: float | None, metric: Metric) -> str:
    """Write a number with its unit: ``1.22 s``, and ``1.33 ms`` instead of ``0.00133 s``."""
    if value is None:
        return NOTHING
    unit = metric.unit
    if unit == "s" and abs(value) < _SMALL_SECONDS:
        parts = _PARTS_OF_A_SECOND
        unit = next((part for part in parts if abs(value) >= parts[part]), "s")
        value /= parts.get(unit, 1.0)
    return unbroken(f"{number(value, unit)} {_SYMBOLS.get(unit, unit)}".rstrip())


def measurement(evidence: Evidence, cell: Cell, metric: Metric) -> str:
    """Write the median and range of a cell, or how its trials ended if it has no number."""
    summary = evidence.summaries[cell.id, metric.name]
    if summary.n:
        return median_and_range(summary, metric)
    statuses = {result.status.value for result in evidence.settled(cell)} - {Status.OK.value}
    return " ".join([NOTHING, *sorted(statuses)])


def printed(value: float) -> str:
    """Write a published number with exactly the digits that were published."""
    text = format(Decimal(repr(value)), "f").removesuffix(".0")
    return text.replace("-", _MINUS, 1)


def instant(when: datetime) -> str:
    """Write an instant: ``2026-11-23 15:04 UTC``."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


# Cells


def cell_table(
    evidence: Evidence,
    caption: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Cell, Row]],
    numbers: Sequence[str] = (),
    *,
    metrics: Sequence[str] = (),
) -> Table:
    """Return a table of cells: a column for each axis, and then the columns given here."""
    axes = [axis.name for axis in evidence.run.matrix.axes]
    filled = []
    for cell, row in rows:
        place = dict(cell.coordinates)
        texts = (*(shown(place.get(axis, NOTHING)) for axis in axes), *row.texts)
        shifted = {column + len(axes): number for column, number in row.numbers.items()}
        filled.append(replace(row, texts=texts, numbers=shifted, cell=cell.id))
    columns, numbers = (*axes, *columns), tuple(numbers)
    return Table(caption, columns, tuple(filled), numbers, metrics=tuple(metrics))


def values(cell: Cell) -> str:
    """Name a cell by its values alone: ``2.0.0, sequential``."""
    return ", ".join(shown(value) for _, value in cell.coordinates)


def ending(evidence: Evidence, cell: Cell) -> str:
    """Say how the trials of a cell ended: ``ok``, ``failed, as expected``, ``2 of 7 failed``."""
    results = evidence.settled(cell)
    if not results:
        lost = evidence.results.get(cell.id)
        if not lost:
            return "not run yet"
        cause = "timed out on a busy machine" if lost[-1].disturbed else "engine lost"
        return f"{cause}, will be repeated"
    if evidence.as_expected(cell):
        return "ok" if cell.expect is Status.OK else f"{cell.expect.value}, as expected"
    counts = Counter(result.status for result in results)
    if len(counts) == 1:
        found = results[0].status.value
    else:
        found = ", ".join(
            f"{count} of {len(results)} {status.value}"
            for status, count in counts.items()
            if status is not cell.expect
        )
    return f"{UNEXPECTED} {found}, expected: {cell.expect.value}"


def image_sizes(evidence: Evidence, request: EnvironmentRequest) -> str:
    """Write the size of an environment's image; of several images each different size."""
    images = evidence.images[request]
    return ", ".join(dict.fromkeys(unbroken(size(one.size_bytes)) for one in images)) or NOTHING


# Changes


def amount(change: float, metric: Metric, *, fine: bool = False) -> str:
    """Return the size of a change without its sign: ``18 %``, ``380x``, ``0.12 points``."""
    if metric.scale is Scale.DIFFERENCE:
        return unbroken(f"{abs(change):.3g} {unit(metric)}".rstrip())
    if abs(change) >= MULTIPLES_FROM:
        factor = float(f"{math.exp(min(abs(change), _LARGEST_EXPONENT)):.2g}")
        return f"{factor:,.0f}x" if factor < _HUGE else f"{factor:.0e}x"
    return _per_cent(abs(math.expm1(change)) * 100, fine=fine)


def signed(change: float, metric: Metric, *, fine: bool = False) -> str:
    """Return a change with its sign: ``+18 %``, ``+380x``."""
    if metric.scale is Scale.RATIO and change <= -MULTIPLES_FROM:
        return _MINUS + _per_cent(-math.expm1(change) * 100)
    return (_MINUS if change < 0 else "+") + amount(change, metric, fine=fine)


def _per_cent(value: float, *, fine: bool = False) -> str:
    """Write per cent with few decimals, but never a small share as 0 % or a large one as 100 %."""
    decimals = 1 if fine or value < _WHOLE_PER_CENT_FROM else 0
    rest = min(value, 100 - value) if value < 100 else value  # noqa: PLR2004
    if rest > 0:
        decimals = min(max(decimals, math.ceil(-math.log10(1.99 * rest))), _MOST_DECIMALS)
    return unbroken(f"{value:.{decimals}f} %")


def margin(metric: Metric) -> str:
    """Return the largest change that is called negligible."""
    if metric.scale is Scale.RATIO:
        return unbroken(f"{metric.margin * 100:g} %")
    return unbroken(f"{metric.margin:g} {unit(metric)}".rstrip())


def unit(metric: Metric) -> str:
    """Return the unit of a difference: per cent differ by points."""
    return "points" if metric.unit == "%" else metric.unit


def interval(matrix: Matrix, estimate: Estimate, metric: Metric) -> str:
    """Return an interval in words: ``15 % to 21 % faster``, ``+0.1 to +0.2 points``."""
    if not is_time(matrix, metric):
        return signed_interval(estimate, metric)
    if estimate.excludes_zero:
        return f"{_ends(estimate, metric, amount)} {_speed(estimate.low)}"
    low, high = amount(estimate.low, metric), amount(estimate.high, metric)
    return f"{low} faster to {high} slower"


def interval_name(estimate: Estimate) -> str:
    """Return ``98.4 % interval``."""
    return unbroken(f"{estimate.level * 100:.4g} %") + " interval"


def signed_interval(estimate: Estimate, metric: Metric) -> str:
    """Return an interval as two changes: ``+15 % to +21 %``."""
    if metric.scale is Scale.RATIO:
        return _ends(estimate, metric, signed)
    largest = max(abs(estimate.low), abs(estimate.high)) or 1.0
    digits = min(max(0, 2 - math.floor(math.log10(largest))), 6)
    ends = (f"{end:+.{digits}f}".replace("-", _MINUS) for end in (estimate.low, estimate.high))
    return unbroken(f"{' to '.join(dict.fromkeys(ends))} {unit(metric)}".rstrip())


def _ends(estimate: Estimate, metric: Metric, write: Callable[..., str]) -> str:
    """Write both ends, the smaller amount first; with a decimal if they look the same."""
    ends = sorted((estimate.low, estimate.high), key=abs if write is amount else None)
    texts = [write(end, metric) for end in ends]
    if texts[0] == texts[1]:
        texts = [write(end, metric, fine=True) for end in ends]
    return " to ".join(dict.fromkeys(texts))


# Verdicts


def headline(evidence: Evidence, comparison: Comparison) -> str:
    """Return what both cells share, the metric, and the verdict with its interval."""
    shared = sides(evidence, comparison)[2]
    subject = ", ".join(filter(None, (shared, comparison.measured.title)))
    return f"{subject}: {finding(evidence, comparison)}"


def sides(evidence: Evidence, comparison: Comparison) -> tuple[str, str, str]:
    """Name both cells by what differs between them, and return what they share."""
    ours, theirs = (dict(cell.coordinates) for cell in evidence.pair(comparison))
    shared = [axis for axis in ours if axis in theirs and ours[axis] == theirs[axis]]
    of, against = (
        ", ".join(name_of(evidence, *one) for one in side.items() if one[0] not in shared)
        for side in (ours, theirs)
    )
    return of, against, ", ".join(f"{axis}={shown(ours[axis])}" for axis in shared)


def pair(evidence: Evidence, comparison: Comparison) -> str:
    """Name a comparison in few words: ``2.0.0 against 1.15.0, sequential``."""
    of, against, _ = sides(evidence, comparison)
    ours, theirs = (dict(cell.coordinates) for cell in evidence.pair(comparison))
    shared = (shown(value) for axis, value in ours.items() if theirs.get(axis) == value)
    return ", ".join((f"{of} against {against}", *shared))


def name_of(evidence: Evidence, axis: str, value: Value) -> str:
    """Return a value as a sentence names it: a number alone does not say of what it is."""
    match evidence.run.matrix.axis(axis).kind:
        case AxisKind.PYTHON:
            name = str(value)
            return f"PyPy {name[4:]}" if name.startswith("pypy") else f"Python {name}"
        case AxisKind.VARIABLE:
            return f"{axis} {value}"
        case _:
            return shown(value)


def finding(evidence: Evidence, comparison: Comparison) -> str:
    """Return a verdict with its interval: ``2.0.0 is 44 % slower than 1.15.0 (36 % to 53 %)``."""
    of, against, _ = sides(evidence, comparison)
    if comparison.verdict is Verdict.NO_COMPARISON:
        return f"{of} and {against} cannot be compared"
    if comparison.identical:
        return f"{of} and {against} gave the same numbers in every block"
    if comparison.usable is not None and comparison.verdict in {Verdict.LOWER, Verdict.HIGHER}:
        size, range_ = effect(evidence, comparison)
        return f"{of} is {size} than {against} {range_}"
    difference = "clear difference yet"
    if comparison.verdict is Verdict.EQUIVALENT:
        difference = f"difference larger than {margin(comparison.measured)}"
    estimate, matrix = comparison.usable, evidence.run.matrix
    range_ = f" ({interval(matrix, estimate, comparison.measured)})" if estimate else ""
    return f"no {difference} between {of} and {against}{range_}"


def effect(evidence: Evidence, comparison: Comparison) -> tuple[str, str]:
    """Return how large a change is, and its interval: ``44 % slower``, ``(36 % to 53 %)``.

    Without a difference, nothing and the interval; without a usable interval, the reason.
    """
    matrix, metric, estimate = evidence.run.matrix, comparison.measured, comparison.usable
    if estimate is None:
        return "", "not judged"
    if comparison.identical:
        return "", "identical in every block"
    if comparison.verdict not in {Verdict.LOWER, Verdict.HIGHER}:
        return "", interval(matrix, estimate, metric)
    timed = is_time(matrix, metric)
    ends = _ends(estimate, metric, amount) if timed else signed_interval(estimate, metric)
    word = _speed(estimate.mean) if timed else comparison.verdict.value
    return f"{amount(estimate.mean, metric)} {word}", f"({ends})"


def verdict(evidence: Evidence, comparison: Comparison) -> str:
    """Return a verdict in a word or two: ``slower``, ``no difference``, ``cannot tell``."""
    match comparison.verdict:
        case Verdict.LOWER | Verdict.HIGHER:
            if is_time(evidence.run.matrix, comparison.measured):
                return "slower" if comparison.verdict is Verdict.HIGHER else "faster"
            return str(comparison.verdict.value)
        case Verdict.EQUIVALENT:
            return "identical" if comparison.identical else "no difference"
        case Verdict.CANNOT_TELL:
            return "cannot tell"
        case Verdict.NO_COMPARISON:
            return "not judged"


def verdict_of(
    evidence: Evidence, judged: JudgedLimit | None, comparison: Comparison | None
) -> str:
    """Return the policy's verdict where a limit was judged, else that of the comparison."""
    if judged is not None:
        return judged.advice.value
    return NOTHING if comparison is None else verdict(evidence, comparison)


def basis(evidence: Evidence, comparison: Comparison) -> str:
    """Return the basis of a verdict: interval and blocks, or the reason why there is none."""
    estimate = comparison.usable
    sentences = [*filter(None, [replaced(evidence, comparison)])]
    if estimate is None:
        sentences.append(f"Reason: {comparison.reason}.")
    elif comparison.identical:
        sentences.append(f"{counted(estimate.n, 'block')}.")
    elif estimate.sd == 0:
        sentences.append(f"The same change in each of {counted(estimate.n, 'block')}.")
    else:
        sentences += _interval_and_forecast(evidence, comparison, estimate)
    return " ".join(sentences)


def replaced(evidence: Evidence, comparison: Comparison | None) -> str:
    """Say which quantity a metric was judged by, and why; nothing if by its own."""
    if comparison is None or comparison.measured == comparison.metric:
        return ""
    state = evidence.judgement.disturbance_of(comparison.stratum)
    return (
        f"{comparison.metric.title} is judged by {comparison.measured.title}, because "
        f"{state.stayed} of {counted(state.trials, 'trial')} stayed disturbed."
    )


def judged(comparison: Comparison) -> str:
    """Name the metric of a comparison in a table, and the quantity that it was judged by."""
    if comparison.measured == comparison.metric:
        return comparison.metric.title
    return f"{comparison.metric.title}, judged by {comparison.measured.title}"


def _interval_and_forecast(
    evidence: Evidence, comparison: Comparison, estimate: Estimate
) -> Iterator[str]:
    samples = counted(estimate.n, "block" if comparison.paired else "trial")
    yield f"{interval_name(estimate)}, {samples}{'' if comparison.paired else ' on each side'}."
    if comparison.verdict is not Verdict.CANNOT_TELL:
        return
    if comparison.forecast is not None:
        yield forecast(evidence, comparison)
    if estimate.excludes_zero:
        yield f"Reason: {comparison.reason}."


def forecast(evidence: Evidence, comparison: Comparison) -> str:
    """Say how many blocks would narrow an interval enough, or nothing."""
    estimate, more = comparison.usable, comparison.forecast
    if estimate is None or more is None:
        return ""
    width = f"\N{PLUS-MINUS SIGN}{amount(more.half_width, comparison.measured)}"
    needed, last = estimate.n + more.blocks, max(evidence.plan.looks, default=math.inf)
    title = comparison.measured.title
    if needed > last:
        return (
            f"{HOPELESS}, after {counted(int(last), 'block')}, would probably not narrow "
            f"the interval of {title} to {width}; that takes about {counted(needed, 'block')}."
        )
    return (
        f"About {counted(more.blocks, 'more block')} ({more.fewest:,} to {more.most:,}) would "
        f"narrow the interval of {title} to {width}."
    )


def computed(comparison: Comparison) -> str:
    """Say how a change and its interval were computed."""
    if comparison.scale is Scale.RATIO:
        return (
            "The change is the mean over blocks of ln(new / old), as a ratio; the interval is a "
            "paired t interval of these logarithms."
        )
    if comparison.paired:
        return "The change is the mean over blocks of new - old, with a paired t interval."
    return "The change is the difference of the means of all trials, with Welch's t interval."


def adaptations(evidence: Evidence, comparison: Comparison) -> Iterator[str]:
    """Yield what the script had to do differently in only one of the cells."""
    cells = evidence.pair(comparison)
    ours, theirs = (
        {one.adapted for one in evidence.settled(cell) if one.adapted} for cell in cells
    )
    for cell, only in zip(cells, (ours - theirs, theirs - ours), strict=True):
        for sentence in sorted(only):
            yield f"Adapted in {cell.id}: {shortened(sentence)}"


def is_time(matrix: Matrix, metric: Metric) -> bool:
    """Whether less of the metric is called faster. Less CPU time is not."""
    lower = metric.scale is Scale.RATIO and metric.better is Better.LOWER
    return lower and units.is_time(metric.unit) and matrix.depends_on_speed(metric)


def _speed(change: float) -> str:
    return "slower" if change > 0 else "faster"


# Stored files


def doubts(evidence: Evidence) -> Iterator[str]:
    """Yield a sentence for each reason to doubt that the stored files are as they were saved."""
    edited = [one.name.removesuffix(".json") for one in evidence.refused if one.edited]
    others = [f"{one.name} ({one.reason})" for one in evidence.refused if not one.edited]
    if edited:
        yield f"Edited results: {_first(edited)}. They are not counted."
    if others:
        yield f"Results that do not belong to this run: {_first(others)}. They are not counted."
    if evidence.edited:
        yield (
            f"Edited files: {listed(evidence.edited)}. This report may not show what was measured."
        )


def _first(items: Sequence[str]) -> str:
    """List a few items, and count the others."""
    some = [shortened(one) for one in items[:MOST_LISTED]]
    more = len(items) - len(some)
    return listed([*some, *([f"{more} more"] if more else [])])
