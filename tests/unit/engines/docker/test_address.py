"""The address of the engine, and the ssh command that leads to it."""

import json
import socket
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest

from runner.engines.docker.address import LOCAL, Address, engine_address, podman_address
from runner.engines.docker.ssh import OPTIONS, command
from runner.errors import EngineError

VARIABLES = ("HOST", "CONTEXT", "TLS_VERIFY", "CERT_PATH")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the settings folder of the docker program, which has a context ``far``."""
    for name in VARIABLES:
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    write_context(tmp_path, "far", {"docker": {"Host": "ssh://me@far", "SkipTLSVerify": True}})
    return tmp_path


def write_context(folder: Path, name: str, endpoints: object) -> None:
    """Store a context as the docker program does."""
    meta = folder / "contexts" / "meta" / sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": endpoints}))


@pytest.mark.parametrize(
    "text",
    [None, "{}", "[]", "not JSON", '{"currentContext": "default"}', '{"currentContext": []}'],
)
def test_the_default_is_the_usual_socket(settings: Path, text: str | None) -> None:
    """Also if the settings cannot be read."""
    if text is not None:
        (settings / "config.json").write_text(text)
    assert engine_address() == Address(url=LOCAL)
    assert engine_address().socket == "/var/run/docker.sock"


def test_docker_host_overrides_a_context(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is DOCKER_HOST, DOCKER_CONTEXT, the chosen context."""
    (settings / "config.json").write_text('{"currentContext": "far"}')
    far = Address(url="ssh://me@far", context="far", verify=False)
    assert engine_address() == far
    assert str(far) == "ssh://me@far, the context far,"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert engine_address() == Address(url=LOCAL)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert engine_address() == far
    monkeypatch.setenv("DOCKER_HOST", "unix://")
    assert engine_address() == Address(url=LOCAL, verify=False)
    monkeypatch.setenv("DOCKER_HOST", "tcp://there:2376")
    assert engine_address() == Address(url="tcp://there:2376", verify=False)
    assert engine_address().socket is None


def test_certificates_are_where_docker_looks_for_them(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In DOCKER_CERT_PATH, else beside the settings. A context has its own."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://there:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert engine_address().certificates == settings
    assert engine_address().verify
    monkeypatch.setenv("DOCKER_CERT_PATH", "/elsewhere")
    assert engine_address().certificates == Path("/elsewhere")
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert engine_address().certificates is None
    own = settings / "contexts" / "tls" / sha256(b"far").hexdigest() / "docker"
    own.mkdir(parents=True)
    assert engine_address().certificates == own


@pytest.mark.parametrize("endpoints", [None, [], {}, {"docker": {}}, {"docker": []}])
def test_a_context_without_an_address_is_an_error(
    settings: Path, monkeypatch: pytest.MonkeyPatch, endpoints: object
) -> None:
    """The local engine never replaces it."""
    write_context(settings, "odd", endpoints)
    for name in ("odd", "gone"):
        monkeypatch.setenv("DOCKER_CONTEXT", name)
        with pytest.raises(EngineError, match=rf"^the Docker context {name} cannot be read in "):
            engine_address()


def test_podman_is_found_on_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own socket comes first, and CONTAINER_HOST before it."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        before = podman_address()
        assert before is None or before.url == "unix:///run/podman/podman.sock"
        (Path(folder) / "podman").mkdir()
        listening.bind(f"{folder}/podman/podman.sock")
        found = Address(url=f"unix://{folder}/podman/podman.sock", is_podman=True)
        assert podman_address() == found
        monkeypatch.setenv("DOCKER_HOST", "tcp://there:2375")
        assert podman_address() is None
        monkeypatch.setenv("CONTAINER_HOST", "tcp://there:8080")
        assert podman_address() == Address(url="tcp://there:8080", is_podman=True)


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("ssh://there", "-- there docker system dial-stdio"),
        ("ssh://me@there:22", "-l me -p 22 -- there docker system dial-stdio"),
        ("ssh://there/run/x.sock", "-- there docker --host unix:///run/x.sock system dial-stdio"),
        ("ssh://-oProxyCommand=x", "-- -oProxyCommand=x docker system dial-stdio"),
        ("ssh://[2001:db8::1]:22", "-p 22 -- 2001:db8::1 docker system dial-stdio"),
    ],
)
def test_an_address_becomes_an_ssh_command(url: str, arguments: str) -> None:
    """It has the user, the port and the socket, and no name can become an option."""
    assert command(url) == ["ssh", *OPTIONS, *arguments.split()]
