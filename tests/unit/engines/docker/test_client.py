"""Messages if no engine answers."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import Exit
from tests.support.studies import ROOT, write_study
from tests.support.trials import NUMBER, plain_environment

AS_NOBODY = """
import os, runner.engines.docker.trials
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
