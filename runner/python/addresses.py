"""Where the user's package indexes are, and with which credentials they answer.

The settings are those of uv: its environment variables, ``uv.toml``, ``.netrc`` and keyring.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from runner.python import toml
from runner.records.environment import IndexSettings
from runner.system import places

OF_MACHINE = Path("/etc/uv/uv.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An index. Credentials are kept apart from its URL, so that no message contains them."""

    url: str
    user: str | None = None
    password: str | None = None

    @property
    def host(self) -> str:
        """The host, with its port if one is given."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> tuple[str, str]:
        """The scheme and the host."""
        return urlsplit(self.url)[:2]

    @property
    def complete(self) -> str:
        """The URL with the credentials, which only a program of ours may see."""
        if self.user is None:
            return self.url
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{quote(self.user, safe='')}{password}@{rest}"


def configured(named: IndexSettings | None = None) -> tuple[Address, ...]:
    """Return the indexes in the order in which uv searches them.

    They are those of the user, with those that a matrix names.
    """
    own = _own()
    if named is None:
        return own
    default = _with_credentials(named.default, own) if named.default else own[-1]
    return (*(_with_credentials(one, own) for one in named.extra), *own[:-1], default)


def _with_credentials(url: str, own: Sequence[Address]) -> Address:
    """Return the address of an index, with the user's credentials for the same host, if any.

    A matrix may come from anybody, so credentials never go to another host than the user's.
    """
    found = address(url)
    same = (one for one in own if one.user and one.origin == found.origin)
    known = next(same, found)
    return replace(found, user=known.user, password=known.password)


def variables(named: IndexSettings) -> dict[str, str]:
    """Return the environment variables with which uv searches the indexes that a matrix names."""
    own, usual = _own(), os.environ.get("UV_INDEX", "").split()
    extra = [_with_credentials(one, own).complete for one in named.extra]
    found = {"UV_INDEX": " ".join((*extra, *usual))} if extra else {}
    if named.default:
        found["UV_DEFAULT_INDEX"] = _with_credentials(named.default, own).complete
    return found


def _own() -> tuple[Address, ...]:
    variables = os.environ
    first = [
        *variables.get("UV_INDEX", "").split(),
        *variables.get("UV_EXTRA_INDEX_URL", "").split(),
    ]
    default = variables.get("UV_DEFAULT_INDEX") or variables.get("UV_INDEX_URL")
    for written in settings():
        entries = [one for one in written.get("index", ()) if not one.get("explicit")]
        first += [_written(one) for one in entries if not one.get("default")]
        first += written.get("extra-index-url", ())
        defaults = [_written(one) for one in entries if one.get("default")]
        default = default or next(iter(defaults), None) or written.get("index-url")
    return tuple(map(address, (*first, str(default or _public()))))


def _public() -> str:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415  only locking needs an index

    return PYPI_SIMPLE_ENDPOINT


def address(written: str) -> Address:
    """Return the address that ``URL`` or ``name=URL`` means."""
    named = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", written)
    name, url = named.groups() if named else ("", written)
    variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    parts = urlsplit(url)
    return Address(
        url=urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/"),
        user=unquote(parts.username or "") or os.environ.get(f"{variable}_USERNAME"),
        password=unquote(parts.password or "") or os.environ.get(f"{variable}_PASSWORD"),
    )


def settings() -> Iterator[Mapping[str, Any]]:
    """Yield the settings of the user and of the machine. uv reports those that are wrong."""
    config = places.named("XDG_CONFIG_HOME") or Path.home() / ".config"
    for path in (config / "uv" / "uv.toml", OF_MACHINE):
        try:
            yield toml.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue


def _written(entry: Mapping[str, Any]) -> str:
    url = str(entry.get("url", ""))
    return f"{entry['name']}={url}" if entry.get("name") else url
