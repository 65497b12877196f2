"""The runner's own wheels, from the real package index."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.bundle import wheels
from runner.errors import PackagesError

pytestmark = pytest.mark.index


def test_all_needed_wheels_are_collected(tmp_path: Path) -> None:
    """The runner, pip and the installed packages, in wheels that fit each Python."""
    other = "3.13" if wheels.this_python() != "3.13" else "3.12"
    wheels.collect(tmp_path, [wheels.this_python(), other])
    names = [path.name for path in tmp_path.iterdir()]
    for start in ("matrix_runner-", "pip-", "pydantic-", "uv-"):
        assert any(name.startswith(start) for name in names), start
    for python in (wheels.this_python(), other):
        tag = f"-cp{python.replace('.', '')}-"
        assert any(name.startswith("numpy-") and tag in name for name in names), python
    installed = ["install", "--quiet", "--dry-run", "--no-index", "--ignore-installed"]
    subprocess.run(
        [sys.executable, "-m", "pip", *installed, "--find-links", str(tmp_path), wheels.NAME],
        check=True,
    )


def test_a_failure_of_pip_is_reported(tmp_path: Path) -> None:
    """No Python 3.99 has wheels."""
    with pytest.raises(PackagesError, match=r"pip could not download the runner's wheels for Pyth"):
        wheels.collect(tmp_path, ["3.99"])
