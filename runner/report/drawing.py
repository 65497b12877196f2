"""Drawing: SVG elements that fit any width, in the colours of the page or in their own.

Horizontal places are percentages, so text keeps its size on a narrow screen. An SVG file has a
fixed width instead, and brings the colours of the page along, for light and dark screens.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from runner.text import one_line, shortened

FILE_WIDTH = 480
LEFT, RIGHT = 2.0, 98.0
BAR_CHARACTERS = 21
MOST_TICKS = 6
LONGEST = 80
LIGHT = {
    "ink": "#1d2330",
    "soft": "#5a6375",
    "paper": "#ffffff",
    "line": "#d8dce3",
    "band": "#e6ebe0",
    "dot": "#5b8fd6",
    "link": "#1f5fa8",
    "bar": "#1f3b5c",
    "good": "#1a7f37",
    "bad": "#c4281b",
}
DARK = {
    "ink": "#e6e9ef",
    "soft": "#a3adbf",
    "paper": "#14181f",
    "line": "#3a4252",
    "band": "#2a3328",
    "dot": "#7aa9e9",
    "link": "#8fb8f0",
    "bar": "#c7d7ee",
    "good": "#57c26e",
    "bad": "#ff7b6e",
}
CLASSES = (
    ".f-ink{fill:var(--ink)}.f-soft{fill:var(--soft)}.f-band{fill:var(--band)}"
    ".f-dot{fill:var(--dot);fill-opacity:.6}.f-good{fill:var(--good)}.f-bad{fill:var(--bad)}"
    ".f-grid{stroke:var(--line)}.f-zero{stroke:var(--soft)}.f-bar{stroke:var(--bar);stroke-width:3}"
    ".f-better{stroke:var(--good);stroke-width:3}.f-worse{stroke:var(--bad);stroke-width:3}"
    ".f-limit{stroke:var(--bad);stroke-dasharray:3 2}"
    ".f-curve{stroke:var(--dot);stroke-width:2;fill:none}"
    ".f-other{stroke:var(--line);stroke-width:1;fill:none}"
    ".figure text{font:13px system-ui,sans-serif}.figure .f-small{font-size:11px}"
    ".figure .f-strong{font-weight:600}"
)


def colours() -> str:
    """Return the style sheet that names the colours, for light and dark screens."""

    def named(values: dict[str, str]) -> str:
        return ":root{" + "".join(f"--{name}:{value};" for name, value in values.items()) + "}"

    return f"{named(LIGHT)}@media (prefers-color-scheme:dark){{{named(DARK)}}}{CLASSES}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Where numbers are drawn: from ``low`` at the left to ``high`` at the right."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    """Numbers that are marked, with their labels."""

    def share(self, number: float) -> float:
        """Return the place of a number, from 0 at the left to 1 at the right."""
        return min(max((number - self.low) / (self.high - self.low), 0.0), 1.0)

    def at(self, number: float) -> float:
        """Return the place of a number in per cent of the width."""
        return LEFT + self.share(number) * (RIGHT - LEFT)


def scale_of(numbers: Iterable[float], labels: Sequence[tuple[float, str]] = ()) -> Scale:
    """Return a scale with a little room around the numbers; ``labels`` are possible ticks."""
    found = [number for number in numbers if math.isfinite(number)] or [0.0]
    low, high = min(found), max(found)
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.06
    low, high = low - room, high + room
    inside = [(number, label) for number, label in labels if low <= number <= high]
    return Scale(low, high, tuple(inside[:: max(1, math.ceil(len(inside) / MOST_TICKS))]))


def steps(low: float, high: float, most: int = MOST_TICKS) -> Iterator[float]:
    """Yield round numbers from one end to the other."""
    size = (high - low) / most
    if not (math.isfinite(size) and size > 0):
        yield low
        return
    power = 10.0 ** math.floor(math.log10(size))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= size)
    first = math.ceil(low / step)
    for index in range(first, first + 2 * most):
        if index * step > high:
            break
        yield index * step


def text(
    x: float,
    y: float,
    content: str,
    kind: str = "f-ink",
    *,
    anchor: str = "start",
    cut: int = LONGEST,
) -> str:
    """Return a text at a place; it may come from a script."""
    return (
        f'<text x="{x:.4g}%" y="{y:g}" class="{kind}" text-anchor="{anchor}">'
        f"{plain(content, cut)}</text>"
    )


def plain(content: str, cut: int = LONGEST) -> str:
    """Return a text as one line that cannot be markup."""
    return escape(shortened(one_line(content), cut))


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return f'<line x1="{x1:.4g}%" y1="{y1:g}" x2="{x2:.4g}%" y2="{y2:g}" class="{kind}"/>'


def box(x1: float, y: float, x2: float, height: float, kind: str) -> str:
    """Return a filled rectangle."""
    width = max(x2 - x1, 0.0)
    return (
        f'<rect x="{x1:.4g}%" y="{y:g}" width="{width:.4g}%" height="{height:g}" class="{kind}"/>'
    )


def dot(x: float, y: float, block: int, says: str) -> str:
    """Return the dot of a block, which says more when it is pointed at."""
    return (
        f'<circle cx="{x:.4g}%" cy="{y:g}" r="3.5" class="f-dot" data-block="{block}">'
        f"<title>{plain(says)}</title></circle>"
    )


def curve(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return a line through points; both coordinates go from 0 to 100."""
    path = " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
    return f'<polyline points="{path}" class="{kind}" vector-effect="non-scaling-stroke"/>'


def panel(x: float, y: float, width: float, height: float, content: str) -> str:
    """Return curves in a panel."""
    return (
        f'<svg x="{x:.4g}%" y="{y:g}" width="{width:.4g}%" height="{height:g}" '
        f'viewBox="0 0 100 100" preserveAspectRatio="none">{content}</svg>'
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval beside its limits, on a scale from ``-extent`` to ``extent`` around no change."""

    low: float
    high: float
    limits: tuple[float, ...]
    extent: float
    tone: str

    def inline(self) -> str:
        """Return a small bar for the page, with lines at no change and at the limit."""
        at = self._scale.at
        kind = {"good": "f-better", "bad": "f-worse"}.get(self.tone, "f-bar")
        parts = (
            line(at(0), 1, at(0), 17, "f-zero"),
            *(line(at(limit), 1, at(limit), 17, "f-limit") for limit in self.limits),
            line(at(self.low), 9, max(at(self.high), at(self.low) + 1), 9, kind),
        )
        return f'<svg class="bar" width="120" height="18" aria-hidden="true">{"".join(parts)}</svg>'

    def characters(self) -> str:
        """Return the bar drawn with characters, for Markdown."""
        letters = ["\N{MIDDLE DOT}"] * BAR_CHARACTERS
        none, first, last, *limits = (
            round(self._scale.share(number) * (BAR_CHARACTERS - 1))
            for number in (0, self.low, self.high, *self.limits)
        )
        letters[none] = "\N{BOX DRAWINGS LIGHT VERTICAL}"
        letters[first : last + 1] = ["\N{BLACK SQUARE}"] * (last - first + 1)
        for limit in limits:
            letters[limit] = "\N{BOX DRAWINGS HEAVY VERTICAL}"
        return "".join(letters)

    @property
    def _scale(self) -> Scale:
        return Scale(-self.extent, self.extent)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished drawing, with what it shows in words for those who cannot see it."""

    title: str
    description: str
    height: int
    content: str

    def inline(self, anchor: str) -> str:
        """Return the drawing for a page that has the style sheet; ``anchor`` is its id there."""
        return (
            f'<svg class="figure" width="100%" height="{self.height}" role="img" '
            f'aria-labelledby="{anchor}-title {anchor}-words">'
            f'<title id="{anchor}-title">{plain(self.title, 200)}</title>'
            f'<desc id="{anchor}-words">{plain(self.description, 2000)}</desc>{self.content}</svg>'
        )

    def file(self) -> str:
        """Return the drawing as the content of a file."""
        size = f'width="{FILE_WIDTH}" height="{self.height}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" {size} '
            f'viewBox="0 0 {FILE_WIDTH} {self.height}" role="img">'
            f"<style>{colours()}</style><title>{plain(self.title, 200)}</title>"
            f"<desc>{plain(self.description, 2000)}</desc>"
            f'<rect width="100%" height="100%" fill="var(--paper)"/>{self.content}</svg>\n'
        )
