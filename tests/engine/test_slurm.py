"""A study on a real Slurm: nodes and tasks are lost in mid-block, and every block is complete."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import Exit
from runner.records.study import Status
from tests.support import required
from tests.support.slurm import REASON, Slurm, lent_slurm, possible, until
from tests.support.studies import results, run_folders, write_study
from tests.support.trials import plain_environment

pytestmark = pytest.mark.engine

SLEEP = """
import json, os, time
time.sleep(1)
json.dump({"format": 1, "values": {"x": 1.5}}, open(os.environ["RESULT_PATH"], "w"))
"""


@pytest.fixture
def slurm(readable: Path) -> Iterator[Slurm]:
    """Return a Slurm of three nodes."""
    if not possible():
        assert not os.environ.get(required.SLURM), f"CI needs it: {REASON}"
        pytest.skip(REASON)
    (readable / "slurm").mkdir()
    with lent_slurm(readable / "slurm", 3) as found:
        yield found


def submit(slurm: Slurm, study: Path) -> tuple[str, str]:
    """Submit a study with the commands that ``ci slurm`` prints; return array and merge."""
    said = slurm.shell(study, "matrix-runner ci slurm")
    assert said.returncode == Exit.OK, said.stderr
    lines = [line.strip() for line in said.stdout.splitlines()[1:]]
    done = slurm.shell(study, "\n".join(["set -e", *lines, "echo array $study"]))
    assert done.returncode == 0, done.stderr
    found = re.search(r"Submitted batch job (\d+)\narray (\d+)\n", done.stdout)
    assert found, done.stdout
    return found[2], found[1]


def test_every_block_is_complete_when_nodes_die(slurm: Slurm, readable: Path) -> None:
    """Slurm repeats the block of a dead node, and a user one that was lost, as `merge` says."""
    study = readable / "study"
    study.mkdir()
    write_study(study, plain_environment(), SLEEP, blocks=4)
    array, merge = submit(slurm, study)
    slurm.told("scancel", f"{array}_4")
    log = study / f"two-{array}_1.log"
    until(lambda: log.exists() and "  ok" in log.read_text(), "there is no result", slurm.logs)
    name = slurm.told("squeue", "-h", "-j", f"{array}_1", "-o", "%N").strip()
    next(node for node in slurm.nodes if node.name == name).die()
    slurm.await_end(merge)
    said = (study / f"two-merge-{merge}.log").read_text()
    assert "3 of 4 blocks complete; block 4 missing" in said, said + slurm.logs()
    assert len(list((study / "reports" / "slurm" / array / "1").glob("2*"))) == 2
    assert "left out incomplete block 1" in said
    assert "run --shard 4/4" in said

    repeated = slurm.shell(study, f"sbatch --parsable --array=4 two.sbatch {array}").stdout.strip()
    slurm.await_end(repeated)
    merged = slurm.shell(study, f"matrix-runner merge reports/slurm/{array}")
    assert merged.returncode == Exit.OK, merged.stderr + slurm.logs()
    assert "missing" not in merged.stdout
    found, run = results(study), run_folders(study)[-1]
    assert found.keys() == {trial.id for trial in run.plan().trials}
    assert {one.status for one in found.values()} == {Status.OK}
    assert len(run.run().machines) == 2
