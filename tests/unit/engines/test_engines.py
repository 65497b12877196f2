"""Which engine executes: the one asked for, or the first that answers."""

import pytest

from runner import engines
from runner.cli import main
from runner.errors import EngineError, Exit
from tests.support.fakes import FakeEngine


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine in place of venv's."""
    engine = FakeEngine()
    monkeypatch.setattr("runner.engines.venv.connect", lambda _: engine)
    return engine


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no container engine answer."""

    def refuse(*_: object) -> FakeEngine:
        raise EngineError("no Docker engine answers at home: start Docker.")

    monkeypatch.setattr("runner.engines.docker.connect", refuse)


def test_docker_comes_first(processes: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it answers nothing else is tried, and nothing is said."""
    docker = FakeEngine()
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: docker)
    said: list[str] = []
    assert engines.connect("auto", "m", said.append) is docker
    assert engines.connect("docker", "m", said.append) is docker
    assert said == []
    assert engines.connect("venv", "m", said.append) is processes


@pytest.mark.usefixtures("nobody")
def test_where_none_answers_trials_are_processes(processes: FakeEngine) -> None:
    """One line says which engine it is, and why."""
    said: list[str] = []
    assert engines.connect("auto", "m", said.append) is processes
    (line,) = said
    assert line.startswith(
        "no Docker engine answers at home: start Docker. Trials run as processes. Isolation: "
    )


@pytest.mark.usefixtures("processes", "nobody")
@pytest.mark.parametrize("choice", ["docker", "podman"])
def test_what_was_asked_for_is_not_replaced(choice: str) -> None:
    """A container engine that does not answer is an error."""
    with pytest.raises(EngineError, match="no Docker engine answers"):
        engines.connect(choice, "m", print)
    assert engines.images(choice) is None


def test_a_glance_sees_environments() -> None:
    """Without a container engine those of venv count."""
    assert engines.images("auto") == engines.images("venv") == {}


def test_an_unknown_engine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The choices are named."""
    with pytest.raises(SystemExit) as ending:
        main(["run", "--engine", "lxc"])
    assert ending.value.code == Exit.CONFIG
    assert "choose from" in capsys.readouterr().err
