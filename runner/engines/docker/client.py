"""A client of Docker's SDK, and what its exceptions mean: with ``docker_engine`` all that knows it.

The SDK says in many ways that no answer came; here they become the few that a run tells apart.
"""

import contextlib
import os
import socket
from collections.abc import Iterator

import docker
import docker.errors
import requests
import urllib3
from docker.errors import TLSParameterError
from docker.tls import TLSConfig
from docker.utils.socket import SocketError

from runner.engines.docker.address import LOCAL, Address
from runner.engines.docker.ssh import Tunnel
from runner.errors import EngineError, EngineLostError

_AWAY = (  # how the SDK says that no answer came, or that one broke off
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    docker.errors.StreamParseError,
    SocketError,
    ConnectionError,
)


def client_at(where: Address) -> tuple[docker.DockerClient, Tunnel | None]:
    """Return a client of the engine at an address, and the way there if that is one of its own.

    EngineError, with what to do, if no engine answers.
    """
    tunnel: Tunnel | None = None
    try:
        tunnel = Tunnel(where.url) if where.url.startswith("ssh://") else None
        url = where.url if tunnel is None else tunnel.address
        client = docker.DockerClient(url, tls=_tls(where))
    except (docker.errors.DockerException, ValueError) as error:
        why = (tunnel and tunnel.complaint()) or cause(error)
        if tunnel is not None:
            tunnel.close()
        named = "its usual socket" if where.url == LOCAL else where
        raise EngineError(
            f"no Docker engine answers at {named} ({why}): {_remedy(where, error)}."
        ) from error
    return client, tunnel


class _Certificates(TLSConfig):
    """The engine's certificates, checked by what was given: requests prefers REQUESTS_CA_BUNDLE."""

    def configure_client(self, client: docker.APIClient) -> None:
        super().configure_client(client)
        client.proxies = requests.utils.get_environ_proxies(client.base_url)
        client.trust_env = False


def _tls(address: Address) -> TLSConfig | bool:
    """Return how to encrypt; DockerException if a certificate is missing."""
    folder = address.certificates
    if folder is None:
        return False
    own = (str(folder / "cert.pem"), str(folder / "key.pem"))
    shown = own if any(map(os.path.exists, own)) or not (folder / "ca.pem").exists() else None
    return _Certificates(client_cert=shown, ca_cert=str(folder / "ca.pem"), verify=address.verify)


def _remedy(address: Address, error: BaseException) -> str:
    """Say what to do where no engine answers."""
    text = str(error)
    if "Permission denied" in text and address.socket:
        return "add yourself to the group `docker`, or use an engine that is yours"
    if address.url.startswith("ssh://"):
        return "see that ssh gets there without a question and finds `docker` there"
    if "HTTPS server" in text:
        return "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of its certificates"
    if address.certificates is not None and ("SSL" in text or isinstance(error, TLSParameterError)):
        return f"see that ca.pem, cert.pem and key.pem in {address.certificates} belong to it"
    if address.context is not None:
        return "start it, or choose another one with `docker context use`"
    return "start Docker, or name an engine in DOCKER_HOST"


@contextlib.contextmanager
def engine_at_work(what: str, *, passing: bool = False) -> Iterator[None]:
    """Turn the SDK's exceptions into ours: no answer is a lost engine, a bad one its failure.

    Where ``passing``, what it refuses now it may do later, whatever it answers. The order matters:
    the SDK's answers of 4xx and 5xx are RequestExceptions, too.
    """
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise EngineLostError(
            f"an image is gone that was there before ({cause(error)}); "
            "repeat the command to build it again."
        ) from error
    except docker.errors.DockerException as error:
        kind = EngineLostError if passing or _may_pass(error) else EngineError
        raise kind(
            f"the engine failed to {what}: {cause(error)}; "
            "repeat the command when that is repaired: finished trials are kept."
        ) from error
    except _AWAY as error:
        raise EngineLostError(
            f"the engine went away while it was to {what} ({cause(error)}); "
            "start it again and repeat the command: finished trials are kept."
        ) from error


def _may_pass(error: docker.errors.DockerException) -> bool:
    """Whether the engine is in trouble, and not our request wrong."""
    passing = {requests.codes.not_found, requests.codes.conflict, requests.codes.too_many_requests}
    return isinstance(error, docker.errors.APIError) and (
        error.is_server_error() or error.status_code in passing
    )


def shut(connection: requests.Response) -> None:
    """Have whoever reads from a connection see its end now."""
    with (
        contextlib.suppress(OSError, ValueError),  # it is closed already
        socket.socket(fileno=os.dup(connection.raw.fileno())) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)


def cause(error: BaseException) -> str:
    """Return the innermost reason in words: the SDK wraps what the system said several times."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        link = link.__cause__ or link.__context__
    text = str(error).strip(" \"'()").removesuffix(": unknown")  # the kind, to containerd
    return text.rsplit(": ", 1)[-1].partition(". (")[0].strip(" \"'()") or "no reason given"
