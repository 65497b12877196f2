"""The client of the docker SDK, and the meaning of the SDK's exceptions.

The SDK reports in many ways that no answer came. Here these become the few errors that a run
distinguishes.
"""

import contextlib
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import docker
import docker.errors
import requests
import urllib3
from docker.constants import DEFAULT_TIMEOUT_SECONDS
from docker.errors import TLSParameterError
from docker.tls import TLSConfig
from docker.utils.socket import SocketError

from runner.engines.docker.address import ANSWER_S, LOCAL, Address
from runner.engines.docker.ssh import Tunnel
from runner.errors import EngineError, EngineLostError

CHANGE_S = 120.0
"""How long an engine may take to create, start or remove something, or to begin a stream."""

_NO_ANSWER = (  # raised by the SDK if no answer comes, or if an answer breaks off
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    docker.errors.StreamParseError,
    SocketError,
    ConnectionError,
)


def client_at(where: Address) -> tuple[docker.DockerClient, Tunnel | None]:
    """Return a client of the engine at an address, and the tunnel that it uses if there is one.

    EngineError, with advice, if no engine answers.
    """
    tunnel: Tunnel | None = None
    try:
        tunnel = Tunnel(where.url) if where.url.startswith("ssh://") else None
        url = where.url if tunnel is None else tunnel.address
        return _Client(url, _tls(where)), tunnel
    except (docker.errors.DockerException, ValueError) as error:
        why = None if tunnel is None else tunnel.last_error()
        if tunnel is not None:
            tunnel.close()
        raise no_engine(where, error, why) from error


def no_engine(where: Address, error: Exception, why: str | None = None) -> EngineError:
    """Return that no engine answers at an address, with advice."""
    engine = "podman" if where.is_podman else "Docker engine"
    place = "its usual socket" if where.url == LOCAL else where
    return EngineError(
        f"no {engine} answers at {place} ({why or cause(error)}): {_advice(where, error)}."
    )


class _Client(docker.DockerClient):
    """A client that asks through ``_LimitedApi``."""

    def __init__(self, url: str, tls: TLSConfig | bool) -> None:
        self.api = _LimitedApi(url, tls=tls)


class _LimitedApi(docker.APIClient):
    """Limits the whole time of each request, whatever transport it uses.

    The SDK only limits each silence, so an engine that sends a byte every second would hang it.
    Uploads, and streams once they have begun, take as long as they need.
    """

    _proxies: Mapping[str, str] | None = None

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> Any:
        # Of the environment, only proxies count: requests would also read passwords in ``.netrc``,
        # and prefer REQUESTS_CA_BUNDLE to the certificates of the engine.
        self.trust_env = False
        options.setdefault("proxies", self._environ_proxies(str(url)))
        ask = partial(super().request, method, url, *args, **options)
        longest_s = options.get("timeout")
        is_upload = not isinstance(options.get("data"), str | None)
        if is_upload or longest_s is None or longest_s > DEFAULT_TIMEOUT_SECONDS:
            return ask()
        # A question about an image in a registry waits for the registry.
        is_question = method == "GET" and "/distribution/" not in str(url)
        is_question = is_question and not options.get("stream")
        return _within(ANSWER_S if is_question else CHANGE_S, ask)

    def _environ_proxies(self, url: str) -> Mapping[str, str]:
        """Return the proxies on the way to the engine, which is the same in all requests."""
        if self._proxies is None:
            self._proxies = requests.utils.get_environ_proxies(url)
        return self._proxies


def _within(seconds: float, ask: Callable[[], requests.Response]) -> requests.Response:
    """Return the complete answer; requests.Timeout if it does not come in time."""
    answers: queue.SimpleQueue[requests.Response | BaseException] = queue.SimpleQueue()

    def wait() -> None:
        try:
            answers.put(ask())
        except BaseException as error:  # noqa: BLE001 (it is raised in the other thread)
            answers.put(error)

    threading.Thread(target=wait, daemon=True).start()  # nobody waits for it in the end
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise requests.Timeout(f"no complete answer within {seconds:g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _tls(address: Address) -> TLSConfig | bool:
    """Return how to encrypt the connection; DockerException if a certificate is missing."""
    folder = address.certificates
    if folder is None:
        return False
    own = (str(folder / "cert.pem"), str(folder / "key.pem"))
    shown = own if any(map(os.path.exists, own)) or not (folder / "ca.pem").exists() else None
    return TLSConfig(client_cert=shown, ca_cert=str(folder / "ca.pem"), verify=address.verify)


def _advice(address: Address, error: BaseException) -> str:
    text = str(error)
    if "Permission denied" in text and address.socket and not address.is_podman:
        return "add yourself to the group `docker`, or use an engine of your own"
    if address.url.startswith("ssh://"):
        return "check that ssh connects without asking anything and finds `docker` there"
    if "HTTPS server" in text:
        return "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of its certificates"
    if address.certificates is not None and ("SSL" in text or isinstance(error, TLSParameterError)):
        return (
            f"check that ca.pem, cert.pem and key.pem in {address.certificates} belong to "
            "this engine"
        )
    if address.context is not None:
        return "start it, or choose another context with `docker context use`"
    podman = "start its service (`systemctl --user start podman.socket`)"
    return podman if address.is_podman else "start Docker, or name an engine in DOCKER_HOST"


@contextlib.contextmanager
def engine_at_work(step: str, *, passing: bool = False) -> Iterator[None]:
    """Turn the SDK's exceptions into ours: an engine that does not answer is lost.

    With ``passing``, any refusal may pass, whatever its status. The order of the clauses matters,
    because the SDK's exceptions for the statuses 4xx and 5xx are RequestExceptions, too.
    """
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise EngineLostError(
            f"an image that existed before is gone ({cause(error)}); "
            "run the same command to build it again."
        ) from error
    except docker.errors.DockerException as error:
        kind = EngineLostError if passing or _may_pass(error) else EngineError
        raise kind(
            f"the engine could not {step}: {cause(error)}; "
            "fix that and run the same command to resume (finished trials are kept)."
        ) from error
    except _NO_ANSWER as error:
        raise EngineLostError(
            f"the engine stopped answering when it had to {step} ({cause(error)}); "
            "start it and run the same command to resume (finished trials are kept)."
        ) from error


def _may_pass(error: docker.errors.DockerException) -> bool:
    """Whether the engine is in trouble, rather than our request wrong."""
    passing = {requests.codes.not_found, requests.codes.conflict, requests.codes.too_many_requests}
    return isinstance(error, docker.errors.APIError) and (
        error.is_server_error() or error.status_code in passing
    )


def cause(error: BaseException) -> str:
    """Return the innermost reason: the SDK wraps the system's own message several times."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        link = link.__cause__ or link.__context__
    if "Invalid bind address" in str(error):
        return "this is no address of an engine"
    text = (
        str(getattr(error, "explanation", None) or error).strip(" \"'()").removesuffix(": unknown")
    )  # containerd's kind of error
    return text.rsplit(": ", 1)[-1].partition(". (")[0].strip(" \"'()") or "no reason given"


def interrupt(response: requests.Response) -> None:
    """End a response for whoever is reading it."""
    with (
        contextlib.suppress(OSError, ValueError),  # it is closed already
        socket.socket(fileno=os.dup(response.raw.fileno())) as connection,
    ):
        connection.shutdown(socket.SHUT_RDWR)
