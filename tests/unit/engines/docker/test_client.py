"""Messages if no engine answers."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runner.cli import main
from runner.engines.docker import connect
from runner.engines.docker.address import Address
from runner.engines.protocol import Owned
from runner.errors import EngineLostError, Exit
from tests.support.silent import HEAD, silent_engine
from tests.support.studies import ROOT, write_study
from tests.support.trials import NUMBER, plain_environment

AS_NOBODY = """
import os, runner.engines.docker.local, runner.engines.docker.trials
if os.getuid() == 0:
    os.setuid(65534)
runner.engines.docker.connect("nobody")
"""


@pytest.mark.parametrize(
    ("verb", "address", "cause"),
    [
        ("run", "unix:///nonexistent/docker.sock", "No such file or directory"),
        ("prepare", "tcp://127.0.0.1:1", "Connection refused"),
        ("clean", "carrier-pigeon://here", "carrier-pigeon"),
    ],
)
def test_a_missing_engine_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    address: str,
    cause: str,
) -> None:
    """It names the address, the cause and what to do. The exit code is 5, and no run begins."""
    monkeypatch.setenv("DOCKER_HOST", address)
    write_study(Path(), plain_environment(), NUMBER)
    assert main([verb, "--engine", "docker"]) == Exit.ENGINE
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"no Docker engine answers at {address} (")
    assert cause in err
    assert err.endswith("): start Docker, or name an engine in DOCKER_HOST.\n")
    assert not Path("reports").exists()


SILENT = {
    "silent": b"",
    "trickles a header": HEAD + b"X-More: ",
    "trickles a body": HEAD + b"Content-Length: 1000000\r\n\r\n{",
}


@pytest.fixture(params=SILENT)
def silent(request: pytest.FixtureRequest) -> bytes:
    """Return what an engine sends before it only trickles."""
    return SILENT[request.param]


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
@pytest.mark.parametrize("verb", ["plan", "run", "clean", "doctor"])
def test_an_engine_that_never_answers_is_no_engine(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    silent: bytes,
    scheme: str,
    verb: str,
) -> None:
    """Every command says so after one limit, whether nothing comes or a byte every second."""
    for module in ("runner.engines.docker.plain", "runner.engines.docker.client"):
        monkeypatch.setattr(f"{module}.ANSWER_S", 0.3)
    monkeypatch.setattr("runner.system.cores.highest", lambda: 10_000 + os.getpid())
    monkeypatch.setattr("runner.doctor.steadiness", lambda _: ([0.05] * 100, 0.0))
    write_study(Path(), plain_environment(), NUMBER)
    with TemporaryDirectory(dir="/tmp") as folder:
        with silent_engine(scheme, Path(folder), silent) as address:
            monkeypatch.setenv("DOCKER_HOST", address)
            began = time.monotonic()
            code = main([verb, "--engine", "docker"])
            assert time.monotonic() - began < 5
        wait_for_threads()
    said = capsys.readouterr()
    if verb == "plan":
        assert (code, "no engine answers" in said.out) == (Exit.OK, True)
        return
    assert code == (Exit.CELL_FAILED if verb == "doctor" else Exit.ENGINE)
    expected = f"no Docker engine answers at {address} (no complete answer within 0.3 s): start"
    assert expected in said.out + said.err


def test_an_engine_that_stops_answering_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change may take longer than a question, but not forever."""
    monkeypatch.setattr("runner.engines.docker.client.CHANGE_S", 0.5)
    first = HEAD + b"Connection: close\r\n"
    body = b'{"ApiVersion": "1.41"}'
    answered = first + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with TemporaryDirectory(dir="/tmp") as folder:
        with silent_engine("tcp", Path(folder), answered, HEAD) as address:
            engine = connect("m", Address(url=address))
            with pytest.raises(EngineLostError, match="stopped answering when it had to remove"):
                engine.discard(Owned(kind="volume", id="v", label="v"))
        wait_for_threads()
        engine.close()


def wait_for_threads() -> None:
    """Wait until the threads that waited for an answer have closed their connections."""
    deadline = time.monotonic() + 5
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture
def forbidden() -> Iterator[str]:
    """Return the address of an engine that only root may use."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        path = Path(folder, "docker.sock")
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        Path(folder).chmod(stat.S_IRWXU | stat.S_IXOTH)
        yield f"unix://{path}"


def test_an_engine_without_permission_is_one_sentence(forbidden: str) -> None:
    """It says how to get the permission."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        env={**os.environ, "DOCKER_HOST": forbidden, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == (
        f"runner.errors.EngineError: no Docker engine answers at {forbidden} (Permission denied): "
        "add yourself to the group `docker`, or use an engine of your own."
    )
