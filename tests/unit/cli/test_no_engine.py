"""What a person reads where no engine answers."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.studies import ROOT, ended, started, write_study
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
def test_no_engine_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, address: str, cause: str
) -> None:
    """Exit code 5, the cause, and what to do; no run is begun."""
    monkeypatch.setenv("DOCKER_HOST", address)
    write_study(tmp_path, plain_environment(), NUMBER)
    code, _, err = ended(started(tmp_path, verb, "--engine", "docker"))
    assert (code, err.count("\n")) == (5, 1), err
    assert err.startswith(f"no Docker engine answers at {address} (")
    assert cause in err
    assert err.endswith("): start Docker, or name an engine in DOCKER_HOST.\n")
    assert not (tmp_path / "reports").exists()


@pytest.fixture
def forbidden() -> Iterator[str]:
    """Return the address of an engine that only root may talk to."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        path = Path(folder, "docker.sock")
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        Path(folder).chmod(stat.S_IRWXU | stat.S_IXOTH)
        yield f"unix://{path}"


def test_an_engine_of_others_says_what_to_do(forbidden: str) -> None:
    """Who may not talk to the engine is told how to become one who may."""
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
