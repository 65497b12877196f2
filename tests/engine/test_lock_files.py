"""A pull request that bumps one package in uv.lock: verdict, differences and exit code."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from runner.errors import Exit
from runner.python import uv
from tests.support.public_index import index_or_skip
from tests.support.repositories import ask, commit
from tests.support.studies import ended, run_folders, started

pytestmark = [pytest.mark.engine, pytest.mark.index]

MATRIX = """\
format: 1
name: pull-request
axes:
  deps: {lock: {before: "git:main:uv.lock", after: uv.lock}}
experiment: {script: bench.py}
metrics: {seconds: {unit: s, better: lower, timed: false}}
policy: {seconds: +5%}
limits: {memory: 512m, timeout: 60}
blocks: 5
looks: 1
repeats: 0
"""
SCRIPT = """\
import json, os
from importlib.metadata import version
import six, toolz

steps = {"1.15.0": 100, "1.16.0": 130}[version("six")]
values = {"seconds": steps + int.from_bytes(os.urandom(1), "big") / 500}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""
PROJECT = """\
[project]
name = "app"
version = "0.1"
requires-python = ">=3.10"
dependencies = [{needs}]
"""


def _locked(folder: Path, *needs: str) -> dict[str, str]:
    """Return the files of a project, locked by uv."""
    text = PROJECT.format(needs=", ".join(f'"{one}"' for one in needs))
    (folder / "pyproject.toml").write_text(text)
    command = [uv.binary(), "lock", "--quiet", "--project", str(folder)]
    subprocess.run(command, check=True, cwd=folder, env=os.environ)
    return {"pyproject.toml": text, "uv.lock": (folder / "uv.lock").read_text()}


@pytest.mark.usefixtures("programs_engine")
def test_a_pull_request_gets_a_verdict(tmp_path: Path) -> None:
    """`--gate` says hold, and the report names what the pull request changed."""
    index_or_skip()
    assert len(MATRIX.splitlines()) <= 12
    ask(tmp_path, "init", "--quiet", "--initial-branch=main")
    files = _locked(tmp_path, "six==1.15.0", "toolz==0.12.0", "toml==0.10.2")
    commit(tmp_path, {**files, "bench.py": SCRIPT, "matrix.yaml": MATRIX})
    ask(tmp_path, "checkout", "--quiet", "-b", "bump")
    files = _locked(tmp_path, "six==1.16.0", "toolz==0.12.0", "tomli==2.0.1")
    commit(tmp_path, files)
    program = started(tmp_path, "--matrix", "matrix.yaml", "--gate")
    code, out, err = ended(program, timeout_s=400)
    assert (code, err) == (Exit.HOLD, ""), out
    report = (run_folders(tmp_path)[-1].path / "report.md").read_text()
    assert "Do not upgrade to deps after (hold)" in report
    assert re.search(r"\(hold\): seconds (29\.\d|30|30\.\d)\s% higher \(", report)
    assert "Changed: six 1.15.0 \N{RIGHTWARDS ARROW} 1.16.0." in report
    assert "Added: tomli 2.0.1." in report
    assert "Removed: toml 0.10.2." in report
    assert "Unchanged: 1 package." in report
