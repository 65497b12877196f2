"""Dask as the cluster, on loopback: a scheduler, a worker in this process, and a run."""

import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.cli import main
from runner.cli.progress import Progress
from runner.errors import EngineError, Exit
from runner.records.study import Status
from runner.runs.folder import RunFolder
from tests.support.studies import ROOT
from tests.support.whole_runs import WatchedEngine, reachable, study

pytest.importorskip("distributed")

from runner.cluster.dask import DaskCluster, serve

DASK = Path(sys.executable).with_name("dask")
PATIENCE_S = 60.0


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Return the address of a scheduler on this machine."""
    with started(tmp_path / "log", {"PYTHONPATH": str(ROOT)}) as address:
        yield address


@contextmanager
def started(log: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """Start a scheduler, and return its address."""
    words = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [str(DASK), "scheduler", *words, "--no-dashboard"],
            env={**os.environ, "PYTHONPATH": "", **variables},
            cwd=log.parent,
            stdout=output,
            stderr=output,
        ) as program,
    ):
        deadline = time.monotonic() + PATIENCE_S
        try:
            while not (found := re.search(r"Scheduler at: +(\S+)", log.read_text())):
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield found[1]
        finally:
            program.kill()


def test_a_worker_executes_the_blocks_of_a_run(
    scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets what it lacks while its task waits, and ends when it is dismissed."""
    monkeypatch.setattr("runner.system.cores.keep_off_measured", lambda *_: None)
    study(reachable(monkeypatch))
    engine, said = WatchedEngine(), io.StringIO()
    with Progress(said) as observer:
        worker = threading.Thread(target=serve, args=(scheduler, "h1", lambda: engine, observer))
        worker.start()
        try:
            assert main(["--cluster", scheduler, "--blocks", "2"]) == Exit.OK
        finally:
            cluster = DaskCluster(scheduler)
            for one in cluster.workers():
                cluster.dismiss(one)
            cluster.close()
            worker.join(PATIENCE_S)
    found = RunFolder(Path("reports/latest"))
    assert {one.status for one in found.results()} == {Status.OK}
    assert [one.blocks for one in found.run().machines] == [(1, 2)]
    assert len(engine.executed) == 6
    assert f"is a worker of {scheduler}" in said.getvalue()
    assert not worker.is_alive()


def test_a_scheduler_needs_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence says so, instead of the traceback of Dask."""
    monkeypatch.setattr("runner.cluster.dask.DaskCluster.workers", lambda _: ["one"])
    study(reachable(monkeypatch))
    (tmp_path / "runner.py").write_text("")  # which has no cluster
    with started(tmp_path / "log", {"PYTHONPATH": str(tmp_path)}) as address:
        assert main(["--cluster", address, "--blocks", "2"]) == Exit.ENGINE
    assert "Dask could not execute a block (Error during des" in capsys.readouterr().err


def test_a_missing_scheduler_is_named() -> None:
    """Nothing waits for half a minute."""
    with pytest.raises(EngineError, match="does not answer"):
        DaskCluster("tcp://127.0.0.1:9")
