"""Environments: the request of a cell, its entry in the lock, and the image built from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property

from runner.records import FORMAT, Record, patterns

BUILD, REFUSE = "build", "refuse"
"""What may happen to source packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings(Record):
    """The package indexes that a matrix names: ``extra`` ones are searched before the others.

    Without ``default``, the user's own default is searched last. ``wheels`` is a folder of wheels
    beside the matrix, which are as good as those of an index.
    """

    default: str | None = None
    extra: tuple[str, ...] = ()
    wheels: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if a value is no address of an index, or contains credentials."""
        patterns.check("default", [self.default] if self.default else [], patterns.INDEX)
        patterns.check("extra", self.extra, patterns.INDEX)
        patterns.check("wheels", [self.wheels] if self.wheels else [], patterns.SOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRange(Record):
    """The versions of a package that a matrix asks for, before the index says which exist.

    ``specifier`` is that of PEP 440. ``take`` leaves some of them out (see ``lock.ranges``).
    """

    distributions: tuple[str, ...]
    specifier: str
    take: str = "all"
    as_of: str = "release"
    index: IndexSettings | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if a value is not written as in a matrix."""
        patterns.check("distributions", self.distributions, patterns.PACKAGE)
        patterns.check("specifier", [self.specifier], patterns.SPECIFIERS)
        patterns.check("take", [self.take], patterns.TAKE)
        patterns.check("as_of", [self.as_of], patterns.AS_OF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement(Record):
    """One package of a request: the first of ``distributions`` that has ``version``."""

    axis: str
    distributions: tuple[str, ...]
    version: str
    extras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError if a value could be something else in a command of uv."""
        patterns.check("axis", [self.axis], patterns.LABEL)
        patterns.check("distributions", self.distributions, patterns.PACKAGE)
        patterns.check("version", [self.version], patterns.VERSION)
        patterns.check("extras", self.extras, patterns.PACKAGE)

    def line(self, distribution: str) -> str:
        """Return the line of a requirements file: ``pandas[performance]==2.0.3``."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{distribution}{extras}=={self.version}"


class SourceKind(Enum):
    """What an environment is made from, besides packages that the matrix names."""

    LOCK = "lock"
    PROJECT = "project"
    IMAGE = "image"
    DOCKERFILE = "dockerfile"


READY = frozenset({SourceKind.IMAGE, SourceKind.DOCKERFILE})
"""The sources that nothing is installed into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Record):
    """Something outside the matrix that an environment is made from.

    ``written`` is how the matrix names it: ``git:origin/main:uv.lock``, or ``v1.2:.`` for a project
    in this folder at a revision. ``digest`` is that of its content, which belongs to the request:
    other content is another environment. An image has none before it is locked.
    """

    kind: SourceKind
    written: str
    digest: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if a value is not written as in a matrix."""
        patterns.check("written", [self.written], patterns.SOURCE)
        patterns.check("digest", [self.digest] if self.digest else [], patterns.HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRequest(Record):
    """The environment that a cell requests.

    ``python`` is ``auto`` (an interpreter of the time) or a version such as ``3.7``, ``3.12.4``,
    ``3.13t`` (free-threaded) or ``pypy3.10``.
    ``as_of`` is ``release`` (the day after the requirements were uploaded), ``today`` or an ISO
    date. ``packages`` are further requirements, and ``constraints`` limit the versions of all
    packages. ``compile`` allows a compiler while source packages are built. ``source_packages`` is
    ``build`` or ``refuse``. ``sources`` are what else it is made from. ``base`` replaces the base
    of the matrix. ``chosen`` has the values of the build axes that are not versions of a package.
    """

    requirements: tuple[Requirement, ...]
    python: str = "auto"
    as_of: str = "release"
    packages: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    index: IndexSettings | None = None
    compile: bool = False
    source_packages: str = BUILD
    sources: tuple[Source, ...] = ()
    base: str | None = None
    chosen: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError if a value could be something else in a command of uv."""
        patterns.check("python", [self.python], patterns.PYTHON)
        patterns.check("as_of", [self.as_of], patterns.AS_OF)
        patterns.check("packages", self.packages, patterns.REQUIREMENT)
        patterns.check("constraints", self.constraints, patterns.REQUIREMENT)
        patterns.check("source_packages", [self.source_packages], patterns.SOURCE_PACKAGES)
        patterns.check("base", [self.base] if self.base else [], patterns.BASE)
        patterns.check("chosen", [axis for axis, _ in self.chosen], patterns.LABEL)
        patterns.check("chosen", [value for _, value in self.chosen], patterns.NAMED)

    def source(self, kind: SourceKind) -> Source | None:
        """Return the source of a kind; None if there is none."""
        return {one.kind: one for one in self.sources}.get(kind)

    @property
    def label(self) -> str:
        """A name for people: ``tensorflow=1.15.0``, or ``plain Python 3.13``."""
        named = dict(self.chosen)
        pins = [(need.axis, need.version) for need in self.requirements if need.axis not in named]
        plain = "plain Python" if self.python == "auto" else f"plain Python {self.python}"
        return ",".join(f"{axis}={value}" for axis, value in (*pins, *named.items())) or plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Package(Record):
    """A locked package; ``hashes`` check downloads, in the form ``sha256:...``.

    ``source`` marks a package without wheels, which must be built. No other package is built.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    source: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError if a value could be something else in a command of uv."""
        patterns.check("name", [self.name], patterns.PACKAGE)
        patterns.check("version", [self.version], patterns.VERSION)
        patterns.check("hashes", self.hashes, patterns.HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWheel(Record):
    """A wheel that no index has: of the project under test, or of a folder beside the matrix."""

    name: str
    """Of the file: ``mine-1.2-py3-none-any.whl``."""
    hash: str

    def __post_init__(self) -> None:
        """Raise ValueError if a value could be something else in a command of uv."""
        patterns.check("name", [self.name], patterns.WHEEL)
        patterns.check("hash", [self.hash], patterns.HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(Record):
    """A lock entry that can be built: the interpreter's minor version and exact packages.

    Packages are resolved from the index as it was at ``as_of``. ``build_tools`` may be newer,
    because a source package could not be built with those of that day.
    """

    request: EnvironmentRequest
    python: str
    platform: str
    as_of: datetime
    packages: tuple[Package, ...]
    wheels: tuple[LocalWheel, ...] = ()
    build_tools: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError if a value could be something else in a command of uv."""
        patterns.check("python", [self.python], patterns.PYTHON_NAME)
        patterns.check("platform", [self.platform], patterns.PLATFORM)
        patterns.check_pins("build_tools", self.build_tools)
        if self.request.python not in {"auto", self.python}:
            raise ValueError(f"{self.request.label} asks for Python {self.request.python}")
        if any(source.kind in READY for source in self.request.sources):
            raise ValueError(f"{self.request.label} asks for an image, not for packages")

    @property
    def base_key(self) -> str:
        """What decides on the base: the minor version, and the base that an axis chose."""
        return self.python if self.request.base is None else f"{self.python} on {self.request.base}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyImage(Record):
    """A lock entry of an image that nothing is installed into.

    ``digest`` is that of the image in its registry, or of the context of its Dockerfile.
    """

    request: EnvironmentRequest
    digest: str

    def __post_init__(self) -> None:
        """Raise ValueError if a value is not written as a digest."""
        patterns.check("digest", [self.digest], patterns.HASH)
        sources = self.request.sources
        if len(sources) != 1 or sources[0].kind not in READY:
            raise ValueError(f"{self.request.label} asks for no image")
        if sources[0].digest not in {None, self.digest}:
            raise ValueError(f"{self.request.label} asks for another image")

    @property
    def source(self) -> Source:
        """The image or the Dockerfile."""
        (found,) = self.request.sources
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported(Record):
    """A lock entry for an environment that cannot exist, with the reason."""

    request: EnvironmentRequest
    reason: str


Entry = Environment | ReadyImage | Unsupported
"""A lock entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedRange(Record):
    """The versions that a range had when it was locked, in ascending order."""

    range: VersionRange
    versions: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError if a version could be something else in a command of uv."""
        patterns.check("versions", self.versions, patterns.VERSION)


@dataclass(frozen=True, kw_only=True)  # without slots, so that it can keep its table
class Lock(Record):
    """The resolved requests of a matrix."""

    entries: tuple[Entry, ...]
    ranges: tuple[LockedRange, ...] = ()

    def entry(self, request: EnvironmentRequest) -> Entry | None:
        """Return the entry of a request; None if it is not locked yet."""
        return self._entries.get(request)

    @cached_property
    def _entries(self) -> Mapping[EnvironmentRequest, Entry]:
        return {entry.request: entry for entry in reversed(self.entries)}

    def digest(self, kind: SourceKind, written: str) -> str | None:
        """Return the digest of a source when it was locked; None if it is not locked yet."""
        sources = (one for entry in self.entries for one in entry.request.sources)
        return next(
            (one.digest for one in sources if (one.kind, one.written) == (kind, written)), None
        )

    def versions(self, wanted: VersionRange) -> tuple[str, ...] | None:
        """Return the versions of a range; None if it is not locked yet."""
        return next((one.versions for one in self.ranges if one.range == wanted), None)


class BaseKind(Enum):
    """Where a base comes from. ``INTERPRETER`` is the base of the venv engine."""

    PULLED = "pulled"
    LOCAL = "local"
    ASSEMBLED = "assembled"
    INTERPRETER = "interpreter"

    @property
    def made_here(self) -> bool:
        """Whether it is made from an interpreter of this machine."""
        return self in {BaseKind.ASSEMBLED, BaseKind.INTERPRETER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Base(Record):
    """What an image is built on."""

    kind: BaseKind
    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Record):
    """An environment built for an engine. ``environment`` is the environment's digest.

    ``bundle`` is the digest of the bundle that the environment comes from, if it was not built from
    a package index. Only a replay of that bundle uses it.
    """

    environment: str
    label: str
    id: str
    size_bytes: int
    base: Base
    bundle: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Images(Record):
    """The images that a run uses."""

    format: int = FORMAT
    images: tuple[Image, ...]
