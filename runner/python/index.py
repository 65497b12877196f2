"""Package indexes: the files of a distribution, the Pythons they are for, and their upload times.

Indexes answer in the formats of PEP 503 (HTML), 691 (JSON) and 700 (upload times). As uv does, we
take a distribution from the first index that has it.
"""

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from runner.errors import PackagesError
from runner.python.addresses import Address, configured
from runner.python.interpreters import Interpreter
from runner.system import child
from runner.text import first_cause

if TYPE_CHECKING:
    import requests
    from pypi_simple import DistributionPackage, ProjectPage

LARGEST_BYTES = 64 * 2**20
CONNECT_S, ANSWER_S, WHOLE_S = 10.0, 30.0, 120.0
"""How long an index may take to connect, to send the next bytes, and in total."""

RETRIES = 3
BUSY = (429, 500, 502, 503, 504)
"""Answers after which a request is repeated."""

REFUSED = (401, 403)
"""Answers after which a request is repeated with the credentials in the user's ``.netrc``."""


class Quality(IntEnum):
    """How well a file suits an interpreter that it fits."""

    SOURCE = 0
    PURE = 1
    COMPILED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A wheel or a source package of a distribution."""

    version: Version
    tags: frozenset[Tag]
    """The tags of a wheel; empty for a source package."""
    requires_python: SpecifierSet = field(default_factory=SpecifierSet)
    uploaded_at: datetime | None = None
    """None if the index does not publish upload times."""
    yanked: bool = False
    is_local: bool = False
    """Whether it lies in a folder beside the matrix, where nothing has an upload time."""
    name: str = ""
    url: str = ""
    sha256: str | None = None

    @property
    def quality(self) -> Quality:
        """What kind of file it is."""
        if not self.tags:
            return Quality.SOURCE
        return Quality.PURE if self.platforms == {"any"} else Quality.COMPILED

    @property
    def platforms(self) -> set[str]:
        """The platforms of a wheel, as its tags name them."""
        return {tag.platform for tag in self.tags}

    def fits(self, interpreter: Interpreter) -> bool:
        """Whether an interpreter can install it, or try to build it."""
        if not self.requires_python.contains(interpreter.version, prereleases=True):
            return False
        return not self.tags or not self.tags.isdisjoint(interpreter.tags)


Files = Callable[[str], tuple[File, ...]]
"""Returns the files of a distribution; none if no index has it. ``Index.files`` or a substitute."""


class Index:
    """Package indexes, by default those of the user. Each page is read once."""

    def __init__(self, addresses: tuple[Address, ...] | None = None) -> None:
        self._addresses = configured() if addresses is None else addresses
        self._pages: dict[str, tuple[File, ...]] = {}
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def files(self, distribution: str) -> tuple[File, ...]:
        """Return the files of a distribution; PackagesError if an index fails."""
        name = canonicalize_name(distribution)
        with self._turns[name]:
            if name not in self._pages:
                self._pages[name] = self._read(name)
            return self._pages[name]

    def _read(self, name: str) -> tuple[File, ...]:
        for address in self._addresses:
            page = _page(address, name)
            if page is not None:
                files = (_file(one) for one in page.packages)
                return tuple(one for one in files if one is not None)
        return ()


def with_local(files: Files, wheels: Iterable[Path]) -> Files:
    """Return what indexes and some wheels on this machine have together.

    Of a package that has wheels here, no others count: somebody else may have the same name.
    """
    local: defaultdict[str, list[File]] = defaultdict(list)
    for path in wheels:
        found = named(path.name)
        if found is not None:
            name = parse_wheel_filename(path.name)[0]
            local[name].append(replace(found, is_local=True))
    return lambda name: tuple(local.get(canonicalize_name(name), ())) or files(name)


def _page(address: Address, name: str) -> "ProjectPage | None":
    """Return the page of a distribution; None if the index does not have it."""
    import requests  # noqa: PLC0415  only locking needs an index
    from pypi_simple import (  # noqa: PLC0415
        ACCEPT_ANY,
        ProjectPage,
        UnsupportedRepoVersionError,
    )

    url, headers = f"{address.url}/{quote(name)}/", {"Accept": ACCEPT_ANY}
    try:
        with (
            _session(address) as session,
            session.get(url, headers=headers, timeout=(CONNECT_S, ANSWER_S), stream=True) as answer,
        ):
            if answer.status_code == requests.codes.not_found:
                return None
            if answer.status_code in REFUSED and address.user is None:
                known = requests.utils.get_netrc_auth(url)
                if known is not None:
                    return _page(replace(address, user=known[0], password=known[1]), name)
            if not answer.ok:
                reason = f"it answered with {answer.status_code} {answer.reason}"
                raise _failed(address, name, reason)
            content = b"".join(_limited(answer))
        if "json" in answer.headers.get("Content-Type", ""):
            return ProjectPage.from_json_data(json.loads(content), base_url=answer.url)
        text = content.decode(answer.encoding or "utf-8", "replace")
        return ProjectPage.from_html(name, text, base_url=answer.url)
    except requests.RequestException as error:
        raise _failed(address, name, first_cause(error)) from error
    except (ValueError, RecursionError, UnsupportedRepoVersionError) as error:
        raise _failed(address, name, f"its answer cannot be read: {first_cause(error)}") from error


def _session(address: Address) -> "requests.Session":
    """Return a session that uses the user's certificates, credentials and proxies."""
    import requests  # noqa: PLC0415  only locking needs an index
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3 import Retry  # noqa: PLC0415

    session = requests.Session()
    retries = Retry(RETRIES, backoff_factor=0.5, status_forcelist=BUSY, raise_on_status=False)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    if address.host in os.environ.get("UV_INSECURE_HOST", "").split():
        session.verify = False
    session.cert = os.environ.get("SSL_CLIENT_CERT")
    password = address.password or _from_keyring(address)
    if address.user is not None and password is not None:
        session.auth = (address.user, password)
    else:  # otherwise requests would read a .netrc before anybody asks for credentials
        session.auth = lambda request: request
    return session


def _from_keyring(address: Address) -> str | None:
    """Return the password that the user's keyring has, if uv may ask it, too."""
    if address.user is None or os.environ.get("UV_KEYRING_PROVIDER") != "subprocess":
        return None
    for place in (address.url, address.host):
        found = child.output(["keyring", "get", place, address.user], timeout_s=ANSWER_S)
        if found is not None:
            return found.rstrip("\n")
    return None


def _limited(answer: "requests.Response") -> Iterator[bytes]:
    """Yield an answer piece by piece; ValueError if it is too long or takes too long."""
    deadline, size = time.monotonic() + WHOLE_S, 0
    for piece in answer.iter_content(1 << 16):
        size += len(piece)
        if size > LARGEST_BYTES:
            raise ValueError(f"it is larger than {LARGEST_BYTES >> 20} MB")
        if time.monotonic() > deadline:
            raise ValueError(f"it takes longer than {WHOLE_S:.0f} s")
        yield piece


def named(name: str) -> File | None:
    """Return what the name of a file says about it; None if it is no file that is installed."""
    tags: frozenset[Tag] = frozenset()
    try:
        if name.endswith(".whl"):
            _, version, _, tags = parse_wheel_filename(name)
        else:
            _, version = parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return File(version=version, tags=tags, name=name)


def _file(package: "DistributionPackage") -> File | None:
    """Return a file; None if its name or its Pythons are written in no form that is installed."""
    found = named(package.filename)
    try:
        requires_python = SpecifierSet(package.requires_python or "")
    except InvalidSpecifier:
        return None
    return found and replace(
        found,
        requires_python=requires_python,
        uploaded_at=package.upload_time,
        yanked=package.is_yanked,
        url=package.url,
        sha256=package.digests.get("sha256"),
    )


def _failed(address: Address, name: str, reason: str) -> PackagesError:
    return PackagesError(
        f"the package index at {address.host} cannot be asked for {name}: {reason}. Check the "
        "network, the address of the index and its credentials, then try again."
    )
