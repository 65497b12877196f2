"""Expand axes into cells: every combination, without the excluded ones, with the included ones.

The rules are those of GitHub Actions. ``exclude`` comes first. Then an ``include`` entry extends
every combination that it does not contradict. An entry that contradicts them all becomes a cell of
its own, which no ``exclude`` can remove. Values are compared as an id shows them.
"""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from runner.read.fields import EXPECTED, VERSION, AxisValues
from runner.read.problems import Keys, Problem, suggestion, unknown
from runner.read.schema import SETTINGS, BuildAxis, Document, IncludeSection
from runner.records import Coordinates, Scalar, Value, shown
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

    While there are such problems, a missing cell or value proves nothing.
    """

    axes: tuple[Axis, ...]
    values: Mapping[str, Mapping[str, Value]]
    """The values that cells have on each axis, by the text that an id shows."""
    cells: Mapping[str, Coordinates]
    entries: Mapping[str, list[IncludeSection]]
    """The include entries that hold for each cell."""
    problems: list[Problem]

    def id(self, given: Given) -> str:
        """Return the id of the cell with these coordinates."""
        return _id((axis, given.get(axis, "")) for axis in self.values)

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
        problems = self._name_problems(given, path)
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
        problems = self._name_problems(given, path)
        if not problems and not self.problems and not _matching(self.cells, given):
            problems.append(Problem(path, "no cell has these values together; change one"))
        return problems

    def pair_problems(self, of: Given, against: Given, path: Keys) -> list[Problem]:
        """Return the problems of a comparison, those of both sides."""
        problems = self._name_problems(of, (*path, "of"))
        problems += self._name_problems(against, (*path, "against"))
        if of.keys() | against.keys() <= self.values.keys():  # otherwise one may be misspelt
            problems += _one_sided(of, against, ("of", "against"), path)
            problems += _one_sided(against, of, ("against", "of"), path)
        if not problems and not self.problems and not any(self.pairs(of, against)):
            problems.append(Problem(path, "no two cells match this comparison; change a value"))
        return problems

    def _name_problems(self, given: Given, path: Keys) -> list[Problem]:
        problems = _unknown_axes(given, path, self.values)
        return problems if self.problems else problems + _unknown_values(given, path, self.values)


def expand(document: Document, other_values: int) -> Grid:
    """Return the cells that a document declares; wrong entries have no effect.

    ``other_values`` is the number of values outside ``axes``.
    """
    axes = tuple(_axis(name, declared) for name, declared in document.axes.items())
    values = {axis.name: {shown(value): value for value in axis.values} for axis in axes}
    problems = _size_problems(axes, other_values)
    if problems:
        return Grid(axes, values, {}, {}, problems)
    combinations = _combinations(axes)
    problems += _exclude(document.exclude, combinations, values)
    added, entries, wrong = _include(document.include, combinations, axes)
    problems += wrong
    if not (combinations or added or problems):
        problems.append(Problem(("exclude",), "this leaves no cell; remove an entry"))
    for axis, value in itertools.chain.from_iterable(added.values()):
        values[axis].setdefault(shown(value), value)
    return Grid(axes, values, combinations | added, entries, problems)


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
    return {_id(coordinates): coordinates for coordinates in every}


def _id(coordinates: Iterable[tuple[str, Value]]) -> str:
    return ",".join(f"{axis}={shown(value)}" for axis, value in coordinates)


def _exclude(
    excluded: list[AxisValues],
    combinations: dict[str, Coordinates],
    values: Mapping[str, Mapping[str, Value]],
) -> list[Problem]:
    """Remove the matching combinations; return the problems of wrong entries."""
    problems = []
    for index, given in enumerate(excluded):
        path = ("exclude", index)
        wrong = _unknown_axes(given, path, values) + _unknown_values(given, path, values)
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
        wrong = _entry_problems(entry, path, axes)
        if not wrong and not matching:
            wrong = _addition_problems(given, path, axes, added)
        problems += wrong
        if not wrong and not matching:
            coordinates = tuple((axis.name, given[axis.name]) for axis in axes)
            matching = [_id(coordinates)]
            added[_id(coordinates)] = coordinates
        for cell in [] if wrong else matching:
            entries[cell].append(entry)
    return added, entries, problems


def _matching(cells: Iterable[str], given: Given) -> list[str]:
    """Return the ids of the cells with the given values; an id is made of ``axis=value``."""
    wanted = {f"{axis}={shown(value)}" for axis, value in given.items()}
    return [cell for cell in cells if wanted.issubset(cell.split(","))]


def _entry_problems(entry: IncludeSection, path: Keys, axes: tuple[Axis, ...]) -> list[Problem]:
    given, names = entry.coordinates, [axis.name for axis in axes]
    problems = _unknown_axes(given, path, [*names, *SETTINGS], "axis or setting")
    if not given:
        problems.append(Problem(path, "this names no axis; give a value for one"))
    for name in entry.parameters or ():
        if name in names:
            sentence = "this is an axis; move it out of `parameters`"
            problems.append(Problem((*path, "parameters", name), sentence))
    for axis in axes:
        value = given.get(axis.name, "0")
        if axis.builds and not (isinstance(value, str) and re.search(VERSION, value)):
            sentence = f"expected {EXPECTED[VERSION]}, found {shown(value)}"
            problems.append(Problem((*path, axis.name), sentence))
    return problems


def _addition_problems(
    given: Given, path: Keys, axes: tuple[Axis, ...], added: Mapping[str, Coordinates]
) -> list[Problem]:
    """Return why an entry that extends no combination cannot be a cell of its own."""
    missing = [axis.name for axis in axes if axis.name not in given]
    if missing:
        sentence = f"no combination has these values, so this adds a cell; {_give(missing)}"
        hints = [
            partial(did_you_mean, shown(given[axis.name]), map(shown, axis.values))
            for axis in axes
            if axis.name in given
        ]
        return [Problem(path, sentence, hint=hints[0] if len(hints) == 1 else str)]
    same = _matching(added, given)
    if same:
        sentence = f"the cell {same[0]} is already included; merge the two entries"
        return [Problem(path, sentence)]
    return []


def _give(missing: list[str]) -> str:
    return f"give a value for {listed([f'`{axis}`' for axis in missing])} too"


def _unknown_axes(
    given: Given, path: Keys, known: Collection[str], noun: str = "axis"
) -> list[Problem]:
    return [
        problem
        for axis in given
        for problem in unknown(noun, axis, known, (*path, axis), at_key=True)
    ]


def _unknown_values(
    given: Given, path: Keys, known: Mapping[str, Mapping[str, Value]]
) -> list[Problem]:
    """Return a problem for each value that no cell has on its axis, if the axis exists."""
    problems = []
    for axis, value in given.items():
        word = shown(value)
        if axis in known and word not in known[axis]:
            hint = partial(suggestion, word, known[axis])
            sentence = f"no cell has the value {quoted(word)}"
            problems.append(Problem((*path, axis), sentence, hint=hint))
    return problems


def _one_sided(given: Given, other: Given, keys: tuple[str, str], path: Keys) -> list[Problem]:
    here, there = keys
    return [
        Problem(
            (*path, here, axis), f"`{axis}` is only in `{here}`; give it a value in `{there}` too"
        )
        for axis in given
        if axis not in other
    ]


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
