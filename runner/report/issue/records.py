"""The parts of an issue: plain text in records. Nothing in them is Markdown yet."""

from dataclasses import dataclass

from runner.report.records import Table


@dataclass(frozen=True, slots=True)
class Code:
    """Lines in a fixed width, in a language that GitHub colours."""

    lines: tuple[str, ...]
    language: str = "text"


Part = str | Table | Code
"""A paragraph, a table, or a block of code."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the parts below it. The first section has no heading."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Issue:
    """The whole content of an issue."""

    title: str
    sections: tuple[Section, ...]
