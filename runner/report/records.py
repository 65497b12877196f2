"""The parts of a report: plain text in records. Nothing in them is Markdown or HTML yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runner.report.drawing import Bar, Drawing


@dataclass(frozen=True, slots=True)
class Row:
    """A row of texts; a line break in a text is kept.

    ``numbers`` are those that the texts show, by column: what the row is sorted by. ``cell`` and
    ``metric`` name what the row is about, so that a reader can select it. ``basis`` says how the
    row was computed, and ``name`` is its address in its section, if it has one.
    """

    texts: Sequence[str]
    numbers: dict[int, float] = field(default_factory=dict)
    cell: str = ""
    metric: str = ""
    bar: Bar | None = None
    tone: str = ""
    basis: tuple[str, ...] = ()
    name: str = ""


def rows(texts: Iterable[Sequence[str]]) -> tuple[Row, ...]:
    """Return rows of nothing but texts."""
    return tuple(map(Row, texts))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below the titles of their columns.

    The last columns hold ``numbers`` and are aligned right; if each belongs to one metric,
    ``metrics`` names them. A folded table is shown only on request, under its caption, and
    one that is ``page_only`` is not in Markdown.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    numbers: tuple[str, ...] = ()
    folded: bool = False
    page_only: bool = False
    bars: int = -1
    """The column whose intervals are drawn."""
    metrics: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The title of each column, and how the column is aligned."""
        return (
            *((title, "left") for title in self.columns),
            *((title, "right") for title in self.numbers),
        )

    def metric_of(self, column: int) -> str:
        """Return the metric that a column belongs to, or nothing."""
        at = column - len(self.columns)
        return self.metrics[at] if self.metrics and at >= 0 else ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A finding in bold, its basis, and notes on it.

    ``tone`` says how good it is: ``good``, ``bad``, ``open``, or nothing.
    """

    head: str
    text: str = ""
    notes: tuple[str, ...] = ()
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with a caption; ``name`` is the name of its file, ``metric`` what it shows."""

    name: str
    caption: str
    drawing: Drawing
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The end of a log. ``path`` leads to the full log, relative to the report."""

    title: str
    sentences: tuple[str, ...]
    lines: tuple[str, ...]
    path: str | None
    cell: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the parts below it, in the order of the fields.

    ``name`` is its address in the page. ``key`` sections belong in a summary, too.
    """

    name: str
    title: str
    lead: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    key: bool = False


@dataclass(frozen=True, slots=True)
class ReportView:
    """The whole content of a report: what it asks, where it was measured, and its sections."""

    title: str
    question: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    cells: tuple[str, ...] = ()
    """The ids of all cells, in the order of the matrix."""
    version: str = ""
    """The version of this program."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all sections."""
        return tuple(figure for section in self.sections for figure in section.figures)
