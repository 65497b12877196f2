"""Read ``matrix.yaml`` into a ``Matrix``, or say everything that is wrong with it.

Three steps: ``yaml_tree`` makes plain values of the text, ``refusals`` checks each key for itself,
and the functions here check what must hold between keys. No step stops at its first problem.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from runner.read import schema as sections
from runner.read.grid import Grid
from runner.read.problems import Keys, Problems, shown_path
from runner.read.refusals import document as checked
from runner.read.schema import Document, schema
from runner.read.yaml import load
from runner.records import Coordinates, Scalar, Value, shown
from runner.records.study import (
    Axis,
    Better,
    Claim,
    Experiment,
    Limits,
    Matrix,
    Metric,
    Pair,
    PolicyLimit,
    Published,
    Scale,
    against_baseline,
)
from runner.text import did_you_mean, quoted

__all__ = ["read", "schema"]

MOST_CELLS = 10_000
MOST_STEPS = 5_000_000
"""Bounds the work: values of all cells, times the values that may be looked up in each."""
RATIO_MARGIN = 0.03
POINTS_MARGIN = 0.2


def read(path: Path) -> Matrix:
    """Return the study that a file declares.

    Paths in it stay as written: relative to the folder of the file. ConfigError holds every
    problem of the file, one a line, with line and column.
    """
    problems = Problems(str(path))
    document = checked(load(path, problems), problems)
    grid = _grid(document, problems)
    _check_parameters(document, problems)
    _check_files(document, path.parent, problems)
    _check_metrics(document, problems)
    limits = _limits(document.limits)
    environment = document.environment or sections.Environment()
    cells = grid.cells(environment, document.parameters or {}, limits.timeout_s) if grid else ()
    source, published = _published(document, grid, problems)
    claims = _claims(document, grid, problems)
    baseline = grid.partial(document.baseline, ("baseline",)) if grid and document.baseline else ()
    policy = _policy(document, problems)
    pairs = _compare(document, grid, problems)
    if problems.found or not (
        document.name and document.experiment and document.metrics and document.blocks and grid
    ):
        problems.fail()
    baseline = baseline or _first_value(grid)
    headline = _headline(document)
    return Matrix(
        name=document.name,
        title=document.title or document.name,
        axes=grid.axes,
        cells=cells,
        experiment=Experiment(
            script=_relative(document.experiment.script),
            data=tuple(_relative(given) for given in document.experiment.data),
        ),
        metrics=tuple(_metrics(document.metrics)),
        limits=limits,
        blocks=document.blocks,
        base=environment.base,
        source=source,
        baseline=baseline,
        compare=pairs
        or tuple(
            Pair(of=of.id, against=against.id, metrics=headline)
            for of, against in against_baseline(grid.axes, cells, baseline)
        ),
        looks=document.looks or 1,
        repeats=document.repeats or 0,
        matched=bool(document.matched),
        published=published,
        claims=claims,
        policy=policy,
        quick=_quick(document),
    )


def _grid(document: Document, problems: Problems) -> Grid | None:
    """Return the combinations of the axes after exclude and include; ``None`` without axes."""
    if document.axes is None:
        return None
    for name in document.axes:
        if name in sections.SETTINGS:
            here = ("axes", name)
            said = f"`{name}` is a setting of `include` entries; name the axis otherwise"
            problems.add(here, said, problems.keys[here])
    axes = tuple(_axis(name, declared, problems) for name, declared in document.axes.items())
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_CELLS:
        problems.add(("axes",), f"these make {count:,} cells; at most {MOST_CELLS:,} are read")
        return None
    others = sum(path[:1] != ("axes",) for path in problems.values)
    if count * len(axes) * others > MOST_STEPS:
        said = f"these make {count:,} cells, too many for {others:,} other values; split the study"
        problems.add(("axes",), said)
        return None
    grid = Grid(axes, problems)
    for index, given in enumerate(document.exclude or ()):
        grid.exclude(given, ("exclude", index))
    for index, entry in enumerate(document.include or ()):
        grid.include(entry, ("include", index))
    if {("exclude",), ("include",)} & problems.refused:
        grid.complete = False
    return grid


def _axis(name: str, declared: sections.BuildAxis | list[Value], problems: Problems) -> Axis:
    path: Keys = ("axes", name)
    if isinstance(declared, sections.BuildAxis):
        path = (*path, "versions")
        axis = Axis(
            name=name, values=tuple(declared.versions), distributions=tuple(declared.package)
        )
    else:
        axis = Axis(name=name, values=tuple(declared))
    _check_repeats([((*path, i), shown(value)) for i, value in enumerate(axis.values)], problems)
    return axis


def _check_repeats(words: Iterable[tuple[Keys, str]], problems: Problems) -> None:
    """Note a problem for every word that an earlier path has already."""
    first: dict[str, Keys] = {}
    for path, word in words:
        if first.setdefault(word, path) != path:
            there = shown_path(first[word])
            problems.add(path, f"{quoted(word)} is already at {there}; change or remove one")


def _check_parameters(document: Document, problems: Problems) -> None:
    parameters = document.parameters
    for name in parameters or {}:
        here = ("parameters", name)
        if name in (document.axes or {}):
            said = "this is an axis too, whose values take its place; remove one of the two"
            problems.add(here, said, problems.keys[here])
    for name in document.quick or {}:
        here = ("quick", name)
        absent = name not in (parameters or {})
        if absent and parameters is not None:
            said = f"unknown parameter{did_you_mean(name, parameters or {})}"
            problems.add(here, said, problems.keys[here])


def _quick(document: Document) -> Mapping[str, Scalar]:
    if document.quick is None:
        return {"epochs": 3} if "epochs" in (document.parameters or {}) else {}
    return document.quick


def _check_files(document: Document, folder: Path, problems: Problems) -> None:
    if document.experiment is None:
        return
    data = [(("experiment", "data", i), given) for i, given in enumerate(document.experiment.data)]
    # A trial sees its data files side by side in one folder.
    _check_repeats(((path, PurePosixPath(given).name) for path, given in data), problems)
    for path, given in [(("experiment", "script"), document.experiment.script), *data]:
        trouble = _file_trouble(given, folder)
        if trouble:
            problems.add(path, trouble)


def _file_trouble(given: str, folder: Path) -> str | None:
    """Return what is wrong with the path of an input; ``None`` if the file is there."""
    relative = PurePosixPath(given)
    if relative.is_absolute() or ".." in relative.parts:
        return f"expected a path inside the folder of this file, found {quoted(given)}"
    try:
        there, is_file = (folder / relative).exists(), (folder / relative).is_file()
    except OSError as error:
        return f"{quoted(given)} cannot be read: {error.strerror}"
    if there and not is_file:
        return f"{quoted(given)} is not a file; name each file"
    return None if there else f"there is no file {quoted(given)} beside this one; check the path"


def _relative(given: str) -> str:
    return str(PurePosixPath(given))


def _limits(section: sections.LimitsSection | None) -> Limits:
    if section is None:
        return Limits()
    return Limits(
        cpus=section.cpus,
        memory_bytes=section.memory,
        timeout_s=section.timeout,
        pids=section.pids,
        temporary_bytes=section.temporary,
        output_bytes=section.output,
        files=section.files,
        log_bytes=section.log,
        result_bytes=section.result,
    )


def _metrics(declared: Mapping[str, sections.Metric]) -> Iterable[Metric]:
    for name, metric in declared.items():
        scale = _scale(metric)
        share, _ = metric.margin or (RATIO_MARGIN if scale is Scale.RATIO else POINTS_MARGIN, False)
        yield Metric(
            name=name,
            unit=metric.unit,
            better=metric.better,
            title=metric.title or name.replace("_", " "),
            scale=scale,
            margin=share,
            cpu_time=metric.cpu_time,
        )


def _scale(metric: sections.Metric) -> Scale:
    """Return how a metric is compared: shares of a whole by differences, all else by ratios."""
    return metric.scale or (Scale.DIFFERENCE if metric.unit == "%" else Scale.RATIO)


def _check_metrics(document: Document, problems: Problems) -> None:
    for name, metric in (document.metrics or {}).items():
        if metric.cpu_time is not None:
            here = ("metrics", name, "cpu_time")
            _check_metric(metric.cpu_time, here, document, problems)
            if metric.cpu_time == name:
                problems.add(here, "a metric does not stand in for itself; name the other one")
        if metric.margin is None:
            continue
        here = ("metrics", name, "margin")
        size, relative = metric.margin
        if size <= 0:
            problems.add(here, "expected a margin above 0, such as 3%")
        elif relative is not (_scale(metric) is Scale.RATIO):
            said = "a share such as 3%" if not relative else "a number in the metric's unit"
            problems.add(here, f"expected {said}, on the scale `{_scale(metric).value}`")


def _check_metric(
    name: str, path: Keys, document: Document, problems: Problems, *, is_key: bool = False
) -> None:
    if document.metrics is not None and name not in document.metrics:
        place = problems.keys[path] if is_key else None
        problems.add(path, f"unknown metric{did_you_mean(name, document.metrics)}", place)


def _policy(document: Document, problems: Problems) -> tuple[PolicyLimit, ...]:
    limits = []
    for name, (change, relative) in (document.policy or {}).items():
        path = ("policy", name)
        _check_metric(name, path, document, problems, is_key=True)
        metric = (document.metrics or {}).get(name)
        if metric and metric.better is Better.NEITHER:
            problems.add(path, "no change of this metric is worse, as neither way is better")
        if relative and change <= -1:
            problems.add(path, "nothing falls by 100% or more; write a smaller share")
        limits.append(PolicyLimit(metric=name, change=change, relative=relative))
    return tuple(limits)


def _headline(document: Document) -> tuple[str, ...]:
    """Return the metrics of comparisons that name none: those of the policy, else the first."""
    return tuple(document.policy or {}) or tuple(document.metrics or {})[:1]


def _compare(document: Document, grid: Grid | None, problems: Problems) -> tuple[Pair, ...]:
    """Return the comparisons that the document names, cell by cell."""
    found: dict[tuple[str, str], list[str]] = {}
    for index, entry in enumerate(document.compare or ()):
        if entry is None or grid is None:
            continue
        path: Keys = ("compare", index)
        for number, name in enumerate(entry.metrics or ()):
            _check_metric(name, (*path, "metrics", number), document, problems)
        for pair in grid.pairs(entry.of, entry.against, path):
            found.setdefault(pair, []).extend(entry.metrics or _headline(document))
    return tuple(
        Pair(of=of, against=against, metrics=tuple(dict.fromkeys(metrics)))
        for (of, against), metrics in found.items()
    )


def _first_value(grid: Grid) -> Coordinates:
    """Return the baseline of a study that names none: the first value of the first axis."""
    axis = grid.axes[0]
    return ((axis.name, axis.values[0]),) if len(axis.values) > 1 else ()


def _published(
    document: Document, grid: Grid | None, problems: Problems
) -> tuple[str | None, tuple[Published, ...]]:
    """Return where numbers were published, and the numbers."""
    if document.published is None:
        return None, ()
    cells = []
    for index, entry in enumerate(document.published.cells):
        if entry is None:
            continue
        path: Keys = ("published", "cells", index)
        if entry.values is None and entry.note is None:
            problems.add(path, "nothing is said of the cell; give `values` or a `note`")
        for name in entry.values or {}:
            _check_metric(name, (*path, "values", name), document, problems, is_key=True)
        cell = grid.find(entry.cell, (*path, "cell")) if grid else ""
        cells.append((path, Published(cell=cell, values=entry.values or {}, note=entry.note)))
    if grid:
        _check_repeats([((*path, "cell"), printed.cell) for path, printed in cells], problems)
    return document.published.source, tuple(printed for _, printed in cells)


def _claims(document: Document, grid: Grid | None, problems: Problems) -> tuple[Claim, ...]:
    claims = [
        (("claims", index), _claim(claim, ("claims", index), document, grid, problems))
        for index, claim in enumerate(document.claims or ())
        if claim is not None
    ]
    _check_repeats([((*path, "id"), claim.id) for path, claim in claims], problems)
    return tuple(claim for _, claim in claims)


def _claim(
    claim: sections.Claim, path: Keys, document: Document, grid: Grid | None, problems: Problems
) -> Claim:
    compares = {"against": claim.against, "metric": claim.metric, "says": claim.says}
    absent = [f"`{key}`" for key, value in compares.items() if value is None]
    if claim.status is None and absent:
        problems.add(path, f"a comparison needs {' and '.join(absent)} too, or give `status`")
    if claim.status is not None and (len(absent) < len(compares) or claim.published):
        problems.add(path, "either the claim compares or it gives `status`; remove the other keys")
    if claim.metric is not None:
        _check_metric(claim.metric, (*path, "metric"), document, problems)
    of = grid.find(claim.of, (*path, "of")) if grid else ""
    against = grid.find(claim.against, (*path, "against")) if grid and claim.against else None
    if grid and of == against:
        problems.add((*path, "against"), "a cell is not compared with itself; name another one")
    return Claim(
        id=claim.id,
        text=claim.text,
        of=of,
        against=against,
        metric=claim.metric,
        says=claim.says,
        published=(claim.published[0], claim.published[1]) if claim.published else None,
        status=claim.status,
    )
