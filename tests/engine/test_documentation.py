"""The commands of the documents work as they are written there, in an empty folder.

``tests/unit/test_documents.py`` checks that every other command says why no test runs it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.engines.venv.cache import CACHE
from runner.errors import Exit
from runner.python import uv
from tests.support.documented import FOLLOWED, blocks
from tests.support.public_index import index_or_skip
from tests.support.repositories import ask, commit
from tests.support.studies import CALM, ROOT

pytestmark = [pytest.mark.engine, pytest.mark.index, pytest.mark.usefixtures("programs_engine")]

ALLOWED = {"--gate": {Exit.OK, Exit.HOLD}, "doctor": {Exit.OK, Exit.CELL_FAILED}}
"""What a command may also end with: the answer of a policy, and a machine that is not quiet."""
BENCH = "import toolz\n\nprint(toolz.first(range(10)))\n"
PROJECT = """\
[project]
name = "app"
version = "0.1"
requires-python = ">=3.10"
dependencies = ["toolz=={version}"]
"""


PROCESSES = """
from runner import engines
connect = engines.connect
engines.connect = lambda name, *others: connect("venv" if name == "auto" else name, *others)
"""
"""Take processes where a command leaves the engine open: they start faster."""
PYTHON = """\
#!/bin/sh
if [ "$1 $2" = "-m runner" ]; then shift 2; exec "{ours}" "$@"; fi
exec "{python}" "$@"
"""


def follow(page: str, folder: Path, *, processes: bool = False) -> list[str]:
    """Write the files of a page and run its commands in order; return the commands."""
    assert page in FOLLOWED
    install(folder / ".bin", PROCESSES if processes else "")
    done = []
    for block in blocks(ROOT / page):
        if block.commands and not block.reason:
            done += [run(line, folder) for line in block.commands]
        elif block.file and not block.commands:
            (folder / block.file).write_text(block.text)
    return done


def install(own: Path, first: str) -> None:
    """Write our program into a folder of programs, as after its installation.

    It ignores that other tests keep the machine busy.
    """
    own.mkdir(parents=True)
    program, python = own / "matrix-runner", own / "python"
    program.write_text(f"#!{sys.executable}\n{first}{CALM}")
    python.write_text(PYTHON.replace("{ours}", str(program)).replace("{python}", sys.executable))
    for path in (program, python):
        path.chmod(0o755)


def run(line: str, folder: Path) -> str:
    """Run a line in a shell that finds our program; return the line."""
    ended = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(folder),
            "PATH": f"{folder / '.bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    allowed = {code for word, codes in ALLOWED.items() if word in line.split() for code in codes}
    assert ended.returncode in (allowed or {Exit.OK}), f"{line}\n{ended.stdout}{ended.stderr}"
    assert "Traceback" not in ended.stderr
    return line


def founding(folder: Path) -> Path:
    """Copy the founding study and its published run into a folder; return the folder."""
    for name in ("matrix.yaml", "matrix.lock"):
        shutil.copy(ROOT / name, folder)
    for name in ("mnist_softmax.py", "data/mnist.npz"):
        (folder / "experiments" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "experiments" / name, folder / "experiments" / name)
    reports = folder / "reports"
    for path in (reports / "reference" / "founding", reports / "20261125-175958-founding"):
        shutil.copytree(ROOT / "reports" / "reference" / "founding", path)
    return folder


def test_the_first_five_minutes(tmp_path: Path) -> None:
    """From nothing to a report."""
    index_or_skip()
    assert len(follow("docs/start.md", tmp_path)) == 4
    assert (tmp_path / "reports" / "latest" / "report.html").exists()


def test_a_lock_bump(tmp_path: Path) -> None:
    """In a project whose main branch has another lock file."""
    index_or_skip()
    ask(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, {**locked(tmp_path, "0.12.0"), "bench.py": BENCH})
    ask(tmp_path, "checkout", "--quiet", "-b", "bump")
    commit(tmp_path, locked(tmp_path, "1.0.0"))
    assert follow("docs/lock-bump.md", tmp_path) == ["matrix-runner --gate"]
    report = (tmp_path / "reports" / "latest" / "report.md").read_text()
    assert "Changed: toolz 0.12.0" in report


def locked(folder: Path, version: str) -> dict[str, str]:
    """Return the files of a project that needs one package, locked by uv."""
    text = PROJECT.replace("{version}", version)
    (folder / "pyproject.toml").write_text(text)
    command = [uv.binary(), "lock", "--quiet", "--project", str(folder)]
    subprocess.run(command, check=True, cwd=folder, env=os.environ)
    return {"pyproject.toml": text, "uv.lock": (folder / "uv.lock").read_text()}


def test_the_readme(tmp_path: Path, readable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of two Pythons with all the commands that are often used."""
    monkeypatch.setenv(CACHE, str(readable / "readme"))
    (tmp_path / "sums.py").write_text("print(sum(range(10**5)))\n")
    done = follow("README.md", tmp_path, processes=True)
    assert len(done) == 7
    assert done[-1].startswith("python -m runner logs python=3.12")
    assert len(list(tmp_path.glob("reports/2*/report.html"))) == 3


def test_a_script_by_hand(tmp_path: Path) -> None:
    """It finds the copy of our module beside it."""
    assert len(follow("docs/experiments.md", tmp_path)) == 2
    assert (tmp_path / "trial.py").exists()


@pytest.mark.parametrize(("page", "count"), [("docs/running.md", 4), ("docs/faults.md", 1)])
def test_commands_about_a_run_that_is_over(tmp_path: Path, page: str, count: int) -> None:
    """They need no engine: completion, an issue, and why a trial would run."""
    (tmp_path / ".config" / "fish" / "completions").mkdir(parents=True)
    assert len(follow(page, founding(tmp_path))) == count
    if page == "docs/running.md":
        assert (tmp_path / "issue.md").read_text().startswith("#")
