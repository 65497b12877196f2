"""How ``read`` reports the mistakes of a matrix."""

import json
import os
import time
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.read import read
from tests.support.matrices import FULL, SMALL, problems_of


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
