"""Make the cells of a grid: the environment, parameters, variables and limits of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from runner.read.axes import SOURCES, Outside, index_settings, requirement, written
from runner.read.grid import Grid
from runner.read.schema import Document, IncludeSection
from runner.records import Scalar, Value, shown
from runner.records.environment import EnvironmentRequest, Source, SourceKind
from runner.records.patterns import PYTHON_NAME, fits
from runner.records.study import Axis, AxisKind, Cell, Limits, Status


@dataclass(frozen=True)  # without slots, so that it can keep the limits
class CellMaker:
    """Makes the cells of a document."""

    document: Document
    outside: Outside
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    """The lines of the files that the document names."""
    known: dict[tuple[str, ...], EnvironmentRequest] = field(default_factory=dict, init=False)
    """The requests of cells without an include entry, by what they depend on."""

    @cached_property
    def limits(self) -> Limits:
        """The limits of cells without their own."""
        return Limits(**dict(self.document.limits))

    def make(self, cell: str, grid: Grid) -> Cell:
        """Make the cell with an id; a later include entry overrides an earlier one."""
        document = self.document
        values, entries = dict(grid.cells[cell]), grid.entries[cell]
        parameters: dict[str, Scalar] = dict(document.parameters)
        variables = dict(document.environment.variables)
        for axis in grid.axes:
            if axis.kind is AxisKind.PARAMETER:
                parameters[axis.name] = values[axis.name]
            if axis.variable is not None:
                variables[axis.variable] = axis.meaning(values[axis.name])
        expect, blocks, limits = Status.OK, None, self.limits
        timeout_s = limits.timeout_s
        for entry in entries:
            parameters |= entry.parameters or {}
            variables |= entry.variables
            expect = entry.expect or expect
            blocks = entry.blocks or blocks
            if entry.limits is not None:
                limits = replace(limits, **entry.limits.model_dump(exclude_unset=True))
                if "timeout_s" in entry.limits.model_fields_set:
                    timeout_s = limits.timeout_s
            timeout_s = entry.timeout or timeout_s
        return Cell(
            coordinates=grid.cells[cell],
            request=self._shared(values, grid.axes)
            if not entries
            else self._request(values, entries, grid.axes),
            parameters=parameters,
            variables=variables,
            timeout_s=timeout_s,
            limits=limits if any(entry.limits for entry in entries) else None,
            expect=expect,
            blocks=blocks,
        )

    def _shared(self, values: Mapping[str, Value], axes: Sequence[Axis]) -> EnvironmentRequest:
        """Return the request of a cell without include entries, which many cells share."""
        key = tuple(shown(values[axis.name]) for axis in axes if axis.builds)
        if key not in self.known:
            self.known[key] = self._request(values, (), axes)
        return self.known[key]

    def _request(
        self, values: Mapping[str, Value], entries: Sequence[IncludeSection], axes: Sequence[Axis]
    ) -> EnvironmentRequest:
        """Return the environment that a cell with these values and include entries requests."""
        environment = self.document.environment
        python, base = environment.python, None
        for entry in entries:
            if entry.python is not None and fits(entry.python, PYTHON_NAME):
                python = entry.python
        for axis in axes:
            if axis.kind is AxisKind.PYTHON:
                python = str(values[axis.name])
            if axis.kind is AxisKind.BASE:
                base = axis.meaning(values[axis.name])
        added = [line for entry in entries for line in entry.packages]
        return EnvironmentRequest(
            requirements=tuple(
                requirement(axis, values[axis.name])
                for axis in axes
                if axis.kind in {AxisKind.VERSION, AxisKind.PACKAGES}
            ),
            python=python,
            as_of=environment.as_of,
            packages=tuple(dict.fromkeys((*environment.packages, *self.requirements, *added))),
            constraints=self.constraints,
            index=index_settings(self.document),
            compile=environment.compile,
            source_packages=environment.source_packages,
            sources=tuple(
                _source(axis, axis.meaning(values[axis.name]), self.outside)
                for axis in axes
                if axis.kind in SOURCES
            ),
            base=base,
            chosen=tuple(
                (axis.name, shown(values[axis.name]))
                for axis in axes
                if axis.builds and axis.kind is not AxisKind.VERSION
            ),
        )


def _source(axis: Axis, meaning: str, outside: Outside) -> Source:
    kind, name = SOURCES[axis.kind], written(axis, meaning)
    digest = None if kind is SourceKind.IMAGE else outside.digest(kind, name)
    return Source(kind=kind, written=name, digest=digest)
