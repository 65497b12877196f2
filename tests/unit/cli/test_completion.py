"""The scripts that complete words in a shell."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main
from runner.cli.arguments import VERBS
from runner.errors import Exit
from tests.support.matrices import SMALL, study

ROOT = Path(__file__).parents[3]
COMPLETE = """\
source ./script
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:' COMP_LINE=$1 COMP_POINT=${#1}
_matrix_runner
printf '%s\\n' "${COMPREPLY[@]}"
"""
CELLS = ["lib=1.0,size=1", "lib=1.0,size=2", "lib=2.0,size=1", "lib=2.0,size=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a study, two runs, the script for bash and the program."""
    folder = tmp_path_factory.mktemp("completion")
    study(folder, SMALL)
    (folder / "other.yaml").write_text(SMALL.replace('"1.0", "2.0"', '"9.0"'))
    for run in ("1-small", "2-small"):
        (folder / "reports" / run).mkdir(parents=True)
        (folder / "reports" / run / "run.json").touch()
    program = folder / "matrix-runner"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m runner "$@"\n')
    program.chmod(0o755)
    with (folder / "script").open("w") as script:
        words = [sys.executable, "-m", "runner", "completion", "bash"]
        subprocess.run(words, cwd=ROOT, stdout=script, check=True)
    return folder


def completed(folder: Path, line: str) -> list[str]:
    """Return what bash offers for the last word of a line."""
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", COMPLETE, "bash", line],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("matrix-runner ", list(VERBS)),
        ("matrix-runner st", ["status"]),
        ("matrix-runner help sch", ["schema"]),
        ("matrix-runner plan --b", ["--blocks"]),
        ("matrix-runner --qui", ["--quick", "--quiet"]),
        ("matrix-runner run --engine ", ["auto", "docker", "podman", "venv"]),
        ("matrix-runner --engine=d", ["docker"]),
        ("matrix-runner export --format p", ["pylock.toml"]),
        ("matrix-runner completion ", ["bash", "zsh", "fish"]),
        ("matrix-runner report ", ["1-small", "2-small"]),
        ("matrix-runner plan --blocks ", [""]),
        ("matrix-runner explain --reports nowhere ", CELLS),
        ("matrix-runner logs lib=2", ["2.0,size=1", "2.0,size=2"]),
        ("matrix-runner logs lib=2.0,size=", ["1", "2"]),
        ("matrix-runner export --matrix other.yaml lib=", ["9.0,size=1", "9.0,size=2"]),
        ("matrix-runner diff 1", ["1-small"]),
        ("matrix-runner plan -s ", ["lib=1.0", "lib=2.0", "size=1", "size=2"]),
        ("matrix-runner other.yaml -s lib=", ["9.0"]),
        ("matrix-runner report --issue lib=1.0,size=2", ["2"]),
        ("matrix-runner explain --matrix none.yaml ", [""]),
    ],
)
def test_bash_completes(folder: Path, line: str, words: list[str]) -> None:
    """Verbs, options, their values, cells and runs. After a = only the rest is offered."""
    assert completed(folder, line) == words


def test_no_value_of_a_matrix_is_evaluated(folder: Path) -> None:
    """A cell may be named like a command. It is offered in quotes, and nothing runs."""
    text = "format: 1\nname: a\naxes: {a: ['$(touch ran)', '`touch ran`; x']}\n"
    text += "experiment: {script: run.py}\nmetrics: {x: {better: lower}}\n"
    (folder / "hostile.yaml").write_text(text)
    offered = completed(folder, "matrix-runner hostile.yaml -s a=")
    offered += completed(folder, "matrix-runner logs --matrix hostile.yaml ")
    assert not (folder / "ran").exists()
    assert offered
    for one in offered:
        assert "$(" not in one.replace("\\$\\(", "")
        assert "`" not in one.replace("\\`", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_valid(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shell can read it, and it knows every verb."""
    assert main(["completion", shell]) == Exit.OK
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    assert not re.search("@[A-Z]+@", script.read_text())
    assert all(verb in script.read_text() for verb in VERBS)
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    option = "--no-execute" if shell == "fish" else "-n"
    subprocess.run([shell, option, str(script)], check=True)
