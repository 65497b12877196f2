"""Runs at the same time on one machine: they take turns on the core they measure on."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from runner.records.study import Status
from tests.support.studies import ended, results, started, write_study
from tests.support.trials import NUMBER, plain_environment

pytestmark = pytest.mark.engine


@pytest.mark.usefixtures("programs_image")
def test_no_trial_measures_while_another_run_does(tmp_path: Path) -> None:
    """Both runs complete, and their trials never overlap."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        write_study(folder, plain_environment(), f"import time; time.sleep(1); {NUMBER}", blocks=1)
    running = [started(folder, "--matrix", "matrix.yaml") for folder in folders]
    for program in running:
        code, out, err = ended(program)
        assert (code, err) == (0, ""), out
    found = [one for folder in folders for one in results(folder).values()]
    assert {one.status for one in found} == {Status.OK}
    assert sum(one.waited_s for one in found) > 0.5
    spans = sorted((one.started_at, one.duration_s or 0.0) for one in found)
    for (start, seconds), (following, _) in pairwise(spans):
        assert start + timedelta(seconds=seconds) <= following + timedelta(seconds=0.1)
