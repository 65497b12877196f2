"""Which versions a range has: those on the index that this machine can use, or some of them."""

from collections.abc import Callable, Sequence

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from runner.errors import ConfigError
from runner.lock.releases import as_of_day, is_usable
from runner.python.index import Files
from runner.records.environment import VersionRange
from runner.text import listed

MOST_VERSIONS = 100
"""More versions than anybody measures; ``take`` makes them fewer."""


def versions_of(wanted: VersionRange, files: Files) -> tuple[str, ...]:
    """Return the versions of a range in ascending order.

    Pre-releases count only if the range names one. ConfigError if there are none or too many,
    PackagesError if the index fails.
    """
    names, range_ = listed(wanted.distributions, "or"), f'"{wanted.specifier}"'
    every = [one for name in wanted.distributions for one in files(name)]
    if not every:
        raise ConfigError(f"{names} is not on the package index; check the spelling.")
    day = as_of_day(wanted.as_of)
    usable = {one.version for one in every if is_usable(one, day)}
    found = sorted(SpecifierSet(wanted.specifier).filter(usable, prereleases=True))
    if not _names_prerelease(wanted.specifier):
        found = [one for one in found if not one.is_prerelease]
    if not found:
        near = listed([str(one) for one in sorted(usable)[-3:]])
        raise ConfigError(
            f"no version of {names} is in the range {range_}; the newest versions are {near}."
        )
    taken = _taken(wanted.take, found)
    if len(taken) > MOST_VERSIONS:
        raise ConfigError(
            f"the range {range_} has {len(taken)} versions of {names}; narrow it, or add "
            "`take: latest-minor`."
        )
    return tuple(map(str, taken))


def _names_prerelease(specifier: str) -> bool:
    ends = (one.version.removesuffix(".*") for one in SpecifierSet(specifier))
    return any(Version(one).is_prerelease for one in ends)


def _taken(take: str, found: Sequence[Version]) -> list[Version]:
    """Return the versions that ``take`` leaves; the newest one is always among them."""
    if take == "oldest+latest":
        return list(dict.fromkeys((found[0], found[-1])))
    if take == "latest-patch":
        return _latest(found, lambda one: (one.epoch, one.major, one.minor))
    if take == "latest-minor":
        return _latest(found, lambda one: (one.epoch, one.major))
    step = int(take.removeprefix("every-")) if take.startswith("every-") else 1
    return list(found[::-1][::step])[::-1]


def _latest(found: Sequence[Version], group: Callable[[Version], object]) -> list[Version]:
    """Return the newest version of each group."""
    return list({group(one): one for one in found}.values())
