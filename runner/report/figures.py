"""The plots of a report: the only module that knows Altair and vl-convert.

One definition serves both documents: an SVG for Markdown, and an interactive plot in HTML.
"""

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import median
from typing import Any

import altair as alt
import vl_convert

from runner.judge.records import Comparison
from runner.records.study import Metric, Scale
from runner.report.records import Figure
from runner.report.words import unit
from runner.text import shortened

WIDTH = 560
ROW_HEIGHT = 42
CURVE_HEIGHT = 220
MOST_CURVES = 12
MOST_SERIES = 12
MOST_POINTS = 200
MOST_LETTERS = 80
_DEADLY = re.compile(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_INTERVAL, _DOT, _BAND = "#1f3b5c", "#5b8fd6", "#e6ebe0"


def svg(chart: Mapping[str, object]) -> str:
    """Return a plot as SVG."""
    return vl_convert.vegalite_to_svg(dict(chart))


@cache
def script() -> str:
    """Return the JavaScript that brings plots alive, without any network."""
    return vl_convert.javascript_bundle()  # type: ignore[call-arg] # all of it


def changes(
    name: str, metric: Metric, rows: Sequence[tuple[str, Comparison]], level: float
) -> Figure | None:
    """Draw the change of each comparison: every block's dot, the interval, and the margin.

    ``rows`` are comparisons of one measured metric with their labels. ``None`` without numbers.
    """
    shown = [(label, one) for label, one in rows if one.changes]
    if not shown:
        return None
    ratio = metric.scale is Scale.RATIO
    title = f"change of {metric.title} ({'%' if ratio else unit(metric)})".removesuffix(" ()")
    title = _plain(title)
    dots = [
        {"row": label, "change": _shown(change, ratio), "block": block}
        for label, one in shown
        for block, change in one.changes.items()
    ]
    intervals = [
        {
            "row": label,
            "change": _shown(one.estimate.mean, ratio),
            "low": _shown(one.estimate.low, ratio),
            "high": _shown(one.estimate.high, ratio),
        }
        for label, one in shown
        if one.estimate is not None
    ]
    margin = metric.margin * 100 if ratio else metric.margin
    y = alt.Y("row:N", title=None, sort=None, axis=alt.Axis(labelLimit=260))
    band = alt.Chart(_values([{"from": -margin, "to": margin}])).mark_rect(color=_BAND)
    zero = alt.Chart(_values([{"at": 0}])).mark_rule(color="#888")
    every = alt.Chart(_values(dots)).mark_circle(size=50, opacity=0.55, color=_DOT)
    tooltip = [
        alt.Tooltip("row:N", title="cells"),
        alt.Tooltip("block:Q", title="block"),
        alt.Tooltip("change:Q", title=title, format="+.2f"),
    ]
    bars = alt.Chart(_values(intervals))
    layers = [
        band.encode(x="from:Q", x2="to:Q"),
        zero.encode(x="at:Q"),
        bars.mark_rule(strokeWidth=2.5, color=_INTERVAL).encode(x="low:Q", x2="high:Q", y=y),
        bars.mark_tick(thickness=3, size=18, color=_INTERVAL).encode(x="change:Q", y=y),
        every.encode(x=alt.X("change:Q", title=title), y=y, tooltip=tooltip),
    ]
    height = ROW_HEIGHT * len({label for label, _ in shown})
    chart = alt.layer(*layers).properties(width=WIDTH, height=height)
    caption = (
        f"Each dot is one block, each bar the {level * 100:.4g} % interval. Changes inside the "
        "shaded band are negligible."
    )
    return Figure(name, caption, _finished(chart))


def curves(name: str, series: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> Figure:
    """Draw learning curves: by series and cell the median over blocks of each epoch.

    Of a long curve only some epochs are drawn, evenly spaced.
    """
    plots = []
    cells: dict[str, None] = {}
    for name_of_series, by_cell in series.items():
        # Vega stumbles over titles like "constructor", which every object of JavaScript knows.
        title = _plain(name_of_series) + " "
        points = [
            {"epoch": epoch + 1, "value": median(block[epoch] for block in blocks), "cell": cell}
            for cell, blocks in by_cell.items()
            for epoch in _spaced(min(map(len, blocks)))
        ]
        cells |= dict.fromkeys(by_cell)
        base = alt.Chart(_values(points)).mark_line(interpolate="linear", opacity=0.8)
        plots.append(
            base.encode(
                x=alt.X("epoch:Q", title="epoch"),
                y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
                color=alt.Color(
                    "cell:N",
                    title=None,
                    sort=None,
                    legend=alt.Legend(orient="bottom", columns=1, labelLimit=500),
                ),
                strokeDash=alt.StrokeDash("cell:N", legend=None, sort=None),
                tooltip=["cell:N", "epoch:Q", alt.Tooltip("value:Q", title=title)],
            ).properties(width=WIDTH, height=CURVE_HEIGHT)
        )
    caption = "Each line is one cell: the median over its blocks at each epoch."
    return Figure(name, caption, _finished(alt.vconcat(*plots)))


def _values(rows: Sequence[Mapping[str, object]]) -> alt.Data:
    return alt.Data(values=rows)  # type: ignore[no-untyped-call] # altair has no type for it


def _plain(title: str) -> str:
    """Return a title, which may be a script's own, as what Vega can draw.

    It pastes titles between quotes of its expressions, and dies of control characters.
    """
    plain = (letter if letter.isprintable() else " " for letter in title)
    return shortened("".join(plain).replace("\\", "/").replace('"', "'"), MOST_LETTERS)


def _spaced(count: int) -> range:
    """Return at most ``MOST_POINTS`` places among so many."""
    return range(0, count, max(1, -(-count // MOST_POINTS)))


def _shown(change: float, ratio: bool) -> float:
    return math.expm1(change) * 100 if ratio else change


def _finished(chart: alt.LayerChart | alt.VConcatChart) -> Mapping[str, object]:
    plain = chart.properties(background="white").configure_view(stroke="#ccc")
    drawn: Mapping[str, object] = _harmless(plain.to_dict())
    return drawn


def _harmless(part: Any) -> Any:
    """Replace the letters that no XML can hold: on them vl-convert ends the whole process."""
    if isinstance(part, str):
        return _DEADLY.sub("\N{REPLACEMENT CHARACTER}", part)
    if isinstance(part, dict):
        return {_harmless(key): _harmless(value) for key, value in part.items()}
    return [_harmless(one) for one in part] if isinstance(part, list) else part
