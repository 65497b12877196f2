"""The address of a scheduler: plain TCP only on this machine, and a sentence for each refusal."""

import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from runner.cluster.address import Address, Certificates, check, read_address
from runner.errors import ConfigError, EngineError
from tests.support.remote import make_certificates
from tests.support.studies import ROOT


@pytest.mark.parametrize(
    ("text", "host", "encrypted"),
    [
        ("tls://scheduler:8786", "scheduler", True),
        ("tls://10.0.0.1:8786", "10.0.0.1", True),
        ("tls://[fe80::1]:8786", "fe80::1", True),
        ("tcp://127.0.0.1:8786", "127.0.0.1", False),
        ("tcp://127.9.9.9:8786", "127.9.9.9", False),
        ("tcp://localhost:8786", "localhost", False),
        ("tcp://[::1]:8786", "::1", False),
    ],
)
def test_an_address_is_read(text: str, host: str, encrypted: bool) -> None:
    """Another host is only reached over TLS."""
    expected = Address(url=text, host=host, port=8786, encrypted=encrypted)
    assert read_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "tcp://10.0.0.1:8786",
        "tcp://scheduler:8786",
        "tcp://localhost.example:8786",
        "tcp://127.0.0.1.example:8786",
        "tcp://0.0.0.0:8786",
        "tcp://[::]:8786",
        "tcp://[::ffff:10.0.0.1]:8786",
    ],
)
def test_plain_tcp_to_another_host_is_refused(text: str) -> None:
    """The message says why, and what to write instead."""
    with pytest.raises(ConfigError) as refused:
        read_address(text)
    assert "is not encrypted: whoever reaches such a scheduler controls" in str(refused.value)
    assert f"write tls://{text.removeprefix('tcp://')};" in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "scheduler:8786", "tls://scheduler", "tls://:8786", "tls://scheduler:0"),
        *("tls://scheduler:99999", "ucx://scheduler:8786", "tls://a:1/../b", "tls://user@a:1"),
        *("inproc://1/2/3", "tls://scheduler:8786\n"),
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ConfigError, match=r"write tls://scheduler:8786\."):
        read_address(text)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of our authority."""
    return made(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of another authority."""
    return made(tmp_path_factory.mktemp("foreign"))


def made(folder: Path) -> Certificates:
    """Make certificates."""
    make_certificates(folder, "127.0.0.2")
    return Certificates(
        authority=str(folder / "ca.pem"),
        own=str(folder / "cert.pem"),
        key=str(folder / "key.pem"),
    )


@contextmanager
def scheduler(certificates: Certificates | None) -> Iterator[Address]:
    """Have a server that greets like a scheduler, over TLS if it has certificates."""
    listening = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with suppress(OSError), ExitStack() as open_sockets:
                    side = open_sockets.enter_context(connection)
                    if certificates is not None:
                        side = open_sockets.enter_context(wrapped(side, certificates))
                    side.sendall(b"hello")
                    side.recv(1)

    threading.Thread(target=greet, daemon=True).start()
    port = listening.getsockname()[1]
    yield Address(url=f"tls://127.0.0.1:{port}", host="127.0.0.1", port=port, encrypted=True)
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def wrapped(connection: socket.socket, certificates: Certificates) -> ssl.SSLSocket:
    """Return the connection with TLS, for clients with a certificate of the same authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    context.load_cert_chain(certificates.own, certificates.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context.wrap_socket(connection, server_side=True)


def test_the_certificates_of_the_guide_are_accepted(tmp_path: Path) -> None:
    """Its commands make an authority and a certificate for all machines."""
    guide = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r'^\$ (new="-newkey.*?)^```', guide, re.MULTILINE | re.DOTALL)
    script = re.sub(r"^\$ ", "", commands, flags=re.MULTILINE)
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, capture_output=True)
    made = Certificates(
        authority=str(tmp_path / "ca.pem"),
        own=str(tmp_path / "cert.pem"),
        key=str(tmp_path / "key.pem"),
    )
    with scheduler(made) as address:
        check(address, made, "worker")


def test_our_certificate_is_accepted(ours: Certificates) -> None:
    """Nothing is said."""
    with scheduler(ours) as address:
        check(address, ours, "client")


def refusal(server: Certificates | None, client: Certificates, role: str = "client") -> str:
    """Return why a client cannot connect to a server."""
    with scheduler(server) as address, pytest.raises(EngineError) as refused:
        check(address, client, role)
    return str(refused.value)


def test_a_foreign_scheduler_is_refused(ours: Certificates, foreign: Certificates) -> None:
    """It could be anybody."""
    said = refusal(foreign, ours)
    assert "shows a certificate that our authority has not signed" in said
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in said


def test_a_foreign_certificate_of_ours_is_named(ours: Certificates, foreign: Certificates) -> None:
    """The scheduler does not accept it. The message names the settings of the role."""
    mixed = Certificates(authority=ours.authority, own=foreign.own, key=foreign.key)
    said = refusal(ours, mixed, "worker")
    assert "refuses our certificate (tlsv1 alert unknown ca)" in said
    assert "WORKER__CERT" in said


def test_a_scheduler_without_tls_is_named(ours: Certificates) -> None:
    """It answers, but in the clear."""
    assert "does not speak TLS" in refusal(None, ours)


def test_a_missing_scheduler_is_named(ours: Certificates) -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    address = Address(url=f"tls://127.0.0.1:{port}", host="127.0.0.1", port=port, encrypted=True)
    with pytest.raises(EngineError, match=r"does not answer \(Connection refused\)"):
        check(address, ours, "client")


@pytest.mark.parametrize("given", [None, "missing.pem"])
def test_certificates_must_be_there(given: str | None) -> None:
    """The message names the settings."""
    address = Address(url="tls://127.0.0.1:9", host="127.0.0.1", port=9, encrypted=True)
    named = None if given is None else Certificates(authority=given, own=given, key=None)
    with pytest.raises(ConfigError, match="DASK_DISTRIBUTED__COMM__TLS__CA_FILE"):
        check(address, named, "client")
