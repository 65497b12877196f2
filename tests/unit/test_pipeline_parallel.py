"""Trials side by side, from the command line to a small engine."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli import main
from runner.engines.protocol import Launch, Outcome, Owned
from runner.errors import Exit
from runner.records.study import Status
from runner.runs.folder import RunFolder
from tests.support.whole_runs import MATRIX, WatchedEngine, reachable, study

THREE = MATRIX.replace("[one, two]", "[one, two, three]")
PARALLEL = THREE + "parallel: 2\n"
UNTIMED = THREE.replace("unit: s", "unit: '', scale: difference")
WAITS_S = 20


class ParallelEngine(WatchedEngine):
    """An engine with four cores. Its trials run in this process, so one at a time really does."""

    def __init__(self) -> None:
        super().__init__()
        self.one = threading.Lock()

    def cores(self) -> tuple[int, ...]:
        return 0, 1, 2, 3

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        self.meet(launch)
        with self.one:
            return super().execute(launch, watch)

    def meet(self, launch: Launch) -> None:
        """Wait for what a test wants to happen."""


class Meeting(ParallelEngine):
    """Its trials wait for each other in pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = threading.Barrier(2)

    def meet(self, launch: Launch) -> None:
        self.pair.wait(WAITS_S)


def use(engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Write a study whose commands reach this engine."""
    reachable(monkeypatch)
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: engine)
    study(engine, text)


@pytest.mark.parametrize(
    ("text", "options"),
    [(PARALLEL, []), (THREE, ["--parallel", "2"]), (UNTIMED + "parallel: 2\n", [])],
)
def test_trials_of_a_block_run_side_by_side(
    monkeypatch: pytest.MonkeyPatch, text: str, options: list[str]
) -> None:
    """Each has cores of its own and a result, and so has the control. The report says so."""
    engine = Meeting()
    use(engine, monkeypatch, text)
    assert main(options) == Exit.OK
    folder = RunFolder(Path("reports/latest"))
    results = folder.results()
    assert [one.status for one in results] == [Status.OK] * 8
    assert len([one for one in results if one.trial.control]) == 2
    one, other = {launch.cores for launch in engine.launches}
    assert len({*one, *other}) == 2
    assert folder.run().parallel == 2
    report = Path("reports/latest/report.md").read_text()
    assert "2, each on cores of its own" in report
    assert "on 1 core, up to 2 of them side by side, without a network" in report
    assert engine.left == []


def test_a_time_is_measured_alone_by_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a time, every core is used, and nothing waits for a quiet one."""
    use(alone := ParallelEngine(), monkeypatch, THREE)
    assert main([]) == Exit.OK
    assert {launch.cores for launch in alone.launches} == {(3,)}
    use(every := ParallelEngine(), monkeypatch, UNTIMED)
    assert main([]) == Exit.OK
    assert {launch.guards.window_s for launch in every.launches} == {0.0}
    assert RunFolder(Path("reports/latest")).run().parallel == 4
    assert capsys.readouterr().out.count("disturbed") == 0


def test_another_number_of_trials_side_by_side_is_another_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their times must not be mixed."""
    use(ParallelEngine(), monkeypatch, THREE)
    main(["--blocks", "1"])
    main(["--blocks", "1", "--parallel", "3"])
    main(["--blocks", "2"])
    found = [RunFolder(path).run().parallel for path in sorted(Path("reports").glob("2*"))]
    assert sorted(found) == [1, 3]
    capsys.readouterr()
    assert main(["explain", "model=one", "--set", "parallel=2"]) == Exit.OK
    assert "trials side by side" in capsys.readouterr().out


class Endless(ParallelEngine):
    """Trials of the model ``two`` last until their volume is removed; any other one interrupts."""

    def __init__(self) -> None:
        super().__init__()
        self.removed = threading.Event()
        self.waits = threading.Event()
        self.interrupts = True

    def meet(self, launch: Launch) -> None:
        if not self.interrupts:
            return
        if "two" in launch.trial:
            self.waits.set()
            assert self.removed.wait(WAITS_S)
            return
        self.waits.wait(WAITS_S)
        raise KeyboardInterrupt

    def discard(self, thing: Owned) -> None:
        self.removed.set()
        super().discard(thing)


def test_an_interrupted_run_ends_the_trials_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for them, and the next command continues with everything that is missing."""
    engine = Endless()
    use(engine, monkeypatch, MATRIX + "parallel: 3\n")
    assert main(["--blocks", "1"]) == Exit.INTERRUPTED
    assert engine.removed.is_set()
    assert threading.active_count() == 1
    engine.interrupts = False
    assert main(["--blocks", "1"]) == Exit.OK
    assert len(RunFolder(Path("reports/latest")).results()) == 3
    assert len(list(Path("reports").glob("2*"))) == 1


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("0", "parallel: expected a whole number from 1 to 1024, or `auto`, found 0"),
        ("2000", "a whole number from 1 to 1024"),
        ("many", "a whole number from 1 to 1024, or `auto`"),
        ("true", "a whole number from 1 to 1024, or `auto`"),
        ("16", "parallel is 16, which takes 16 physical cores, but the engine has only 4"),
    ],
)
def test_what_cannot_run_side_by_side_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: str, expected: str
) -> None:
    """With one sentence, before anything runs."""
    engine = ParallelEngine()
    use(engine, monkeypatch, THREE)
    Path("matrix.yaml").write_text(f"{THREE}parallel: {asked}\n")
    assert main([]) == Exit.CONFIG
    assert expected in capsys.readouterr().err
    assert engine.launches == []
