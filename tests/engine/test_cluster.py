"""Blocks on three hosts with their own daemons, over TLS: hosts die, and no block suffers.

``make test-cluster`` does the same with the founding study.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import docker
import pytest

from runner.errors import Exit
from runner.records.study import Status
from tests.support.clusters import POSSIBLE, REASON, Cluster, certificates, lent_cluster
from tests.support.hosts import Host
from tests.support.studies import ended, results, run_folders, write_study
from tests.support.trials import plain_environment

pytestmark = [pytest.mark.engine, pytest.mark.skipif(not POSSIBLE, reason=REASON)]

SLEEP = """
import json, os, time
time.sleep(1)
json.dump({"format": 1, "values": {"x": 1.5}}, open(os.environ["RESULT_PATH"], "w"))
"""
QUICKLY = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}
"""Notice a pulled cable as early as Dask can; the default is 30 s."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a scheduler with workers on three hosts; afterwards nothing of them is left."""
    with lent_cluster(tmp_path_factory.mktemp("cluster"), 3, QUICKLY) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return variables that name the certificates of another authority."""
    return certificates(tmp_path_factory.mktemp("foreign"))


def test_a_foreign_certificate_is_refused(
    cluster: Cluster, foreign: Mapping[str, str], tmp_path: Path
) -> None:
    """A sentence says so, on both sides."""
    write_study(tmp_path, plain_environment(), SLEEP)
    code, out, err = ended(cluster.run(tmp_path, variables=foreign))
    assert (code, out) == (Exit.ENGINE, "")
    assert "shows a certificate that our authority has not signed" in err
    mixed = {name: one for name, one in cluster.variables.items() if "CA_FILE" in name}
    code, out, err = ended(cluster.run(tmp_path, variables={**foreign, **mixed}))
    assert (code, out) == (Exit.ENGINE, "")
    assert "refuses our certificate (tlsv1 alert unknown ca)" in err
    assert "Traceback" not in err


def test_no_block_suffers_when_hosts_die(cluster: Cluster, tmp_path: Path) -> None:
    """One host is killed in mid-block, and another one is cut off: every block is whole, once."""
    write_study(tmp_path, plain_environment(), SLEEP)
    killed, cut_off, _ = cluster.hosts
    run = cluster.run(tmp_path, "--blocks", "4")
    for host in (cut_off, killed):
        cluster.await_line(f"{host.name}.log", "  ok", 1)
    await_trial(killed)
    killed.die()
    cut_off.pull_cable()
    code, out, err = ended(run)
    assert (code, err) == (Exit.OK, ""), out + err
    found = results(tmp_path)
    planned = run_folders(tmp_path)[-1].plan().trials
    assert found.keys() == {trial.id for trial in planned}
    assert {one.status for one in found.values()} == {Status.OK}
    machines = run_folders(tmp_path)[-1].run().machines
    assert sorted(block for one in machines for block in one.blocks) == [1, 2, 3, 4]


def await_trial(host: Host) -> None:
    """Wait until a container runs on a host."""
    with closing(docker.DockerClient(host.address)) as client:
        deadline = time.monotonic() + 60
        while not client.containers.list():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_host_that_was_cut_off_stops_measuring(cluster: Cluster) -> None:
    """Its worker ends, and leaves nothing on the engine."""
    cut_off = cluster.hosts[1]
    cluster.await_line(f"{cut_off.name}.log", "is gone, or has sent this worker away", 1)
    with closing(docker.DockerClient(cut_off.address)) as client:
        assert client.containers.list(all=True) == []


def test_what_a_killed_worker_left_is_removed(cluster: Cluster, tmp_path: Path) -> None:
    """The host starts again, with the container of its last trial."""
    killed, _, kept = cluster.hosts
    kept.die()
    killed.start()
    with closing(docker.DockerClient(killed.address)) as client:
        assert client.containers.list(all=True) != []
        cluster.start_worker(killed)
        cluster.await_line(f"{killed.name}.log", "is a worker of", 2)
        write_study(tmp_path, plain_environment(), SLEEP)
        code, out, err = ended(cluster.run(tmp_path))
        assert (code, err) == (Exit.OK, ""), out + err
        assert client.containers.list(all=True) == []
