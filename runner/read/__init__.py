"""Read ``matrix.yaml`` into a ``Matrix``, or report everything that is wrong with it.

Two stages: ``validation`` checks each key on its own, against the ``schema``. Then the checks here,
in ``grid`` and in ``claims`` return the problems between keys. Each stage reports all of its
problems at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.errors import ConfigError
from runner.read.axes import (
    Locked,
    Outside,
    axis_problems,
    build_problems,
    make_axes,
    variable_problems,
    whole_problems,
)
from runner.read.cells import CellMaker
from runner.read.claims import claim_problems, policy_problems, published_problems
from runner.read.grid import Grid, expand
from runner.read.inputs import (
    argument_problems,
    file_trouble,
    read_experiment,
    room_problems,
)
from runner.read.metrics import make_metric, metric_problems
from runner.read.problems import Keys, Problem, refused, unknown
from runner.read.requirements import read_lines
from runner.read.schema import ClaimSection, Document, json_schema
from runner.read.validation import validated
from runner.read.yaml import dumped, load
from runner.read.yaml import text_of as text_in_file
from runner.records import Coordinates, Scalar, shown
from runner.records.study import (
    Cell,
    Claim,
    Experiment,
    Limits,
    Matrix,
    Pair,
    PolicyLimit,
    Published,
)
from runner.system import safe
from runner.text import quoted

__all__ = ["Locked", "Outside", "json_schema", "read", "text_of"]


def read(
    path: Path,
    outside: Outside = Locked(),  # noqa: B008 (it is frozen)
    changes: Sequence[str] = (),
    root: Path | None = None,
) -> Matrix:
    """Return the study that a file declares; ``outside`` knows what the file only mentions.

    ``changes`` such as ``parameters.epochs=3`` count as if they were written in the file. Paths
    stay relative to ``root``, the folder of the file by default. ConfigError holds the problems of
    a stage, one per line, with line and column.
    """
    source, root = load(path, changes), path.parent if root is None else root
    document = validated(source)
    axes, unknown_outside = make_axes(document, outside)
    if unknown_outside:
        raise refused(source, unknown_outside)
    grid = expand(document, axes, sum(keys[:1] != ("axes",) for keys in source.values))
    lists, list_problems = _lists(document, root)
    experiment, input_problems = read_experiment(document.experiment, path, root, outside.ours)
    problems = [
        *axis_problems(document, axes),
        *whole_problems(document, axes),
        *variable_problems(document, axes),
        *build_problems(document, axes),
        *grid.problems,
        *grid.id_problems(),
        *_parameter_problems(document),
        *input_problems,
        *list_problems,
        *([] if isinstance(outside, Locked) else _wheels_problems(document, root)),
        *metric_problems(document),
        *grid.baseline_problems(document.baseline or {}),
        *_compare_problems(document, grid),
        *policy_problems(document),
        *published_problems(document, grid),
        *claim_problems(document, grid),
    ]
    if problems:
        raise refused(source, problems)
    maker = CellMaker(document, outside, *lists)
    cells = tuple(maker.make(cell, grid) for cell in grid.cells)
    matrix = _matrix(document, grid, cells, experiment)
    problems = [
        *argument_problems(document.experiment, cells),
        *room_problems(experiment, map(matrix.limits_of, cells)),
    ]
    if problems:
        raise refused(source, problems)
    return matrix


def text_of(path: Path, changes: Sequence[str] = ()) -> str:
    """Return the text of a valid matrix, as it would be with the changes written in the file."""
    return dumped(load(path, changes).plain) if changes else text_in_file(path)


def _parameter_problems(document: Document) -> Iterator[Problem]:
    for name in document.parameters:
        if name in document.axes:
            sentence = "this is also an axis, which sets the parameter; remove one of the two"
            yield Problem(("parameters", name), sentence, at_key=True)
    for name in document.quick or ():
        yield from unknown("parameter", name, document.parameters, ("quick", name), at_key=True)


def _lists(document: Document, folder: Path) -> tuple[list[tuple[str, ...]], list[Problem]]:
    """Return the lines of the files with requirements and constraints, and their problems."""
    lines: list[tuple[str, ...]] = []
    problems = []
    for key, name in zip(("requirements", "constraints"), _list_files(document), strict=True):
        lines.append(())
        if name is None:
            continue
        trouble = file_trouble(name, folder)
        try:
            lines[-1] = () if trouble else read_lines(folder, name)
        except ConfigError as error:
            trouble = str(error).rstrip(".")
        if trouble:
            problems.append(Problem(("environment", key), trouble))
    return lines, problems


def _list_files(document: Document) -> tuple[str | None, str | None]:
    """Return the names of the files with requirements and constraints."""
    return document.environment.requirements, document.environment.constraints


def _wheels_problems(document: Document, folder: Path) -> Iterator[Problem]:
    index = document.environment.index
    if index is None or index.wheels is None:
        return
    target, here = safe.resolved(folder / index.wheels), safe.resolved(folder)
    if not target.is_relative_to(here) or not target.is_dir():
        sentence = f"{quoted(index.wheels)} is no folder in the folder of this file; check the path"
        yield Problem(("environment", "index", "wheels"), sentence)


def _compare_problems(document: Document, grid: Grid) -> Iterator[Problem]:
    for index, entry in enumerate(document.compare or ()):
        path: Keys = ("compare", index)
        yield from grid.pair_problems(entry.of, entry.against, path)
        for number, name in enumerate(entry.metrics or ()):
            yield from unknown("metric", name, document.metrics, (*path, "metrics", number))


def _matrix(
    document: Document, grid: Grid, cells: tuple[Cell, ...], experiment: Experiment
) -> Matrix:
    published = document.published
    matrix = Matrix(
        name=document.name,
        title=document.title or document.name,
        axes=grid.axes,
        cells=cells,
        experiment=experiment,
        metrics=tuple(make_metric(name, section) for name, section in document.metrics.items()),
        limits=Limits(**dict(document.limits)),
        files=tuple(filter(None, _list_files(document))),
        blocks=document.blocks,
        base=document.environment.base,
        source=published.source if published else None,
        baseline=_baseline(document, grid),
        looks=document.looks,
        repeats=document.repeats,
        parallel=document.parallel,
        matched=document.matched,
        published=tuple(
            Published(cell=grid.id(one.cell), values=one.values or {}, note=one.note)
            for one in (published.cells if published else ())
        ),
        claims=tuple(_claim(section, grid) for section in document.claims),
        policy=tuple(
            PolicyLimit(metric=name, change=change, relative=relative)
            for name, (change, relative) in document.policy.items()
        ),
        quick=_quick(document),
    )
    return replace(matrix, compare=_pairs(document, grid, matrix))


def _baseline(document: Document, grid: Grid) -> Coordinates:
    """Return the baseline, to which each build axis contributes its first value by default.

    Without build axes, the first axis does. A baseline that names only run axes stays as it is.
    """
    builds = [axis for axis in grid.axes if axis.builds]
    usual = {axis.name: axis.values[0] for axis in builds or grid.axes[:1] if len(axis.values) > 1}
    given = document.baseline
    if given is None:
        return tuple(usual.items())
    if not any(axis.name in given for axis in builds):
        usual = {}
    usual |= {axis: grid.values[axis][shown(value)] for axis, value in given.items()}
    return tuple((axis, usual[axis]) for axis in grid.values if axis in usual)


def _claim(section: ClaimSection, grid: Grid) -> Claim:
    return Claim(
        id=section.id,
        text=section.text,
        of=grid.id(section.of),
        against=None if section.against is None else grid.id(section.against),
        metric=section.metric,
        says=section.says,
        published=(section.published[0], section.published[1]) if section.published else None,
        status=section.status,
    )


def _quick(document: Document) -> Mapping[str, Scalar]:
    if document.quick is None:
        return {"epochs": 3} if "epochs" in document.parameters else {}
    return document.quick


def _pairs(document: Document, grid: Grid, matrix: Matrix) -> tuple[Pair, ...]:
    """Return the named comparisons; by default those of each cell with its baseline cell."""
    headline = list(document.policy) or list(document.metrics)[:1]
    found: dict[tuple[str, str], list[str]] = {}
    for entry in document.compare or ():
        for pair in grid.pairs(entry.of, entry.against):
            found.setdefault(pair, []).extend(entry.metrics or headline)
    if not found:
        found = {(of.id, against.id): headline for of, against in matrix.against_baseline()}
    return tuple(
        Pair(of=of, against=against, metrics=tuple(dict.fromkeys(metrics)))
        for (of, against), metrics in found.items()
    )
