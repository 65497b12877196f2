"""benchmarks/fidelity: which trials run on which engine, and the comparison that is printed."""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fidelity import MATRIX, carry_out, engine_of, lines, on_engines, planned
from runner.cli.progress import Progress
from runner.errors import EngineError, EngineLostError
from runner.lock.file import lock_path, read_lock
from runner.prepare.recipe import used
from runner.read import read
from runner.records.run import EngineFacts, Trial, TrialResult
from runner.records.study import Status
from runner.runs.folder import RunFolder, occupied
from tests.support.fakes import QUIET, QuickEngine
from tests.support.samples import ok_result

NOISE = (0.002, -0.003, 0.001, 0.004, -0.002, 0.0, -0.001, 0.003)
FACTS = EngineFacts(
    name="docker",
    version="27.3.1",
    api="1.47",
    storage="overlay2",
    cgroup=2,
    cpus=2,
    memory_bytes=8 * 2**30,
    architecture="x86_64",
    kernel="6.1",
    system="Debian",
)
READING = replace(QUIET, cpus=(1,), wall_s=12.0, cpu_s=11.5, core_busy_s=11.6, waited_s=0.5)
Change = Callable[[TrialResult], TrialResult]
"""A change to a result before it is printed."""


def ended(trial: Trial, slower: float) -> TrialResult:
    """Return a result. Trials of the venv engine are slower by a share."""
    share = slower if engine_of(trial.cell) == "venv" else 0.0
    noise = NOISE[(trial.block + 3 * trial.position) % len(NOISE)]
    seconds = 1.7 * (1 + share + noise)
    values = {"startup_seconds": 3 * seconds, "test_accuracy": 92.5 + trial.block / 100}
    series = {"epoch_seconds": (seconds,) * 5, "epoch_cpu_seconds": (seconds,) * 5}
    done = ok_result(trial, values, series)
    return replace(done, reading=READING, duration_s=10 * seconds)


def printed(
    pairs: int = 8, *, slower: float = 0.0, control: bool = False, change: Change = lambda one: one
) -> Sequence[str]:
    """Return the lines that are printed for a complete plan."""
    matrix = on_engines(("docker", "venv"), pairs, 5)
    plan = planned(matrix, 1, control=control)
    results = [change(ended(trial, slower)) for trial in plan.trials]
    venv = replace(FACTS, name="venv", version="bwrap 0.8.0")
    return list(lines(matrix, plan, results, {"docker": FACTS, "venv": venv}))


def row(printed: Sequence[str], beginning: str) -> str:
    """Return the only line with this beginning, with single spaces."""
    (found,) = (line for line in printed if line.startswith(beginning))
    return " ".join(found.split())


def test_engines_are_an_axis_whose_trials_share_seeds() -> None:
    """Each block has one trial per engine with the same seed, and a control if requested."""
    matrix = on_engines(("docker", "venv"), 6, 5)
    assert [engine_of(cell.id) for cell in matrix.cells] == ["docker", "venv"]
    assert all(cell.parameters["epochs"] == 5 for cell in matrix.cells)
    for control, size in ((False, 2), (True, 3)):
        trials = planned(matrix, 1, control=control).trials
        blocks = [[one for one in trials if one.block == block] for block in range(1, 7)]
        assert {len(block) for block in blocks} == {size}
        assert {len({one.seed for one in block}) for block in blocks} == {1}
        assert len({engine_of(block[0].cell) for block in blocks}) == 2


def test_equal_engines_are_equivalent() -> None:
    """The ratio has an interval and its number of pairs, and equal accuracies are called equal."""
    found = printed()
    assert row(found, "time per epoch").endswith(" 8 equivalent within ±3 %")
    assert row(found, "whole trial").endswith(" 8 equivalent within ±3 %")
    assert row(found, "test accuracy").endswith(
        "+0.000 (+0.000 to +0.000) points 8 the same in every pair"
    )
    assert found[-1].startswith("venv against docker, time per epoch: equivalent")


def test_a_slower_engine_is_called_slower() -> None:
    """Ratio and verdict give the size. CPU time is called higher, not slower."""
    found = printed(slower=0.1)
    assert " 1.10" in row(found, "time per epoch")
    assert row(found, "time per epoch").endswith(" 8 slower by 10 %")
    assert row(found, "CPU time per epoch").endswith(" 8 higher by 10 %")


def test_a_failed_trial_is_listed_and_its_pair_is_left_out() -> None:
    """Neither the trial nor its counterpart is used as a number."""

    def fail(one: TrialResult) -> TrialResult:
        if one.trial.block != 3 or engine_of(one.trial.cell) != "venv":
            return one
        return replace(
            one, status=Status.FAILED, reason="exit code\x1b[31m 3", values={}, series={}
        )

    found = printed(change=fail)
    assert " 7 equivalent" in row(found, "time per epoch")
    assert " 7 the same" in row(found, "test accuracy")
    assert row(found, "no numbers from").endswith("engine=venv@b3.1: failed: exit code 3")


@pytest.mark.parametrize(("pairs", "expected"), [(1, "1 pair"), (2, "2 pairs"), (4, "4 pairs")])
def test_few_pairs_give_no_verdict(pairs: int, expected: str) -> None:
    """A verdict needs five pairs, as in a run, and an interval needs two."""
    found = row(printed(pairs, slower=0.5), "time per epoch")
    assert found.endswith(f"cannot tell: {expected} of the 5 needed")
    assert (" to " in found) == (pairs > 1)


def test_an_engine_without_a_sound_trial_gives_no_verdict() -> None:
    """There is no number, no ratio and no verdict."""

    def fail(one: TrialResult) -> TrialResult:
        if engine_of(one.trial.cell) == "docker":
            return one
        return replace(one, status=Status.OUT_OF_MEMORY, reason="over 4 GiB", values={}, series={})

    found = row(printed(change=fail), "time per epoch")
    assert found == "time per epoch (s) — — — 0 cannot tell: 0 pairs of the 5 needed"


def test_disturbed_trials_are_counted_and_have_no_wall_time() -> None:
    """Their accuracy counts, because the machine cannot change it."""

    def disturb(one: TrialResult) -> TrialResult:
        return replace(one, disturbed="others took 9 %") if one.trial.block == 2 else one

    found = printed(change=disturb)
    assert "16 trials executed, 2 of them disturbed; 2 of 16 stay so after repeats" in found
    assert " 7 equivalent" in row(found, "time per epoch")
    assert " 8 the same" in row(found, "test accuracy")


def test_a_busy_host_is_judged_by_cpu_time() -> None:
    """If too many trials stay disturbed, wall times are judged by their CPU time or not at all."""
    found = printed(change=lambda one: replace(one, disturbed="others took 9 %"))
    assert "the host was too busy for wall times; those that name a CPU time are judged by it" in (
        found
    )
    assert not [line for line in found if line.startswith("time per epoch")]
    assert row(found, "CPU time per epoch").endswith("equivalent within ±3 %")
    assert "cannot tell" in row(found, "whole trial")


def test_the_control_shows_the_noise_of_the_host() -> None:
    """The first engine is compared with itself in a separate table."""
    found = printed(control=True)
    (second,) = (at for at, line in enumerate(found) if "docker again / docker" in line)
    assert "equivalent" in row(found[second:], "time per epoch")


def test_engines_are_described_with_isolation_and_cores() -> None:
    """The output says which engines were compared."""
    found = printed()
    assert (
        row(found, "docker: ")
        == "docker: 27.3.1 (API 1.47), storage overlay2, cgroup v2. Cores: 1."
    )
    assert "isolation: bubblewrap (read-only root" in row(found, "venv: ")


class Elsewhere(QuickEngine):
    """An engine on another machine that already has the images, so no core is kept free."""

    def __init__(self, cores: int = 2) -> None:
        super().__init__()
        self._cores = cores
        for environment in used(read(MATRIX), read_lock(lock_path(MATRIX))):
            self.add_image(environment)

    def describe(self) -> EngineFacts:
        return replace(super().describe(), machine="another", cpus=self._cores)

    @property
    def holds(self) -> set[str]:
        """The kinds of things on the engine."""
        return {thing.kind for thing in self.owned()}


def executed(engines: Mapping[str, Elsewhere], folder: Path) -> list[TrialResult]:
    """Return the results of two blocks; afterwards each engine has only images."""
    matrix = on_engines(tuple(engines), 2, 5)
    plan = planned(matrix, 1, control=True)
    results: list[TrialResult] = []
    with suppress(EngineLostError), occupied(folder), Progress(io.StringIO()) as observer:
        for result in carry_out(matrix, plan, engines, RunFolder(folder), observer):
            results.append(result)  # noqa: PERF402
    assert [one.trial for one in results] == list(plan.trials)[: len(results)]
    assert [engine.holds for engine in engines.values()] == [{"image"}, {"image"}]
    return results


def test_each_trial_is_executed_on_its_engine(tmp_path: Path) -> None:
    """The order is that of the plan, and a failed trial is a result."""
    engines = {"docker": Elsewhere(), "venv": Elsewhere()}
    results = executed(engines, tmp_path)
    assert [one.status for one in results] == [Status.FAILED] * 6  # there is no TensorFlow here
    for name, engine in engines.items():
        cells = [one.trial for one in results if engine_of(one.trial.cell) == name]
        assert engine.executed == [one.id for one in cells]


def test_a_lost_engine_ends_the_comparison(tmp_path: Path) -> None:
    """Earlier results are kept, and both engines are cleared."""
    engines = {"docker": Elsewhere(), "venv": Elsewhere()}
    engines["venv"].dies_at_trial = 1
    results = executed(engines, tmp_path)
    assert engines["docker"].executed
    assert results[-1].status is Status.ENGINE_LOST


def test_engines_on_different_cores_are_refused(tmp_path: Path) -> None:
    """Otherwise the comparison would be one of cores."""
    with pytest.raises(EngineError, match="more cores"):
        executed({"docker": Elsewhere(), "venv": Elsewhere(cores=1)}, tmp_path)
