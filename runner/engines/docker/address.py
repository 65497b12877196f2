"""The address of the engine, as the docker program determines it: from DOCKER_HOST or a context.

The SDK is not used: importing it takes longer than ``plan`` may take, and it silently falls back to
the local engine if a context is gone.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.errors import EngineError
from runner.text import why

USUAL = "/var/run/docker.sock"
LOCAL = f"unix://{USUAL}"
PODMAN = "podman/podman.sock"
RUNTIME = "/run"
"""The folder of podman's socket for all users; each user has another folder."""
ANSWER_S = 20.0  # an engine that has not answered a question completely by then does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an engine listens.

    ``context`` is the Docker context that gives the address. ``certificates`` is the folder of the
    client's certificates, and ``verify`` is whether the engine's own certificate is checked.
    ``is_podman`` is whether podman is expected there.
    """

    url: str
    context: str | None = None
    certificates: Path | None = None
    verify: bool = True
    is_podman: bool = False

    @property
    def socket(self) -> str | None:
        """The path of the Unix socket, if the address is one."""
        scheme, _, path = self.url.partition("://")
        return path if scheme == "unix" else None

    def __str__(self) -> str:
        return self.url if self.context is None else f"{self.url}, the context {self.context},"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Something that points to a container engine, as a clause, and where that engine should be.

    Without an address, it is where the docker program looks (``engine_address``).
    """

    clause: str
    address: Address | None = None


def pointers() -> list[Pointer]:
    """Return what points to Docker or podman here.

    A setting of the user counts alone. Without one, each socket in a usual place does, whether or
    not anything listens there.
    """
    if os.environ.get("DOCKER_HOST"):
        return [Pointer("DOCKER_HOST is set")]
    if context := _context():
        return [Pointer(f"the Docker context {context} is chosen")]
    if os.environ.get("CONTAINER_HOST"):
        return [Pointer("CONTAINER_HOST is set", podman_address())]
    docker = Pointer(f"{USUAL} exists", Address(url=LOCAL))
    podman = [Pointer(f"{one.socket} exists", one) for one in _podman_sockets()]
    return [docker, *podman] if os.access(USUAL, os.F_OK) else podman


def engine_address() -> Address:
    """Return the address in DOCKER_HOST, else that of the chosen context, else the usual socket.

    EngineError if that context does not exist.
    """
    if url := os.environ.get("DOCKER_HOST"):
        url = LOCAL if url == "unix://" else url
        verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
        folder = os.environ.get("DOCKER_CERT_PATH") or (_settings() if verify else None)
        return Address(url=url, certificates=Path(folder) if folder else None, verify=verify)
    context = _context()
    return Address(url=LOCAL) if context is None else _of_context(context)


def _context() -> str | None:
    """Return the context in use, if it is another one than the default."""
    context = os.environ.get("DOCKER_CONTEXT") or _chosen_context()
    return None if context in {None, "", "default"} else context


def _settings() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())


def _chosen_context() -> str | None:
    """Return the context that ``docker context use`` chose."""
    with suppress(OSError, ValueError, AttributeError):
        settings = json.loads((_settings() / "config.json").read_text(encoding="utf-8"))
        chosen = settings.get("currentContext")
        return chosen if isinstance(chosen, str) else None
    return None


def _of_context(context: str) -> Address:
    folder, key = _settings() / "contexts", hashlib.sha256(context.encode()).hexdigest()
    try:
        stored = json.loads((folder / "meta" / key / "meta.json").read_text(encoding="utf-8"))
        endpoint = stored["Endpoints"]["docker"]
        url, verify = str(endpoint["Host"]), not endpoint.get("SkipTLSVerify", False)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or why(error)
        raise EngineError(
            f"the Docker context {context} cannot be read in {folder} ({reason}): choose "
            "another context with `docker context use`, or name an engine in DOCKER_HOST."
        ) from error
    tls = folder / "tls" / key / "docker"
    certificates = tls if os.access(tls, os.F_OK) else None
    return Address(url=url, context=context, certificates=certificates, verify=verify)


def podman_address() -> Address | None:
    """Return where podman is looked for: CONTAINER_HOST, else DOCKER_HOST, else its own sockets.

    The user's own socket comes first. None is where the docker program would look.
    """
    if url := os.environ.get("CONTAINER_HOST"):
        return Address(url=url, is_podman=True)
    return None if os.environ.get("DOCKER_HOST") else next(iter(_podman_sockets()), None)


def _podman_sockets() -> list[Address]:
    own = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    paths = (Path(folder, PODMAN) for folder in (own, RUNTIME))
    return [
        Address(url=f"unix://{one}", is_podman=True) for one in paths if os.access(one, os.F_OK)
    ]
