"""Prune the text of a matrix to two cells, so that others can repeat one comparison.

The result is checked like a matrix: it declares exactly the wanted cells, with the same parameters,
environments and limits as those that were measured.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from runner.errors import ConfigError
from runner.read.axes import KEYS, Locked, make_axes
from runner.read.cells import CellMaker
from runner.read.grid import Grid, expand
from runner.read.problems import refused
from runner.read.schema import SETTINGS, Document
from runner.read.validation import validated
from runner.read.yaml import dumped, parsed
from runner.records import Value, shown
from runner.records.environment import Lock
from runner.records.study import Axis, AxisKind, Cell, Limits, Matrix

KEPT = ("blocks", "looks", "repeats", "parallel", "matched", "limits")
"""The keys that stay as they are, behind all others."""

Plain = Mapping[str, Any]
"""A mapping in the text, as plain values."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """What a text declares. ``plain`` is the same as in ``document``, as it is written."""

    plain: Plain
    document: Document
    grid: Grid


def pruned(
    text: str,
    matrix: Matrix,
    lock: Lock,
    cells: Sequence[Cell],
    metrics: Collection[str],
    *,
    once: bool = False,
) -> str:
    """Return the text of a matrix with only these cells of ``matrix``, which ``text`` declares.

    ``cells`` are one cell, or a baseline and the cell that is compared with it in ``metrics``. With
    no metrics, nothing is compared, and the first metric is kept. ``once`` asks for a single block.
    ConfigError if the text does not declare these cells, for instance because it was edited.
    """
    declared = _declared(text, lock)
    _check(declared, matrix, lock, cells)
    plain = dict(_pruned(declared, cells, metrics, is_quick=matrix.is_quick))
    if once:
        plain["blocks"] = 1
    result = dumped({key: value for key, value in plain.items() if value not in (None, {}, [])})
    again = _declared(result, lock)
    _check(again, matrix, lock, cells)
    if again.grid.cells.keys() != {cell.id for cell in cells}:
        raise ConfigError("it cannot be reduced to these cells.")
    return result


def _declared(text: str, lock: Lock) -> _Declared:
    source = parsed(text, "matrix.yaml")
    document = validated(source)
    axes, problems = make_axes(document, Locked(lock))
    others = sum(keys[:1] != ("axes",) for keys in source.values)
    if problems or (problems := (grid := expand(document, axes, others)).problems):
        raise refused(source, problems)
    assert isinstance(source.plain, dict)  # noqa: S101 (or it would be no document)
    return _Declared(source.plain, document, grid)


def _check(declared: _Declared, matrix: Matrix, lock: Lock, cells: Sequence[Cell]) -> None:
    """Refuse a text that declares another study or other cells than those that were measured."""
    maker = CellMaker(declared.document, Locked(lock), (), ())
    try:
        same = _is_of(declared.document, matrix) and all(
            cell.id in declared.grid.cells
            and _is_made_as(maker.make(cell.id, declared.grid), cell, matrix)
            for cell in cells
        )
    except ValueError:  # the checks of ``read`` between keys were not made
        same = False
    if not same:
        raise ConfigError("its text declares other cells than those of the run.")


def _is_of(document: Document, matrix: Matrix) -> bool:
    """Whether the trials of a document and of a matrix are the same, apart from their cells."""
    written, experiment = document.experiment, matrix.experiment
    return (
        (written.script, tuple(written.command or written.args), tuple(written.data))
        == (experiment.script, experiment.args, experiment.data)
        and (document.environment.base, document.matched) == (matrix.base, matrix.matched)
        and Limits(**dict(document.limits)) == matrix.limits
    )


def _is_made_as(made: Cell, cell: Cell, matrix: Matrix) -> bool:
    """Whether the trials of a declared cell are the same as those of a cell of ``matrix``.

    Files with requirements are not read, so their lines may be missing in the declared cell.
    """
    request = replace(
        made.request, packages=cell.request.packages, constraints=cell.request.constraints
    )
    parameters = {**made.parameters, **(matrix.quick if matrix.is_quick else {})}
    expected = replace(cell, limits=made.limits, expect=made.expect, blocks=made.blocks)
    return (
        replace(made, request=request, parameters=parameters) == expected
        and set(made.request.packages) <= set(cell.request.packages)
        and (made.limits or matrix.limits) == matrix.limits_of(cell)
    )


def _pruned(
    declared: _Declared, cells: Sequence[Cell], metrics: Collection[str], *, is_quick: bool
) -> Iterator[tuple[str, object]]:
    """Yield the keys of the pruned matrix, in the order in which people write them."""
    plain, axes = declared.plain, declared.grid.axes
    sides = [dict(cell.coordinates) for cell in cells]
    against, of = sides[0], sides[-1]
    differing = [axis.name for axis in axes if shown(of[axis.name]) != shown(against[axis.name])]
    yield "format", plain["format"]
    yield "name", plain["name"]
    yield (
        "axes",
        {
            axis.name: _axis(axis, plain["axes"][axis.name], [side[axis.name] for side in sides])
            for axis in axes
        },
    )
    yield "exclude", [*_crossed(of, against, differing)]
    yield "include", [*_settings(declared, sides, differing)]
    for key in ("environment", "experiment", "parameters", *(("quick",) if is_quick else ())):
        yield key, plain.get(key)
    yield "metrics", _metrics(plain.get("metrics"), metrics)
    if differing:
        yield "baseline", {axis: against[axis] for axis in differing}
    if differing and metrics:
        named = {"of": {axis: of[axis] for axis in differing}}
        named["against"] = {axis: against[axis] for axis in differing}
        yield "compare", [{**named, "metrics": list(metrics)}]
    for key in KEPT:
        yield key, plain.get(key)


def _axis(axis: Axis, written: Any, values: Sequence[Value]) -> object:
    """Return an axis with only the given values; a range becomes the versions in it."""
    values = list({shown(value): value for value in values}.values())
    if isinstance(written, list):
        return values
    kept = {key: value for key, value in written.items() if key != "take"}
    key = KEYS.get(axis.kind, axis.kind.value)
    if axis.kind is AxisKind.IMAGE and "versions" in written:
        key = "versions"
    named = written[key]
    kept[key] = {name: named[name] for name in values} if isinstance(named, dict) else values
    return kept


def _crossed(
    of: Mapping[str, Value], against: Mapping[str, Value], differing: Sequence[str]
) -> Iterator[Plain]:
    """Yield what to exclude if the cells differ on several axes: every mixture of the two."""
    for one, other in pairwise(differing):
        yield {one: of[one], other: against[other]}
        yield {one: against[one], other: of[other]}


def _settings(
    declared: _Declared, sides: Sequence[Mapping[str, Value]], differing: Sequence[str]
) -> Iterator[Plain]:
    """Yield one include entry for each cell that has settings of its own, or one for both."""
    found = [_merged(declared, side) for side in sides]
    shared = {axis: value for axis, value in sides[0].items() if axis not in differing}
    if found[0] and shared and all(one == found[0] for one in found):
        yield {**shared, **found[0]}
        return
    for side, settings in zip(sides, found, strict=True):
        if settings:
            yield {**{axis: side[axis] for axis in differing or side}, **settings}


def _merged(declared: _Declared, side: Mapping[str, Value]) -> Plain:
    """Return the settings of all include entries of a cell, of which later ones win.

    Not whether a cell is expected to fail: the matrix is to show that it does.
    """
    entries = declared.grid.entries[declared.grid.id(side)]
    merged: dict[str, Any] = {}
    for written, entry in zip(
        declared.plain.get("include", ()), declared.document.include, strict=True
    ):
        settings = {
            key: written[key]
            for key in SETTINGS
            if entry in entries and key in written and key not in side
        }
        if "timeout" in settings.get("limits", {}):
            merged.pop("timeout", None)
        for key, value in settings.items():
            if key in {"expect", "blocks"}:
                continue
            if isinstance(value, dict):
                merged[key] = {**merged.get(key, {}), **value}
            else:
                merged[key] = [*merged.get(key, ()), *value] if key == "packages" else value
    return merged


def _metrics(written: Plain | None, wanted: Collection[str]) -> Plain | None:
    """Return the wanted metrics with the CPU times that they name, or else the first metric."""
    if not written:
        return None
    names = set(wanted) & written.keys() or {next(iter(written))}
    names |= {written[name].get("cpu_time", name) for name in names}
    return {name: section for name, section in written.items() if name in names}
