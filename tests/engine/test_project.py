"""A small library with two tags and a working tree: the report shows the slower release."""

import re
from pathlib import Path

import pytest

from tests.support.public_index import index_or_skip
from tests.support.repositories import ask, commit, set_traps
from tests.support.studies import ended, run_folders, started

pytestmark = [pytest.mark.engine, pytest.mark.index]

MATRIX = """\
format: 1
name: releases
axes:
  mine: {project: ., at: ["v1.0", "v1.1", worktree]}
experiment: {script: bench/bench.py}
metrics: {seconds: {unit: s, better: lower, timed: false}}
limits: {memory: 512m, timeout: 60}
blocks: 5
looks: 1
repeats: 0
"""
SCRIPT = """\
import json, os
import mine

values = {"seconds": mine.STEPS + int.from_bytes(os.urandom(1), "big") / 500}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""
PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "mine"
dynamic = ["version"]
[tool.setuptools]
packages = ["mine"]
[tool.setuptools.dynamic]
version = {attr = "mine.VERSION"}
"""


def _library(version: str, steps: int) -> str:
    return f'VERSION = "{version}"\nSTEPS = {steps}\n'


@pytest.mark.usefixtures("programs_engine")
def test_a_slower_release_is_found(tmp_path: Path) -> None:
    """The second tag is 10 % slower, and what is not committed yet is measured, too."""
    index_or_skip()
    ask(tmp_path, "init", "--quiet")
    files = {"pyproject.toml": PROJECT, "bench/bench.py": SCRIPT, "matrix.yaml": MATRIX}
    commit(tmp_path, {**files, "mine/__init__.py": _library("1.0", 100)})
    ask(tmp_path, "tag", "v1.0")
    commit(tmp_path, {"mine/__init__.py": _library("1.1", 110)})
    ask(tmp_path, "tag", "--annotate", "--message", "x", "v1.1")
    (tmp_path / "mine" / "__init__.py").write_text(_library("1.2", 90))
    set_traps(tmp_path, tmp_path.parent / "started")
    code, out, err = ended(started(tmp_path, "--matrix", "matrix.yaml"), timeout_s=400)
    assert (code, err) == (0, ""), out
    report = (run_folders(tmp_path)[-1].path / "report.md").read_text()
    assert re.search(r"mine v1\.1 against v1\.0: seconds (9\.\d|10|10\.0)\s% higher", report)
    assert re.search(r"mine worktree against v1\.0: seconds (9\.\d|10|10\.0)\s% lower", report)
    assert not (tmp_path.parent / "started").exists()
    code, out, _ = ended(started(tmp_path, "plan"))
    assert "to lock:  nothing\nto build: nothing" in out
