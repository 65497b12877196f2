"""Read ``matrix.yaml`` into a ``Matrix``, or report everything that is wrong with it.

Two stages: ``validation`` checks each key on its own, against the ``schema``. Then the checks here,
in ``grid`` and in ``claims`` return the problems between keys. Each stage reports all of its
problems at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

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
from runner.read.problems import Keys, Problem, refused, repeated, unknown
from runner.read.requirements import read_lines
from runner.read.schema import ClaimSection, Document, MetricSection, json_schema
from runner.read.validation import validated
from runner.read.yaml import load
from runner.records import Coordinates, Scalar, shown
from runner.records.study import (
    Claim,
    Experiment,
    Limits,
    Matrix,
    Metric,
    Pair,
    PolicyLimit,
    Published,
    Scale,
)
from runner.system import safe
from runner.text import quoted

__all__ = ["Locked", "Outside", "json_schema", "read"]

RATIO_MARGIN = 0.03
POINTS_MARGIN = 0.2


def read(path: Path, outside: Outside = Locked()) -> Matrix:  # noqa: B008 (it is frozen)
    """Return the study that a file declares; ``outside`` knows what the file only mentions.

    Paths stay relative to the folder of the file. ConfigError holds the problems of a stage, one
    per line, with line and column.
    """
    source = load(path)
    document = validated(source)
    axes, unknown_outside = make_axes(document, outside)
    if unknown_outside:
        raise refused(source, unknown_outside)
    grid = expand(document, axes, sum(keys[:1] != ("axes",) for keys in source.values))
    lists, list_problems = _lists(document, path.parent)
    problems = [
        *axis_problems(document, axes),
        *whole_problems(document, axes),
        *variable_problems(document, axes),
        *build_problems(document, axes),
        *grid.problems,
        *grid.id_problems(),
        *_parameter_problems(document),
        *_file_problems(document, path.parent),
        *list_problems,
        *([] if isinstance(outside, Locked) else _wheels_problems(document, path.parent)),
        *_metric_problems(document),
        *grid.baseline_problems(document.baseline or {}),
        *_compare_problems(document, grid),
        *policy_problems(document),
        *published_problems(document, grid),
        *claim_problems(document, grid),
    ]
    if problems:
        raise refused(source, problems)
    maker = CellMaker(document, outside, *lists)
    return _matrix(document, grid, maker)


def _parameter_problems(document: Document) -> Iterator[Problem]:
    for name in document.parameters:
        if name in document.axes:
            sentence = "this is also an axis, which sets the parameter; remove one of the two"
            yield Problem(("parameters", name), sentence, at_key=True)
    for name in document.quick or ():
        yield from unknown("parameter", name, document.parameters, ("quick", name), at_key=True)


def _file_problems(document: Document, folder: Path) -> Iterator[Problem]:
    data = [(("experiment", "data", i), file) for i, file in enumerate(document.experiment.data)]
    files: list[tuple[Keys, str]] = [(("experiment", "script"), document.experiment.script), *data]
    for path, file in files:
        trouble = _file_trouble(file, folder)
        if trouble:
            yield Problem(path, trouble)
    # A trial sees its data files side by side in one folder.
    yield from repeated((path, PurePosixPath(file).name) for path, file in data)


def _file_trouble(file: str, folder: Path) -> str | None:
    """Return what is wrong with an input; ``None`` if it is a file in the folder."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        return f"expected a path inside the folder of this file, found {quoted(file)}"
    try:
        safe.inside(folder, file)
    except FileNotFoundError:
        return f"{quoted(file)} does not exist beside this file; check the path"
    except safe.OutsideError:
        return f"{quoted(file)} is a link that leads out of the folder of this file; copy the file"
    except (IsADirectoryError, safe.IrregularError):
        return f"{quoted(file)} is not a file; name each file"
    except (OSError, ValueError) as error:
        return f"{quoted(file)} cannot be read: {getattr(error, 'strerror', None) or error}"
    return None


def _lists(document: Document, folder: Path) -> tuple[list[tuple[str, ...]], list[Problem]]:
    """Return the lines of the files with requirements and constraints, and their problems."""
    lines: list[tuple[str, ...]] = []
    problems = []
    for key, name in zip(("requirements", "constraints"), _list_files(document), strict=True):
        lines.append(())
        if name is None:
            continue
        trouble = _file_trouble(name, folder)
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
    target, here = (folder / index.wheels).resolve(), folder.resolve()
    if not target.is_relative_to(here) or not target.is_dir():
        sentence = f"{quoted(index.wheels)} is no folder in the folder of this file; check the path"
        yield Problem(("environment", "index", "wheels"), sentence)


def _metric_problems(document: Document) -> Iterator[Problem]:
    for name, metric in document.metrics.items():
        yield from _cpu_time_problems(name, metric, document)
        if metric.paired is False and _scale(metric) is Scale.RATIO:
            sentence = "ratios are always formed within blocks; remove this, or compare the metric "
            yield Problem(("metrics", name, "paired"), f"{sentence}by `scale: difference`")
        if metric.margin is not None:
            path, scale = ("metrics", name, "margin"), _scale(metric)
            margin, relative = metric.margin
            if margin <= 0:
                yield Problem(path, "expected a margin above 0, such as 3%")
            if relative is not (scale is Scale.RATIO):
                expected = "a number in the metric's unit" if relative else "a share such as 3%"
                yield Problem(path, f"expected {expected}, on the scale `{scale.value}`")


def _cpu_time_problems(name: str, metric: MetricSection, document: Document) -> Iterator[Problem]:
    path = ("metrics", name, "cpu_time")
    if metric.cpu_time is None:
        return
    yield from unknown("metric", metric.cpu_time, document.metrics, path)
    if metric.cpu_time == name:
        yield Problem(path, "a metric cannot be its own CPU time; name another one")
    elif metric.cpu_time in document.metrics:
        cpu_time = _metric(metric.cpu_time, document.metrics[metric.cpu_time])
        trouble = cpu_time.why_not_cpu_time_of(_metric(name, metric))
        if trouble is not None:
            yield Problem(path, f"both must be times of the same work, but {trouble}; remove this")


def _compare_problems(document: Document, grid: Grid) -> Iterator[Problem]:
    for index, entry in enumerate(document.compare or ()):
        path: Keys = ("compare", index)
        yield from grid.pair_problems(entry.of, entry.against, path)
        for number, name in enumerate(entry.metrics or ()):
            yield from unknown("metric", name, document.metrics, (*path, "metrics", number))


def _matrix(document: Document, grid: Grid, maker: CellMaker) -> Matrix:
    experiment, published = document.experiment, document.published
    matrix = Matrix(
        name=document.name,
        title=document.title or document.name,
        axes=grid.axes,
        cells=tuple(maker.make(cell, grid) for cell in grid.cells),
        experiment=Experiment(script=experiment.script, data=tuple(experiment.data)),
        metrics=tuple(_metric(name, section) for name, section in document.metrics.items()),
        limits=Limits(**dict(document.limits)),
        files=tuple(filter(None, _list_files(document))),
        blocks=document.blocks,
        base=document.environment.base,
        source=published.source if published else None,
        baseline=_baseline(document, grid),
        looks=document.looks,
        repeats=document.repeats,
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


def _metric(name: str, section: MetricSection) -> Metric:
    scale = _scale(section)
    default_margin = RATIO_MARGIN if scale is Scale.RATIO else POINTS_MARGIN
    return Metric(
        name=name,
        unit=section.unit,
        better=section.better,
        title=section.title or name.replace("_", " "),
        scale=scale,
        margin=section.margin[0] if section.margin else default_margin,
        cpu_time=section.cpu_time,
        paired=section.paired,
        timed=section.timed,
    )


def _scale(section: MetricSection) -> Scale:
    """Return how a metric is compared: percentages by differences, all others by ratios."""
    return section.scale or (Scale.DIFFERENCE if section.unit == "%" else Scale.RATIO)


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
