"""From axes to cells: every combination, less what is excluded, with what is included.

The rules are those of GitHub Actions. ``exclude`` comes first. Then an ``include`` entry extends
every combination it does not contradict; one that contradicts all becomes a cell of its own, and
no ``exclude`` can remove it. Values are compared as an id shows them.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.read.fields import EXPECTED, VERSION
from runner.read.problems import Keys, Problems
from runner.read.schema import SETTINGS, Environment, Include
from runner.records import Coordinates, Scalar, Value, shown
from runner.records.environment import EnvironmentRequest, Requirement
from runner.records.study import Axis, Cell, Status
from runner.text import did_you_mean, quoted

LONGEST_ID_BYTES = 200
"""A file is named after a trial, and most file systems allow 255 bytes."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A cell to be: its coordinates and the include entries that hold for it."""

    coordinates: Coordinates
    entries: list[Include] = field(default_factory=list)


class Grid:
    """The combinations of axes while ``exclude``, ``include`` and what names cells are checked.

    ``complete`` is false once an entry was wrong: then a missing cell proves nothing.
    """

    def __init__(self, axes: tuple[Axis, ...], problems: Problems) -> None:
        self.axes = axes
        self.problems = problems
        self.complete = True
        self.values = {axis.name: {shown(value): value for value in axis.values} for axis in axes}
        self._drafts: dict[str, _Draft] = {}
        self._having: dict[tuple[str, str], set[str]] = defaultdict(set)
        for values in itertools.product(*(axis.values for axis in axes)):
            cell = self._draft(tuple(zip(self.values, values, strict=True)))
            for axis, value in zip(self.values, values, strict=True):
                self._having[axis, shown(value)].add(cell)

    def exclude(self, given: Mapping[str, Value] | None, path: Keys) -> None:
        """Leave out every combination with the given values."""
        if given is None or not (self._axes_exist(given, path) and self._values_exist(given, path)):
            self.complete = False
            return
        for cell in self._matching(given):
            self._drafts.pop(cell, None)

    def include(self, entry: Include | None, path: Keys) -> None:
        """Extend the combinations that an entry does not contradict, or add a cell of its own."""
        if entry is None or not self._sound(entry, path):
            self.complete = False
            return
        matching = [cell for cell in self._matching(entry.coordinates) if cell in self._drafts]
        for cell in matching:
            self._drafts[cell].entries.append(entry)
        if not matching and not self._add(entry, path):
            self.complete = False

    def find(self, given: Mapping[str, Value], path: Keys) -> str:
        """Return the id of the cell with these coordinates; note a problem if there is none."""
        cell = ",".join(f"{axis}={shown(given.get(axis, ''))}" for axis in self.values)
        missing = [axis for axis in self.values if axis not in given]
        if not self._axes_exist(given, path):
            return cell
        if missing:
            self.problems.add(path, f"this names one cell; {_give(missing)}")
        elif self.complete and cell not in self._drafts and self._values_exist(given, path):
            self.problems.add(path, f"there is no cell {cell}; it is excluded, or not included")
        return cell

    def partial(self, given: Mapping[str, Value], path: Keys) -> Coordinates:
        """Return coordinates that name some axes; note a problem if no cell has them."""
        sound = self._axes_exist(given, path) and self.complete
        if sound and self._values_exist(given, path):
            wanted = {(axis, shown(value)) for axis, value in given.items()}
            if not any(
                wanted <= {(axis, shown(value)) for axis, value in draft.coordinates}
                for draft in self._drafts.values()
            ):
                self.problems.add(path, "no cell has these values together; change one")
        return tuple(
            (axis, known.get(shown(given[axis]), given[axis]))
            for axis, known in self.values.items()
            if axis in given
        )

    def pairs(
        self, of: Mapping[str, Value], against: Mapping[str, Value], path: Keys
    ) -> tuple[tuple[str, str], ...]:
        """Return the cells with the values of ``of``, each with the one ``against`` makes of it.

        Note a problem if an axis is in one of the two only, or if there is no such pair.
        """
        lonely = sorted(of.keys() ^ against.keys())
        sound = all(
            self._axes_exist(given, (*path, key)) and self._values_exist(given, (*path, key))
            for key, given in (("of", of), ("against", against))
        )
        if not sound or not self.complete:
            return ()
        if lonely:
            key = "of" if lonely[0] in of else "against"
            said = f"`{lonely[0]}` is in `{key}` only; give both sides a value of it"
            self.problems.add((*path, key, lonely[0]), said)
            return ()
        found = []
        wanted = {(axis, shown(value)) for axis, value in of.items()}
        for cell, draft in self._drafts.items():
            if not wanted <= {(axis, shown(value)) for axis, value in draft.coordinates}:
                continue
            values = {**dict(draft.coordinates), **against}
            other = ",".join(f"{axis}={shown(values[axis])}" for axis in self.values)
            if other in self._drafts and other != cell:
                found.append((cell, other))
        if not found:
            self.problems.add(path, "there are no two cells to compare here; change a value")
        return tuple(found)

    def cells(
        self, environment: Environment, parameters: Mapping[str, Scalar], timeout_s: float
    ) -> tuple[Cell, ...]:
        """Return the cells in the order of the axes, the first varying slowest."""
        if not self._drafts and self.complete:
            self.problems.add(("exclude",), "this leaves no cell; remove an entry")
        for cell in self._drafts:
            if len(cell.encode()) > LONGEST_ID_BYTES:
                self.problems.add(
                    ("axes",),
                    f"the id {quoted(cell)} is longer than {LONGEST_ID_BYTES} bytes; "
                    "shorten names or values",
                )
                break
        return tuple(
            _cell(
                draft,
                self.axes,
                _request(draft, self.axes, environment),
                parameters,
                timeout_s,
            )
            for draft in self._drafts.values()
        )

    def _draft(self, coordinates: Coordinates) -> str:
        draft = _Draft(coordinates)
        cell = ",".join(f"{axis}={shown(value)}" for axis, value in coordinates)
        self._drafts[cell] = draft
        return cell

    def _matching(self, given: Mapping[str, Value]) -> set[str]:
        """Return the combinations with all the given values, excluded ones among them."""
        return set.intersection(
            *(self._having.get((axis, shown(value)), set()) for axis, value in given.items())
        )

    def _add(self, entry: Include, path: Keys) -> bool:
        """Add the cell of an entry that contradicts every combination."""
        given = entry.coordinates
        missing = [axis for axis in self.values if axis not in given]
        cell = ",".join(f"{axis}={shown(given.get(axis, ''))}" for axis in self.values)
        if missing:
            hints = [did_you_mean(shown(given[axis]), self.values[axis]) for axis in given]
            hint = "".join(hints[:1]) if len(given) == 1 else ""
            said = f"no combination has these values, so this adds a cell; {_give(missing)}{hint}"
            self.problems.add(path, said)
        elif cell in self._drafts:
            self.problems.add(path, f"the cell {cell} is included already; merge the two entries")
        else:
            self._draft(tuple((axis, given[axis]) for axis in self.values))
            self._drafts[cell].entries.append(entry)
            for axis, known in self.values.items():
                known.setdefault(shown(given[axis]), given[axis])
        return not missing and cell in self._drafts

    def _sound(self, entry: Include, path: Keys) -> bool:
        given = entry.coordinates
        if not given:
            self.problems.add(path, "this names no axis; give a value of one")
            return False
        wrong = set(entry.parameters or ()) & set(self.values)
        for name in sorted(wrong):
            here = (*path, "parameters", name)
            self.problems.add(here, "this is an axis; write it beside `parameters`")
        for axis in self.axes:
            value = given.get(axis.name)
            if value is None or not axis.builds:
                continue
            if not isinstance(value, str) or not re.search(VERSION, value):
                wrong.add(axis.name)
                what = f"expected {EXPECTED[VERSION]}, found {shown(value)}"
                self.problems.add((*path, axis.name), what)
        return self._axes_exist(given, path, SETTINGS) and not wrong

    def _axes_exist(
        self, given: Mapping[str, Value], path: Keys, settings: tuple[str, ...] = ()
    ) -> bool:
        unknown = [axis for axis in given if axis not in self.values]
        for axis in unknown:
            here = (*path, axis)
            what = "neither an axis nor a setting" if settings else "unknown axis"
            hint = did_you_mean(axis, [*self.values, *settings])
            self.problems.add(here, f"{what}{hint}", self.problems.keys.get(here))
        return not unknown

    def _values_exist(self, given: Mapping[str, Value], path: Keys) -> bool:
        unknown = [axis for axis in given if shown(given[axis]) not in self.values[axis]]
        for axis in unknown:
            value = shown(given[axis])
            hint = did_you_mean(value, self.values[axis])
            self.problems.add((*path, axis), f"no cell has the value {quoted(value)}{hint}")
        return not unknown


def _give(missing: list[str]) -> str:
    return f"give a value of {' and '.join(f'`{axis}`' for axis in missing)} too"


def _request(draft: _Draft, axes: tuple[Axis, ...], environment: Environment) -> EnvironmentRequest:
    return EnvironmentRequest(
        requirements=tuple(
            Requirement(axis=axis.name, distributions=axis.distributions, version=str(value))
            for axis, (_, value) in zip(axes, draft.coordinates, strict=True)
            if axis.builds
        ),
        python=environment.python,
        as_of=environment.as_of,
        packages=tuple(environment.packages),
        compile=environment.compile,
    )


def _cell(
    draft: _Draft,
    axes: tuple[Axis, ...],
    request: EnvironmentRequest,
    parameters: Mapping[str, Scalar],
    timeout_s: float,
) -> Cell:
    """Make the cell; what a later include entry says holds over an earlier one."""
    run_values = {
        axis.name: value
        for axis, (_, value) in zip(axes, draft.coordinates, strict=True)
        if not axis.builds
    }
    told: dict[str, Scalar] = {**parameters, **run_values}
    expect, blocks = Status.OK, None
    for entry in draft.entries:
        told |= entry.parameters or {}
        expect = expect if entry.expect is None else entry.expect
        blocks = blocks if entry.blocks is None else entry.blocks
        timeout_s = timeout_s if entry.timeout is None else entry.timeout
    return Cell(
        coordinates=draft.coordinates,
        request=request,
        parameters=told,
        timeout_s=timeout_s,
        expect=expect,
        blocks=blocks,
    )
