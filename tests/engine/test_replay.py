"""A bundle made on one daemon is replayed on another one, which is empty and has no network."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from runner.engines.docker.labels import LABEL
from runner.records.study import Status
from runner.runs.folder import RunFolder
from tests.support.daemons import POSSIBLE, REASON, Daemon, lent
from tests.support.studies import ended, started, write_study
from tests.support.trials import plain_environment

pytestmark = [
    pytest.mark.engine,
    pytest.mark.alone,  # its trials wait for a quiet core
    pytest.mark.skipif(not POSSIBLE, reason=REASON),
]

# Its values are not times, so a busy machine cannot affect them.
SCRIPT = """
import json, os, random
order = json.load(open(os.environ["PARAMS_PATH"]))
values = {
    "x": order["cell"]["size"] * random.gauss(1, 0.005),
    "right": order["seed"] % 1000 / 10,
}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""
METRICS = "{x: {better: lower}, right: {better: higher, scale: difference}}"
PAIR = "compare: [{of: {size: 2}, against: {size: 1}, metrics: [x, right]}]\n"
TIMEOUT_S = 900  # on a busy machine each trial of a replay waits for a quiet core
ALONE = ["unshare", "--net", "--"]
REACHES = "import socket; socket.create_connection(('198.51.100.1', 80), timeout=5)"


@pytest.fixture(scope="module")
def unpacked() -> Iterator[Path]:
    """Return the unpacked bundle of a run on this machine's engine."""
    with tempfile.TemporaryDirectory(prefix="bundle-tests-", dir="/tmp") as place:
        study = Path(place, "study")
        study.mkdir()
        write_study(study, plain_environment(), SCRIPT, blocks=7)
        matrix = study / "matrix.yaml"
        text = matrix.read_text().replace("{x: {better: lower}}", METRICS)
        matrix.write_text(f"{text}baseline: {{size: 1}}\n{PAIR}")
        for verb in ([], ["bundle"]):
            code, out, err = ended(started(study, *verb, "--engine", "docker"), TIMEOUT_S)
            assert (code, err) == (0, ""), out
        subprocess.run(["tar", "-xf", study / "two-bundle.tar.gz"], cwd=place, check=True)
        shutil.rmtree(study)
        Path(place).chmod(0o755)
        yield Path(place, "two-bundle")


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Return an empty daemon on a machine without a network."""
    with lent(Daemon) as daemon:
        yield daemon


def replayed(
    bundle: Path, folder: Path, variables: Mapping[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    """Replay a bundle without anything else and without a network."""
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHON": sys.executable}
    return subprocess.run(
        [*ALONE, str(bundle / "replay.sh"), *options],
        cwd=folder,
        env={**own, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def checked(done: subprocess.CompletedProcess[str], folder: Path) -> RunFolder:
    """Check that a replay reproduced, and return its run."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "**reproduced**" in done.stdout
    run = RunFolder(folder / "reports/replays/latest")
    assert [one.status for one in run.results()] == [Status.OK] * 21
    return run


def test_replays_have_no_network() -> None:
    """The command that isolates the replays works."""
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", REACHES], capture_output=True, text=True, check=False
    )
    assert "Network is unreachable" in done.stderr


def test_a_bundle_is_replayed_on_an_empty_daemon(
    unpacked: Path, daemon: Daemon, tmp_path: Path
) -> None:
    """The base, the packages, the seeds and the conclusions are the same."""
    client = docker.DockerClient(daemon.address)
    assert client.images.list(all=True) == []
    done = replayed(unpacked, tmp_path, {"DOCKER_HOST": daemon.address}, "--engine", "docker")
    run = checked(done, tmp_path)
    labelled = {"label": LABEL + "environment"}
    assert len(client.images.list(filters=labelled)) == 1
    assert client.containers.list(all=True) == client.volumes.list() == []
    client.close()
    there = RunFolder(unpacked / "results").stored()
    here = run.stored()
    assert here.images[0].base.digest == there.images[0].base.digest
    assert [one.seed for one in here.plan.trials] == [one.seed for one in there.plan.trials]


def test_a_bundle_of_containers_is_replayed_by_processes(
    unpacked: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without an engine, even the interpreter comes from the bundle."""
    cache = Path(tempfile.mkdtemp(prefix="bundle-tests-", dir="/tmp"))
    cache.chmod(0o755)
    try:
        variables = {"MATRIX_RUNNER_CACHE": str(cache), "DOCKER_HOST": "unix:///nonexistent"}
        checked(replayed(unpacked, tmp_path, variables, "--engine", "venv"), tmp_path)
        (facts,) = cache.glob("*/environments/*/image.json")
        interpreter = (facts.parent / "bin" / "python").readlink()
        assert facts.parents[2] / "interpreters" in interpreter.parents
    finally:
        shutil.rmtree(cache)
