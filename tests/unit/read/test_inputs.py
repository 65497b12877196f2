"""The command of an experiment, and which files of the study a trial gets."""

import json
import os
import time
from pathlib import Path

import pytest

from runner.read import Locked, read
from runner.records.study import Matrix
from tests.support.matrices import SMALL, problems_of, study

EXPERIMENT = "experiment: {script: run.py}"
TREE = (
    ".env",
    "configs/x.yaml",
    "configs/y.json",
    "matrix.lock",
    "src/.hidden.py",
    "src/__pycache__/a.pyc",
    "src/a.py",
    "src/deep/.git/b.py",
    "src/deep/b.py",
)


def plant(folder: Path, *names: str) -> None:
    """Write files into a folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def with_experiment(keys: str) -> str:
    """Return a matrix whose experiment, in line 6, has these keys."""
    return SMALL.replace(EXPERIMENT, f"experiment: {{{keys}}}")


def with_files(*patterns: str) -> str:
    """Return a matrix that includes files. The first pattern is in column 38 of line 6."""
    return with_experiment(f"script: run.py, files: {json.dumps(patterns)}")


def included(folder: Path, *patterns: str) -> tuple[str, ...]:
    """Return the files that a study in this folder includes, besides its script."""
    return study(folder, with_files(*patterns)).experiment.files


PATTERNS = {
    "src/**": "src/a.py src/deep/b.py",
    "src/*": "src/a.py",
    "./src//a.py": "src/a.py",
    "configs/*.yaml": "configs/x.yaml",
    "configs/?.[jy]*": "configs/x.yaml configs/y.json",
    "configs/[!x].*": "configs/y.json",
    "**/*.py": "src/a.py src/deep/b.py",
    "src/**/b.py": "src/deep/b.py",
    "src/**/**/a.py": "src/a.py",
    "src/deep/b.py configs/*": "configs/x.yaml configs/y.json src/deep/b.py",
    "src/a.py **/a.py src/*": "src/a.py",
    ".env": ".env",
    "src/.*": "src/.hidden.py",
    "**/.git/**": "src/deep/.git/b.py",
    "src/__pycache__/*": "src/__pycache__/a.pyc",
    "**/__pycache__/**": "src/__pycache__/a.pyc",
    "src/** !src/deep/**": "src/a.py",
    "src/** !src/deep": "src/a.py src/deep/b.py",
    "src/** !**/b.*": "src/a.py",
    "src/** !** src/a.py": "src/a.py",
    "!src/a.py src/*": "src/a.py",
    ".env !*": ".env",
    ".env !.*": "",
    "**": "configs/x.yaml configs/y.json src/a.py src/deep/b.py",
}


@pytest.mark.parametrize(("patterns", "files"), PATTERNS.items())
def test_patterns_choose_files(tmp_path: Path, patterns: str, files: str) -> None:
    """Names come in a fixed order, each once, without the script and what nobody named."""
    plant(tmp_path, *TREE)
    assert included(tmp_path, *patterns.split()) == tuple(files.split())


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("src/*.txt", 'no file matches "src/*.txt"; check the path'),
        ("src/[.]*", 'no file matches "src/[.]*"; check the path'),
        ("srk/**", 'no file matches "srk/**"; check the path'),
        ("src", '"src" is a folder; write "src/**"'),
        ("src/deep/", '"src/deep/" is a folder; write "src/deep/**"'),
        (".", '"." is a folder; write "./**"'),
        ("/etc/passwd", 'expected a path inside the folder of this file, found "/etc/passwd"'),
        ("../*", 'expected a path inside the folder of this file, found "../*"'),
        ("!src/../../x", 'expected a path inside the folder of this file, found "!src/../../x"'),
        ("", 'expected text that is not empty, found ""'),
        ("matrix.yaml", "no trial gets the matrix, its lock or its runs; remove this"),
        ("./matrix.lock", "no trial gets the matrix, its lock or its runs; remove this"),
        (f"src/{'a' * 300}", f'no file matches "src/{"a" * 56}\u2026"; check the path'),
    ],
)
def test_a_pattern_without_files_is_refused(tmp_path: Path, pattern: str, said: str) -> None:
    """The sentence names the remedy."""
    plant(tmp_path, *TREE)
    found = problems_of(tmp_path, with_files(pattern))
    assert found == [f"6:38: experiment.files[0]: {said}"]


UNUSABLE = {
    "link out": '"src/x" is a link that leads out of the folder of this file; copy the file',
    "link to a folder": '"src/x" is not a file; name each file',
    "link to nothing": '"src/x" is a link to a file that does not exist; check the link',
    "link to itself": '"src/x" cannot be read: Too many levels of symbolic links',
    "pipe": '"src/x" is not a file; name each file',
    "line break": 'the name "src/x\\ny" is not printable text; rename the file',
    "no UTF-8": 'the name "src/x\\udcff" is not printable text; rename the file',
}


def make_unusable(folder: Path, kind: str) -> None:
    """Make something in ``src`` that no trial can get."""
    targets = {"link out": "/etc/passwd", "link to a folder": "deep", "link to itself": "x"}
    if kind == "pipe":
        os.mkfifo(folder / "src/x")
    elif kind == "line break":
        plant(folder, "src/x\ny")
    elif kind == "no UTF-8":
        plant(folder, "src/x\udcff")
    else:
        (folder / "src/x").symlink_to(targets.get(kind, "nothing"))


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_no_trial_can_get_is_refused_unless_it_is_left_out(tmp_path: Path, kind: str) -> None:
    """The sentence gives the pattern that leaves it out."""
    plant(tmp_path, *TREE)
    make_unusable(tmp_path, kind)
    (found,) = problems_of(tmp_path, with_files("src/**"))
    assert found.startswith(f"6:38: experiment.files[0]: {UNUSABLE[kind]}")
    assert kind in {"line break", "no UTF-8"} or found.endswith(', or leave it out with "!src/x"')
    assert included(tmp_path, "src/**", "!src/x*") == ("src/a.py", "src/deep/b.py")


def test_a_link_to_a_file_of_the_study_is_a_file(tmp_path: Path) -> None:
    """Links to folders are not followed, so that nothing is included twice or for ever."""
    plant(tmp_path, *TREE)
    (tmp_path / "src/link.py").symlink_to("../src/deep/b.py")
    (tmp_path / "src/deep/up").symlink_to("..")
    assert included(tmp_path, "src/*") == ("src/a.py", "src/link.py")
    assert included(tmp_path, "src/**", "!**/up") == ("src/a.py", "src/deep/b.py", "src/link.py")


def test_each_bad_pattern_is_reported(tmp_path: Path) -> None:
    """One mistake hides no other, and each pattern has at most one."""
    plant(tmp_path, *TREE)
    make_unusable(tmp_path, "link out")
    (tmp_path / "src/y").symlink_to("/etc")
    found = problems_of(tmp_path, with_files("/a", "src/*", "b", "!../c"))
    assert [one.partition(": ")[2].partition(":")[0] for one in found] == [
        f"experiment.files[{index}]" for index in range(4)
    ]


class OwnRuns(Locked):
    """An outside that knows where runs are."""

    @property
    def ours(self) -> tuple[str, ...]:
        """Return the folder of runs."""
        return ("reports",)


def test_runs_are_no_inputs(tmp_path: Path) -> None:
    """Otherwise each run would change the experiment, so that no run could be resumed."""
    plant(tmp_path, *TREE, "reports/run/run.json", "src/reports/x.py")
    (tmp_path / "reports/latest").symlink_to("run")
    plant(tmp_path, "run.py")
    (tmp_path / "matrix.yaml").write_text(with_files("**", "!configs/*"))
    matrix = read(tmp_path / "matrix.yaml", OwnRuns())
    assert matrix.experiment.files == ("src/a.py", "src/deep/b.py", "src/reports/x.py")


@pytest.mark.parametrize(
    "patterns",
    [
        ["/".join(["**"] * 300) + "/x"],
        ["**/a/" * 150 + "x"],
        ["**/*a*/" * 100 + "x"],
        ["*a" * 400],
        ["**", "!" + "**/a/" * 150 + "x"],
        ["**", "!" + "**/*a*/" * 120 + "x"],
    ],
    ids=lambda patterns: patterns[-1][:10],
)
def test_no_pattern_takes_long(tmp_path: Path, patterns: list[str]) -> None:
    """The time does not grow exponentially with the stars in a pattern."""
    plant(tmp_path, "a/" * 40 + "f.py", "a" * 200)
    began = time.monotonic()
    text = with_files(*patterns)
    if len(patterns) > 1:
        assert len(study(tmp_path, text).experiment.files) == 2
    else:
        assert "no file matches" in problems_of(tmp_path, text)[0]
    assert time.monotonic() - began < 5


def test_there_is_a_limit_to_the_number_of_files(tmp_path: Path) -> None:
    """It applies to what is left in the end, so a large folder can be left out."""
    names = [f"data/{number}" for number in range(10_001)]
    (tmp_path / "data").mkdir()
    for name in names:
        (tmp_path / name).touch()
    plant(tmp_path, "aaa/x", "zzz/x")
    too_many = "6:37: experiment.files: these are more than 10,000 files; include fewer"
    assert problems_of(tmp_path, with_files("**")) == [too_many]
    assert included(tmp_path, "**", "!data/**") == ("aaa/x", "zzz/x")


def test_there_is_a_limit_to_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pattern can walk through a whole disk of files."""
    monkeypatch.setattr("runner.read.inputs.MOST_MATCHED", 3)
    plant(tmp_path, *TREE)
    (found,) = problems_of(tmp_path, with_files("**", "!src/**"))
    said = "6:38: experiment.files[0]: this matches more than 3 files; write a narrower pattern"
    assert found == said


def test_a_trial_has_room_for_its_files(tmp_path: Path) -> None:
    """Otherwise no trial could start."""
    plant(tmp_path, *(f"src/{number}/x" for number in range(9)))
    text = with_files("src/**") + "limits: {files: 20}\n"
    assert problems_of(tmp_path, text) == [
        (
            "6:13: experiment: a trial has room for 20 files, and these need 21 with their "
            "folders; include fewer, or raise `limits: {files: ...}`"
        )
    ]
    assert study(tmp_path, text.replace("20", "22")).limits.files == 22


def test_the_script_and_the_data_are_inputs_once(tmp_path: Path) -> None:
    """A file may be data and match a pattern."""
    plant(tmp_path, "data/m.bin", "data/n.bin")
    keys = 'script: ./run.py, files: [data/*, "*.py"], data: [data/n.bin]'
    found = study(tmp_path, with_experiment(keys)).experiment
    assert found.script == "run.py"
    assert found.inputs == ("run.py", "data/m.bin", "data/n.bin")


ARGUMENTS = {
    "--size={size}": "--size=2",
    "{lib}/{seed}": "2.0/7",
    "{rate} {fast}": "0.001 true",
    "{batch size}": "32",
    "{1st}{Gr\u00f6\u00dfe}": "ab",
    "{{size}}": "{size}",
    "{{{size}}}": "{{size}}",
    "{{anything}}": "{anything}",
    '{"size": {"size": 2}, "x": {}}': '{"size": {"size": 2}, "x": {}}',
    "{}": "{}",
    "{0} {-x}": "{0} {-x}",
    "a b'\"$HOME;`": "a b'\"$HOME;`",
    "": "",
}
NAMED = 'parameters: {rate: 1e-3, fast: true, batch size: 32, 1st: a, "Gr\u00f6\u00dfe": b}\n'


@pytest.mark.parametrize("written", ARGUMENTS)
def test_braces_stand_for_parameters(tmp_path: Path, written: str) -> None:
    """Parameters, axes and the seed are filled in; everything else is passed as it is."""
    text = with_experiment(f"script: run.py, args: [{json.dumps(written)}]") + NAMED
    matrix = study(tmp_path, text)
    command = matrix.experiment.command_of(matrix.cell("lib=2.0,size=2"), 7)
    assert command == ("python", "run.py", ARGUMENTS[written])


def commands(matrix: Matrix) -> list[tuple[str, ...]]:
    """Return the command of each cell."""
    return [matrix.experiment.command_of(cell, 1) for cell in matrix.cells]


def test_numbers_and_booleans_are_arguments(tmp_path: Path) -> None:
    """They are passed as they are written in ids."""
    keys = "script: run.py, args: [--epochs, 5, -1, 0.5, true]"
    found = study(tmp_path, with_experiment(keys)).experiment
    assert found.args == ("--epochs", "5", "-1", "0.5", "true")


def test_a_command_stands_for_itself(tmp_path: Path) -> None:
    """It needs no script, and its first word is the program."""
    keys = 'command: [sh, -c, "echo {size}"]'
    found = study(tmp_path, with_experiment(keys))
    assert found.experiment.script is None
    assert commands(found) == [("sh", "-c", f"echo {size}") for size in (1, 2, 1, 2)]


def test_a_script_is_never_an_option_of_python(tmp_path: Path) -> None:
    """Its name may begin with a dash."""
    plant(tmp_path, "-c")
    found = study(tmp_path, with_experiment('script: "-c", args: ["1"]'))
    assert found.experiment.command == ("python", "./-c", "1")


MISTAKES = {
    "": "6:13: experiment: there is nothing to run; give `script` or `command`",
    "args: [a]": "6:13: experiment: there is nothing to run; give `script` or `command`",
    "script: run.py, command: [a]": (
        "6:30: experiment.command: give either a script with `args`, or a command; remove one of "
        "them"
    ),
    "command: [a], args: [b]": (
        "6:28: experiment.args: add these to the command, which has its own arguments"
    ),
    "command: []": "6:23: experiment.command: this is empty; write an entry, or remove the key",
    "command: pytest": '6:23: experiment.command: expected a list, found "pytest"',
    'script: run.py, args: ["{sise}", "{x} {x}"]': (
        '6:37: experiment.args[0]: unknown parameter "sise"; did you mean `size`?\n'
        '6:47: experiment.args[1]: unknown parameter "x"; expected lib, seed or size'
    ),
    'command: [a, "{sed}"]': (
        '6:27: experiment.command[1]: unknown parameter "sed"; did you mean `seed`?'
    ),
    "script: run.py, args: [[a], 2020-01-01, {a: b}]": (
        "6:37: experiment.args[0]: expected text or a number, found a list\n"
        '6:42: experiment.args[1]: 2020-01-01 is a YAML date; quote it: "2020-01-01"\n'
        "6:54: experiment.args[2]: expected text or a number, found keys with values"
    ),
    'script: run.py, args: ["a\\nb"]': (
        '6:37: experiment.args[0]: expected text without control characters, found "a\\nb"'
    ),
    "script: run.py, arg: [a]": "6:30: experiment.arg: unknown key; did you mean `args`?",
    "script: run.py, files: src": '6:37: experiment.files: expected a list, found "src"',
    "script: run.py, data: [a/x, b/x]": (
        '6:37: experiment.data[0]: "a/x" does not exist beside this file; check the path\n'
        '6:42: experiment.data[1]: "b/x" does not exist beside this file; check the path\n'
        '6:42: experiment.data[1]: "x" is already at experiment.data[0]; change or remove one'
    ),
}


@pytest.mark.parametrize("keys", MISTAKES)
def test_a_wrong_experiment_is_refused(tmp_path: Path, keys: str) -> None:
    """Each mistake has its line, its column and a remedy."""
    assert problems_of(tmp_path, with_experiment(keys)) == MISTAKES[keys].split("\n")


def test_a_parameter_of_some_cells_is_no_argument_of_all(tmp_path: Path) -> None:
    """An include entry may add a parameter, and all cells need it."""
    text = with_experiment('script: run.py, args: ["{batch}", "{1st}"]')
    included = 'include: [{lib: "1.0", parameters: {batch: 64, 1st: 1}}]\n'
    assert problems_of(tmp_path, text + included) == [
        (
            '6:37: experiment.args[0]: only some cells have the parameter "batch"; add it to '
            "`parameters`"
        ),
        (
            '6:48: experiment.args[1]: only some cells have the parameter "1st"; add it to '
            "`parameters`"
        ),
    ]
    found = study(tmp_path, text + included + "parameters: {batch: 32, 1st: 0}\n")
    assert [command[2:] for command in commands(found)] == [("64", "1")] * 2 + [("32", "0")] * 2
