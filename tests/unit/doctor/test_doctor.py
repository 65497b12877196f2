"""doctor: a sentence for each finding, what to do, and an exit code."""

import platform
from collections import namedtuple
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runner.doctor import Diagnosis, as_text, examine
from runner.doctor.calibration import OverheadPair, Steadiness
from runner.errors import EngineError
from runner.prepare.recipe import environment_digest
from runner.records.environment import Image, Lock
from runner.records.run import Host
from runner.records.study import Matrix
from runner.runs.folder import RunFolder
from tests.support.fakes import FakeEngine
from tests.support.samples import founding_matrix, founding_run
from tests.support.trials import INTERPRETER, plain_environment

HOST = replace(founding_run().host, cores=1, kernel=platform.release())
USAGE = namedtuple("USAGE", "total used free")  # noqa: PYI024 (that of shutil.disk_usage)
QUIET = Steadiness(times_s=(0.050,) * 50 + (0.051,) * 50, others_share=0.01)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a quiet core, and room on the disk."""
    monkeypatch.setattr("runner.doctor.steadiness", lambda _: QUIET)
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
    """Return the findings by subject."""
    matrix, complete = plain()
    findings = examine(matrix, lock or complete, host, engine or FakeEngine(), reports)
    return {finding.subject: finding for finding in findings}


def with_image() -> FakeEngine:
    """Return an engine that holds the image of the only cell."""
    engine = FakeEngine()
    key = environment_digest(plain_environment())
    base = engine.base("host", INTERPRETER)
    image = Image(environment=key, label="plain", id="sha256:1", size_bytes=1, base=base)
    engine._images[key] = image
    return engine


def test_a_sound_machine_is_told_so() -> None:
    """What needs an image says that there is none yet."""
    findings = found()
    overhead = findings.pop("overhead")
    assert {finding.sound for finding in findings.values()} == {True}, findings
    assert (overhead.sound, overhead.remedy) == (None, "Run `python -m runner prepare`.")


def test_without_an_engine_the_rest_is_still_found() -> None:
    """The sentence is that of every other command."""
    findings = found(engine=EngineError("no engine answers: start one."))
    assert findings["engine"] == Diagnosis(
        "engine", sound=False, text="no engine answers: start one."
    )
    assert {"processor", "interpreters", "last run", "noise"} < set(findings)


def test_what_is_wrong_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processor, disk, noise, and a schedule that died."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: USAGE(100e9, 99e9, 1e9))
    noisy = replace(QUIET, others_share=0.4)
    monkeypatch.setattr("runner.doctor.steadiness", lambda _: noisy)
    begun = datetime.now(timezone.utc) - timedelta(days=90)
    RunFolder(tmp_path / "1-old").save_run(replace(founding_run(), created_at=begun))
    findings = found(host=replace(HOST, cpu_flags=()), reports=tmp_path)
    wrong = {subject for subject, finding in findings.items() if finding.sound is False}
    assert wrong == {"processor", "disk", "noise", "last run"}
    assert findings["disk"].text.endswith("to build 1 image takes 4 GB.")
    assert "other processes took 40.0% of the core" in findings["noise"].text
    assert "is 90 days old" in findings["last run"].text
    assert all(findings[subject].remedy for subject in wrong - {"processor"})


@pytest.mark.parametrize("others_share", [None, 0.0])
def test_times_that_vary_are_noise(
    monkeypatch: pytest.MonkeyPatch, others_share: float | None
) -> None:
    """Whoever makes them vary, and whether or not the kernel tells."""
    times = Steadiness(times_s=(0.05,) * 80 + (0.08,) * 20, others_share=others_share)
    monkeypatch.setattr("runner.doctor.steadiness", lambda _: times)
    noise = found()["noise"]
    assert noise.sound is False
    assert "varied by +0% to +60% (" in noise.text
    assert ("other processes took" in noise.text) == (others_share is not None)


def test_a_core_that_is_not_ours_cannot_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that was given other cores."""

    def refused(_: int) -> Steadiness:
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
    """Dear is what the whole interval calls so; one that holds both tells nothing."""
    waiting = [OverheadPair(inside_s=ratio, outside_s=1.0, container_s=2.0) for ratio in ratios * 3]
    monkeypatch.setattr("runner.doctor.measured_pair", lambda *_: waiting.pop())
    overhead = found(engine=with_image())["overhead"]
    assert overhead.sound is sound
    assert f"(95% interval {interval}, 7 pairs)" in overhead.text


def test_the_same_work_is_done_inside_and_outside() -> None:
    """For real, on the fake, which is a process as well."""
    overhead = found(engine=with_image())["overhead"]
    assert "times as long in a container as outside" in overhead.text


def test_an_engine_that_fails_is_a_finding() -> None:
    """Not the end of the examination."""
    engine = with_image()
    engine.dies_at_trial = 0
    assert found(engine=engine)["overhead"] == Diagnosis(
        subject="overhead", sound=False, text="the engine went away"
    )


def test_a_line_has_a_word_a_subject_a_sentence_and_what_to_do() -> None:
    """One line, whatever the finding."""
    assert as_text(
        Diagnosis(subject="disk", sound=False, text="It is full.", remedy="Free some space.")
    ) == ("bad  disk         It is full. Free some space.")
    assert as_text(Diagnosis(subject="noise", sound=None, text="Nobody knows.")) == (
        "?    noise        Nobody knows."
    )


def test_an_engine_elsewhere_is_not_judged_by_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processor, noise and overhead of this machine say nothing of where trials run."""
    engine = FakeEngine()
    facts = replace(engine.describe(), machine="another")
    monkeypatch.setattr(engine, "describe", lambda: facts)
    findings = found(host=replace(HOST, cpu_flags=()), engine=engine)
    for subject in ("processor", "noise", "overhead"):
        assert findings[subject].sound is None
        assert findings[subject].text == "Trials run on another machine."
