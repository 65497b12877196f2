"""The engine that runs the trials: the requested one, or the first that answers."""

import pytest

from runner import engines
from runner.cli import main
from runner.errors import EngineError, Exit
from tests.support.fakes import FakeEngine


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Replace the venv engine."""
    engine = FakeEngine()
    monkeypatch.setattr("runner.engines.venv.connect", lambda _: engine)
    return engine


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no container engine answer."""

    def refuse(*_: object) -> FakeEngine:
        raise EngineError("no Docker engine answers at home: start Docker.")

    monkeypatch.setattr("runner.engines.docker.connect", refuse)


def test_docker_comes_first(processes: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it answers, nothing else is tried and no note is printed."""
    docker = FakeEngine()
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: docker)
    notes: list[str] = []
    assert engines.connect("auto", "m", notes.append) is docker
    assert engines.connect("docker", "m", notes.append) is docker
    assert notes == []
    assert engines.connect("venv", "m", notes.append) is processes


@pytest.mark.usefixtures("no_docker")
def test_without_a_container_engine_trials_are_processes(processes: FakeEngine) -> None:
    """One line names the engine and the reason."""
    notes: list[str] = []
    assert engines.connect("auto", "m", notes.append) is processes
    (line,) = notes
    assert line.startswith(
        "no Docker engine answers at home: start Docker. Trials run as processes. Isolation: "
    )


@pytest.mark.usefixtures("processes", "no_docker")
@pytest.mark.parametrize("choice", ["docker", "podman"])
def test_a_requested_engine_is_not_replaced(choice: str) -> None:
    """A container engine that does not answer is an error."""
    with pytest.raises(EngineError, match="no Docker engine answers"):
        engines.connect(choice, "m", print)
    assert engines.images(choice, "m") is None


def test_the_images_of_venv_count() -> None:
    """They are listed if no container engine answers."""
    assert engines.images("auto", "m") == engines.images("venv", "m") == ()


def test_an_unknown_engine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the choices."""
    with pytest.raises(SystemExit) as ending:
        main(["run", "--engine", "lxc"])
    assert ending.value.code == Exit.CONFIG
    assert "--engine: expected auto, docker, podman or venv, not 'lxc'" in capsys.readouterr().err
