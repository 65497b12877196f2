"""What the package index has of the versions that a request names, and for which interpreters.

This needs no resolver: the names of files say which Pythons they are for, and the index says when
they were uploaded.
"""

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache

from packaging.specifiers import SpecifierSet
from packaging.tags import platform_tags
from packaging.version import InvalidVersion, Version

from runner.errors import ConfigError, PackagesError
from runner.python import interpreters
from runner.python.index import File, Files
from runner.python.interpreters import Interpreter
from runner.records.environment import EnvironmentRequest, Requirement
from runner.text import listed

RELEASE_MARGIN = timedelta(days=1)
NEIGHBOURS = 2
"""How many versions a message names on each side of one that does not exist."""

RELEASED = {
    6: date(2016, 12, 23),
    7: date(2018, 6, 27),
    8: date(2019, 10, 14),
    9: date(2020, 10, 5),
    10: date(2021, 10, 4),
    11: date(2022, 10, 24),
    12: date(2023, 10, 2),
    13: date(2024, 10, 7),
    14: date(2025, 10, 7),
}
"""When Python 3.N was released. Since 3.9 (PEP 602) there is a new one every October."""

Find = Callable[[str], Interpreter]
"""Finds or downloads the interpreter of a minor version, or raises PackagesError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The distribution that serves a requirement, and when its files were uploaded."""

    line: str
    """The requirement for uv: ``tensorflow-cpu==1.15.0``."""
    day: datetime | None
    """The upload of its first file; None if the index does not publish upload times."""
    uploads: Mapping[Interpreter, datetime | None]
    """The first upload of a file for each interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where a request may be resolved."""

    lines: tuple[str, ...]
    days: Mapping[Interpreter, datetime]
    """The interpreters, the preferred ones first, each with the day of the index to use."""
    younger: frozenset[Interpreter]
    """Those that had not been released by then."""

    @property
    def only_younger(self) -> bool:
        """Whether none had been released by then."""
        return len(self.younger) == len(self.days)


def options(
    request: EnvironmentRequest, files: Files, find: Find = interpreters.find
) -> Options | str:
    """Return where a request may be resolved, or why it cannot.

    The newest interpreter that had been released by then comes first. Those that are younger come
    last, the oldest of them in front: they serve versions older than every Python of this machine.
    PackagesError if the index fails, ConfigError if ``as_of`` is not a date.
    """
    for name in (re.split(r"[^A-Za-z0-9._-]", line)[0] for line in request.packages):
        if not files(name):
            return f"{name} is not on the package index; check the spelling"
    fixed = as_of_day(request.as_of)
    here = interpreters.available() if request.python == "auto" else (find(request.python),)
    releases = []
    for need in request.requirements:
        release = _release(need, request, here, files, find)
        if isinstance(release, str):
            return release
        releases.append(release)
    first = releases[0].uploads if releases else here
    fitting = [one for one in first if all(one in release.uploads for release in releases)]
    if not fitting:
        lines = listed([release.line for release in releases])
        return f"no Python here has files for {lines}; choose versions from the same time"
    days = {one: fixed or _latest(release.uploads[one] for release in releases) for one in fitting}
    by_then = fixed or _latest(release.day for release in releases)
    return _ordered(tuple(release.line for release in releases), days, by_then)


def allowed_pythons(
    request: EnvironmentRequest,
    requires: SpecifierSet,
    last: datetime | None,
    find: Find = interpreters.find,
) -> Options | str:
    """Return on which interpreters exact packages may be installed, or why on none.

    ``last`` is the upload of the youngest of them.
    """
    here = interpreters.available() if request.python == "auto" else (find(request.python),)
    fitting = [one for one in here if requires.contains(one.version, prereleases=True)]
    if not fitting:
        asked = "this machine" if request.python == "auto" else f"Python {request.python}"
        return f"{request.label} needs Python {requires}, and {asked} is not such a Python"
    day = as_of_day(request.as_of) or _latest([last])
    return _ordered((), dict.fromkeys(fitting, day), day)


def _ordered(
    lines: tuple[str, ...], days: Mapping[Interpreter, datetime], by_then: datetime
) -> Options:
    """Return options with the newest interpreter of the day first, and younger ones last."""
    newest_first = sorted(days, key=lambda one: released(one.minor), reverse=True)
    younger = [one for one in newest_first if released(one.minor) > by_then.date()]
    old = [one for one in newest_first if one not in younger]
    return Options(
        lines=lines,
        days={one: days[one] for one in (*old, *reversed(younger))},
        younger=frozenset(younger),
    )


def released(minor: str) -> date:
    """Return the day on which a minor version of Python was released."""
    number, newest = int(minor.partition(".")[2]), max(RELEASED)
    return RELEASED.get(number, date(RELEASED[newest].year + number - newest, 10, 1))


def _latest(uploads: Iterable[datetime | None]) -> datetime:
    """Return the end of the margin after the latest upload, or now if that is earlier."""
    last = max((one for one in uploads if one is not None), default=_now())
    return min(last.replace(microsecond=0) + RELEASE_MARGIN, _now())


def _release(
    need: Requirement,
    request: EnvironmentRequest,
    here: Sequence[Interpreter],
    files: Files,
    find: Find,
) -> Release | str:
    """Return the first distribution that serves a requirement, or why none does.

    Source packages count only if there is no wheel for this platform.
    """
    found = {name: _files(name, need.version, files) for name in need.distributions}
    every = [file for some in found.values() for file in some]
    if not every:
        return _unknown(need, files)
    _check_dates(every, request)
    by_then = [file for file in every if _is_older(file, as_of_day(request.as_of))]
    if not by_then:
        return (
            f"{need.axis} {need.version} was uploaded on {_first(every):%Y-%m-%d}, after the day "
            f"in `as_of: {request.as_of}`; choose a later day or `release`"
        )
    wheels = [file for file in by_then if file.tags and _is_for_here(file)]
    usable = wheels or [file for file in by_then if not file.tags]

    def serving(pythons: Sequence[Interpreter]) -> Release | None:
        for name, some in found.items():
            if uploads := _uploads([file for file in some if file in usable], pythons):
                return Release(line=need.line(name), day=_first(some), uploads=uploads)
        return None

    release = serving(here)
    if release is None and request.python == "auto":
        release = serving(_downloaded(wheels, here, find))
    return release or _refusal(need, request, usable, by_then)


def _files(distribution: str, version: str, files: Files) -> list[File]:
    """Return the files of an exact version."""
    try:
        wanted = Version(version)
    except InvalidVersion:
        return []
    return [file for file in files(distribution) if file.version == wanted]


def _check_dates(every: Sequence[File], request: EnvironmentRequest) -> None:
    undated = any(file.uploaded_at is None and not file.is_local for file in every)
    if request.as_of != "today" and undated:
        raise PackagesError(
            f"{request.label} cannot be resolved as of a day, because its package index does not "
            "publish upload times: write `as_of: today` under `environment`, or use an index that "
            "publishes them."
        )


def _is_older(file: File, day: datetime | None) -> bool:
    return day is None or file.uploaded_at is None or file.uploaded_at <= day


def is_usable(file: File, day: datetime | None) -> bool:
    """Whether a file counts as of a day, and may be installed on this platform."""
    return not file.yanked and _is_older(file, day) and (not file.tags or _is_for_here(file))


def _is_for_here(wheel: File) -> bool:
    """Whether a wheel is for this platform and some Python 3.

    Those for Python 2 say nothing about the source beside them.
    """
    for_python3 = any(tag.interpreter[2:3] == "3" for tag in wheel.tags)
    return for_python3 and not wheel.platforms.isdisjoint(_platforms())


def _first(some: Iterable[File]) -> datetime | None:
    """Return the first upload; None if the index does not publish upload times."""
    return min((file.uploaded_at for file in some if file.uploaded_at), default=None)


def _uploads(
    some: Sequence[File], pythons: Sequence[Interpreter]
) -> dict[Interpreter, datetime | None]:
    """Return the first upload for each interpreter that some file fits."""
    fitting = {python: [file for file in some if file.fits(python)] for python in pythons}
    return {python: _first(mine) for python, mine in fitting.items() if mine}


def _downloaded(
    wheels: Sequence[File], here: Sequence[Interpreter], find: Find
) -> list[Interpreter]:
    """Download the newest interpreter that has wheels; return nothing if that fails."""
    missing = [minor for minor in _minors(wheels) if minor not in {one.minor for one in here}]
    with suppress(PackagesError):  # the reason names the interpreters
        return [find(minor) for minor in missing[-1:]]
    return []


def _minors(wheels: Sequence[File]) -> list[str]:
    """Return the minor versions of Python 3 that wheels are made for, the oldest first."""
    names = {tag.interpreter for file in wheels for tag in file.tags}
    numbers = {int(name[3:]) for name in names if re.fullmatch(r"cp3\d+", name)}
    return [f"3.{number}" for number in sorted(numbers)]


@cache
def _platforms() -> frozenset[str]:
    return frozenset((*platform_tags(), "any"))


# Why a requirement cannot be served


def _unknown(need: Requirement, files: Files) -> str:
    """Return that a version does not exist, with its nearest neighbours."""
    names, subject = listed(need.distributions, "or"), f"{need.axis} {need.version}"
    absent = f"{subject} is not on the package index as {names}"
    known = sorted({file.version for name in need.distributions for file in files(name)})
    if not known:
        return f"{absent}; check the spelling"
    try:
        place = bisect(known, Version(need.version))
    except InvalidVersion:
        return f"{absent}; {need.version} is not a version, the newest one is {known[-1]}"
    near = [str(version) for version in known[max(place - NEIGHBOURS, 0) : place + NEIGHBOURS]]
    return f"{absent}; the nearest versions are {listed(near)}"


def _refusal(
    need: Requirement, request: EnvironmentRequest, usable: Sequence[File], every: Sequence[File]
) -> str:
    """Return why no interpreter can install a version that exists."""
    subject = f"{need.axis} {need.version}"
    if not usable:
        platforms = sorted({name for file in every for name in file.platforms})
        here = interpreters.machine_platform()
        return f"{subject} has wheels only for {listed(platforms)}, not for {here}"
    asked = request.python if request.python != "auto" else None
    pythons = ", ".join(_minors(usable))
    if not pythons:
        needs = listed(sorted({str(file.requires_python) for file in usable}), "or")
        return f"{subject} needs Python {needs}, " + (
            f"not {asked}; choose such a Python or `python: auto`"
            if asked
            else "which this machine does not have; install one, remove this entry from the lock "
            "and lock again"
        )
    if asked:
        return (
            f"{subject} has no wheel for Python {asked}, only for {pythons}; choose one of them "
            "or `python: auto`"
        )
    return (
        f"{subject} has wheels only for Python {pythons}, and this machine has none of them; "
        "install one, remove this entry from the lock and lock again"
    )


# Days


def as_of_day(as_of: str) -> datetime | None:
    """Return the instant that ``as_of`` names; ``None`` for the day of the release."""
    if as_of == "today":
        return _now()
    if as_of == "release":
        return None
    try:
        day = datetime.fromisoformat(as_of).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise ConfigError(
            f"as_of: {as_of!r} is not a date: write release, today or a date such as 2019-10-17."
        ) from error
    return min(day + timedelta(days=1), _now())  # the end of that day


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
