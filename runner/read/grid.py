"""Expand axes into cells: every combination, without the excluded ones, with the included ones.

The rules are those of GitHub Actions. ``exclude`` comes first. Then an ``include`` entry extends
every combination that it does not contradict. An entry that contradicts them all becomes a cell of
its own, which no ``exclude`` can remove. Values are compared as an id shows them.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from runner.read.axes import is_range, members, value_problems
from runner.read.fields import AxisValues
from runner.read.problems import Keys, Problem, suggestion, unknown
from runner.read.schema import SETTINGS, Document, IncludeSection
from runner.records import Coordinates, Value, as_id, shown
from runner.records.study import Axis
from runner.text import did_you_mean, listed, quoted

MOST_CELLS = 10_000
MOST_STEPS = 5_000_000
"""Bounds the work: values of all cells, times the values that may be looked up in each."""

LONGEST_ID_BYTES = 200
"""A file is named after a trial, and most file systems allow 255 bytes."""

Given = Mapping[str, Value]
"""Values of axes, as an entry of the file gives them."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a matrix by id, and the problems of ``exclude`` and ``include``.

    While there are such problems, a missing cell proves nothing.
    """

    axes: tuple[Axis, ...]
    values: dict[str, dict[str, Value]]
    """The values of each axis and of ``include``, by the text that an id shows."""
    cells: dict[str, Coordinates]
    entries: dict[str, list[IncludeSection]]
    """The include entries that hold for each cell."""
    problems: list[Problem]

    def id(self, given: Given) -> str:
        """Return the id of the cell with these coordinates."""
        return as_id((axis, given.get(axis, "")) for axis in self.values)

    def pairs(self, of: Given, against: Given) -> Iterator[tuple[str, str]]:
        """Yield each cell with the values of ``of``, and the cell that ``against`` makes of it."""
        for cell in _matching(self.cells, _words(of)):
            other = self.id({**dict(self.cells[cell]), **against})
            if other in self.cells and other != cell:
                yield cell, other

    def id_problems(self) -> list[Problem]:
        """Return a problem if an id is too long for the name of a file."""
        for cell in self.cells:
            if len(cell.encode()) > LONGEST_ID_BYTES:
                sentence = f"the id {quoted(cell)} is longer than {LONGEST_ID_BYTES} bytes"
                return [Problem(("axes",), f"{sentence}; shorten names or values")]
        return []

    def meant(self, given: Given) -> list[set[str]]:
        """Return the words of ids that match each given value, of which some are ranges."""
        axes = {axis.name: axis for axis in self.axes}
        return [
            {f"{axis}={word}" for word in members(axes[axis], value) or {shown(value)}}
            for axis, value in given.items()
            if axis in axes
        ]

    def name_problems(self, given: Given, path: Keys, *, ranges: bool = False) -> Iterator[Problem]:
        """Yield a problem for each unknown axis, and each value that no cell has on its axis.

        With ``ranges``, a value may be a range of versions.
        """
        axes = {axis.name: axis for axis in self.axes}
        for axis, value in given.items():
            here, word = (*path, axis), shown(value)
            yield from unknown("axis", axis, self.values, here, at_key=True)
            if axis not in axes or (ranges and members(axes[axis], value)):
                continue
            if axes[axis].builds and isinstance(value, float):
                yield _unquoted(value, here)
            elif ranges and is_range(axes[axis], value):
                yield _empty(value, here)
            elif word not in self.values[axis]:
                hint = partial(suggestion, word, self.values[axis])
                yield Problem(here, f"no cell has the value {quoted(word)}", hint=hint)

    def cell_problems(self, given: Given, path: Keys) -> list[Problem]:
        """Return the problems of coordinates that must name a single cell."""
        problems = [*self.name_problems(given, path)]
        missing = [axis for axis in self.values if axis not in given]
        if missing and given.keys() <= self.values.keys():  # otherwise one may be misspelt
            problems.append(Problem(path, f"this must name a single cell; {_give(missing)}"))
        cell = self.id(given)
        if not problems and not self.problems and cell not in self.cells:
            sentence = f"there is no cell {cell}; it is excluded, or not included: name another"
            problems.append(Problem(path, sentence))
        return problems

    def baseline_problems(self, given: Given) -> list[Problem]:
        """Return the problems of the baseline, which must match a cell."""
        problems = [*self.name_problems(given, ("baseline",))]
        if not problems and not self.problems and not _matching(self.cells, _words(given)):
            sentence = "no cell has these values together; change one"
            problems.append(Problem(("baseline",), sentence))
        return problems

    def pair_problems(self, of: Given, against: Given, path: Keys) -> list[Problem]:
        """Return the problems of a comparison, those of both sides."""
        problems = [
            *self.name_problems(of, (*path, "of")),
            *self.name_problems(against, (*path, "against")),
        ]
        if of.keys() | against.keys() <= self.values.keys():  # otherwise one may be misspelt
            for axis in of.keys() ^ against.keys():
                here, there = ("of", "against") if axis in of else ("against", "of")
                sentence = f"`{axis}` is only in `{here}`; give it a value in `{there}` too"
                problems.append(Problem((*path, here, axis), sentence))
        if not problems and not self.problems and not any(self.pairs(of, against)):
            problems.append(Problem(path, "no two cells match this comparison; change a value"))
        return problems


def expand(document: Document, axes: tuple[Axis, ...], other_values: int) -> Grid:
    """Return the cells that a document declares; wrong entries have no effect.

    ``other_values`` is the number of values outside ``axes``.
    """
    values = {axis.name: {shown(value): value for value in axis.values} for axis in axes}
    grid = Grid(axes, values, {}, defaultdict(list), _size_problems(axes, other_values))
    if not grid.problems:
        pairs = ([(axis.name, value) for value in axis.values] for axis in axes)
        grid.cells.update((as_id(cell), cell) for cell in itertools.product(*pairs))
        grid.problems.extend(_exclude(document.exclude, grid))
        grid.problems.extend(_include(document.include, grid))
    if not (grid.cells or grid.problems):
        grid.problems.append(Problem(("exclude",), "this leaves no cell; remove an entry"))
    for entry in document.include:
        for axis in axes:
            value = entry.coordinates(values).get(axis.name)
            if value is not None and not is_range(axis, value):
                values[axis.name].setdefault(shown(value), value)
    return grid


def _size_problems(axes: tuple[Axis, ...], other_values: int) -> list[Problem]:
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_CELLS:
        sentence = f"these make {count:,} cells; the limit is {MOST_CELLS:,}; use fewer values"
        return [Problem(("axes",), sentence)]
    if count * len(axes) * other_values > MOST_STEPS:
        sentence = f"these make {count:,} cells, too many for {other_values:,} other values"
        return [Problem(("axes",), f"{sentence}; split the study")]
    return []


def _exclude(excluded: list[AxisValues], grid: Grid) -> list[Problem]:
    """Remove the matching combinations; return the problems of wrong entries."""
    problems = []
    for index, given in enumerate(excluded):
        wrong = [*grid.name_problems(given, ("exclude", index), ranges=True)]
        for cell in [] if wrong else _matching(grid.cells, grid.meant(given)):
            del grid.cells[cell]
        problems += wrong
    return problems


def _include(included: list[IncludeSection], grid: Grid) -> list[Problem]:
    """Apply the entries to their cells, and add cells; return the problems of wrong entries."""
    added: dict[str, Coordinates] = {}
    problems = []
    for index, entry in enumerate(included):
        given, path = entry.coordinates(grid.values), ("include", index)
        matching = _matching(grid.cells, grid.meant(given))
        wrong = [*_entry_problems(entry, given, path, grid.axes)]
        if not wrong and not matching:
            wrong = [*_addition_problems(given, path, grid.axes, added)]
        problems += wrong
        if not wrong and not matching:
            matching = [grid.id(given)]
            added[grid.id(given)] = tuple((axis.name, given[axis.name]) for axis in grid.axes)
        for cell in [] if wrong else matching:
            grid.entries[cell].append(entry)
    grid.cells.update(added)
    return problems


def _words(given: Given) -> list[set[str]]:
    """Return the word of an id that matches each given value."""
    return [{f"{axis}={shown(value)}"} for axis, value in given.items()]


def _matching(cells: Iterable[str], wanted: Sequence[set[str]]) -> list[str]:
    """Return the ids that have one of the wanted words on every axis: ``axis=value``."""
    return [
        cell
        for cell in cells
        if all(not words.isdisjoint(parts) for parts in [cell.split(",")] for words in wanted)
    ]


def _empty(value: Value, path: Keys) -> Problem:
    sentence = f"no version of this axis is {quoted(shown(value))}; change the range"
    return Problem(path, sentence)


def _unquoted(value: float, path: Keys) -> Problem:
    return Problem(path, f'{value} is a YAML float; quote it: "{value}"')


def _entry_problems(
    entry: IncludeSection, given: Given, path: Keys, axes: tuple[Axis, ...]
) -> Iterator[Problem]:
    names = [axis.name for axis in axes]
    if not given:
        yield Problem(path, "this names no axis; give a value for one")
    for name in given:
        here, known = (*path, name), [*names, *SETTINGS]
        yield from unknown("axis or setting", name, known, here, at_key=True)
    for name in entry.parameters or ():
        if name in names:
            here = (*path, "parameters", name)
            yield Problem(here, "this is an axis; move it out of `parameters`")
    for axis in axes:
        value, here = given.get(axis.name), (*path, axis.name)
        if isinstance(value, float) and axis.builds:
            yield _unquoted(value, here)
        elif value is not None and is_range(axis, value) and not members(axis, value):
            yield _empty(value, here)
        elif value is not None:
            yield from value_problems(axis, value, here)


def _addition_problems(
    given: Given, path: Keys, axes: tuple[Axis, ...], added: Mapping[str, Coordinates]
) -> Iterator[Problem]:
    """Yield why an entry that extends no combination cannot be a cell of its own."""
    missing = [axis.name for axis in axes if axis.name not in given]
    if missing:
        sentence = f"no combination has these values, so this adds a cell; {_give(missing)}"
        known = [map(shown, axis.values) for axis in axes if axis.name in given]
        words = [shown(value) for value in given.values()]
        hint = partial(did_you_mean, words[0], known[0]) if len(words) == 1 else str
        yield Problem(path, sentence, hint=hint)
    elif same := _matching(added, _words(given)):
        yield Problem(path, f"the cell {same[0]} is already included; merge the two entries")


def _give(missing: list[str]) -> str:
    return f"give a value for {listed([f'`{axis}`' for axis in missing])} too"
