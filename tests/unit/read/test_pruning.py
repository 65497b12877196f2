"""Pruning a matrix: the result declares exactly the wanted cells, as they were measured."""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.plan import quick
from runner.read import Locked, read
from runner.read.pruning import pruned
from runner.read.yaml import dumped, parsed
from runner.records.environment import Lock, LockedRange, SourceKind, Unsupported, VersionRange
from runner.records.study import Cell, Matrix, Status
from runner.system.digest import of_content
from tests.support.matrices import FULL, SMALL

ROOT = Path(__file__).parents[3]
CHAPTER = (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8").split("\n## Axes and cells")[1]
EXAMPLES = re.findall(
    r"^```yaml\n(axes:\n.*?)^```", CHAPTER.split("\n## ")[0], re.MULTILINE | re.DOTALL
)
REST = """\
format: 1
name: example
title: An example
experiment: {script: run.py, args: ["{epochs}"], data: [data.csv]}
parameters: {epochs: 5, rate: 1e-3, text: "1e3", version: "1.10"}
metrics:
  seconds: {better: lower, unit: s, cpu_time: cpu_seconds}
  cpu_seconds: {better: lower, unit: s}
  loss: {better: lower}
limits: {memory: 256m, timeout: 60}
policy: {loss: +3%}
"""


class Anything:
    """Knows some versions for each range, and a digest for each source."""

    def versions(self, wanted: VersionRange) -> tuple[str, ...]:
        return ("1.14.0", "1.15.0", "1.16.0")

    def digest(self, kind: SourceKind, written: str) -> str:
        return f"sha256:{of_content(written).removeprefix('sha256:')}"

    @property
    def ours(self) -> Collection[str]:
        return ()


def declared(folder: Path, text: str) -> tuple[Matrix, Lock]:
    """Write a study and read it; return it with a lock of everything outside."""
    for name in ("run.py", "data.csv"):
        (folder / name).touch()
    (folder / "matrix.yaml").write_text(text, encoding="utf-8")
    matrix = read(folder / "matrix.yaml", Anything())
    wanted = [axis.range for axis in matrix.axes if axis.range is not None]
    ranges = tuple(LockedRange(range=one, versions=Anything().versions(one)) for one in wanted)
    entries = tuple(Unsupported(request=one, reason="a test") for one in matrix.requests)
    return matrix, Lock(entries=entries, ranges=ranges)


def again(folder: Path, text: str, lock: Lock) -> Matrix:
    """Read a pruned matrix where the first one was."""
    (folder / "matrix.yaml").write_text(text, encoding="utf-8")
    return read(folder / "matrix.yaml", Locked(lock))


def measured(cell: Cell, matrix: Matrix) -> Cell:
    """What affects a measurement of a cell."""
    return replace(cell, expect=Status.OK, blocks=None, limits=matrix.limits_of(cell))


def check(folder: Path, text: str, old: str, new: str, *metrics: str) -> Matrix:
    """Prune a matrix to two cells, and check that the result declares exactly these."""
    matrix, lock = declared(folder, text)
    cells = [matrix.cell(old), matrix.cell(new)]
    found = again(folder, pruned(text, matrix, lock, cells, metrics), lock)
    assert {one.id for one in found.cells} == {old, new}
    for cell in cells:
        assert measured(found.cell(cell.id), found) == measured(cell, matrix)
    assert (found.experiment, found.limits) == (matrix.experiment, matrix.limits)
    assert found.policy == ()
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.split()[1] for one in EXAMPLES])
def test_every_kind_of_axis_is_pruned(example: str, tmp_path: Path) -> None:
    """Ranges become versions, and names keep what they stand for."""
    first, *_, last = declared(tmp_path, REST + example)[0].cells
    found = check(tmp_path, REST + example, first.id, last.id, "loss", "seconds")
    assert [one.name for one in found.metrics] == ["seconds", "cpu_seconds", "loss"]
    [pair] = found.compare
    assert (pair.of, pair.against, pair.metrics) == (last.id, first.id, ("loss", "seconds"))


SETTINGS = """\
axes:
  lib: {package: lib, versions: ["1.0", "2.0", "2.1"]}
  size: [1, 2, 3]
include:
  - {lib: ">=2", packages: [more], parameters: {epochs: 9}}
  - {lib: "2.0", timeout: 2h, variables: {A: 1}, limits: {memory: 1g}, packages: ["other<2"]}
  - {size: 2, limits: {timeout: 3h, cpus: 2}}
  - {lib: "3.0", size: 1, expect: failed, blocks: 1, python: "3.8"}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lib=1.0,size=1", "lib=2.0,size=1"),
        ("lib=1.0,size=2", "lib=2.0,size=2"),
        ("lib=2.0,size=1", "lib=2.1,size=1"),
        ("lib=2.0,size=1", "lib=2.0,size=2"),
        ("lib=2.0,size=1", "lib=2.1,size=2"),
        ("lib=1.0,size=3", "lib=3.0,size=1"),
        ("lib=1.0,size=2", "lib=1.0,size=2"),
    ],
)
def test_settings_of_include_entries_are_kept(old: str, new: str, tmp_path: Path) -> None:
    """Also if the cells differ on several axes, or are one cell."""
    check(tmp_path, REST + SETTINGS, old, new)


FOUNDING = """\
format: 1
name: founding
axes:
  tensorflow: {package: [tensorflow-cpu, tensorflow], versions: ["1.15.0", "2.0.0"]}
  model: [sequential]
environment: {python: auto, as_of: release, base: auto}
experiment: {script: experiments/mnist_softmax.py, data: [experiments/data/mnist.npz]}
parameters: {epochs: 50, batch: 32}
metrics:
  epoch_seconds: {unit: s, better: lower, title: time per epoch, cpu_time: epoch_cpu_seconds}
  epoch_cpu_seconds: {unit: s, better: lower, title: CPU time per epoch}
  test_accuracy: {unit: "%", better: higher, title: test accuracy}
baseline: {tensorflow: "1.15.0"}
compare:
- of: {tensorflow: "2.0.0"}
  against: {tensorflow: "1.15.0"}
  metrics: [epoch_seconds, test_accuracy]
blocks: 7
limits: {cpus: 1, memory: 4g, timeout: 15m, pids: 256}
"""


def founding(old: str, new: str, *metrics: str) -> str:
    """Prune the founding matrix."""
    matrix, text = read(ROOT / "matrix.yaml"), (ROOT / "matrix.yaml").read_text(encoding="utf-8")
    cells = [matrix.cell(old), matrix.cell(new)]
    return pruned(text, matrix, Lock(entries=()), cells, metrics, once=not metrics)


def test_the_founding_matrix_is_pruned_to_a_short_text() -> None:
    """It has what is needed, in the order in which people write it, and nothing else."""
    old, new = (f"tensorflow={one},model=sequential" for one in ("1.15.0", "2.0.0"))
    assert founding(old, new, "epoch_seconds", "test_accuracy") == FOUNDING


def test_a_failing_cell_is_not_expected_to_fail() -> None:
    """The matrix shows that it fails, once, and is content when it no longer does."""
    models = ("sequential", "subclassed-as-published")
    text = founding(*(f"tensorflow=1.15.0,model={one}" for one in models))
    assert "model: [sequential, subclassed-as-published]\n" in text
    assert "include:\n- {model: subclassed-as-published, timeout: 60s}\n" in text
    assert "blocks: 1\n" in text
    assert "compare" not in text
    assert "expect" not in text


def test_a_quick_run_is_pruned_with_its_parameters(tmp_path: Path) -> None:
    """Whoever repeats it gives --quick, too."""
    text = FULL.replace("a paper", "a paper \N{SNOWMAN}")
    matrix, lock = declared(tmp_path, text)
    cells = [matrix.cell("lib=1.0,size=1"), matrix.cell("lib=2.0,size=1")]
    hasty = quick(matrix)
    wanted = [hasty.cell(one.id) for one in cells]
    found = again(tmp_path, pruned(text, hasty, lock, wanted, ["seconds"]), lock)
    assert found.quick == matrix.quick
    assert [one.parameters for one in found.cells] == [one.parameters for one in cells]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('["1.0", "2.0"]', '["1.0", "1.5"]'),
        ("size: [1, 2]", "size: [3]"),
        ("script: run.py", "script: evil.py"),
        ("metrics:", "limits: {cpus: 2}\nmetrics:"),
        ("metrics:", "parameters: {a: 1}\nmetrics:"),
        ("metrics:", "environment: {packages: [more]}\nmetrics:"),
        ("metrics:", 'environment: {python: "3.7"}\nmetrics:'),
        ("package: numpy", "package: scipy"),
        ("format: 1", "format: 2"),
        ("format: 1", "{"),
    ],
)
def test_another_text_is_refused(before: str, after: str, tmp_path: Path) -> None:
    """Somebody may have edited it: it must not be taken for what was measured."""
    matrix, lock = declared(tmp_path, SMALL)
    cells = [matrix.cell("lib=1.0,size=1"), matrix.cell("lib=2.0,size=1")]
    assert pruned(SMALL, matrix, lock, cells, ["seconds"])
    edited = SMALL.replace(before, after)
    assert edited != SMALL
    with pytest.raises(ConfigError):
        pruned(edited, matrix, lock, cells, ["seconds"])


def test_text_is_read_as_it_was_written() -> None:
    """Numbers, dates and other words in quotes stay text, and hidden characters are spelt out."""
    values = [
        *("1e3", "1.10", "010", "on", "null", "~", "<<", "2019-10-15", "1:30", "", " a ", "a: b"),
        *("\N{SNOWMAN}", "a\N{RIGHT-TO-LEFT OVERRIDE}b", "x" * 300, "@a", "{epochs}", "- a", "#"),
        *(True, 1, 0.001, 1e-7, 1e300),
    ]
    plain = {"a": values, "b": {str(key): [{"c": values}] for key in values[:5]}}
    text = dumped(plain)
    source = parsed(text, "file")
    assert (source.plain, source.problems) == (plain, [])
    assert text.replace("\n", "").isprintable()
