"""The address of a scheduler, and our certificates for it: checked before Dask connects.

Whoever reaches a scheduler can execute code on all its workers. So a connection that leaves this
machine is encrypted, and both sides show a certificate of the same authority.
"""

import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass

from runner.errors import ConfigError, EngineError
from runner.text import quoted, why

ANSWER_S = 10.0
EXAMPLE = "tls://scheduler:8786"
SETTINGS = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._{role}__CERT and ..._{role}__KEY"
_ADDRESS = re.compile(
    r"(?P<scheme>tls|tcp)://(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a scheduler listens."""

    url: str
    host: str
    port: int
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The files with the authority, our own certificate and its key."""

    authority: str
    own: str
    key: str | None


def read_address(text: str) -> Address:
    """Return the address of a scheduler; ConfigError if it is none, or not encrypted.

    Only a scheduler on this machine may be reached without TLS.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 1 << 16:
        raise ConfigError(f"{quoted(text)} is not the address of a scheduler; write {EXAMPLE}.")
    address = Address(
        url=text,
        host=match["host"].strip("[]"),
        port=int(match["port"]),
        encrypted=match["scheme"] == "tls",
    )
    if not address.encrypted and not _is_loopback(address.host):
        raise ConfigError(
            f"{text} is not encrypted: whoever reaches such a scheduler controls all its machines. "
            f"Start the scheduler with certificates and write tls://{text.partition('://')[2]}; "
            "docs/scale.md shows how."
        )
    return address


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(address: Address, certificates: Certificates | None, role: str) -> None:
    """Shake hands with a scheduler as Dask would; EngineError with the reason if that fails.

    Dask itself would try for half a minute, and then not say which certificate is wrong.
    ConfigError if a certificate of ours is missing or cannot be read.
    """
    context = _context(certificates, role) if address.encrypted else None
    where = f"the scheduler at {address.url}"
    try:
        with socket.create_connection((address.host, address.port), ANSWER_S) as plain:
            if context is None:
                return
            with context.wrap_socket(plain) as connection:
                connection.recv(1)  # a server that refuses our certificate says so only now
    except ssl.SSLCertVerificationError as error:
        raise EngineError(
            f"{where} shows a certificate that our authority has not signed "
            f"({error.verify_message}): it may be another scheduler, or {SETTINGS} are of another "
            "cluster; check them.".format(role=role.upper())
        ) from error
    except ssl.SSLError as error:
        raise EngineError(_refusal(where, error, role)) from error
    except OSError as error:
        raise EngineError(
            f"{where} does not answer ({error.strerror or error}); start it, or check the address."
        ) from error


def _context(certificates: Certificates | None, role: str) -> ssl.SSLContext:
    settings = SETTINGS.format(role=role.upper())
    if certificates is None:
        raise ConfigError(
            f"tls:// needs certificates: set {settings} to their files, or the same keys in Dask's "
            "configuration; docs/scale.md shows how."
        )
    try:
        context = ssl.create_default_context(cafile=certificates.authority)
        context.check_hostname = False  # as Dask does: the authority is that of the cluster alone
        context.load_cert_chain(certificates.own, certificates.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificates for the scheduler cannot be read ({_why(error)}); check {settings}."
        ) from error
    return context


def _why(error: OSError) -> str:
    """Return why a certificate cannot be read, without the words of OpenSSL's own code."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a certificate").lower().replace("_", " ")
    return why(error)


def _refusal(where: str, error: ssl.SSLError, role: str) -> str:
    reason = error.reason or ""
    if "ALERT" in reason:
        return (
            f"{where} refuses our certificate ({reason.lower().replace('_', ' ')}): use one of its "
            f"own authority in {SETTINGS}.".format(role=role.upper())
        )
    return f"{where} does not speak TLS ({reason.lower().replace('_', ' ')}); start it with TLS."
