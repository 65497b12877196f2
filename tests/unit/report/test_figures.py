"""Figures: hostile names, long series, scales, colours by verdict, and words for screen readers."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.judge.records import Comparison, Estimate, Verdict
from runner.records.study import Better, Metric, Scale
from runner.report.drawing import LEFT, RIGHT, scale_of, steps
from runner.report.drawing import Scale as Drawn
from runner.report.figures import MOST_POINTS, changes, curves, over_axis
from runner.report.records import Figure

HOSTILE = [
    "a\nb",
    'a"b',
    "a\\b",
    "\x1b[2J",
    "\x00",
    "</script>",
    "</svg><script>alert(1)</script>",
    "'" * 500,
    "\ud83d",
    "&lt;&",
    "]]>",
]
TIME = Metric(name="t", unit="s", better=Better.LOWER, title="time")
POINTS = Metric(
    name="a", unit="%", better=Better.HIGHER, title="accuracy", scale=Scale.DIFFERENCE, margin=0.2
)
SHAPES = {"svg", "title", "desc", "style", "rect", "line", "text", "circle", "polyline"}


def compared(metric: Metric, values: list[float], verdict: Verdict) -> Comparison:
    """Return a comparison with these changes."""
    mean = sum(values) / len(values)
    estimate = Estimate(
        n=len(values),
        mean=mean,
        low=min(values),
        high=max(values),
        level=0.95,
        p=0.01,
        sd=1,
        error=1,
        df=4,
    )
    return Comparison(
        of="v=2",
        against="v=1",
        metric=metric,
        measured=metric,
        named=True,
        verdict=verdict,
        reason="",
        estimate=estimate,
        changes=dict(enumerate(values, start=1)),
    )


def drawn(figure: Figure | None) -> str:
    """Return a figure as a file, which must be well-formed and only of shapes and texts."""
    assert figure is not None
    text = figure.drawing.file()
    root = ET.fromstring(text)  # noqa: S314 (our own figure, without entities)
    assert {one.tag.rpartition("}")[2] for one in root.iter()} <= SHAPES
    assert figure.drawing.description
    return text


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_drawn(name: str) -> None:
    """A name of a series, a cell or a value becomes text, whatever it is."""
    drawn(curves("curves", {name: {name: [(1.0, 2.0), (1.5, 2.5)]}}))
    drawn(
        changes(
            "changes",
            replace(TIME, title=name),
            [(name, compared(TIME, [0.1, 0.2], Verdict.HIGHER))],
        )
    )
    drawn(over_axis("over", replace(TIME, title=name), [name, "b"], {name: {name: {1: 1.0}}}))


def test_a_long_curve_is_thinned() -> None:
    """A script may return a million numbers, but a figure has a few hundred columns."""
    text = drawn(curves("curves", {"loss": {"a=1": [tuple(map(float, range(10**5)))]}}))
    (points,) = re.findall('points="([^"]*)"', text)
    assert MOST_POINTS // 2 < len(points.split()) <= MOST_POINTS


@pytest.mark.parametrize(
    ("metric", "verdict", "colour"),
    [
        (TIME, Verdict.HIGHER, "f-worse"),
        (TIME, Verdict.LOWER, "f-better"),
        (POINTS, Verdict.HIGHER, "f-better"),
        (POINTS, Verdict.LOWER, "f-worse"),
        (TIME, Verdict.CANNOT_TELL, "f-bar"),
        (TIME, Verdict.EQUIVALENT, "f-bar"),
        (replace(TIME, better=Better.NEITHER), Verdict.HIGHER, "f-bar"),
    ],
)
def test_the_verdict_alone_decides_the_colour(
    metric: Metric, verdict: Verdict, colour: str
) -> None:
    """A change without a verdict is never red or green."""
    text = drawn(changes("c", metric, [("row", compared(metric, [0.1, 0.3], verdict))]))
    assert {"f-worse", "f-better", "f-bar"} & set(re.findall('class="([^"]*)"', text)) == {colour}


def test_every_block_has_a_dot_that_names_it() -> None:
    """The dot says the block and its change, and lies where the change is."""
    text = drawn(changes("c", TIME, [("row", compared(TIME, [0.1, 0.3], Verdict.HIGHER))]))
    found = re.findall('cx="([0-9.]+)%"[^>]*data-block="([0-9]+)"><title>([^<]*)', text)
    assert [block for _, block, _ in found] == ["1", "2"]
    assert float(found[0][0]) < float(found[1][0])
    assert found[1][2].startswith("block 2: +35")


def test_nothing_is_drawn_without_numbers() -> None:
    """A comparison without a common block has no figure."""
    nothing = replace(compared(TIME, [0.1], Verdict.NO_COMPARISON), changes={}, estimate=None)
    assert changes("c", TIME, [("row", nothing)]) is None
    assert over_axis("o", TIME, ["1", "2", "3"], {"p": {"1": {}}}) is None


def test_a_metric_over_versions_says_its_medians_in_words() -> None:
    """The description has what the picture shows."""
    panel = {"1.0": {1: 2.0, 2: 4.0}, "1.1": {1: 1.0}}
    figure = over_axis("o", TIME, ["1.0", "1.1", "1.2"], {"model=a": panel})
    assert figure is not None
    assert figure.drawing.description == "model=a: 1.0 3, 1.1 1"
    assert "time (s), lower is better" in figure.caption
    assert drawn(figure).count("<circle") == 3


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=9))
def test_any_numbers_fit_on_a_scale(numbers: list[float]) -> None:
    """Every number has a place inside the drawing, in their order."""
    scale = scale_of(numbers)
    places = [scale.at(one) for one in sorted(numbers)]
    assert all(LEFT <= one <= RIGHT for one in places)
    assert places == sorted(places)


def test_numbers_beyond_a_scale_stay_at_its_ends() -> None:
    """Nothing is drawn outside."""
    assert (Drawn(0, 1).at(-5), Drawn(0, 1).at(math.inf)) == (LEFT, RIGHT)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-0.03, 0.03, [-0.03, -0.02, -0.01, 0, 0.01, 0.02, 0.03])],
)
def test_steps_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    """They are between the ends."""
    assert list(steps(low, high)) == pytest.approx(expected)
