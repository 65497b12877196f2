"""Metrics in what a script prints and in the files that it writes.

All of it is as untrusted as the result of the script. The launcher limits the sizes.
"""

import csv
import io
import json
import math
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.execute import searcher
from runner.execute.script_result import (
    MAX_NUMBERS,
    BadOutputError,
    kind_of,
    parsed,
    printable,
)
from runner.records import Record
from runner.records.study import Better, Metric, Origin, Reduction
from runner.system import child
from runner.text import did_you_mean, listed, quoted

SEARCH_S = 20.0
"""A search ends itself much earlier."""
DELIMITERS = ",;\t"
MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Output(Record):
    """A text that a script wrote, or why it cannot be used: ``does not exist``."""

    text: str | None
    problem: str | None


def read_outputs(
    stdout: Output | None, files: Mapping[str, Output], metrics: Sequence[Metric]
) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
    """Return the values and series of the metrics that come from there.

    BadOutputError if one is missing or is not a finite number.
    """
    values: dict[str, float] = {}
    series: dict[str, tuple[float, ...]] = {}
    for metric in metrics:
        numbers = _numbers_of(metric, stdout, files)
        if numbers is None:
            continue
        if metric.source.series:
            series[metric.name] = numbers
        else:
            values[metric.name] = numbers[-1]
    return values, series


def _numbers_of(
    metric: Metric, stdout: Output | None, files: Mapping[str, Output]
) -> tuple[float, ...] | None:
    """Return the numbers of a metric, at least one; None if it comes from elsewhere."""
    source = metric.source
    match source.origin:
        case Origin.STDOUT:
            return _printed(metric, _text("the output of the script", stdout))
        case Origin.JSON:
            return _in_json(metric, _text(source.file, files.get(source.file)))
        case Origin.CSV:
            return _in_csv(metric, _text(source.file, files.get(source.file)))
        case Origin.BENCHMARK:
            return _of_benchmark(metric, _text(source.file, files.get(source.file)))
        case _:
            return None


def _text(name: str, output: Output | None) -> str:
    if output is None or output.text is None:
        problem = "is missing" if output is None else output.problem
        raise BadOutputError(f"{name} {problem}")
    return output.text


def _number(text: str, where: str) -> float:
    """Return the finite number that a text is."""
    try:
        number = float(text.replace("_", "no"))  # Python reads 1_000 as a number
    except ValueError:
        raise BadOutputError(f"{where} is {quoted(printable(text))}, not a number") from None
    if not math.isfinite(number):
        raise BadOutputError(f"{where} is {number}, which is not a finite number")
    return number


def _some(numbers: Iterable[float], missing: str, where: str) -> tuple[float, ...]:
    found = tuple(numbers)
    if not found:
        raise BadOutputError(missing)
    if len(found) > MAX_NUMBERS:
        raise BadOutputError(f"{where} has more than {MAX_NUMBERS} numbers")
    return found


# --- printed numbers -----------------------------------------------------------------------------


def _printed(metric: Metric, text: str) -> tuple[float, ...]:
    """Return what a regular expression finds. It may never end, so another process applies it."""
    (pattern,) = metric.source.selects
    most = MAX_NUMBERS + 1 if metric.source.series else None
    given = json.dumps({"pattern": pattern, "text": text, "most": most})
    try:
        done = child.run_bytes(
            [sys.executable, "-I", "-S", searcher.__file__],
            timeout_s=SEARCH_S,
            given=given.encode("ascii"),
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode != 0:
        raise BadOutputError(
            f"the regular expression {quoted(pattern)} took too long on the output of the script; "
            "write a simpler one"
        )
    where = f"`{metric.name}` in the output of the script"
    return _some(
        (_number(one, where) for one in json.loads(done.stdout)),
        f"the output of the script does not match {quoted(pattern)}",
        where,
    )


# --- numbers in files ----------------------------------------------------------------------------


def _in_json(metric: Metric, text: str) -> tuple[float, ...]:
    file, keys = metric.source.file, metric.source.selects
    value, path = parsed(text, file), ""
    for key in keys:
        path = f"{path}.{key}" if path else key
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            known = list(value) if isinstance(value, dict) else []
            raise BadOutputError(f"{file} has no {quoted(path)}{did_you_mean(key, known)}")
    where = f"{quoted(path)} in {file}"
    if metric.source.series != isinstance(value, list):
        wanted = "a list of numbers" if metric.source.series else "a number"
        hint = "; write `series: true`" if isinstance(value, list) else ""
        raise BadOutputError(f"{where} is {kind_of(value)}, not {wanted}{hint}")
    if not isinstance(value, list):
        return (_plain(value, where),)
    numbers = (_plain(one, f"entry {n} of {where}") for n, one in enumerate(value))
    return _some(numbers, f"{where} is empty", where)


def _plain(value: object, where: str) -> float:
    if not isinstance(value, float):  # all numbers were parsed as floats
        raise BadOutputError(f"{where} is {kind_of(value)}, not a number")
    if not math.isfinite(value):
        raise BadOutputError(f"{where} is not a finite number")
    return value


def _in_csv(metric: Metric, text: str) -> tuple[float, ...]:
    """Return the numbers of a column; a row without one is left out, as loggers write such rows."""
    file, (column,) = metric.source.file, metric.source.selects
    head = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip() for name in next(rows, [])]
        if names.count(column) != 1:
            known = listed([quoted(name) for name in names[:MOST_LISTED]]) or "none"
            often = "several columns" if column in names else "no column"
            raise BadOutputError(f"{file} has {often} {quoted(column)}; it has {printable(known)}")
        place = names.index(column)
        cells = (
            (row[place], rows.line_num) for row in rows if place < len(row) and row[place].strip()
        )
        numbers = [
            _number(cell, f"{quoted(column)} in line {line} of {file}")
            for cell, line in (cells if metric.source.series else deque(cells, maxlen=1))
        ]
    except csv.Error as error:
        raise BadOutputError(f"{file} is not CSV: {printable(str(error))}") from error
    where = f"{quoted(column)} in {file}"
    return _some(numbers, f"{where} has no number", where)


def _of_benchmark(metric: Metric, text: str) -> tuple[float, ...]:
    """Return the time of a round: the median, the mean or the best of all rounds."""
    file, (name,) = metric.source.file, metric.source.selects
    document = parsed(text, file)
    several = document.get("benchmarks") if isinstance(document, dict) else None
    several = several if isinstance(several, list) else []
    benchmarks = [one for one in several if isinstance(one, dict)]
    found = [one for one in benchmarks if name in (one.get("name"), one.get("fullname"))]
    if len(found) != 1:
        names = [str(one.get("fullname" if found else "name")) for one in found or benchmarks]
        known = listed([quoted(printable(one)) for one in names[:MOST_LISTED]], "or")
        often = "several benchmarks" if found else "no benchmark"
        hint = f"; write {known}" if known else ", and no other one"
        raise BadOutputError(f"{file} has {often} {quoted(name)}{hint}")
    key = {
        Reduction.MEAN: "mean",
        Reduction.BEST: "max" if metric.better is Better.HIGHER else "min",
    }.get(metric.reduce, "median")
    stats = found[0].get("stats")
    where = f"the {key} of {quoted(name)} in {file}"
    return (_plain(stats.get(key) if isinstance(stats, dict) else None, where),)
