"""The parts of a report: plain text in records. Nothing in them is Markdown or HTML yet."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")


class Align(Enum):
    """How a column is set: words to the left, numbers to the right."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The header of a column, unit included."""

    title: str
    align: Align = Align.LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of texts under columns; a line break in a text is kept.

    A folded table is shown on request only, under its caption.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A finding in bold, what it rests on, and what else is to be known."""

    head: str
    text: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot as Vega-Lite, drawn by ``plots``; ``name`` is that of its file."""

    name: str
    caption: str
    chart: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """The end of a log. ``path`` leads to all of it, relative to the report."""

    title: str
    sentences: tuple[str, ...]
    lines: tuple[str, ...]
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands below it, in the order of the fields."""

    title: str
    lead: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """All that a report says."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]


def left(*titles: str) -> tuple[Column, ...]:
    """Return columns of words."""
    return tuple(Column(title=title) for title in titles)


def right(*titles: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(Column(title=title, align=Align.RIGHT) for title in titles)


def facts(caption: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names with one fact each."""
    return Table(caption=caption, columns=left("what", "value"), rows=tuple(pairs))


def chunks(items: Iterable[_Item], length: int) -> Iterator[tuple[_Item, ...]]:
    """Cut items into tuples of at most that length, so that a table stays narrow enough."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, length)):
        yield chunk
