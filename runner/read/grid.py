"""Expand axes into cells: every combination, without the excluded ones, with the included ones.

The rules are those of GitHub Actions. ``exclude`` comes first. Then an ``include`` entry extends
every combination that it does not contradict. An entry that contradicts them all becomes a cell of
its own, which no ``exclude`` can remove. Values are compared as an id shows them.
"""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from runner.read.fields import EXPECTED, VERSION, AxisValues
from runner.read.problems import Keys, Problem, suggestion, unknown
from runner.read.schema import SETTINGS, BuildAxis, Document, IncludeSection
from runner.records import Coordinates, Scalar, Value, as_id, shown
from runner.records.environment import EnvironmentRequest, Requirement
from runner.records.study import Axis, Cell, Status
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
    values: Mapping[str, Mapping[str, Value]]
    """The values of each axis and of ``include``, by the text that an id shows."""
    cells: Mapping[str, Coordinates]
    entries: Mapping[str, list[IncludeSection]]
    """The include entries that hold for each cell."""
    problems: list[Problem]

    def id(self, given: Given) -> str:
        """Return the id of the cell with these coordinates."""
        return as_id((axis, given.get(axis, "")) for axis in self.values)

    def coordinates(self, given: Given) -> Coordinates:
        """Return known values in the order of the axes, as the axes declare them."""
        return tuple(
            (axis, known[shown(given[axis])])
            for axis, known in self.values.items()
            if axis in given
        )

    def pairs(self, of: Given, against: Given) -> Iterator[tuple[str, str]]:
        """Yield each cell with the values of ``of``, and the cell that ``against`` makes of it."""
        for cell in _matching(self.cells, of):
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

    def cell_problems(self, given: Given, path: Keys) -> list[Problem]:
        """Return the problems of coordinates that must name a single cell."""
        problems = [*_wrong_names(given, path, self.values)]
        missing = [axis for axis in self.values if axis not in given]
        if missing and given.keys() <= self.values.keys():  # otherwise one may be misspelt
            problems.append(Problem(path, f"this must name a single cell; {_give(missing)}"))
        cell = self.id(given)
        if not problems and not self.problems and cell not in self.cells:
            sentence = f"there is no cell {cell}; it is excluded, or not included"
            problems.append(Problem(path, sentence))
        return problems

    def baseline_problems(self, given: Given, path: Keys) -> list[Problem]:
        """Return the problems of coordinates that must match a cell."""
        problems = [*_wrong_names(given, path, self.values)]
        if not problems and not self.problems and not _matching(self.cells, given):
            problems.append(Problem(path, "no cell has these values together; change one"))
        return problems

    def pair_problems(self, of: Given, against: Given, path: Keys) -> list[Problem]:
        """Return the problems of a comparison, those of both sides."""
        problems = [
            *_wrong_names(of, (*path, "of"), self.values),
            *_wrong_names(against, (*path, "against"), self.values),
        ]
        if of.keys() | against.keys() <= self.values.keys():  # otherwise one may be misspelt
            for axis in of.keys() ^ against.keys():
                here, there = ("of", "against") if axis in of else ("against", "of")
                sentence = f"`{axis}` is only in `{here}`; give it a value in `{there}` too"
                problems.append(Problem((*path, here, axis), sentence))
        if not problems and not self.problems and not any(self.pairs(of, against)):
            problems.append(Problem(path, "no two cells match this comparison; change a value"))
        return problems


def expand(document: Document, other_values: int) -> Grid:
    """Return the cells that a document declares; wrong entries have no effect.

    ``other_values`` is the number of values outside ``axes``.
    """
    axes = tuple(_axis(name, declared) for name, declared in document.axes.items())
    values = {axis.name: {shown(value): value for value in axis.values} for axis in axes}
    problems = _size_problems(axes, other_values)
    cells: dict[str, Coordinates] = {}
    entries: dict[str, list[IncludeSection]] = {}
    if not problems:
        cells = _combinations(axes)
        problems += _exclude(document.exclude, cells, values)
        added, entries, wrong = _include(document.include, cells, axes)
        cells |= added
        problems += wrong
    if not (cells or problems):
        problems.append(Problem(("exclude",), "this leaves no cell; remove an entry"))
    for entry in document.include:
        for axis, value in entry.coordinates.items():
            values.get(axis, {}).setdefault(shown(value), value)
    return Grid(axes, values, cells, entries, problems)


def _axis(name: str, declared: BuildAxis | list[Value]) -> Axis:
    if isinstance(declared, BuildAxis):
        versions, package = tuple(declared.versions), tuple(declared.package)
        return Axis(name=name, values=versions, distributions=package)
    return Axis(name=name, values=tuple(declared))


def _size_problems(axes: tuple[Axis, ...], other_values: int) -> list[Problem]:
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_CELLS:
        sentence = f"these make {count:,} cells; the limit is {MOST_CELLS:,}; use fewer values"
        return [Problem(("axes",), sentence)]
    if count * len(axes) * other_values > MOST_STEPS:
        sentence = f"these make {count:,} cells, too many for {other_values:,} other values"
        return [Problem(("axes",), f"{sentence}; split the study")]
    return []


def _combinations(axes: tuple[Axis, ...]) -> dict[str, Coordinates]:
    names = [axis.name for axis in axes]
    combinations = itertools.product(*(axis.values for axis in axes))
    every = (tuple(zip(names, values, strict=True)) for values in combinations)
    return {as_id(coordinates): coordinates for coordinates in every}


def _exclude(
    excluded: list[AxisValues],
    combinations: dict[str, Coordinates],
    values: Mapping[str, Mapping[str, Value]],
) -> list[Problem]:
    """Remove the matching combinations; return the problems of wrong entries."""
    problems = []
    for index, given in enumerate(excluded):
        path = ("exclude", index)
        wrong = [*_wrong_names(given, path, values)]
        for cell in [] if wrong else _matching(combinations, given):
            del combinations[cell]
        problems += wrong
    return problems


def _include(
    included: list[IncludeSection], combinations: Mapping[str, Coordinates], axes: tuple[Axis, ...]
) -> tuple[dict[str, Coordinates], dict[str, list[IncludeSection]], list[Problem]]:
    """Return the additional cells, the entries that hold for each cell, and all problems."""
    added: dict[str, Coordinates] = {}
    entries: dict[str, list[IncludeSection]] = defaultdict(list)
    problems = []
    for index, entry in enumerate(included):
        given, path = entry.coordinates, ("include", index)
        matching = _matching(combinations, given)
        wrong = [*_entry_problems(entry, path, axes)]
        if not wrong and not matching:
            wrong = [*_addition_problems(given, path, axes, added)]
        problems += wrong
        if not wrong and not matching:
            coordinates = tuple((axis.name, given[axis.name]) for axis in axes)
            matching = [as_id(coordinates)]
            added[as_id(coordinates)] = coordinates
        for cell in [] if wrong else matching:
            entries[cell].append(entry)
    return added, entries, problems


def _matching(cells: Iterable[str], given: Given) -> list[str]:
    """Return the ids of the cells with the given values; an id is made of ``axis=value``."""
    wanted = {f"{axis}={shown(value)}" for axis, value in given.items()}
    return [cell for cell in cells if wanted.issubset(cell.split(","))]


def _entry_problems(entry: IncludeSection, path: Keys, axes: tuple[Axis, ...]) -> Iterator[Problem]:
    given, names = entry.coordinates, [axis.name for axis in axes]
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
        value = given.get(axis.name, "0")
        if axis.builds and not (isinstance(value, str) and re.search(VERSION, value)):
            sentence = f"expected {EXPECTED[VERSION]}, found {shown(value)}"
            yield Problem((*path, axis.name), sentence)


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
    elif same := _matching(added, given):
        yield Problem(path, f"the cell {same[0]} is already included; merge the two entries")


def _give(missing: list[str]) -> str:
    return f"give a value for {listed([f'`{axis}`' for axis in missing])} too"


def _wrong_names(
    given: Given, path: Keys, values: Mapping[str, Mapping[str, Value]]
) -> Iterator[Problem]:
    """Yield a problem for each unknown axis, and for each value that no cell has on its axis."""
    for axis, value in given.items():
        here, word = (*path, axis), shown(value)
        yield from unknown("axis", axis, values, here, at_key=True)
        if axis in values and word not in values[axis]:
            hint = partial(suggestion, word, values[axis])
            yield Problem(here, f"no cell has the value {quoted(word)}", hint=hint)


def cells(grid: Grid, document: Document) -> tuple[Cell, ...]:
    """Return the cells in the order of the axes, the first varying slowest."""
    return tuple(
        _cell(coordinates, grid.entries.get(cell, []), grid.axes, document)
        for cell, coordinates in grid.cells.items()
    )


def _cell(
    coordinates: Coordinates,
    entries: list[IncludeSection],
    axes: tuple[Axis, ...],
    document: Document,
) -> Cell:
    """Make the cell; a later include entry overrides an earlier one."""
    by_axis = [(axis, value) for axis, (_, value) in zip(axes, coordinates, strict=True)]
    run_values = {axis.name: value for axis, value in by_axis if not axis.builds}
    parameters: dict[str, Scalar] = {**document.parameters, **run_values}
    timeout_s, expect, blocks = document.limits.timeout_s, Status.OK, None
    for entry in entries:
        parameters |= entry.parameters or {}
        expect = expect if entry.expect is None else entry.expect
        blocks = blocks if entry.blocks is None else entry.blocks
        timeout_s = timeout_s if entry.timeout is None else entry.timeout
    return Cell(
        coordinates=coordinates,
        request=EnvironmentRequest(
            requirements=tuple(
                Requirement(axis=axis.name, distributions=axis.distributions, version=str(value))
                for axis, value in by_axis
                if axis.builds
            ),
            python=document.environment.python,
            as_of=document.environment.as_of,
            packages=tuple(document.environment.packages),
            compile=document.environment.compile,
        ),
        parameters=parameters,
        timeout_s=timeout_s,
        expect=expect,
        blocks=blocks,
    )
