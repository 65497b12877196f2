"""The engine that runs the trials: the requested one, or the one that something points to."""

import gc
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import engines
from runner.cli import main
from runner.engines.docker.address import Address
from runner.errors import EngineError, Exit
from tests.support.fakes import FakeEngine
from tests.support.silent import silent_engine
from tests.support.studies import write_study
from tests.support.trials import NUMBER, plain_environment

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""The SDK leaves the socket of a failed attempt open."""
VENV = "To run trials as processes, use --engine venv."


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let no other test see these sockets."""
    yield
    gc.collect()


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Replace the venv engine."""
    engine = FakeEngine()
    monkeypatch.setattr("runner.engines.venv.connect", lambda _: engine)
    return engine


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have a machine where nothing points to an engine; return the folder of its sockets."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("DOCKER_CONFIG", folder)
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{folder}/user")
        usual = f"{folder}/docker.sock"
        for name, value in {"USUAL": usual, "LOCAL": f"unix://{usual}", "RUNTIME": folder}.items():
            monkeypatch.setattr(f"runner.engines.docker.address.{name}", value)
        monkeypatch.setattr("runner.engines.docker.client.LOCAL", f"unix://{usual}")
        yield Path(folder)


def refusing(path: Path) -> None:
    """Leave a socket where nothing listens any more."""
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))


def test_docker_comes_first(processes: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it answers, nothing else is tried and no note is printed."""
    docker = FakeEngine()
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: docker)
    notes: list[str] = []
    assert engines.connect("auto", "m", notes.append) is docker
    assert engines.connect("docker", "m", notes.append) is docker
    assert notes == []
    assert engines.connect("venv", "m", notes.append) is processes


@pytest.mark.usefixtures("runtime")
def test_where_nothing_points_to_an_engine_trials_are_processes(processes: FakeEngine) -> None:
    """One line says so."""
    notes: list[str] = []
    assert engines.connect("auto", "m", notes.append) is processes
    (line,) = notes
    assert line.startswith(
        "Nothing here points to Docker or podman. Trials run as processes. Isolation: "
    )


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_HOST is set, but no Docker engine answers at"),
        ("DOCKER_HOST=nonsense", "DOCKER_HOST is set, but no Docker engine answers at"),
        ("DOCKER_CONTEXT=gone", "the Docker context gone is chosen, but the Docker context gone "),
        ("CONTAINER_HOST=unix:///none", "CONTAINER_HOST is set, but no podman answers at"),
    ],
)
def test_a_setting_is_never_ignored(
    runtime: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    says: str,
) -> None:
    """The run ends before it begins, with one sentence about the setting, and one about venv."""
    variable, _, value = setting.partition("=")
    monkeypatch.setenv(variable, value)
    refusing(runtime / "docker.sock")  # it does not count then
    write_study(Path(), plain_environment(), NUMBER)
    assert main(["run"]) == Exit.ENGINE
    said = capsys.readouterr().err
    assert said.startswith(says)
    assert said.endswith(f"{VENV}\n")
    assert (said.count("\n"), said.count("exists")) == (1, 0)
    assert not Path("reports").exists()
    assert engines.images("auto", "m") is None


@pytest.mark.usefixtures("processes")
def test_a_chosen_context_is_never_ignored(runtime: Path) -> None:
    """Also one that ``docker context use`` chose."""
    (runtime / "config.json").write_text(json.dumps({"currentContext": "far"}))
    with pytest.raises(EngineError, match=r"^the Docker context far is chosen, but .* --engine ve"):
        engines.connect("auto", "m", print)


@pytest.mark.usefixtures("processes")
def test_a_socket_that_refuses_is_no_reason_for_processes(runtime: Path) -> None:
    """Each socket is named with its answer and what to do."""
    refusing(runtime / "docker.sock")
    refusing(runtime / "podman" / "podman.sock")
    with pytest.raises(EngineError) as raised:
        engines.connect("auto", "m", print)
    assert str(raised.value) == (
        f"{runtime}/docker.sock exists, but no Docker engine answers at its usual socket "
        "(Connection refused): start Docker, or name an engine in DOCKER_HOST. "
        f"{runtime}/podman/podman.sock exists, but no podman answers at "
        f"unix://{runtime}/podman/podman.sock (Connection refused): start its service "
        f"(`systemctl --user start podman.socket`). {VENV}"
    )


def test_podman_replaces_a_docker_that_refuses(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are container engines. A line says why and where trials run."""
    podman, notes = FakeEngine(), list[str]()
    own = f"unix://{runtime}/user/podman/podman.sock"

    def connect(_: str, address: Address) -> FakeEngine:
        if address.url != own:
            raise EngineError("no Docker engine answers: start Docker.")
        return podman

    monkeypatch.setattr("runner.engines.docker.connect", connect)
    (runtime / "user").mkdir()
    for path in (runtime / "docker.sock", runtime / "user" / "podman" / "podman.sock"):
        refusing(path)
    assert engines.connect("auto", "m", notes.append) is podman
    why = f"{runtime}/docker.sock exists, but no Docker engine answers: start Docker."
    assert notes == [f"{why} Trials run on {own}."]


def test_nobody_waits_for_two_silent_engines(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is there, so the next one is not asked."""
    for module in ("", ".docker.plain", ".docker.client"):
        monkeypatch.setattr(f"runner.engines{module}.ANSWER_S", 0.3)
    (runtime / "podman").mkdir()
    with silent_engine("unix", runtime, b""), silent_engine("unix", runtime / "podman", b""):
        (runtime / "socket").rename(runtime / "docker.sock")
        (runtime / "podman" / "socket").rename(runtime / "podman" / "podman.sock")
        began = time.monotonic()
        with pytest.raises(EngineError, match="no complete answer within") as raised:
            engines.connect("auto", "m", print)
        assert str(raised.value).count("exists") == 1
        assert time.monotonic() - began < 5


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("choice", ["docker", "podman"])
def test_a_requested_engine_is_not_replaced(choice: str) -> None:
    """A container engine that does not answer is an error."""
    with pytest.raises(EngineError, match="no Docker engine answers"):
        engines.connect(choice, "m", print)
    assert engines.images(choice, "m") is None


@pytest.mark.usefixtures("runtime")
def test_the_images_of_venv_count() -> None:
    """They are listed if nothing points to a container engine."""
    assert engines.images("auto", "m") == engines.images("venv", "m") == ()


def test_an_unknown_engine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the choices."""
    with pytest.raises(SystemExit) as ending:
        main(["run", "--engine", "lxc"])
    assert ending.value.code == Exit.CONFIG
    assert "--engine: expected auto, docker, podman or venv, not 'lxc'" in capsys.readouterr().err
