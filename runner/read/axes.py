"""Turn the axes of a document into records: one function for each kind, and the problems."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from runner.errors import ConfigError
from runner.read.problems import Keys, Problem, repeated, unknown
from runner.read.schema import (
    SETTINGS,
    AnyAxis,
    BaseAxis,
    DockerfileAxis,
    Document,
    ImageAxis,
    LockAxis,
    PackagesAxis,
    ProjectAxis,
    PythonAxis,
    VariableAxis,
    VersionsAxis,
)
from runner.records import Value, shown
from runner.records.environment import (
    REFUSE,
    IndexSettings,
    Lock,
    Requirement,
    SourceKind,
    VersionRange,
)
from runner.records.patterns import EXPECTED, NAMED, PYTHON_NAME, VERSION, fits
from runner.records.study import Axis, AxisKind
from runner.system import program
from runner.text import listed, quoted

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

# ruff: noqa: PLC0415 (packaging takes a tenth of `list`, and few matrices need it)


class Outside(Protocol):
    """What a matrix mentions without containing it. Each raises ConfigError if it is not known."""

    def versions(self, wanted: VersionRange) -> tuple[str, ...]:
        """Return the versions of a range."""

    def digest(self, kind: SourceKind, written: str) -> str:
        """Return the digest of a source's content."""

    @property
    def ours(self) -> Collection[str]:
        """The paths in the folder of the matrix where our own files are, such as runs."""


@dataclass(frozen=True, slots=True)
class Locked:
    """What a lock knows of the world outside, which is enough for a replay."""

    lock: Lock = field(default_factory=lambda: Lock(entries=()))

    def versions(self, wanted: VersionRange) -> tuple[str, ...]:
        """Return the versions of a range that is locked."""
        found = self.lock.versions(wanted)
        if found is None:
            raise ConfigError(
                f'the versions "{wanted.specifier}" of {listed(wanted.distributions, "or")} are '
                f"not locked yet; run `{program.name()} lock` first."
            )
        from packaging.specifiers import SpecifierSet

        specifiers = SpecifierSet(wanted.specifier, prereleases=True)
        if not found or not all(_is_in(one, specifiers) for one in found):
            raise ConfigError(
                f"the locked versions {listed(found)} are not all in the range "
                f'"{wanted.specifier}"; remove the range from the lock and lock again.'
            )
        return found

    def digest(self, kind: SourceKind, written: str) -> str:
        """Return the digest of a source that is locked."""
        found = self.lock.digest(kind, written)
        if found is None:
            raise ConfigError(f"{written} is not locked yet; run `{program.name()} lock` first.")
        return found

    @property
    def ours(self) -> Collection[str]:
        """None: a bundle has no runs in the folder of its matrix."""
        return ()


ANCHORED = {AxisKind.VERSION: VERSION, AxisKind.PYTHON: PYTHON_NAME}
"""The kinds whose values are versions, with the form of a value."""


SOURCES = {
    AxisKind.LOCK: SourceKind.LOCK,
    AxisKind.PROJECT: SourceKind.PROJECT,
    AxisKind.IMAGE: SourceKind.IMAGE,
    AxisKind.DOCKERFILE: SourceKind.DOCKERFILE,
}
"""The kinds whose values lie outside the matrix."""

_PACKAGES = ("packages", "requirements", "constraints")
_IMAGES = (
    "an image of the axis `{axis}` is run as it is",
    frozenset(AxisKind) - {AxisKind.PARAMETER, AxisKind.VARIABLE, AxisKind.IMAGE},
    (*_PACKAGES, "python", "base", "index", "as_of", "compile", "source_packages"),
)
WHOLE: Mapping[AxisKind, tuple[str, frozenset[AxisKind], tuple[str, ...]]] = {
    AxisKind.LOCK: (
        "all packages come from the lock files of the axis `{axis}`",
        frozenset({AxisKind.VERSION, AxisKind.PACKAGES}),
        _PACKAGES,
    ),
    AxisKind.PYTHON: ("the axis `{axis}` chooses the Python", frozenset(), ("python",)),
    AxisKind.BASE: ("the axis `{axis}` chooses the base", frozenset(), ("base",)),
    AxisKind.IMAGE: _IMAGES,
    AxisKind.DOCKERFILE: (
        _IMAGES[0],
        _IMAGES[1] - {AxisKind.DOCKERFILE} | {AxisKind.IMAGE},
        _IMAGES[2],
    ),
}
"""What an axis decides alone: in words, and the kinds and settings that would contradict it."""

KEYS = {AxisKind.VERSION: "versions", AxisKind.VARIABLE: "values", AxisKind.PROJECT: "at"}
"""The key that holds the values, where it is not named after the kind."""


def make_axes(document: Document, outside: Outside) -> tuple[tuple[Axis, ...], list[Problem]]:
    """Return the axes of a document, and the problems with what it mentions outside."""
    axes, problems = [], []
    for name, section in document.axes.items():
        try:
            axes.append(_axis(name, section, document, outside))
        except ConfigError as error:
            problems.append(Problem(("axes", name, "versions"), str(error).rstrip(".")))
    for axis in axes:
        if axis.kind in SOURCES and axis.kind is not AxisKind.IMAGE:
            problems += _source_problems(axis, document.axes[axis.name], outside)
    return tuple(axes), problems


def _source_problems(axis: Axis, section: AnyAxis, outside: Outside) -> Iterator[Problem]:
    """Yield why sources cannot be read."""
    key = KEYS.get(axis.kind, axis.kind.value)
    values = getattr(section, key)
    for place, value in values.items() if isinstance(values, dict) else enumerate(values):
        try:
            outside.digest(SOURCES[axis.kind], written(axis, value))
        except ConfigError as error:
            path = ("axes", axis.name, key, place)
            yield Problem(path, str(error).rstrip("."))


def written(axis: Axis, meaning: str) -> str:
    """Return how a source is called: a revision alone does not say of which project."""
    return f"{meaning}:{axis.project}" if axis.kind is AxisKind.PROJECT else meaning


def _axis(  # noqa: C901, PLR0911 (one for each kind)
    name: str, section: AnyAxis, document: Document, outside: Outside
) -> Axis:
    match section:
        case VersionsAxis():
            return _of_versions(name, section, document, outside)
        case PackagesAxis():
            return _named(name, AxisKind.PACKAGES, section.packages)
        case PythonAxis():
            return Axis(name=name, kind=AxisKind.PYTHON, values=tuple(section.python))
        case BaseAxis():
            return _named(name, AxisKind.BASE, section.base)
        case LockAxis():
            return _named(name, AxisKind.LOCK, section.lock)
        case ProjectAxis():
            return _named(name, AxisKind.PROJECT, section.at, project=section.project)
        case ImageAxis():
            return _of_images(name, section)
        case DockerfileAxis():
            return _named(name, AxisKind.DOCKERFILE, section.dockerfile)
        case VariableAxis():
            return _named(name, AxisKind.VARIABLE, section.values, variable=section.variable)
        case list():
            return Axis(name=name, values=tuple(section))


def _of_versions(name: str, section: VersionsAxis, document: Document, outside: Outside) -> Axis:
    distributions = tuple(section.package)
    if isinstance(section.versions, list):
        wanted, values = None, tuple(section.versions)
    else:
        wanted = VersionRange(
            distributions=distributions,
            specifier=section.versions,
            take=section.take or "all",
            as_of=document.environment.as_of,
            index=index_settings(document),
        )
        values = outside.versions(wanted)
    return Axis(
        name=name, kind=AxisKind.VERSION, values=values, distributions=distributions, range=wanted
    )


def _of_images(name: str, section: ImageAxis) -> Axis:
    if isinstance(section.image, str) is not bool(section.versions):
        raise ConfigError(
            "`{version}` in `image` and the key `versions` need each other; add the missing one."
        )
    if not isinstance(section.image, str):
        return _named(name, AxisKind.IMAGE, section.image)
    versions = tuple(section.versions or ())
    images = tuple(section.image.replace("{version}", one) for one in versions)
    return Axis(name=name, kind=AxisKind.IMAGE, values=versions, meanings=images)


def index_settings(document: Document) -> IndexSettings | None:
    """Return the package indexes that a document names."""
    section = document.environment.index
    if section is None:
        return None
    return IndexSettings(default=section.default, extra=tuple(section.extra), wheels=section.wheels)


def _named(
    name: str,
    kind: AxisKind,
    written: Sequence[str] | Mapping[str, str],
    variable: str | None = None,
    project: str | None = None,
) -> Axis:
    """Return an axis whose values may have names."""
    meanings = tuple(written.values()) if isinstance(written, Mapping) else ()
    return Axis(
        name=name,
        kind=kind,
        values=tuple(written),
        meanings=meanings,
        variable=variable,
        project=project,
    )


def axis_problems(document: Document, axes: Sequence[Axis]) -> Iterator[Problem]:
    """Yield the problems of ``axes``, each axis on its own."""
    for axis in axes:
        path: Keys = ("axes", axis.name)
        section = document.axes[axis.name]
        if axis.name == "python" and axis.kind in {AxisKind.PARAMETER, AxisKind.VERSION}:
            values = ", ".join(f'"{shown(value)}"' for value in axis.values)
            is_list = isinstance(section, list)
            wrong = "list would only be a parameter" if is_list else "is no package"
            sentence = f"this {wrong}; to compare versions of Python, write"
            yield Problem(path, f"{sentence} `python: {{python: [{values}]}}`", at_key=True)
        elif axis.name in SETTINGS and (axis.name, axis.kind) != ("python", AxisKind.PYTHON):
            sentence = f"`{axis.name}` is a setting of `include` entries; rename the axis"
            yield Problem(path, sentence, at_key=True)
        if isinstance(section, VersionsAxis) and section.take and axis.range is None:
            sentence = "`take` chooses from a range; remove it, or write a range of versions"
            yield Problem((*path, "take"), sentence, at_key=True)
        yield from _value_problems(path, section, axis)
    for kind in (AxisKind.PYTHON, AxisKind.BASE, *SOURCES):
        twice = [axis.name for axis in axes if axis.kind is kind][1:]
        for name in twice:
            yield Problem(
                ("axes", name), f"only one axis can be of the kind `{kind.value}`; merge them"
            )
    yield from repeated(
        (("axes", axis.name, "variable"), axis.variable) for axis in axes if axis.variable
    )


def whole_problems(document: Document, axes: Sequence[Axis]) -> Iterator[Problem]:
    """Yield what contradicts an axis that decides something alone."""
    for axis in axes:
        if axis.kind in WHOLE:
            told, excluded, settings = WHOLE[axis.kind]
            sentence = f"{told.format(axis=axis.name)}; remove this"
            for other in axes:
                if other.kind in excluded:
                    yield Problem(("axes", other.name), sentence, at_key=True)
            for path in _settings(document, settings):
                yield Problem(path, sentence, at_key=True)


def _settings(document: Document, names: Collection[str]) -> Iterator[Keys]:
    """Yield the places of settings that somebody wrote."""
    for name in names:
        if name in document.environment.model_fields_set:
            yield ("environment", name)
        for index, entry in enumerate(document.include):
            if name in entry.model_fields_set and name not in document.axes:
                yield ("include", index, name)


def build_problems(document: Document, axes: Sequence[Axis]) -> Iterator[Problem]:
    """Yield a problem if a project must be built although the matrix forbids all builds."""
    if document.environment.source_packages == REFUSE:
        for axis in axes:
            if axis.kind is AxisKind.PROJECT:
                path: Keys = ("environment", "source_packages")
                yield Problem(path, f"the axis `{axis.name}` must be built; remove this")


def variable_problems(document: Document, axes: Sequence[Axis]) -> Iterator[Problem]:
    """Yield the variables that an axis sets, and a setting too."""
    sets = {axis.variable: axis.name for axis in axes if axis.variable}
    places: list[tuple[Keys, Collection[str]]] = [
        (("environment", "variables"), document.environment.variables),
        *((("include", n, "variables"), one.variables) for n, one in enumerate(document.include)),
    ]
    for path, variables in places:
        for name in sets.keys() & variables:
            sentence = f"the axis `{sets[name]}` sets this variable; remove one of the two"
            yield Problem((*path, name), sentence, at_key=True)


def _value_problems(path: Keys, section: AnyAxis, axis: Axis) -> Iterator[Problem]:
    """Yield the problems of listed values; names are unique, and checked on their own."""
    if isinstance(section, ImageAxis) and section.versions:
        versions = enumerate(section.versions)
        yield from repeated(((*path, "versions", index), one) for index, one in versions)
    if axis.range is not None or axis.meanings:
        return
    here = path if isinstance(section, list) else (*path, KEYS.get(axis.kind, axis.kind.value))
    words = [((*here, index), shown(value)) for index, value in enumerate(axis.values)]
    yield from repeated(words)
    for place, word in words:
        if not fits(word, NAMED):
            sentence = f"expected {EXPECTED[NAMED]}, found {quoted(word)}"
            yield Problem(place, f"{sentence}; give it a name: `{{name: {word}}}`")


def value_problems(axis: Axis, value: Value, path: Keys) -> Iterator[Problem]:
    """Yield why an ``include`` entry cannot have a value on an axis."""
    if members(axis, value):
        return
    if axis.kind in ANCHORED:
        pattern = ANCHORED[axis.kind]
        if not (isinstance(value, str) and fits(value, pattern)):
            yield Problem(path, f"expected {EXPECTED[pattern]}, found {shown(value)}")
    elif axis.builds or axis.meanings:
        known = [shown(one) for one in axis.values]
        yield from unknown("value", shown(value), known, path)


def members(axis: Axis, value: Value) -> frozenset[str]:
    """Return the values of an axis that an entry's value means: itself, or those in a range."""
    words = [shown(one) for one in axis.values]
    if shown(value) in words or axis.kind not in ANCHORED or not isinstance(value, str):
        return frozenset({shown(value)}).intersection(words)
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        wanted = SpecifierSet(value, prereleases=True)
    except InvalidSpecifier:
        return frozenset()
    return frozenset(word for word in words if _is_in(word, wanted))


def _is_in(version: str, wanted: "SpecifierSet") -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version) in wanted
    except InvalidVersion:  # PyPy, or a free-threaded Python
        return False


def is_range(axis: Axis, value: Value) -> bool:
    """Whether an entry's value is a range of versions."""
    return axis.kind in ANCHORED and isinstance(value, str) and value[:1] in set("<>=!~")


def requirement(axis: Axis, value: Value) -> Requirement:
    """Return what a value of an axis of versions or packages requires."""
    if axis.kind is AxisKind.VERSION:
        return Requirement(axis=axis.name, distributions=axis.distributions, version=str(value))
    from packaging.requirements import Requirement as Line

    line = Line(axis.meaning(value))
    return Requirement(
        axis=axis.name,
        distributions=(line.name,),
        version=next(iter(line.specifier)).version,
        extras=tuple(sorted(line.extras)),
    )
