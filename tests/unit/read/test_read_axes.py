"""The kinds of axes: what their values mean for a cell."""

import re
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.read import Locked, read
from runner.records.environment import (
    IndexSettings,
    Lock,
    LockedRange,
    Requirement,
    Source,
    SourceKind,
    VersionRange,
)
from runner.records.study import AxisKind, Cell
from runner.system.digest import of_content
from tests.support.matrices import problems_of, study

REST = """
experiment: {script: run.py}
metrics: {seconds: {unit: s, better: lower}}
"""


def _cells(folder: Path, axes: str, more: str = "") -> dict[str, Cell]:
    """Return the cells of a matrix with these axes, by id."""
    text = f"format: 1\nname: kinds\naxes:\n  {axes}\n{more}\n{REST}"
    return {cell.id: cell for cell in study(folder, text).cells}


def test_packages_are_exact_requirements(tmp_path: Path) -> None:
    """An id shows what was written; extras and the version arrive apart."""
    axis = 'build: {packages: ["tensorflow==2.9.1", "pandas[performance]==2.0.3"]}'
    cells = _cells(tmp_path, axis)
    assert list(cells) == ["build=tensorflow==2.9.1", "build=pandas[performance]==2.0.3"]
    request = cells["build=pandas[performance]==2.0.3"].request
    assert request.requirements == (
        Requirement(
            axis="build", distributions=("pandas",), version="2.0.3", extras=("performance",)
        ),
    )
    assert request.requirements[0].line("pandas") == "pandas[performance]==2.0.3"
    assert request.label == "build=pandas[performance]==2.0.3"


def test_values_can_have_names(tmp_path: Path) -> None:
    """Ids show the names, and cells get what they stand for."""
    axis = 'build: {packages: {stock: "tensorflow==2.9.1", intel: "intel-tensorflow==2.9.1"}}'
    cells = _cells(tmp_path, axis)
    assert list(cells) == ["build=stock", "build=intel"]
    (need,) = cells["build=intel"].request.requirements
    assert (need.distributions, need.version) == (("intel-tensorflow",), "2.9.1")


def test_python_is_part_of_the_request(tmp_path: Path) -> None:
    """The axis may have the name of the setting."""
    axes = 'python: {python: ["3.10", "3.12"]}\n  six: {package: six, versions: ["1.16.0"]}'
    cells = _cells(tmp_path, axes)
    request = cells["python=3.12,six=1.16.0"].request
    assert (request.python, request.label) == ("3.12", "six=1.16.0,python=3.12")


def test_a_base_is_part_of_the_request(tmp_path: Path) -> None:
    """Two bases of the same packages are two requests."""
    cells = _cells(tmp_path, 'base: {base: ["python:3.7-slim", "my/base:2"]}')
    assert list(cells) == ["base=python:3.7-slim", "base=my/base:2"]
    assert cells["base=my/base:2"].request.base == "my/base:2"


def test_a_variable_builds_nothing(tmp_path: Path) -> None:
    """All its cells share a request, and values are texts."""
    axis = "threads: {variable: OMP_NUM_THREADS, values: [1, 2.5, '03']}"
    cells = _cells(tmp_path, axis, "environment: {variables: {A: 1}}")
    assert len({cell.request for cell in cells.values()}) == 1
    assert {cell: dict(one.variables) for cell, one in cells.items()} == {
        "threads=1": {"A": "1", "OMP_NUM_THREADS": "1"},
        "threads=2.5": {"A": "1", "OMP_NUM_THREADS": "2.5"},
        "threads=03": {"A": "1", "OMP_NUM_THREADS": "03"},
    }
    assert all(cell.parameters == {} for cell in cells.values())


def test_a_parameter_can_be_a_float(tmp_path: Path) -> None:
    """It arrives as a number, and is referred to with or without quotes."""
    cells = _cells(tmp_path, "rate: [0.1, 1e-3]", 'include: [{rate: "0.1", blocks: 1}]')
    assert [cell.parameters["rate"] for cell in cells.values()] == [0.1, 0.001]
    assert [cell.blocks for cell in cells.values()] == [1, None]


def test_include_sets_packages_python_variables_and_limits(tmp_path: Path) -> None:
    """Only the named cells get them; the limits that are not named stay."""
    cells = _cells(
        tmp_path,
        'lib: {package: numpy, versions: ["1.0", "2.0"]}',
        """
environment: {packages: [h5py], variables: {A: 1, B: 2}}
limits: {memory: 1g, timeout: 5m}
include:
  - {lib: "2.0", packages: [six], python: "3.8", variables: {B: x}, limits: {cpus: 2, timeout: 60}}
""",
    )
    plain, changed = cells.values()
    assert (changed.request.packages, changed.request.python) == (("h5py", "six"), "3.8")
    assert dict(changed.variables) == {"A": "1", "B": "x"}
    assert changed.limits is not None
    assert (changed.limits.cpus, changed.limits.memory_bytes) == (2, 2**30)
    assert (changed.limits.timeout_s, changed.timeout_s) == (60, 60)
    assert (plain.request.packages, plain.request.python) == (("h5py",), "auto")
    assert (plain.limits, plain.timeout_s) == (None, 300)


def test_ranges_match_versions(tmp_path: Path) -> None:
    """An entry with a range extends or removes every version in it, and adds no cell."""
    cells = _cells(
        tmp_path,
        'tensorflow: {package: tensorflow, versions: ["2.9.0", "2.15.1", "2.16.1", "2.18.0"]}',
        'exclude: [{tensorflow: "<2.10"}]\ninclude: [{tensorflow: ">=2.16", packages: [tf-keras]}]',
    )
    assert {cell: one.request.packages for cell, one in cells.items()} == {
        "tensorflow=2.15.1": (),
        "tensorflow=2.16.1": ("tf-keras",),
        "tensorflow=2.18.0": ("tf-keras",),
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            'include: [{lib: ">3", blocks: 1}]',
            '5:17: include[0].lib: no version of this axis is ">3"; change the range',
        ),
        (
            'exclude: [{lib: ">3"}]',
            '5:17: exclude[0].lib: no version of this axis is ">3"; change the range',
        ),
        (
            'baseline: {lib: ">1"}',
            '5:17: baseline.lib: no cell has the value ">1"; expected 1.0 or 2.0',
        ),
        ("baseline: {lib: 1.0}", '5:17: baseline.lib: 1.0 is a YAML float; quote it: "1.0"'),
        (
            "include: [{lib: 3.0, blocks: 1}]",
            '5:17: include[0].lib: 3.0 is a YAML float; quote it: "3.0"',
        ),
    ],
)
def test_a_wrong_version_is_refused(tmp_path: Path, more: str, said: str) -> None:
    """A range that matches nothing would be forgotten silently, and a float is another version."""
    text = f'format: 1\nname: k\naxes:\n  lib: {{package: a, versions: ["1.0", "2.0"]}}\n{more}'
    assert problems_of(tmp_path, text + REST) == [said]


def test_an_unknown_value_of_packages_is_refused(tmp_path: Path) -> None:
    """`include` cannot add a package, because nothing says what its name stands for."""
    text = 'format: 1\nname: k\naxes:\n  b: {packages: ["a==1", "c==1"]}\ninclude: [{b: "a==2"}]'
    assert problems_of(tmp_path, text + REST) == [
        "5:15: include[0].b: unknown value; did you mean `a==1`?"
    ]


def test_two_axes_of_python_are_refused(tmp_path: Path) -> None:
    """A cell has one interpreter."""
    text = 'format: 1\nname: k\naxes:\n  a: {python: ["3.8"]}\n  b: {python: ["3.9"]}'
    assert problems_of(tmp_path, text + REST) == [
        "5:6: axes.b: only one axis can be of the kind `python`; merge them"
    ]


def test_the_versions_of_a_range_come_from_the_lock(tmp_path: Path) -> None:
    """Without them, the matrix cannot be read; the message says how to get them."""
    (tmp_path / "run.py").touch()
    path = tmp_path / "matrix.yaml"
    axis = 'six: {package: six, versions: ">=1.14", take: latest-patch}'
    path.write_text(f"format: 1\nname: k\naxes:\n  {axis}\n{REST}")
    with pytest.raises(ConfigError, match="of six are not locked yet; run `python -m runner lock`"):
        read(path)
    wanted = VersionRange(distributions=("six",), specifier=">=1.14", take="latest-patch")
    lock = Lock(entries=(), ranges=(LockedRange(range=wanted, versions=("1.14.0", "1.16.0")),))
    matrix = read(path, Locked(lock))
    assert [cell.id for cell in matrix.cells] == ["six=1.14.0", "six=1.16.0"]
    assert (matrix.axes[0].kind, matrix.axes[0].range) == (AxisKind.VERSION, wanted)


def test_requirements_and_constraints_are_files_of_lines(tmp_path: Path) -> None:
    """Their lines go into the request, which other lines make another one."""
    (tmp_path / "more.txt").write_text(
        "# tools\nsix<2  # old\n\nh5py[mpi]>=3; python_version > '3'\n"
    )
    (tmp_path / "limits.txt").write_text("numpy<2\n")
    more = "environment: {packages: [toml], requirements: more.txt, constraints: limits.txt}"
    (cell,) = _cells(tmp_path, 'six: {package: six, versions: ["1.16.0"]}', more).values()
    assert cell.request.packages == ("toml", "six<2", "h5py[mpi]>=3; python_version > '3'")
    assert cell.request.constraints == ("numpy<2",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "six\n-r other.txt",
            "line 2 of more.txt: expected a package such as `numpy` or `numpy<2`",
        ),
        ("a @ https://x/y.whl", "line 1 of more.txt: expected a package such as `numpy` or"),
        (None, '"more.txt" does not exist beside this file; check the path'),
    ],
)
def test_a_wrong_file_of_requirements_is_refused(
    tmp_path: Path, text: str | None, said: str
) -> None:
    """The message names its line; options and addresses are not allowed there either."""
    if text is not None:
        (tmp_path / "more.txt").write_text(text)
    matrix = f"format: 1\nname: k\naxes: {{x: [1]}}\nenvironment: {{requirements: more.txt}}{REST}"
    (line,) = problems_of(tmp_path, matrix)
    assert line.startswith(f"4:29: environment.requirements: {said}")


def test_indexes_are_part_of_the_request(tmp_path: Path) -> None:
    """Another index is another environment."""
    more = 'environment: {index: {extra: ["https://a.invalid/simple"]}}'
    (cell,) = _cells(tmp_path, 'six: {package: six, versions: ["1.16.0"]}', more).values()
    assert cell.request.index == IndexSettings(extra=("https://a.invalid/simple",))


@pytest.mark.parametrize("url", ["https://me:secret@a.invalid/simple", "file:///etc", "-x", "a"])
def test_an_index_with_credentials_is_refused(tmp_path: Path, url: str) -> None:
    """They would be in the file, and in everything that is made from it."""
    text = (
        f'format: 1\nname: k\naxes: {{x: [1]}}\nenvironment: {{index: {{default: "{url}"}}}}{REST}'
    )
    (line,) = problems_of(tmp_path, text)
    assert line.startswith("4:32: environment.index.default: expected the address of a package ind")


def test_images_run_as_they_are(tmp_path: Path) -> None:
    """A name with `{version}` gives an image for each version; the lock finds their digests."""
    cells = _cells(tmp_path, 'app: {image: "host/app:{version}", versions: ["1.2-py3", latest]}')
    assert list(cells) == ["app=1.2-py3", "app=latest"]
    (source,) = cells["app=latest"].request.sources
    assert source == Source(kind=SourceKind.IMAGE, written="host/app:latest")
    cells = _cells(tmp_path, 'app: {image: ["host:5000/app:1.2", "app@sha256:0"]}')
    assert list(cells) == ["app=host:5000/app:1.2", "app=app@sha256:0"]


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ('{image: "app:1"}', "expected the name of an image with `{version}`, and `versions`"),
        (
            '{image: "app:{version}"}',
            "`{version}` in `image` and the key `versions` need each other",
        ),
        ('{image: ["a"], versions: ["1"]}', "`{version}` in `image` and the key `versions` need"),
        ('{image: ["-a"]}', "expected the name of an image, found"),
        ("{dockerfile: [none]}", "none is not locked yet; run `python -m runner lock` first"),
    ],
)
def test_a_wrong_image_is_refused(tmp_path: Path, axis: str, said: str) -> None:
    """A template needs versions, and versions need a template."""
    (line,) = problems_of(tmp_path, f"format: 1\nname: k\naxes:\n  app: {axis}\n{REST}")
    assert said in line


def test_settings_that_an_image_cannot_have_are_refused(tmp_path: Path) -> None:
    """Nothing is installed into it, so they would be forgotten silently."""
    text = """\
format: 1
name: k
axes:
  app: {image: [a, b]}
  python: {python: ["3.8"]}
environment: {packages: [six], python: "3.9", variables: {A: 1}}
include: [{app: a, packages: [toml], blocks: 1}]
"""
    sentence = "an image of the axis `app` is run as it is; remove this"
    assert problems_of(tmp_path, text + REST) == [
        f"5:3: axes.python: {sentence}",
        f"6:15: environment.packages: {sentence}",
        f"6:32: environment.python: {sentence}",
        "6:32: environment.python: the axis `python` chooses the Python; remove this",
        f"7:20: include[0].packages: {sentence}",
    ]


class _Known:
    """An outside where every source has a digest, and ranges have two versions."""

    def versions(self, wanted: VersionRange) -> tuple[str, ...]:
        """Return two versions."""
        assert wanted.specifier
        return ("1.0", "2.0")

    @property
    def ours(self) -> tuple[str, ...]:
        """Return no paths."""
        return ()

    def digest(self, kind: SourceKind, written: str) -> str:
        """Return the digest of the name."""
        return f"sha256:{of_content([kind.value, written])}"


def test_a_project_is_named_with_its_revision(tmp_path: Path) -> None:
    """The digest of its files is part of the request; other packages can stand beside it."""
    (tmp_path / "run.py").touch()
    axes = (
        'mine: {project: lib, at: ["v1.2", HEAD, worktree]}\n  six: {package: six, versions: ">1"}'
    )
    (tmp_path / "matrix.yaml").write_text(f"format: 1\nname: k\naxes:\n  {axes}\n{REST}")
    matrix = read(tmp_path / "matrix.yaml", _Known())
    assert (matrix.axes[0].kind, matrix.axes[0].project) == (AxisKind.PROJECT, "lib")
    request = matrix.cell("mine=worktree,six=2.0").request
    (source,) = request.sources
    assert (source.kind, source.written) == (SourceKind.PROJECT, "worktree:lib")
    assert request.label == "six=2.0,mine=worktree"
    assert [one.version for one in request.requirements] == ["2.0"]


@pytest.mark.parametrize("at", ["-x", "a b", "a:b", "a..b{", ""])
def test_a_revision_that_cannot_be_one_is_refused(tmp_path: Path, at: str) -> None:
    """It would become an argument of git."""
    text = f'format: 1\nname: k\naxes:\n  mine: {{project: ., at: ["{at}"]}}\n{REST}'
    (line,) = problems_of(tmp_path, text)
    assert "axes.mine.at[0]: expected a tag, a branch, a commit or `worktree`" in line


@pytest.mark.parametrize(
    ("axes", "more", "said"),
    [
        (
            'python: {python: ["3.10"]}',
            'environment: {python: "3.7"}',
            "5:15: environment.python: the axis `python` chooses the Python; remove this",
        ),
        (
            'py: {python: ["3.10"]}',
            'include: [{py: "3.10", python: "3.7"}]',
            "5:24: include[0].python: the axis `py` chooses the Python; remove this",
        ),
        (
            "base: {base: [a, b]}",
            "environment: {base: host}",
            "5:15: environment.base: the axis `base` chooses the base; remove this",
        ),
        (
            "threads: {variable: N, values: [1, 2]}",
            "include: [{threads: 2, variables: {N: 4}}]",
            (
                "5:36: include[0].variables.N: the axis `threads` sets this variable; remove one "
                "of the two"
            ),
        ),
        (
            "a: {variable: N, values: [1]}\n  b: {variable: N, values: [2]}",
            "",
            '5:17: axes.b.variable: "N" is already at axes.a.variable; change or remove one',
        ),
        (
            "h: {variable: N, values: {fixed: 0, other: 1}}",
            "include: [{h: fixd, blocks: 1}]",
            "5:15: include[0].h: unknown value; did you mean `fixed`?",
        ),
        (
            "lr: [1.0, 0.1]",
            "exclude: [{lr: 1}]",
            '5:16: exclude[0].lr: no cell has the value "1"; expected 1.0 or 0.1',
        ),
        (
            'limits: {python: ["3.10"]}',
            "",
            "4:3: axes.limits: `limits` is a setting of `include` entries; rename the axis",
        ),
        (
            'app: {image: "app:{version}", versions: ["1", "1"]}',
            "",
            (
                '4:49: axes.app.versions[1]: "1" is already at axes.app.versions[0]; change or '
                "remove one"
            ),
        ),
        (
            'mine: {project: ., at: ["v1"]}',
            "environment: {source_packages: refuse}",
            "5:32: environment.source_packages: the axis `mine` must be built; remove this",
        ),
    ],
)
def test_what_would_be_ignored_silently_is_refused(
    tmp_path: Path, axes: str, more: str, said: str
) -> None:
    """A cell must be measured as it says."""
    (tmp_path / "run.py").touch()
    (tmp_path / "matrix.yaml").write_text(f"format: 1\nname: k\naxes:\n  {axes}\n{more}{REST}")
    with pytest.raises(ConfigError) as refused:
        read(tmp_path / "matrix.yaml", _Known())
    assert str(refused.value) == f"{tmp_path}/matrix.yaml:{said}"


@pytest.mark.parametrize(
    "axis",
    [
        '{packages: ["six==v1.16.0"]}',
        f'{{packages: ["{"a" * 120}==1"]}}',
        "{dockerfile: [\u00fc]}",
        '{dockerfile: ["old (1)"]}',
        '{project: "pr\u00f6j", at: [v1]}',
        '{package: six, versions: ">=1.*"}',
        '{package: six, versions: "~=1"}',
    ],
)
def test_what_no_record_can_hold_is_refused_with_its_place(tmp_path: Path, axis: str) -> None:
    """The schema and the records agree on what a value may be."""
    (line,) = problems_of(tmp_path, f"format: 1\nname: k\naxes:\n  a: {axis}\n{REST}")
    assert re.match(r"4:\d+: axes\.a\.\w+(\[0\])?: expected ", line)


def test_an_include_entry_can_name_a_range_of_pythons(tmp_path: Path) -> None:
    """As on an axis of versions, it stands for those of the axis, but never for PyPy."""
    cells = _cells(
        tmp_path,
        'python: {python: ["3.10", "3.12", pypy3.10]}',
        'include: [{python: ">=3.11", blocks: 1}]',
    )
    assert [cell.blocks for cell in cells.values()] == [None, 1, None]


def test_an_edited_range_in_a_lock_is_refused(tmp_path: Path) -> None:
    """The versions would not be those that the matrix asks for."""
    wanted = VersionRange(distributions=("six",), specifier="<1.17")
    lock = Lock(entries=(), ranges=(LockedRange(range=wanted, versions=("1.16.0", "9.9")),))
    with pytest.raises(ConfigError, match=r'1\.16\.0 and 9\.9 are not all in the range "<1\.17"'):
        Locked(lock).versions(wanted)
