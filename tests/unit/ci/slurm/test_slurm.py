"""The script for Slurm: what it asks for, and whether shells understand it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit

SHELLCHECK = Path(sys.executable).with_name("shellcheck")
MATRIX = """\
format: 1
name: two
axes: {size: [1, 2]}
experiment: {script: script.py}
metrics: {x: {better: lower}}
limits: {timeout: 10m}
blocks: 7
"""


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a study, which is the working folder."""
    (tmp_path / "script.py").write_text("")
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(*words: str) -> str:
    """Run ``ci slurm``; return the script."""
    assert main(["ci", "slurm", *words]) == Exit.OK
    return Path("two.sbatch").read_text()


def settings(script: str) -> dict[str, str]:
    """Return what Slurm reads: the comments before the first command."""
    head = script.partition("\nset -eu\n")[0]
    return dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", head, re.MULTILINE))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run ``ci`` with a mistake; return the message."""
    assert main(["ci", *words]) == Exit.CONFIG
    return capsys.readouterr().err


def executed(script: str, study: Path, *words: str, task: str | None = "3") -> tuple[int, str, str]:
    """Execute the script in a task of array 123, with a runner that prints its arguments."""
    (study / "python").write_text('#!/bin/sh\necho "$@"\n')
    (study / "python").chmod(0o755)
    known = {} if task is None else {"SLURM_ARRAY_JOB_ID": "123", "SLURM_ARRAY_TASK_ID": task}
    done = subprocess.run(
        ["bash", "-c", script, "two.sbatch", *words],
        env={"PATH": f"{study}:/usr/bin:/bin", **known},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_each_block_has_a_task_on_a_node_of_its_own() -> None:
    """A node that fails costs no block."""
    found = settings(written())
    assert found["array"] == "1-7"
    assert {"exclusive", "requeue"} <= found.keys()
    assert (found["nodes"], found["mem"], found["open-mode"]) == ("1", "0", "append")


def test_the_time_limit_is_what_the_limits_of_a_task_allow() -> None:
    """Three trials of ten minutes, with the A/A control, and five minutes for the environment."""
    assert settings(written())["time"] == "0-00:35:00"
    assert settings(written("--shards", "3"))["time"] == "0-01:35:00"
    assert settings(written("--blocks", "300", "--shards", "2"))["time"] == "3-03:05:00"


def test_shells_understand_the_script() -> None:
    """So do the tasks of a study with several blocks for each of them."""
    for words in ((), ("--shards", "3", "--blocks", "21", "--engine", "podman")):
        written(*words)
        for command in (["bash", "-n"], [str(SHELLCHECK)]):
            done = subprocess.run(
                [*command, "two.sbatch"], capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_task_executes_its_shard_in_a_folder_of_its_own(study: Path) -> None:
    """Tasks that are submitted again add to the first array."""
    script = written("--shards", "3", "--reports", "runs")
    code, out, err = executed(script, study)
    assert (code, err) == (0, "")
    assert out == (
        "-m runner run --matrix matrix.yaml --locked --engine venv --blocks 7 "
        "--shard 3/3 --reports runs/slurm/123/3\n"
    )
    assert "--reports runs/slurm/99/3" in executed(script, study, "99")[1]


def test_the_script_says_that_it_is_for_sbatch(study: Path) -> None:
    """A shell alone executes no block."""
    code, out, err = executed(written(), study, task=None)
    assert (code, out) == (1, "")
    assert "submit this file with sbatch" in err


def test_the_commands_are_printed_and_in_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    """The script of somebody else says how to use it, too, and which command writes it again."""
    script = written("--blocks", "14", "--engine", "podman")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wrote two.sbatch; submit it where the nodes see this folder:"
    assert lines[2] == "  study=$(sbatch --parsable two.sbatch)"
    assert 'afterany:$study --job-name=two-merge --output=%x-%j.log --wrap="python -m' in lines[3]
    for line in lines[1:]:
        assert f"# {line}\n" in script
    again = re.search(r"^# python -m runner (ci slurm .*)$", script, re.MULTILINE)
    assert again
    assert written(*again[1].split()[2:]) == script


def test_a_file_of_somebody_else_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Our own script is replaced."""
    assert written() != written("--blocks", "8")
    Path("two.sbatch").write_text("#!/bin/bash\n")
    said = refused(capsys, "slurm")
    assert "two.sbatch: not written by this command; remove or rename it first." in said
    assert Path("two.sbatch").read_text() == "#!/bin/bash\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("slurm --blocks 2 --shards 3", "3 tasks cannot share 2 blocks; use fewer --shards"),
        ("slurm --reports $(id)", '"$(id)" cannot be used in a Slurm script: use a path with'),
        ("slurm --action a/b@c", "--action is only for `ci github`; leave it out."),
        ("github --blocks 3", "--blocks is only for `ci slurm`; leave it out."),
        ("github --engine venv", "--engine is only for `ci slurm`; leave it out."),
    ],
)
def test_mistakes_are_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written."""
    assert said in refused(capsys, *words.split())
    assert not Path("two.sbatch").exists()
