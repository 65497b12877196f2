"""How ``read`` reports the mistakes of a matrix."""

import json
import os
import time
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.read import read
from tests.support.matrices import FULL, SMALL, problems_of

REFUSED: dict[str, tuple[str, ...]] = {
    "unknown key": ("blokcs: 3", "10:1: blokcs: unknown key; did you mean `blocks`?"),
    "unknown inner key": (
        "limits: {cpu: 3}",
        "10:10: limits.cpu: unknown key; did you mean `cpus`?",
    ),
    "key without a similar one": (
        "environment: {zzz: 3}",
        (
            "10:15: environment.zzz: unknown key; expected python, as_of, base, packages, "
            "requirements, constraints, index, "
            "variables, compile or source_packages"
        ),
    ),
    "wrong type": ('blocks: "x"', '10:9: blocks: expected a whole number, found "x"'),
    "a list for keys": ("limits: [1]", "10:9: limits: expected keys with values, found a list"),
    "blocks": ("blocks: 0", "10:9: blocks: expected at least 1, found 0"),
    "cpus": ("limits: {cpus: 0}", "10:16: limits.cpus: expected at least 1, found 0"),
    "duration": (
        "limits: {timeout: 15min}",
        '10:19: limits.timeout: expected a duration such as 60s, 15m or 2h, found "15min"',
    ),
    "size": (
        "limits: {memory: 4 GB}",
        '10:18: limits.memory: expected a size such as 256m or 4g, found "4 GB"',
    ),
    "too long a duration": (
        "limits: {timeout: 999999999h}",
        '10:19: limits.timeout: expected at most 30 days, found "999999999h"',
    ),
    "too little memory": (
        "limits: {memory: 1k}",
        (
            "10:18: limits.memory: expected at least 64m, because a smaller container cannot start "
            'Python, found "1k"'
        ),
    ),
    "too few processes": (
        "limits: {pids: 1}",
        "10:16: limits.pids: expected at least 16, found 1",
    ),
    "percent": (
        "policy: {seconds: +x%}",
        '10:19: policy.seconds: expected a change such as +3% or -0.2, found "+x%"',
    ),
    "policy of a metric without direction": (
        "policy: {loss_at_end: 1}",
        (
            "10:23: policy.loss_at_end: this metric has no better direction, so it cannot "
            "get worse; remove the limit"
        ),
    ),
    "unknown metric": (
        "policy: {second: 3}",
        "10:10: policy.second: unknown metric; did you mean `seconds`?",
    ),
    "duplicate key": ("name: x", "10:1: name: this key is already on line 2; keep one"),
    "inner duplicate key": (
        "limits: {cpus: 1, cpus: 2}",
        "10:19: limits.cpus: this key is already on line 10; keep one",
    ),
    "no value": ("title:", "10:7: title: there is no value; write one, or remove the key"),
    "unknown key without value": (
        "limit:",
        "10:1: limit: unknown key; did you mean `limits`?",
        "10:7: limit: there is no value; write one, or remove the key",
    ),
    "key that is a number": ("1: x", '10:1: a key must be text; quote it: "1"'),
    "key that is a list": ("? [a]\n: b", "10:3: a key must be text; write `key: value`"),
    "merge key": (
        "limits: {<<: {cpus: 1}}",
        (
            "10:10: limits: merge keys (`<<`) are not supported; write out the entries, or use an "
            "alias for all of them"
        ),
    ),
    "tag": (
        "title: !!python/object:os.system x",
        '10:8: title: the tag "!!python/object:os.system" is not supported; remove it',
    ),
    "octal": (
        "blocks: 010",
        '10:9: blocks: write the number in plain decimal digits, or quote it: "010"',
    ),
    "sexagesimal": (
        "limits: {timeout: 1:30}",
        ('10:19: limits.timeout: write the number in plain decimal digits, or quote it: "1:30"'),
    ),
    "on": (
        "environment: {compile: on}",
        '10:24: environment.compile: write true or false, or quote it: "on"',
    ),
    "source packages neither built nor refused": (
        "environment: {source_packages: never}",
        '10:32: environment.source_packages: expected `build` or `refuse`, found "never"',
    ),
    "infinity": (
        "parameters: {a: .inf}",
        '10:17: parameters.a: ".inf" is not a finite number; write another one',
    ),
    "python version that is a float": (
        "environment: {python: 3.10}",
        '10:23: environment.python: 3.1 is a YAML float; quote it: "3.10"',
    ),
    "no such date": (
        "environment: {as_of: 2019-02-30}",
        '10:22: environment.as_of: expected a date that exists, found "2019-02-30"',
    ),
    "option in place of a package": (
        "environment: {packages: [--index-url=x]}",
        (
            "10:26: environment.packages[0]: expected a package such as `numpy` or `numpy<2`, "
            'found "--index-url=x"'
        ),
    ),
    "address in place of a package": (
        'environment: {packages: ["six @ https://a.invalid/six.whl"]}',
        (
            "10:26: environment.packages[0]: expected a package such as `numpy` or `numpy<2`, "
            'found "six @ https://a.invalid/six.whl"'
        ),
    ),
    "environment variable in a package": (
        'environment: {packages: ["six==${TOKEN}"]}',
        (
            "10:26: environment.packages[0]: expected a package such as `numpy` or `numpy<2`, "
            'found "six==${TOKEN}"'
        ),
    ),
    "word": (
        "include: [{size: 1, expect: faild}]",
        (
            "10:29: include[0].expect: expected ok, failed, bad-output, timed-out, out-of-memory, "
            'no-image, unsupported or engine-lost, found "faild"; did you mean `failed`?'
        ),
    ),
    "parameter that is an axis": (
        "parameters: {size: 1}",
        (
            "10:14: parameters.size: this is also an axis, which sets the parameter; "
            "remove one of the two"
        ),
    ),
    "included parameter that is an axis": (
        "include: [{size: 1, parameters: {size: 2}}]",
        "10:40: include[0].parameters.size: this is an axis; move it out of `parameters`",
    ),
    "quick of no parameter": (
        "parameters: {epochs: 1}\nquick: {epoch: 1}",
        "11:9: quick.epoch: unknown parameter; did you mean `epochs`?",
    ),
    "exclude without axes": (
        "exclude: [{}]",
        "10:11: exclude[0]: this is empty; write an entry, or remove the key",
    ),
    "exclude of no axis": (
        'exclude: [{lob: "1.0"}]',
        "10:12: exclude[0].lob: unknown axis; did you mean `lib`?",
    ),
    "exclude of nothing": (
        'exclude: [{lib: "1.00"}]',
        '10:17: exclude[0].lib: no cell has the value "1.00"; did you mean `1.0`?',
    ),
    "exclude of all": (
        "exclude: [{size: 1}, {size: 2}]",
        "10:10: exclude: this leaves no cell; remove an entry",
    ),
    "include without axes": (
        "include: [{timeout: 1s}]",
        "10:11: include[0]: this names no axis; give a value for one",
    ),
    "include of no axis": (
        "include: [{size: 1, timout: 1}]",
        "10:21: include[0].timout: unknown axis or setting; did you mean `timeout`?",
    ),
    "included cell without an axis": (
        "include: [{size: 3}]",
        (
            "10:11: include[0]: no combination has these values, so this adds a cell; "
            "give a value for `lib` too"
        ),
    ),
    "included version that is a number": (
        "include: [{size: 3, lib: 3}]",
        '10:26: include[0].lib: expected an exact version such as "2.0.0", found 3',
    ),
    "cell included twice": (
        'include: [{size: 3, lib: "1.0"}, {size: 3, lib: "1.0"}]',
        "10:34: include[1]: the cell lib=1.0,size=3 is already included; merge the two entries",
    ),
    "baseline of no cell": (
        'baseline: {lib: "1.1"}',
        '10:17: baseline.lib: no cell has the value "1.1"; did you mean `1.0`?',
    ),
    "published cell without values": (
        "published: {source: x, cells: [{cell: {lib: '1.0', size: 1}}]}",
        "10:32: published.cells[0]: nothing is published here; give `values` or a `note`",
    ),
    "published cell that is none": (
        "published: {source: x, cells: [{cell: {lib: '1.0', size: 3}, note: x}]}",
        '10:58: published.cells[0].cell.size: no cell has the value "3"; expected 1 or 2',
    ),
    "claim of half a cell": (
        "claims: [{id: a, text: x, of: {size: 1}, status: ok}]",
        "10:31: claims[0].of: this must name a single cell; give a value for `lib` too",
    ),
    "claim of an excluded cell": (
        (
            "exclude: [{lib: '1.0', size: 1}]\n"
            "claims: [{id: a, text: x, of: {lib: '1.0', size: 1}, status: ok}]"
        ),
        "11:31: claims[0].of: there is no cell lib=1.0,size=1; it is excluded, or not included",
    ),
    "half a claim": (
        "claims: [{id: a, text: x, of: {lib: '1.0', size: 1}, metric: seconds}]",
        (
            "10:10: claims[0]: a comparison also needs `against` and `says`; add them, or give "
            "`status`"
        ),
    ),
    "claim against itself": (
        (
            "claims: [{id: a, text: x, of: &c {lib: '1.0', size: 1}, against: *c, "
            "metric: seconds, says: lower}]"
        ),
        "10:31: claims[0].against: a cell cannot be compared with itself; name another one",
    ),
    "claim without its text": (
        "claims: [{id: a, of: {lib: '1.0', size: 1}, status: ok}]",
        "10:10: claims[0].text: the key is missing; add it",
    ),
    "control character": (
        'title: "a\\ab"',
        '10:8: title: the character "\\u0007" is not allowed; remove it',
    ),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_wrong_key_is_refused(tmp_path: Path, mistake: str) -> None:
    """Each mistake is reported alone, in a sentence with line, column and path."""
    addition, *said = REFUSED[mistake]
    assert problems_of(tmp_path, SMALL + addition) == said


KINDS = (
    "a list of values, or the keys of a kind of axis: `package` and `versions`, `packages`, "
    "`python`, `base`, `lock`, `project` and `at`, `image`, `dockerfile`, or `variable` and "
    "`values`"
)
AXES = {
    "[2020-01-01]": '4:10: axes.model[0]: 2020-01-01 is a YAML date; quote it: "2020-01-01"',
    "[null]": (
        '4:10: axes.model[0]: this means that there is no value; remove it, or quote it: "null"'
    ),
    "[no]": '4:10: axes.model[0]: write true or false, or quote it: "no"',
    "[[a]]": "4:10: axes.model[0]: expected text, a number, true or false, found a list",
    "[a, a]": '4:13: axes.model[1]: "a" is already at axes.model[0]; change or remove one',
    '[1, "1"]': '4:13: axes.model[1]: "1" is already at axes.model[0]; change or remove one',
    "[]": "4:9: axes.model: this is empty; write an entry, or remove the key",
    "x": f'4:9: axes.model: expected {KINDS}, found "x"',
    "{pakage: a}": f"4:9: axes.model: expected {KINDS}, found keys with values",
    "{package: a, versions: ['1'], tak: x}": (
        "4:39: axes.model.tak: unknown key; did you mean `take`?"
    ),
    '{package: a, versions: "1.0"}': (
        '4:32: axes.model.versions: expected a range of versions such as ">=1.4,<2.22", found "1.0"'
    ),
    '{package: a, versions: ["1"], take: all}': (
        "4:39: axes.model.take: `take` chooses from a range; remove it, or write a range of "
        "versions"
    ),
    '{package: a, versions: ">1", take: some}': (
        "4:44: axes.model.take: expected `all`, `latest-patch`, `latest-minor`, `every-3` or "
        '`oldest+latest`, found "some"'
    ),
    "{packages: [numpy]}": (
        "4:21: axes.model.packages[0]: expected a package with its exact version, such as "
        'pandas[performance]==2.0.3, found "numpy"'
    ),
    '{packages: ["numpy==1.*"]}': (
        "4:21: axes.model.packages[0]: expected a package with its exact version, such as "
        'pandas[performance]==2.0.3, found "numpy==1.*"'
    ),
    '{packages: ["pandas[a,b]==2.0"]}': (
        "4:21: axes.model.packages[0]: expected 1 to 150 visible characters without `,`, and no "
        'space at either end, found "pandas[a,b]==2.0"; give it a name: `{name: pandas[a,b]==2.0}`'
    ),
    "{python: [3.10]}": '4:19: axes.model.python[0]: 3.1 is a YAML float; quote it: "3.10"',
    '{python: ["3"]}': (
        '4:19: axes.model.python[0]: expected a version of Python such as "3.7", "3.12.4", "3.13t" '
        'or "pypy3.10", found "3"'
    ),
    "{variable: 1A, values: [1]}": (
        '4:20: axes.model.variable: expected the name of an environment variable, found "1A"'
    ),
    "{variable: DATA_DIR, values: [1]}": (
        "4:20: axes.model.variable: expected another variable, because the runner sets this one, "
        'found "DATA_DIR"'
    ),
    "{variable: A, values: 1}": (
        "4:31: axes.model.values: expected a list of values, or values with names, found 1"
    ),
    "{variable: A, values: [1, '1']}": (
        '4:35: axes.model.values[1]: "1" is already at axes.model.values[0]; change or remove one'
    ),
    "{package: a}": "4:9: axes.model.versions: the key is missing; add it",
    "{package: a, versions: [2.10]}": (
        '4:33: axes.model.versions[0]: 2.1 is a YAML float; quote it: "2.10"'
    ),
    "{package: a, versions: [3]}": (
        '4:33: axes.model.versions[0]: 3 is a YAML number; quote it: "3"'
    ),
    "{package: [-a], versions: ['3']}": (
        '4:20: axes.model.package[0]: expected the name of a package, found "-a"'
    ),
    "{package: a, versions: [latest]}": (
        '4:33: axes.model.versions[0]: expected an exact version such as "2.0.0", found "latest"'
    ),
}


@pytest.mark.parametrize(("axis", "said"), AXES.items())
def test_a_wrong_axis_is_refused(tmp_path: Path, axis: str, said: str) -> None:
    """YAML may change a value; a value may be repeated, or not fit into a file name."""
    text = f"format: 1\nname: a\naxes:\n model: {axis}\n"
    rest = "experiment: {script: run.py}\nmetrics: {a: {better: lower}}\n"
    assert problems_of(tmp_path, text + rest) == [said]


@pytest.mark.parametrize("value", ["a,b", "a=b", "a@b", "a/b", "", " a", "x" * 101, "a\u202eb"])
def test_a_value_that_no_file_can_be_named_after_is_refused(tmp_path: Path, value: str) -> None:
    """Values become parts of file names, and of ids that use some characters as separators."""
    text = SMALL.replace("[1, 2]", json.dumps([value], ensure_ascii=False))
    (line,) = problems_of(tmp_path, text)
    assert line.startswith("5:10: axes.size[0]: expected 1 to 100 visible characters without")
    (line,) = problems_of(tmp_path, SMALL.replace("size:", f"{json.dumps(value)}:"))
    assert "expected 1 to 100 visible characters" in line
    assert line.startswith("5:3: ")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('["3.10", "3.12"]', "list would only be a parameter"),
        ('{package: python, versions: ["3.10", "3.12"]}', "is no package"),
    ],
)
def test_another_axis_named_python_is_refused_with_its_remedy(
    tmp_path: Path, written: str, said: str
) -> None:
    """It would vary something else, although its author means the interpreter."""
    assert problems_of(tmp_path, SMALL.replace("size: [1, 2]", f"python: {written}")) == [
        (
            f"5:3: axes.python: this {said}; to compare versions of Python, write "
            '`python: {python: ["3.10", "3.12"]}`'
        )
    ]


def test_several_versions_of_python_belong_on_an_axis(tmp_path: Path) -> None:
    """The remedy is named where the environment has a list of them."""
    text = SMALL + 'environment: {python: ["3.10", "3.12"]}\n'
    (line,) = problems_of(tmp_path, text)
    assert "an axis `python: {python: [...]}` compares several, found a list" in line


TOGETHER: dict[str, tuple[str, ...]] = {
    "both sides of a comparison": (
        'compare: [{of: {lib: "9"}, against: {lib: "8"}}]',
        '10:22: compare[0].of.lib: no cell has the value "9"; expected 1.0 or 2.0',
        '10:43: compare[0].against.lib: no cell has the value "8"; expected 1.0 or 2.0',
    ),
    "unknown axes on both sides of a comparison": (
        'compare: [{of: {lob: "2.0"}, against: {libs: "1.0"}}]',
        "10:17: compare[0].of.lob: unknown axis; did you mean `lib`?",
        "10:40: compare[0].against.libs: unknown axis; did you mean `lib`?",
    ),
    "one-sided axes and a metric of a comparison": (
        'compare: [{of: {lib: "2.0"}, against: {size: 1}, metrics: [second]}]',
        "10:22: compare[0].of.lib: `lib` is only in `of`; give it a value in `against` too",
        "10:46: compare[0].against.size: `size` is only in `against`; give it a value in `of` too",
        "10:60: compare[0].metrics[0]: unknown metric; did you mean `seconds`?",
    ),
    "axis and value of an exclude entry": (
        'exclude: [{lob: "1.0", size: 3}]',
        "10:12: exclude[0].lob: unknown axis; did you mean `lib`?",
        '10:30: exclude[0].size: no cell has the value "3"; expected 1 or 2',
    ),
    "axis and value of a baseline": (
        'baseline: {lob: "1.0", size: 3}',
        "10:12: baseline.lob: unknown axis; did you mean `lib`?",
        '10:30: baseline.size: no cell has the value "3"; expected 1 or 2',
    ),
    "absent axis and value of a claim": (
        "claims: [{id: a, text: x, of: {size: 3}, status: ok}]",
        "10:31: claims[0].of: this must name a single cell; give a value for `lib` too",
        '10:38: claims[0].of.size: no cell has the value "3"; expected 1 or 2',
    ),
    "absent axis and parameter of an include entry": (
        "include: [{parameters: {size: 1}}]",
        "10:11: include[0]: this names no axis; give a value for one",
        "10:31: include[0].parameters.size: this is an axis; move it out of `parameters`",
    ),
    "cells beyond the limit and a parameter": (
        f"  more: {list(range(5000))}\nquick: {{b: 1}}",
        "4:3: axes: these make 20,000 cells; the limit is 10,000; use fewer values",
        "7:9: quick.b: unknown parameter; remove it",
    ),
}


@pytest.mark.parametrize("mistakes", TOGETHER)
def test_one_mistake_hides_no_other(tmp_path: Path, mistakes: str) -> None:
    """All mistakes of a part are reported in one run."""
    addition, *expected = TOGETHER[mistakes]
    text = SMALL + addition
    if addition.startswith(" "):
        text = SMALL.replace("experiment:", f"{addition}\nexperiment:")
    assert problems_of(tmp_path, text) == expected


def test_a_margin_may_be_wrong_in_two_ways(tmp_path: Path) -> None:
    """Size and kind of a margin are both checked."""
    assert problems_of(tmp_path, SMALL.replace("better: lower", "better: lower, margin: 0")) == [
        "8:45: metrics.seconds.margin: expected a margin above 0, such as 3%",
        "8:45: metrics.seconds.margin: expected a share such as 3%, on the scale `ratio`",
    ]


def test_all_wrong_keys_are_reported_at_once(tmp_path: Path) -> None:
    """They are listed in the order of the file."""
    text = SMALL.replace("name: small", "name: a b") + (
        "blokcs: 3\n"
        "parameters: {a: [1]}\n"
        "claims:\n"
        "  - {id: a, text: x, of: {lib: '1.0', size: 1}, status: okay}\n"
        "  - {id: b, text: x, of: {lib: '1.0', size: 2}, status: ok, nope: 1}\n"
        "title:\n"
    )
    assert [line.split(": ")[:2] for line in problems_of(tmp_path, text)] == [
        ["2:7", "name"],
        ["10:1", "blokcs"],
        ["11:17", "parameters.a"],
        ["13:57", "claims[0].status"],
        ["14:61", "claims[1].nope"],
        ["15:7", "title"],
    ]


def test_all_problems_between_keys_are_reported_at_once(tmp_path: Path) -> None:
    """They are listed in the order of the file once each key is right on its own."""
    text = SMALL.replace("[1, 2]", "[1, 2, 2]").replace("run.py", "no.py") + (
        "parameters: {a: 1, size: 3}\n"
        "quick: {b: 1}\n"
        "policy: {second: 1}\n"
        "exclude: [{lob: '1.0'}]\n"
        "published: {source: x, cells: [{cell: {lib: '1.0'}, note: x}]}\n"
        "claims:\n"
        "  - {id: b, text: x, of: {lob: '1.0', size: 9}, status: ok}\n"
        "  - {id: b, text: x, of: {lib: '1.0', size: 2}, status: ok}\n"
    )
    assert [line.split(": ")[:2] for line in problems_of(tmp_path, text)] == [
        ["5:16", "axes.size[2]"],
        ["6:22", "experiment.script"],
        ["10:20", "parameters.size"],
        ["11:9", "quick.b"],
        ["12:10", "policy.second"],
        ["13:12", "exclude[0].lob"],
        ["14:39", "published.cells[0].cell"],
        ["16:27", "claims[0].of.lob"],
        ["16:45", "claims[0].of.size"],
        ["17:10", "claims[1].id"],
    ]


def test_a_wrong_part_causes_no_other_problem(tmp_path: Path) -> None:
    """Entries that depend on a wrong part are not judged: they may be right."""
    text = FULL.replace("blocks: 2}", "blocks: two}").replace("better: lower", "better: up")
    assert [line.split(": ")[1] for line in problems_of(tmp_path, text)] == [
        "metrics.seconds.better",
        "include[1].blocks",
    ]


def test_a_wrong_entry_causes_no_problem_of_what_names_its_cells(tmp_path: Path) -> None:
    """A cell may be missing only because its include entry is wrong."""
    text = SMALL + (
        "include: [{size: 3, lib: 3.0.0, timout: 1s}]\n"
        "claims: [{id: a, text: x, of: {lib: 3.0.0, size: 3}, status: ok}]\n"
        "baseline: {lib: 3.0.0}\n"
    )
    assert problems_of(tmp_path, text) == [
        "10:33: include[0].timout: unknown axis or setting; did you mean `timeout`?"
    ]


def test_missing_keys_are_reported_together(tmp_path: Path) -> None:
    """Each required key that is missing gets a line."""
    assert problems_of(tmp_path, "format: 1") == [
        f"1:1: {key}: the key is missing; add it" for key in ("name", "axes", "experiment")
    ]


def test_another_format_is_refused_alone(tmp_path: Path) -> None:
    """Nothing else can be judged in an unknown format."""
    assert problems_of(tmp_path, "format: 2\nnew: 1") == [
        (
            "1:9: format 2 was written for a newer matrix-runner (this one reads format 1): "
            "upgrade matrix-runner"
        )
    ]
    assert problems_of(tmp_path, "format: 0") == ["1:9: there is no format 0; write `format: 1`"]
    assert problems_of(tmp_path, SMALL.replace("1", "one", 1)) == [
        '1:9: format: expected a whole number, found "one"'
    ]


LEADS_OUT = "is a link that leads out of the folder of this file; copy the file"


def test_missing_files_are_reported(tmp_path: Path) -> None:
    """Script and data files must be inside the folder of the matrix."""
    (tmp_path / "sub").mkdir()
    text = SMALL.replace("run.py", f"no.py, data: [/etc/passwd, ../a, sub, no.npz, {'x' * 300}]")
    lines = problems_of(tmp_path, text)
    assert lines[:5] == [
        '6:22: experiment.script: "no.py" does not exist beside this file; check the path',
        (
            "6:36: experiment.data[0]: expected a path inside the folder of this file, "
            'found "/etc/passwd"'
        ),
        '6:49: experiment.data[1]: expected a path inside the folder of this file, found "../a"',
        '6:55: experiment.data[2]: "sub" is not a file; name each file',
        '6:60: experiment.data[3]: "no.npz" does not exist beside this file; check the path',
    ]
    assert len(lines) == 6


def test_an_input_is_a_regular_file_in_the_folder_of_the_matrix(tmp_path: Path) -> None:
    """Links inside are allowed. The messages repeat nothing of what others lead to."""
    (tmp_path / "study").mkdir()
    (tmp_path / "secret").write_text("password")
    os.mkfifo(tmp_path / "study" / "fifo")
    for name, target in {"out": "../secret", "up": "..", "in": "run.py", "loop": "loop"}.items():
        (tmp_path / "study" / name).symlink_to(target)
    text = SMALL.replace("run.py", "in, data: [out, up/secret, fifo, loop]")
    assert problems_of(tmp_path / "study", text) == [
        f"6:{column}: experiment.data[{index}]: {said}"
        for index, (column, said) in enumerate(
            [
                (33, f'"out" {LEADS_OUT}'),
                (38, f'"up/secret" {LEADS_OUT}'),
                (49, '"fifo" is not a file; name each file'),
                (55, '"loop" cannot be read: Too many levels of symbolic links; check the file'),
            ]
        )
    ]


def test_a_matrix_that_is_no_file_does_not_hang(tmp_path: Path) -> None:
    """A FIFO would wait for its other end."""
    os.mkfifo(tmp_path / "matrix.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read \(is not a regular file\)"):
        read(tmp_path / "matrix.yaml")


def test_two_data_files_cannot_share_a_name(tmp_path: Path) -> None:
    """A trial sees its data files in one folder, where the second would replace the first."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.npz").touch()
    text = SMALL.replace("run.py", "run.py, data: [old/a.npz, new/a.npz]")
    assert problems_of(tmp_path, text) == [
        '6:48: experiment.data[1]: "a.npz" is already at experiment.data[0]; change or remove one'
    ]


def test_too_many_cells_are_refused(tmp_path: Path) -> None:
    """The number of cells is checked before they are made."""
    axes = "".join(f"  a{n}: {list(range(100))}\n" for n in range(9))
    assert problems_of(tmp_path, SMALL.replace("axes:\n", f"axes:\n{axes}")) == [
        (
            "4:3: axes: these make 4,000,000,000,000,000,000 cells; the limit is 10,000; "
            "use fewer values"
        )
    ]


def test_an_id_too_long_for_a_file_name_is_refused(tmp_path: Path) -> None:
    """Each value may be short enough, and the id still too long."""
    text = SMALL.replace("[1, 2]", f"[{'x' * 99}]\n  more: [{'y' * 99}]")
    (line,) = problems_of(tmp_path, text)
    assert "is longer than 200 bytes; shorten names or values" in line


DEEP = "nested more than 32 levels deep; use fewer levels"
FILES = {
    "empty": (b"", ": the file is empty; begin it with `format: 1`"),
    "comment only": (b"# x\n", ": the file is empty; begin it with `format: 1`"),
    "no mapping": (b"- a", ":1:1: expected keys with values, found a list; begin with `format: 1`"),
    "tagged root": (b"!x {a: 1}", ':1:1: the tag "!x" is not supported; remove it'),
    "not UTF-8": (
        b"a: 1\nb: \xff",
        ":2:4: from here on, this is not UTF-8; save it as UTF-8",
    ),
    "control character": (
        b"a: 1\nb: \x00",
        ':2:4: the character "\\u0000" is not allowed in YAML; remove it',
    ),
    "tab": (b"a:\n\t- b", ":2:1: YAML does not allow a tab here; use spaces"),
    "open bracket": (
        b"a: [1\nb: 2\n",
        (
            ":2:2: this is not YAML: did not find expected ',' or ']', "
            "while parsing a flow sequence that begins on line 1; correct it"
        ),
    ),
    "two colons": (
        b"a: b: c",
        (
            ":1:5: this is not YAML: mapping values are not allowed in this context; "
            "quote text that contains a colon and a space"
        ),
    ),
    "two documents": (
        b"a: 1\n---\na: 2",
        (
            ":2:1: this is not YAML: but found another document, expected a single document in the "
            "stream that begins on line 1; keep one document in the file"
        ),
    ),
    "large": (
        b"#" * 1024**2 + b"\n",
        ": the file is larger than the limit of 1 MiB; split the study",
    ),
    "deep": (b"[" * 1_000_000, f":1:33: {DEEP}"),
    "deep blocks": (b"- " * 300_000, f":1:65: {DEEP}"),
    "many values": (
        b"[" + b"a," * 200_000 + b"]",
        ":1:200000: more than 100,000 values; split the study",
    ),
    "cycle": (b"a: &a [*a]", ":1:4: the aliases expand to too many values; write the values"),
}


@pytest.mark.parametrize(("raw", "said"), FILES.values(), ids=FILES)
def test_an_unreadable_file_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    """A file that cannot be read at all gets a single sentence, with a place if possible."""
    assert problems_of(tmp_path, raw) == [said.removeprefix(":")]


def test_aliases_cannot_expand_without_end(tmp_path: Path) -> None:
    """Aliases of aliases are counted while they expand, and refused quickly."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    begin = time.process_time()
    (line,) = problems_of(tmp_path, "\n".join(lines))
    assert "the aliases expand to too many values" in line
    assert time.process_time() - begin < 5


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    """The sentence names the option --matrix."""
    with pytest.raises(ConfigError, match=r"no\.yaml: file not found; name another one"):
        read(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match="this is a folder; name a file in it"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="the file cannot be read"):
        read(Path("\0"))
