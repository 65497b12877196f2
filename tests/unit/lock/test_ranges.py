"""Which versions a range has, with an index in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from runner.errors import ConfigError
from runner.lock.ranges import versions_of
from runner.python.index import File
from runner.records.environment import VersionRange
from tests.support.index_files import index, source, wheel

KNOWN = ("1.0.0", "1.0.1", "1.1.0", "1.2.0", "1.2.3", "2.0.0rc1", "2.0.0", "2.1.0", "3.0.0rc1")


def _versions(specifier: str, take: str = "all", *, more: Sequence[File] = ()) -> tuple[str, ...]:
    wanted = VersionRange(distributions=("lib",), specifier=specifier, take=take)
    return versions_of(wanted, index({"lib": [*map(source, KNOWN), *more]}))


@pytest.mark.parametrize(
    ("specifier", "take", "expected"),
    [
        (">=1.1,<2.1", "all", "1.1.0 1.2.0 1.2.3 2.0.0"),
        (">=1", "latest-patch", "1.0.1 1.1.0 1.2.3 2.0.0 2.1.0"),
        (">=1", "latest-minor", "1.2.3 2.1.0"),
        (">=1", "every-3", "1.0.0 1.2.0 2.1.0"),
        (">=1", "oldest+latest", "1.0.0 2.1.0"),
        ("==1.1.0", "oldest+latest", "1.1.0"),
        ("==1.2.*", "all", "1.2.0 1.2.3"),
        (">=2.0.0rc1", "all", "2.0.0rc1 2.0.0 2.1.0 3.0.0rc1"),
        ("!=1.0.0,<1.1", "all", "1.0.1"),
    ],
)
def test_a_range_has_these_versions(specifier: str, take: str, expected: str) -> None:
    """Pre-releases count only if the range names one; the newest version is always taken."""
    assert _versions(specifier, take) == tuple(expected.split())


def test_versions_that_nobody_can_install_do_not_count() -> None:
    """Yanked files and wheels for other platforms or for Python 2 are left out."""
    others = [
        wheel("5.0", "cp37-cp37m-win_amd64"),
        wheel("6.0", "py2-none-any"),
        replace(source("7.0"), yanked=True),
    ]
    assert _versions(">=2", more=others) == ("2.0.0", "2.1.0")


def test_versions_that_did_not_exist_on_the_day_do_not_count() -> None:
    """`as_of` also decides which versions exist."""
    young = source("2.2.0", datetime(2020, 5, 1, tzinfo=timezone.utc))
    wanted = VersionRange(distributions=("lib",), specifier=">=2", as_of="2020-01-01")
    assert versions_of(wanted, index({"lib": [source("2.1.0"), young]})) == ("2.1.0",)


def test_all_distributions_count() -> None:
    """A version may be that of any of the packages."""
    wanted = VersionRange(distributions=("a", "b"), specifier=">=1")
    pages = {"a": [source("1.0"), source("3.0")], "b": [source("2.0"), source("3.0")]}
    assert versions_of(wanted, index(pages)) == ("1.0", "2.0", "3.0")


def test_an_empty_range_is_refused() -> None:
    """The message names the newest versions."""
    with pytest.raises(ConfigError, match=r'in the range ">4"; the newest versions are 2\.0\.0, 2'):
        _versions(">4")
    with pytest.raises(ConfigError, match="nothing is not on the package index"):
        versions_of(VersionRange(distributions=("nothing",), specifier=">1"), index({}))


def test_too_many_versions_are_refused() -> None:
    """Nobody measures hundreds of versions; the message says how to take fewer."""
    many = [source(f"9.{number}") for number in range(101)]
    with pytest.raises(ConfigError, match="has 101 versions of lib; narrow it, or add `take"):
        _versions(">=9", more=many)
