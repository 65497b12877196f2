"""How names, versions and requirements are written, in ``matrix.yaml`` and in stored records.

They become arguments of uv and lines of its files. None of them can begin with a dash, contain a
line break or name a URL. The patterns are in the common syntax of Python, Rust and JSON Schema.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from runner.records import shown

_WORD = "[A-Za-z0-9][A-Za-z0-9._-]*"
_SPECIFIER = "(===?|[~!<>]=|<|>) *[A-Za-z0-9][A-Za-z0-9.*+!_-]*"
_QUOTED = "([A-Za-z0-9][A-Za-z0-9.*+_-]*( [A-Za-z0-9][A-Za-z0-9.*+_-]*)*)?"
_MARKER = f"([a-z_<>=!~() ]|'{_QUOTED}'|\"{_QUOTED}\")+"

LABEL = r"^[^,=@/]{1,100}$"
NAMED = r"^[^,]{1,150}$"
_VERSION_SPECIFIER = "(~=|==|!=|<=?|>=?) *[0-9][0-9A-Za-z.*+!_-]*"
VERSION = r"^[0-9][0-9A-Za-z.+!_-]{0,60}$"
PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$"
REQUIREMENT = (
    r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
    rf"(\[ *({_WORD}( *, *{_WORD})*)? *\])?"
    rf"( *{_SPECIFIER}( *, *{_SPECIFIER})*)?"
    rf"( *;{_MARKER})?$"
)
REQUIREMENT_LENGTH = 300
SOURCE = r"^[A-Za-z0-9._][A-Za-z0-9._ :/@+~^-]{0,254}$"
SPECIFIERS = f"^{_VERSION_SPECIFIER}( *, *{_VERSION_SPECIFIER})*$"
TAKE = r"^(all|latest-patch|latest-minor|every-[1-9][0-9]{0,2}|oldest\+latest)$"
WHEEL = r"^[A-Za-z0-9_.]+-[A-Za-z0-9_.!+]+(-[0-9][A-Za-z0-9_.]*)?(-[A-Za-z0-9_.]+){3}\.whl$"
REVISION = r"^[A-Za-z0-9_][A-Za-z0-9._/+~^-]{0,199}$"
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$"
IMAGES = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*\{version\}[A-Za-z0-9._-]*$"
IMAGE_TAG = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
INDEX = r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~%+-]+)*/?$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"
BASE = r"^[A-Za-z0-9]([A-Za-z0-9._:/@-]|\{python\}){0,254}$"
MINOR = r"^3\.[0-9]{1,2}$"
_PYTHON = r"3\.[0-9]{1,2}(\.[0-9]{1,2}|t)?|pypy3\.[0-9]{1,2}"
PYTHON_NAME = f"^({_PYTHON})$"
PYTHON = f"^(auto|{_PYTHON})$"
PYTHON_OR_RANGE = f"{PYTHON_NAME}|{SPECIFIERS}"
AS_OF = r"^(release|today|[0-9]{4}-[0-9]{2}-[0-9]{2})$"
SOURCE_PACKAGES = r"^(build|refuse)$"
PLATFORM = r"^[a-z0-9][a-z0-9._-]{0,60}$"
HASH = r"^sha256:[0-9a-f]{64}$"
_PIN = f"^{PACKAGE.strip('^$')}=={VERSION.strip('^$')}$"

EXPECTED = {
    NAMED: "1 to 150 visible characters without `,`, and no space at either end",
    SPECIFIERS: 'a range of versions such as ">=1.4,<2.22"',
    SOURCE: "a path without special characters, or `git:REVISION:PATH`",
    WHEEL: "the name of a wheel",
    REVISION: "a tag, a branch, a commit or `worktree`",
    IMAGE: "the name of an image",
    IMAGES: "the name of an image with `{version}`, and `versions`",
    IMAGE_TAG: "the tag of an image",
    INDEX: "the address of a package index without credentials, such as https://host/simple",
    TAKE: "`all`, `latest-patch`, `latest-minor`, `every-3` or `oldest+latest`",
    VARIABLE: "the name of an environment variable",
    BASE: "`auto`, `pull`, `host` or the name of an image",
    LABEL: "1 to 100 visible characters without `,` `=` `@` `/`, and no space at either end",
    VERSION: 'an exact version such as "2.0.0"',
    PACKAGE: "the name of a package",
    REQUIREMENT: "a package such as `numpy` or `numpy<2`",
    MINOR: 'a minor version such as "3.7"',
    PYTHON_NAME: 'a version of Python such as "3.7", "3.12.4", "3.13t" or "pypy3.10"',
    PYTHON_OR_RANGE: 'a version of Python such as "3.7", "3.12.4", "3.13t" or "pypy3.10"',
    PYTHON: '`auto` or a version such as "3.7", "3.12.4", "3.13t" or "pypy3.10"',
    AS_OF: "`release`, `today` or a date such as 2019-10-15",
    SOURCE_PACKAGES: "`build` or `refuse`",
    PLATFORM: "a platform such as linux-x86_64",
    HASH: "a hash such as sha256:...",
    _PIN: "a package with its version such as setuptools==59.6.0",
}
"""What is expected, by pattern."""


_NAME = re.compile("[A-Za-z_][A-Za-z0-9_. -]*")
_BRACES = re.compile(r"\{\{([^{}]+)\}\}|\{([^{}]+)\}")


def placeholders(text: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names in single braces: known ones, and words that may be misspelt ones.

    Other contents of braces are text, such as JSON.
    """
    return tuple(
        match[2] for match in _BRACES.finditer(text) if match[2] and _is_name(match[2], known)
    )


def filled(text: str, values: Mapping[str, object]) -> str:
    """Replace names in single braces by their values, and double braces by single ones.

    KeyError if a name is unknown.
    """

    def replacement(match: re.Match[str]) -> str:
        doubled, name = match.groups()
        if not _is_name(doubled or name, values):
            return match[0]
        return f"{{{doubled}}}" if doubled else shown(values[name])

    return _BRACES.sub(replacement, text)


def literal(text: str) -> str:
    """Return what ``filled`` turns into the text, whatever names in braces it has."""

    def doubled(match: re.Match[str]) -> str:
        return f"{{{match[0]}}}" if _is_name(match[1] or match[2], ()) else match[0]

    return _BRACES.sub(doubled, text)


def _is_name(text: str, known: Collection[str]) -> bool:
    return text in known or _NAME.fullmatch(text) is not None


@lru_cache(maxsize=4096)  # the cells of a run have the same few environments
def fits(value: str, pattern: str) -> bool:
    """Whether the whole value has the form of a pattern."""
    if re.fullmatch(pattern, value) is None:
        return False
    if pattern == REQUIREMENT:
        return len(value) <= REQUIREMENT_LENGTH
    return pattern not in {LABEL, NAMED} or (value.isprintable() and value == value.strip())


def check(name: str, values: Iterable[str], pattern: str) -> None:
    """Raise ValueError unless every value of a field has the form of a pattern."""
    for value in values:
        if not fits(value, pattern):
            raise ValueError(f"{name}: expected {EXPECTED[pattern]}, found {value[:60]!a}")


def check_pins(name: str, values: Iterable[str]) -> None:
    """Raise ValueError unless every value is a package with its exact version."""
    check(name, values, _PIN)
