"""The parts of a report: plain text in records. Nothing in them is Markdown or HTML yet."""

from dataclasses import dataclass

from runner.report.drawing import Bar, Drawing


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts; a line break in a text is kept.

    The last columns hold ``numbers`` and are aligned right. A folded table is shown only on
    request, under its caption. ``bars`` are one for each row, or none at all.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()
    folded: bool = False
    bars: tuple[Bar | None, ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The title of each column, and how the column is aligned."""
        return (
            *((title, "left") for title in self.columns),
            *((title, "right") for title in self.numbers),
        )


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
    """A drawing with a caption; ``name`` is the name of its file."""

    name: str
    caption: str
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The end of a log. ``path`` leads to the full log, relative to the report."""

    title: str
    sentences: tuple[str, ...]
    lines: tuple[str, ...]
    path: str | None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the parts below it, in the order of the fields."""

    title: str
    lead: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportView:
    """The whole content of a report."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all sections."""
        return tuple(figure for section in self.sections for figure in section.figures)
