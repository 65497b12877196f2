"""doctor: what is wrong with this machine, and what to do."""

import platform
from collections import namedtuple
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runner.doctor import Diagnosis, as_text, examine
from runner.errors import EngineError
from runner.records.environment import Lock
from runner.records.run import Host
from runner.records.study import Matrix
from runner.runs.folder import RunFolder
from tests.support.fakes import FakeEngine
from tests.support.samples import founding_matrix, founding_run
from tests.support.trials import plain_environment

HOST = replace(founding_run().host, cores=1, kernel=platform.release())
USAGE = namedtuple("USAGE", "total used free")  # noqa: PYI024 (that of shutil.disk_usage)
TIMES_S = [0.050] * 50 + [0.051] * 50


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide a quiet core and free disk space."""
    monkeypatch.setattr("runner.doctor.steadiness", lambda _: (TIMES_S, 0.01))
    monkeypatch.setattr("shutil.disk_usage", lambda _: USAGE(100e9, 50e9, 50e9))


def plain() -> tuple[Matrix, Lock]:
    """Return a matrix of one cell on this interpreter."""
    environment = plain_environment()
    matrix = founding_matrix()
    cell = replace(matrix.cells[0], request=environment.request)
    return replace(matrix, cells=(cell,)), Lock(entries=(environment,))


def found(
    *,
    host: Host = HOST,
    lock: Lock | None = None,
    engine: FakeEngine | EngineError | None = None,
    reports: Path = Path("reports"),
) -> dict[str, Diagnosis]:
    """Return the diagnoses by subject."""
    matrix, complete = plain()
    findings = examine(matrix, lock or complete, host, engine or FakeEngine(), reports)
    return {finding.subject: finding for finding in findings}


class WithImage(FakeEngine):
    """An engine with the image of the only cell."""

    def __init__(self) -> None:
        super().__init__()
        self.add_image(plain_environment())


def test_a_sound_machine() -> None:
    """Every check passes, except the one that needs an image."""
    findings = found()
    overhead = findings.pop("overhead")
    assert {finding.sound for finding in findings.values()} == {True}, findings
    assert (overhead.sound, overhead.remedy) == (None, "Run `python -m runner prepare`.")


def test_without_an_engine_the_other_checks_run() -> None:
    """The engine has the same message as in other commands."""
    findings = found(engine=EngineError("no engine answers: start one."))
    assert findings["engine"] == Diagnosis(
        "engine", sound=False, text="no engine answers: start one."
    )
    assert {"processor", "interpreters", "last run", "noise"} < set(findings)


def test_every_problem_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processor, disk, noise, and a schedule that no longer runs."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: USAGE(100e9, 99e9, 1e9))
    monkeypatch.setattr("runner.doctor.steadiness", lambda _: (TIMES_S, 0.4))
    begun = datetime.now(timezone.utc) - timedelta(days=90)
    RunFolder(tmp_path / "1-old").make().save(replace(founding_run(), created_at=begun))
    findings = found(host=replace(HOST, cpu_flags=()), reports=tmp_path)
    wrong = {subject for subject, finding in findings.items() if finding.sound is False}
    assert wrong == {"processor", "disk", "noise", "last run"}
    assert findings["disk"].text.endswith("the missing images need 4 GB.")
    assert "other processes took 40.0% of the core" in findings["noise"].text
    assert "is 90 days old" in findings["last run"].text
    assert all(findings[subject].remedy for subject in wrong - {"processor"})


@pytest.mark.parametrize("others_share", [None, 0.0])
def test_varying_times_are_noise(
    monkeypatch: pytest.MonkeyPatch, others_share: float | None
) -> None:
    """Whether or not the kernel reports other processes."""
    times_s = [0.05] * 80 + [0.08] * 20
    monkeypatch.setattr("runner.doctor.steadiness", lambda _: (times_s, others_share))
    noise = found()["noise"]
    assert noise.sound is False
    assert "varied by +0% to +60% (" in noise.text
    assert ("other processes took" in noise.text) == (others_share is not None)


def test_noise_is_unknown_on_a_reserved_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container can be limited to other cores."""

    def refused(_: int) -> tuple[list[float], float]:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("runner.doctor.steadiness", refused)
    assert found()["noise"].sound is None


@pytest.mark.parametrize(
    ("ratios", "sound", "interval"),
    [
        ((1.0, 1.01, 0.99), True, "0.99 to 1.01"),
        ((1.1, 1.2, 1.3), False, "1.13 to 1.30"),
        ((0.8, 1.0, 1.3), None, "0.86 to 1.29"),
    ],
)
def test_overhead_is_judged_by_pairs(
    monkeypatch: pytest.MonkeyPatch, ratios: tuple[float, ...], sound: bool | None, interval: str
) -> None:
    """It is bad if the whole interval is too large, and unknown if the interval is too wide."""
    waiting = [(ratio, 1.0) for ratio in ratios * 3]
    monkeypatch.setattr("runner.doctor.overhead", lambda *_: waiting.pop())
    overhead = found(engine=WithImage())["overhead"]
    assert overhead.sound is sound
    assert f"(95% interval {interval}, 7 pairs)" in overhead.text
    assert overhead.text.endswith("to start and stop a container takes 1.0 s.")


def test_the_same_work_runs_inside_and_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two real pairs on the fake engine, which runs processes."""
    monkeypatch.setattr("runner.doctor.PAIRS", 2)
    overhead = found(engine=WithImage())["overhead"]
    assert "times as long in a container as outside" in overhead.text


def test_work_that_fails_outside_is_a_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may use cores that this process may not."""
    engine = WithImage()
    monkeypatch.setattr(engine, "cores", lambda: (9998, 9999))
    overhead = found(engine=engine)["overhead"]
    assert overhead.sound is False
    assert overhead.text.startswith("the same work failed outside a container: check that ")
    assert overhead.text.endswith("that this process may use core 9999.")


def test_a_failing_engine_is_a_diagnosis() -> None:
    """It does not end the examination."""
    engine = WithImage()
    engine.dies_at_trial = 0
    assert found(engine=engine)["overhead"] == Diagnosis(
        "overhead", sound=False, text="the engine went away"
    )


def test_noise_is_measured_on_the_highest_core_of_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If cores are offline, their count is not a number of a core."""
    measured: list[int] = []

    def steadiness(core: int) -> tuple[list[float], float]:
        measured.append(core)
        return TIMES_S, 0.0

    monkeypatch.setattr("runner.doctor.steadiness", steadiness)
    engine = FakeEngine()
    monkeypatch.setattr(engine, "cores", lambda: (0, 9))
    found(engine=engine)
    monkeypatch.setattr("runner.system.cores.ALLOWED", frozenset({0, 7}))
    found(engine=EngineError("none"))
    assert measured == [9, 7]


def test_caches_are_shown_with_their_sizes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing else limits them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert found()["caches"].text == "There is nothing in our caches."
    folder = tmp_path / "matrix-runner" / "uv"
    folder.mkdir(parents=True)
    (folder / "wheel").write_bytes(bytes(5_000_000))
    assert found()["caches"].text == f"{folder} take 5 MB; `clean` removes them."


def test_a_diagnosis_is_one_line() -> None:
    """It has a word, a subject, a sentence, and a remedy unless all is well."""
    assert as_text(
        Diagnosis(subject="disk", sound=False, text="It is full.", remedy="Free some space.")
    ) == ("bad  disk         It is full. Free some space.")
    assert as_text(Diagnosis(subject="noise", sound=None, text="Nobody knows.")) == (
        "?    noise        Nobody knows."
    )


def test_a_remote_engine_is_not_judged_by_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processor, noise and overhead are unknown here."""
    engine = FakeEngine()
    facts = replace(engine.describe(), machine="another")
    monkeypatch.setattr(engine, "describe", lambda: facts)
    findings = found(host=replace(HOST, cpu_flags=()), engine=engine)
    for subject in ("processor", "noise", "overhead"):
        assert findings[subject].sound is None
        assert findings[subject].text == "Trials run on another machine."
