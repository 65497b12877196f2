"""Plots of series with hostile names, and of long series."""

import json

import pytest

from runner.report.figures import MOST_POINTS, curves, svg

HOSTILE = [
    "a\nb",
    'a"b',
    "a\\b",
    '\\"',
    "\x1b[2J",
    "\x00",
    "</script>",
    "${x}",
    "'" * 500,
    "\ud83d",
    "constructor",
    "toString",
    "__proto__",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_of_a_series_can_be_drawn(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Vega puts names into its own code, where some would end the process or print a warning."""
    figure = curves("curves", {name: {"a=1": [(1.0, 2.0), (1.5, 2.5)]}})
    assert svg(figure.chart).startswith("<svg")
    assert capfd.readouterr() == ("", "")


def test_a_long_curve_is_thinned() -> None:
    """A script may return a million numbers, but a figure has a few hundred columns."""
    figure = curves("curves", {"loss": {"a=1": [tuple(map(float, range(10**5)))]}})
    text = json.dumps(figure.chart)
    assert MOST_POINTS // 2 < text.count('"epoch":') < MOST_POINTS * 2
