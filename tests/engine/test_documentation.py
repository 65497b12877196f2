"""The commands of the pages by task work as they are written there, in an empty folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import Exit
from runner.python import uv
from tests.support.public_index import index_or_skip
from tests.support.repositories import ask, commit
from tests.support.studies import CALM, ROOT

pytestmark = [pytest.mark.engine, pytest.mark.index, pytest.mark.usefixtures("programs_engine")]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w.-]+\.(?:py|yaml))`")
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


def parts(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield each block of a page: its language, the file that the text before it names, its text.

    A block belongs to the last file that the paragraph before it names.
    """
    text, end = (ROOT / "docs" / page).read_text(encoding="utf-8"), 0
    for block in BLOCK.finditer(text):
        named = FILE.findall(text[end : block.start()].rsplit("\n\n", 2)[-2])
        end = block.end()
        yield block[1], named[-1] if named else "", block[2]


def follow(page: str, folder: Path) -> list[str]:
    """Write the files of a page and run its commands in order; return the commands."""
    done = []
    for language, name, text in parts(page):
        if language == "console":
            for line in re.findall(r"^\$ (.+)$", text, re.MULTILINE):
                done += [line] if line == "pip install matrix-runner" else [run(line, folder)]
        elif name:
            (folder / name).write_text(text)
    return done


def run(line: str, folder: Path) -> str:
    """Run a line in a shell that finds our program, as after its installation.

    It ignores that other tests keep the machine busy.
    """
    own = folder / ".bin"
    own.mkdir(exist_ok=True)
    program = own / "matrix-runner"
    program.write_text(f"#!{sys.executable}\n{CALM}")
    program.chmod(0o755)
    ended = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{own}{os.pathsep}{os.environ['PATH']}",
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


def test_the_first_five_minutes(tmp_path: Path) -> None:
    """From nothing to a report."""
    index_or_skip()
    assert len(follow("start.md", tmp_path)) == 5
    assert (tmp_path / "reports" / "latest" / "report.html").exists()


def test_a_lock_bump(tmp_path: Path) -> None:
    """In a project whose main branch has another lock file."""
    index_or_skip()
    ask(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, {**locked(tmp_path, "0.12.0"), "bench.py": BENCH})
    ask(tmp_path, "checkout", "--quiet", "-b", "bump")
    commit(tmp_path, locked(tmp_path, "1.0.0"))
    assert follow("lock-bump.md", tmp_path) == ["matrix-runner --gate"]
    report = (tmp_path / "reports" / "latest" / "report.md").read_text()
    assert "Changed: toolz 0.12.0" in report


def locked(folder: Path, version: str) -> dict[str, str]:
    """Return the files of a project that needs one package, locked by uv."""
    text = PROJECT.replace("{version}", version)
    (folder / "pyproject.toml").write_text(text)
    command = [uv.binary(), "lock", "--quiet", "--project", str(folder)]
    subprocess.run(command, check=True, cwd=folder, env=os.environ)
    return {"pyproject.toml": text, "uv.lock": (folder / "uv.lock").read_text()}
