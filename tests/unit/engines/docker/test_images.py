"""What a Docker engine says about itself."""

from typing import Any
from unittest.mock import Mock

import docker
import pytest

from runner.engines.docker.trials import DockerEngine
from runner.errors import EngineError

INFO = {
    "ServerVersion": "1",
    "Driver": "overlay2",
    "NCPU": 3,
    "MemTotal": 1,
    "Architecture": "x86_64",
    "KernelVersion": "6",
    "OperatingSystem": "none",
    "Name": "there",
}


def engine(info: Any, *, local: bool = True) -> DockerEngine:
    """Return an engine that says this about itself."""
    client = Mock(docker.DockerClient)
    client.info.return_value = info
    client.version.return_value = {"ApiVersion": "1.41"}
    return DockerEngine(client, "m", local=local)


def test_trials_use_cores_that_are_online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of cores says nothing about their numbers."""
    monkeypatch.setattr("runner.engines.docker.images.online", lambda: (0, 2, 5))
    assert engine(INFO).cores() == (0, 2, 5)
    assert engine(INFO, local=False).cores() == (0, 1, 2)
    assert engine({**INFO, "NCPU": 2}).cores() == (0, 1)  # a virtual machine behind the socket


@pytest.mark.parametrize("info", [{}, [], None, {**INFO, "CgroupVersion": "two"}])
def test_whatever_is_not_docker_is_one_sentence(info: Any) -> None:
    """Anything may listen at an address."""
    with pytest.raises(EngineError, match="not like Docker"):
        engine(info).describe()
