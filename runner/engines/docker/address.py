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

LOCAL = "unix:///var/run/docker.sock"
PODMAN = "podman/podman.sock"
ANSWER_S = 20.0  # an engine that has not answered a question completely by then does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an engine listens.

    ``context`` is the Docker context that gives the address. ``certificates`` is the folder of the
    client's certificates, and ``verify`` is whether the engine's own certificate is checked.
    """

    url: str
    context: str | None = None
    certificates: Path | None = None
    verify: bool = True

    @property
    def socket(self) -> str | None:
        """The path of the Unix socket, if the address is one."""
        scheme, _, path = self.url.partition("://")
        return path if scheme == "unix" else None

    def __str__(self) -> str:
        return self.url if self.context is None else f"{self.url}, the context {self.context},"


def engine_address() -> Address:
    """Return the address in DOCKER_HOST, else that of the chosen context, else the usual socket.

    EngineError if that context does not exist.
    """
    if url := os.environ.get("DOCKER_HOST"):
        url = LOCAL if url == "unix://" else url
        verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
        folder = os.environ.get("DOCKER_CERT_PATH") or (_settings() if verify else None)
        return Address(url=url, certificates=Path(folder) if folder else None, verify=verify)
    context = os.environ.get("DOCKER_CONTEXT") or _chosen_context()
    return Address(url=LOCAL) if context in {None, "", "default"} else _of_context(str(context))


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
        raise EngineError(
            f"the Docker context {context} cannot be read in {folder} ({error}): choose another "
            "context with `docker context use`, or name an engine in DOCKER_HOST."
        ) from error
    tls = folder / "tls" / key / "docker"
    certificates = tls if os.access(tls, os.F_OK) else None
    return Address(url=url, context=context, certificates=certificates, verify=verify)


def podman_address() -> str | None:
    """Return podman's address on this machine, the user's own first; None if it does not listen."""
    own = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    sockets = (Path(folder, PODMAN) for folder in (own, "/run"))
    return next((f"unix://{path}" for path in sockets if os.access(path, os.W_OK)), None)
