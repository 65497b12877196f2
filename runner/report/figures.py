"""The figures of a report: changes with their intervals, learning curves, metrics over versions."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from runner.judge.records import Comparison, Verdict
from runner.records.study import Better, Metric, Scale
from runner.report import drawing, words
from runner.report.drawing import LEFT, RIGHT, Drawing
from runner.report.records import Figure

ROW, AXIS = 46, 40
PANEL, PANEL_GAP = 62, 22
OVER, OVER_GAP = 80, 54
MOST_SERIES = 12
MOST_POINTS = 200
MOST_VERSIONS_NAMED = 8
_FACTORS = sorted(
    one * 10.0**power for power in range(-6, 13) for one in ((1,) if abs(power) > 1 else (1, 2, 5))
)
"""Where a wide scale of ratios is marked."""
_NARROW = math.log(2)
"""Ratios between a half and twice are marked in per cent."""


# --- changes -------------------------------------------------------------------------------------


def changes(name: str, metric: Metric, rows: Sequence[tuple[str, Comparison]]) -> Figure | None:
    """Draw the change of each comparison: every block's dot, the interval, and the margin.

    ``rows`` are comparisons of one measured metric with their labels. ``None`` without numbers.
    """
    shown = [(label, one) for label, one in rows if one.changes]
    if not shown:
        return None
    scale = _scale_of_changes(metric, [one for _, one in shown])
    bottom = ROW * len(shown)
    margin = metric.change_margin
    parts = [
        drawing.box(scale.at(-margin), 0, scale.at(margin), bottom, "f-band"),
        *(
            drawing.line(scale.at(one), 0, scale.at(one), bottom, "f-grid")
            for one, _ in scale.ticks
        ),
        drawing.line(scale.at(0), 0, scale.at(0), bottom, "f-zero"),
    ]
    for index, (label, one) in enumerate(shown):
        parts += _row(label, one, scale, index * ROW)
    parts += _axis(metric, scale, bottom)
    caption = "Each dot is one block, each bar an interval. The shaded band is the margin."
    said = "; ".join(f"{label}: {_said(one)}" for label, one in shown)
    title = f"Change of {metric.title}"
    drawn = Drawing(title, said, bottom + AXIS, "".join(parts))
    return Figure(name, caption, drawn, metric.name)


def _scale_of_changes(metric: Metric, compared: Sequence[Comparison]) -> drawing.Scale:
    numbers = [0.0, metric.change_margin, -metric.change_margin]
    for one in compared:
        numbers += one.changes.values()
        numbers += (one.estimate.low, one.estimate.high) if one.estimate else ()
    low, high = min(numbers), max(numbers)
    if metric.scale is Scale.DIFFERENCE:
        labels = [(step, words.tick(step, signed=True)) for step in drawing.steps(low, high)]
    elif max(-low, high) <= _NARROW:
        ends = math.expm1(low) * 100, math.expm1(high) * 100
        labels = [
            (math.log1p(one / 100), words.tick(one, signed=True)) for one in drawing.steps(*ends)
        ]
    else:
        labels = [(math.log(one), words.factor(one)) for one in _FACTORS]
    return drawing.scale_of(numbers, labels)


def _row(label: str, compared: Comparison, scale: drawing.Scale, top: float) -> list[str]:
    """Draw one comparison: its label and its change above, the dots and the interval below."""
    estimate, metric, middle = compared.estimate, compared.measured, top + 30
    parts = [drawing.text(LEFT, top + 14, label, cut=60)]
    if estimate is not None:
        kind, colour = _colour(compared)
        low, at, high = map(scale.at, (estimate.low, estimate.mean, estimate.high))
        said = words.signed(estimate.mean, metric)
        parts += [
            drawing.line(low, middle, high, middle, kind),
            drawing.line(at, middle - 8, at, middle + 8, kind),
            drawing.text(RIGHT, top + 14, said, colour, anchor="end"),
        ]
    parts += [
        drawing.dot(scale.at(one), middle, block, f"block {block}: {words.signed(one, metric)}")
        for block, one in compared.changes.items()
    ]
    return parts


def _colour(compared: Comparison) -> tuple[str, str]:
    """Return the colours of an interval and of its number: by the verdict, never by the number."""
    better = compared.measured.better
    if compared.verdict not in {Verdict.LOWER, Verdict.HIGHER} or better is Better.NEITHER:
        return "f-bar", "f-ink f-strong"
    improves = (compared.verdict is Verdict.HIGHER) is (better is Better.HIGHER)
    return ("f-better", "f-good f-strong") if improves else ("f-worse", "f-bad f-strong")


def _axis(metric: Metric, scale: drawing.Scale, top: float) -> list[str]:
    """Draw the numbers of an axis, its title with the unit, and which direction is better."""
    wide = metric.scale is Scale.RATIO and any(label.endswith("x") for _, label in scale.ticks)
    unit = "" if wide else "%" if metric.scale is Scale.RATIO else words.unit(metric)
    left, right = {
        Better.LOWER: ("\N{LEFTWARDS ARROW} better", "worse \N{RIGHTWARDS ARROW}"),
        Better.HIGHER: ("\N{LEFTWARDS ARROW} worse", "better \N{RIGHTWARDS ARROW}"),
        Better.NEITHER: ("", ""),
    }[metric.better]
    return [
        *(
            drawing.text(scale.at(one), top + 14, label, "f-soft f-small", anchor="middle")
            for one, label in scale.ticks
        ),
        drawing.text(LEFT, top + 32, left, "f-soft f-small"),
        drawing.text(
            50,
            top + 32,
            f"change of {metric.title} ({unit})".removesuffix(" ()"),
            "f-soft f-small",
            anchor="middle",
        ),
        drawing.text(RIGHT, top + 32, right, "f-soft f-small", anchor="end"),
    ]


def _said(compared: Comparison) -> str:
    estimate, metric = compared.estimate, compared.measured
    if estimate is None:
        return "no interval"
    low, high = (words.signed(end, metric) for end in (estimate.low, estimate.high))
    return f"{words.signed(estimate.mean, metric)} ({low} to {high})"


# --- learning curves -----------------------------------------------------------------------------


def curves(name: str, series: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> Figure:
    """Draw learning curves: for each series a panel for each cell, with the others in the back.

    A curve is the median over blocks of each epoch. Of a long curve only some epochs are drawn,
    evenly spaced.
    """
    parts, said, top = list[str](), list[str](), 0
    for title, by_cell in series.items():
        medians = {cell: _median_curve(blocks) for cell, blocks in by_cell.items()}
        parts.append(drawing.text(LEFT, top + 14, title, "f-ink f-strong", cut=40))
        parts += _panels(medians, top + 22)
        rows = -(-len(medians) // 2)
        top += 30 + rows * (PANEL + PANEL_GAP)
        said += [f"{title}, {cell}: {words.tick(one[-1][1])}" for cell, one in medians.items()]
    caption = "Each line is one cell: the median over its blocks at each epoch. Grey: the others."
    return Figure(name, caption, Drawing("Learning curves", "; ".join(said), top, "".join(parts)))


def _median_curve(blocks: Sequence[Sequence[float]]) -> list[tuple[int, float]]:
    return [
        (epoch + 1, median(block[epoch] for block in blocks))
        for epoch in _spaced(min(map(len, blocks)))
    ]


def _spaced(count: int) -> range:
    """Return at most ``MOST_POINTS`` places among so many."""
    return range(0, count, max(1, -(-count // MOST_POINTS)))


def _panels(medians: Mapping[str, Sequence[tuple[int, float]]], top: float) -> list[str]:
    """Draw the panels of a series, two in a row, on common axes."""
    values = [value for points in medians.values() for _, value in points]
    low, high = min(values), max(values)
    last = max(points[-1][0] for points in medians.values())
    drawn = {
        cell: [
            (100 * (epoch - 1) / max(last - 1, 1), 97 - 94 * (value - low) / (high - low or 1.0))
            for epoch, value in points
        ]
        for cell, points in medians.items()
    }
    ends = f"epoch 1 to {last}, {words.tick(low)} to {words.tick(high)}"
    parts = [drawing.text(RIGHT, top - 8, ends, "f-soft f-small", anchor="end")]
    for index, (cell, points) in enumerate(drawn.items()):
        x, y = (LEFT, 52.0)[index % 2], top + index // 2 * (PANEL + PANEL_GAP)
        others = "".join(
            drawing.curve(other, "f-other") for name, other in drawn.items() if name != cell
        )
        parts += [
            drawing.text(x, y + 10, cell, "f-ink f-small", cut=36),
            drawing.panel(x, y + 14, 46, PANEL - 4, others + drawing.curve(points, "f-curve")),
            drawing.line(x, y + 10 + PANEL, x + 46, y + 10 + PANEL, "f-grid"),
        ]
    return parts


# --- metrics over the values of an axis ----------------------------------------------------------


def over_axis(
    name: str,
    metric: Metric,
    values: Sequence[str],
    panels: Mapping[str, Mapping[str, Mapping[int, float]]],
) -> Figure | None:
    """Draw a metric over the ordered values of an axis: a dot for each block, a line of medians.

    ``panels`` has, by the other coordinates and by the value, the number of each block.
    """
    numbers = [one for panel in panels.values() for cell in panel.values() for one in cell.values()]
    if not numbers:
        return None
    low, high = min(numbers), max(numbers)
    ticks = [one for one in drawing.steps(low, high, 3) if low <= one <= high] or [low]
    parts, said = list[str](), list[str]()
    for index, (label, panel) in enumerate(panels.items()):
        top = index * (OVER + OVER_GAP)
        level = partial(_level, low=low, high=high, top=top + 12)
        parts.append(drawing.text(LEFT, top + 12, label, "f-ink f-small"))
        for tick in ticks:
            parts.append(drawing.line(12, level(tick), RIGHT, level(tick), "f-grid"))
            parts.append(
                drawing.text(
                    11, level(tick) + 4, words.tick(tick), "f-soft f-small", anchor="end", cut=10
                )
            )
        parts += _over(values, panel, metric, level, top + OVER + 30)
        middles = [
            f"{one} {words.tick(median(cell.values()))}" for one, cell in panel.items() if cell
        ]
        said.append(f"{label}: {', '.join(middles)}")
    title = f"{words.heading(metric)}, {_better(metric)}"
    caption = f"{title}. Each dot is one block; the line connects the medians."
    total = len(panels) * (OVER + OVER_GAP)
    return Figure(
        name, caption, Drawing(title, "; ".join(said), total, "".join(parts)), metric.name
    )


def _level(number: float, low: float, high: float, top: float) -> float:
    """Return the height at which a number is drawn."""
    return top + OVER * (1 - (number - low) / (high - low or 1.0))


def _over(
    values: Sequence[str],
    panel: Mapping[str, Mapping[int, float]],
    metric: Metric,
    level: Callable[[float], float],
    below: float,
) -> list[str]:
    """Draw the dots, the medians and the names of the values."""
    parts, before = list[str](), None
    every = math.ceil(len(values) / MOST_VERSIONS_NAMED)
    for index, value in enumerate(values):
        x = 16 + (RIGHT - 20) * (index / max(len(values) - 1, 1))
        cell = panel.get(value, {})
        parts += [
            drawing.dot(
                x,
                level(number),
                block,
                f"{value}, block {block}: {words.number(number, metric.unit)}",
            )
            for block, number in cell.items()
        ]
        if cell:
            here = x, level(median(cell.values()))
            if before is not None:
                parts.append(drawing.line(*before, *here, "f-zero"))
            before = here
        if index % every == 0:
            parts.append(drawing.text(x, below, value, "f-soft f-small", anchor="middle", cut=14))
    return parts


def _better(metric: Metric) -> str:
    return {
        Better.LOWER: "lower is better",
        Better.HIGHER: "higher is better",
        Better.NEITHER: "no direction is better",
    }[metric.better]
