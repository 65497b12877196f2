"""A run on a cluster: its blocks are saved whole as they arrive, whatever happens to workers."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from runner.cli.progress import Progress
from runner.errors import Exit
from runner.records.run import Host
from runner.records.study import Status
from runner.runs.folder import RunFolder
from runner.system.host import this_host
from tests.support.fake_cluster import FakeCluster
from tests.support.whole_runs import (
    MATRIX,
    WatchedEngine,
    declare,
    environment,
    lock,
    reachable,
    study,
)

ON_CLUSTER = ("--cluster", "tcp://127.0.0.1:8786", "--blocks", "4")
RESULTS = 12
"""Of two cells and the control in four blocks."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return the engine on the machine of the run, which has all images."""
    monkeypatch.setattr("runner.system.cores.keep_off_measured", lambda *_: None)
    engine = reachable(monkeypatch)
    study(engine)
    return engine


@pytest.fixture
def engines() -> Mapping[str, WatchedEngine]:
    """Return the engines of two workers, which have no images."""
    return {"h1": WatchedEngine(), "h2": WatchedEngine()}


@pytest.fixture
def cluster(
    engine: WatchedEngine,
    engines: Mapping[str, WatchedEngine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FakeCluster]:
    """Return the cluster that every command reaches. Each answer comes from the next host."""
    with Progress(io.StringIO()) as observer:
        cluster = FakeCluster(tmp_path / "workers", engines, observer)
        monkeypatch.setattr("runner.cluster.connect", lambda _: cluster)

        def host() -> Host:
            return this_host()

        monkeypatch.setattr("runner.cluster.worker.this_host", host)
        yield cluster


def newest() -> RunFolder:
    """Return the newest run."""
    return RunFolder(Path("reports/latest"))


def blocks_on_machines() -> list[int]:
    """Return the blocks that belong to machines, as often as they do."""
    return sorted(block for one in newest().run().machines for block in one.blocks)


def test_every_block_is_executed_once_and_saved_whole(
    cluster: FakeCluster, engine: WatchedEngine
) -> None:
    """The workers execute everything, and get what they lack. The machine of the run only packs."""
    assert main([*ON_CLUSTER]) == Exit.OK
    assert sorted(block for _, block in cluster.blocks) == [1, 2, 3, 4]
    assert {worker for worker, _ in cluster.blocks} == {"h1", "h2"}
    found = newest().results()
    assert len({one.trial.id for one in found}) == len(found) == RESULTS
    assert {one.status for one in found} == {Status.OK}
    assert blocks_on_machines() == [1, 2, 3, 4]
    assert engine.launches == []
    assert (newest().path / "report.md").is_file()
    assert cluster.closed


def test_parts_are_sent_once_to_each_worker(
    cluster: FakeCluster, engines: Mapping[str, WatchedEngine]
) -> None:
    """What a worker has already is not even packed."""
    assert main([*ON_CLUSTER]) == Exit.OK
    first, sent = len(cluster.sent), set(cluster.sent)
    assert first == 2 * len(sent)  # script, data, base and packages
    assert main([*ON_CLUSTER, "--new"]) == Exit.OK
    assert len(cluster.sent) == first
    assert all(len(one.built) == 1 for one in engines.values())


def test_a_run_continues_with_the_missing_blocks(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """A block that ends all its workers is lost to this command, and nothing else is."""
    cluster.kills = {2}
    assert main([*ON_CLUSTER]) == Exit.ENGINE
    said = capsys.readouterr().out
    assert "Block 2 is lost: it ended 4 workers." in said
    assert "1 block lost. Run the same command to try again." in said
    assert blocks_on_machines() == [1, 3, 4]
    cluster.kills = set()
    assert main([*ON_CLUSTER]) == Exit.OK
    assert [block for _, block in cluster.blocks].count(2) == 1
    assert len(cluster.blocks) == 4
    assert len(newest().results()) == RESULTS


def test_half_a_saved_block_is_executed_again(cluster: FakeCluster) -> None:
    """It is never completed by another host."""
    assert main([*ON_CLUSTER]) == Exit.OK
    lost = next(one.trial for one in newest().results() if one.trial.block == 3)
    newest().remove_result(lost.id)
    assert main([*ON_CLUSTER]) == Exit.OK
    assert [block for _, block in cluster.blocks].count(3) == 2
    assert len(cluster.blocks) == 5
    assert len(newest().results()) == RESULTS
    assert blocks_on_machines() == [1, 2, 3, 4]


def test_a_local_run_never_continues_a_run_on_a_cluster(
    cluster: FakeCluster, engine: WatchedEngine
) -> None:
    """Its blocks belong to other machines."""
    cluster.kills = {2}
    assert main([*ON_CLUSTER]) == Exit.ENGINE
    before = newest().run().id
    assert main(["--blocks", "4"]) == Exit.OK
    assert newest().run().id != before
    assert newest().run().machines == ()


def test_a_worker_with_a_problem_is_sent_away(
    cluster: FakeCluster,
    engines: Mapping[str, WatchedEngine],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its block goes to another worker; it would fail with the next block, too."""
    engines["h1"].dies_at_trial = 0
    assert main([*ON_CLUSTER]) == Exit.OK
    said = capsys.readouterr().out
    assert cluster.dismissed == ["h1"]
    assert "goes to another worker, and h1 is sent away: the engine went away" in said
    assert len(newest().results()) == RESULTS


def test_a_run_ends_when_no_worker_is_left(
    cluster: FakeCluster,
    engines: Mapping[str, WatchedEngine],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reason of the last one is shown."""
    for one in engines.values():
        one.dies_at_trial = 0
    assert main([*ON_CLUSTER]) == Exit.ENGINE
    said = capsys.readouterr().err
    assert "no worker is left that can execute blocks; the last one said: the engine" in said
    assert newest().results() == ()


def test_a_trial_that_fails_is_a_result(cluster: FakeCluster) -> None:
    """The experiment is at fault, and not the worker."""
    entries = [environment(one) for one in declare(MATRIX.replace("two]", "broken]"))]
    lock(*entries)
    assert main([*ON_CLUSTER]) == Exit.CELL_FAILED
    found = newest().results()
    assert len(found) == RESULTS
    assert [one.status for one in found].count(Status.FAILED) == 4
    assert "it broke" in newest().log(
        next(one.trial.id for one in found if one.status is Status.FAILED)
    )
    assert cluster.dismissed == []


def test_packages_that_cannot_be_packed_concern_only_their_cells(
    cluster: FakeCluster, engines: Mapping[str, WatchedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason travels to the worker and back into the results."""

    def refuse(*_: object) -> None:
        from runner.errors import PackagesError  # noqa: PLC0415

        raise PackagesError("the index does not answer")

    monkeypatch.setattr("runner.cluster.packing.write_context", refuse)
    assert main([*ON_CLUSTER]) == Exit.CELL_FAILED
    found = newest().results()
    assert {one.status for one in found} == {Status.NO_IMAGE}
    assert {one.reason for one in found} == {"the index does not answer"}
    assert cluster.dismissed == []


def changed(**fields: Any) -> Any:
    """Return what changes fields of an answer."""
    return lambda content: json.dumps({**json.loads(content), **fields}).encode()


def of_results(change: Any) -> Any:
    """Return what changes the results of an answer."""

    def apply(content: bytes) -> bytes:
        answer = json.loads(content)
        answer["results"] = change(answer["results"])
        return json.dumps(answer).encode()

    return apply


def reseeded(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return results with another seed."""
    return [{**one, "trial": {**one["trial"], "seed": 5}} for one in results]


def in_block_9(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return results of another block."""
    return [{**one, "trial": {**one["trial"], "block": 9}} for one in results]


def without_metric(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return results that lack a metric."""
    return [{**one, "values": {}} for one in results]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: "no bytes", "it is not an answer"),
        (lambda _: b"\x80\x04", "the whole file"),
        (lambda content: content[:-20], "the whole file"),
        (changed(more=1), "more"),
        (changed(order="another"), "it answers another order"),
        (changed(engine=None), "it names no engine"),
        (changed(logs={}), "a log is missing"),
        (changed(images=[]), "its image is not one of the run"),
        (of_results(lambda found: found[1:]), "a log is missing"),
        (of_results(lambda found: [*found, found[0]]), "which was not ordered"),
        (of_results(reseeded), "which was not ordered"),
        (of_results(in_block_9), "which was not ordered"),
        (of_results(without_metric), "it lacks the metric x"),
    ],
)
def test_an_answer_that_is_not_valid_is_not_saved(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], change: Any, reason: str
) -> None:
    """It may come from anybody. Another worker executes the block."""
    cluster.changes["h2"] = change
    assert main([*ON_CLUSTER[:2], "--blocks", "1"]) == Exit.OK
    said = capsys.readouterr().out
    assert cluster.dismissed == ["h2"]
    assert "h2 is sent away: its answer is not valid" in said
    assert reason in said
    assert len(newest().results()) == 3
    assert {one.trial.seed for one in newest().results()} == {
        one.seed for one in newest().plan().trials
    }


def test_another_program_on_a_worker_is_refused(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its launcher could measure something else."""
    monkeypatch.setattr("runner.cluster.worker.own_digests", lambda _: {"launcher": "another"})
    assert main([*ON_CLUSTER]) == Exit.ENGINE
    assert "another version of matrix-runner" in capsys.readouterr().err


@pytest.mark.usefixtures("cluster")
def test_a_cluster_executes_all_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    """A shard of them makes no sense."""
    assert main([*ON_CLUSTER, "--shard", "1/2"]) == Exit.CONFIG
    assert "leave --shard out" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("run", "--cluster"), ("worker",)])
def test_without_the_extra_one_sentence_says_what_to_install(
    engine: WatchedEngine,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing else of the program needs Dask."""
    assert engine is not None

    def absent(_: str) -> None:
        raise ModuleNotFoundError("No module named 'dask'")

    monkeypatch.setattr("runner.cluster.import_module", absent)
    assert main([*words, "tcp://127.0.0.1:8786"]) == Exit.CONFIG
    said = capsys.readouterr().err
    assert said == (
        "a cluster needs Dask distributed (No module named 'dask'); install it with "
        "`pip install 'matrix-runner[cluster]'`.\n"
    )
