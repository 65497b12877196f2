"""Pythons that a minor version does not name: patch releases, and PyPy where there is one."""

from pathlib import Path

import pytest

from runner.python import interpreters
from tests.support.studies import ended, results, started
from tests.support.trials import INTERPRETER

pytestmark = pytest.mark.engine

MATRIX = """\
format: 1
name: pythons
axes:
  python: {{python: ["{one}", "{other}"]}}
experiment: {{script: script.py}}
metrics: {{x: {{better: lower}}}}
limits: {{memory: 256m, timeout: 60}}
blocks: 1
repeats: 0
"""
SCRIPT = """\
import json, os, sys
values = {"x": sys.version_info[1] + 100 * (sys.implementation.name == "pypy")}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""


def _values(folder: Path, one: str, other: str) -> dict[str, float]:
    """Run a study of two Pythons, and return what their scripts said."""
    (folder / "script.py").write_text(SCRIPT)
    (folder / "matrix.yaml").write_text(MATRIX.format(one=one, other=other))
    code, out, err = ended(started(folder, "--matrix", "matrix.yaml"), timeout_s=300)
    assert (code, err) == (0, ""), out
    return {one.trial.cell: one.values["x"] for one in results(folder).values()}


@pytest.mark.usefixtures("programs_engine")
def test_a_patch_release_is_an_interpreter_of_its_own(tmp_path: Path) -> None:
    """It can stand beside the minor version, which may be the same interpreter."""
    number = float(INTERPRETER.minor.partition(".")[2])
    assert _values(tmp_path, INTERPRETER.minor, INTERPRETER.version) == {
        f"python={INTERPRETER.minor}": number,
        f"python={INTERPRETER.version}": number,
    }


@pytest.mark.usefixtures("programs_engine")
def test_pypy_runs_on_a_base_of_this_machine(tmp_path: Path) -> None:
    """The script runs on PyPy, in an image that contains nothing else of this machine."""
    known = [name for number in range(8, 13) if interpreters.known(name := f"pypy3.{number}")]
    if not known:
        pytest.skip("this machine has no PyPy")
    found = _values(tmp_path, INTERPRETER.minor, known[0])
    assert found[f"python={known[0]}"] == 100 + float(known[0].partition(".")[2])
