"""What a request comes to: exact packages as the index stood on its day, or why it cannot exist.

uv looks with the real interpreter: told just a version, it would build source packages with
another one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from runner.errors import ConfigError, PackagesError
from runner.python import interpreters, uv
from runner.python.interpreters import Interpreter
from runner.python.packages import AFTER_ALL, parse_locked, settings
from runner.python.uv import Answer, Verdict
from runner.records.environment import Environment, EnvironmentRequest, Requirement, Unsupported

TIMEOUT_S = 300.0
RELEASE_MARGIN = timedelta(days=1)
BUILD_TOOLS = "setuptools\nwheel\n"
BEFORE_ALL = datetime(1990, 1, 1, tzinfo=timezone.utc)
LOCKED = ("--format", "pylock.toml")

# What uv's sentences tell of a version: none, too new, other Pythons or platforms, source only.
_UNKNOWN = re.compile(r"there is no version of|was not found in the package registry")
_PUBLISHED = re.compile(r"was published at (\S+)Z\.")
_PYTHONS = re.compile(r"we only found wheels for .*")
_PLATFORMS = re.compile(r"Wheels are available for .* on the following platforms?: (.*)")
_SOURCE = re.compile(r"building from source is disabled")

Ask = Callable[..., Answer]
"""``uv.call``, or what stands in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A distribution that serves a requirement: on which interpreters, and since when on each."""

    line: str
    uploads: Mapping[Interpreter, datetime]


def resolve(request: EnvironmentRequest, ask: Ask = uv.call) -> Environment | Unsupported:
    """Resolve a request to exact packages, or say in one sentence why it cannot exist.

    ConfigError if its ``as_of`` is no day; PackagesError if the answer could not be found out.
    """
    resolver = _Resolver(request, ask)
    releases = []
    for need in request.requirements:
        release = resolver.release(need)
        if isinstance(release, str):
            return Unsupported(request=request, reason=release)
        releases.append(release)
    fitting = tuple(releases[0].uploads) if releases else resolver.candidates
    fitting = tuple(one for one in fitting if all(one in other.uploads for other in releases))
    if not fitting:
        names = " and ".join(release.line for release in releases)
        reason = f"no Python of this machine has wheels for {names}; choose versions of one time"
        return Unsupported(request=request, reason=reason)
    as_of = resolver.as_of or _day_after(max(one.uploads[fitting[0]] for one in releases))
    return resolver.solve([release.line for release in releases], fitting[0], as_of)


class _Resolver:
    """What stays the same while one request is resolved."""

    def __init__(self, request: EnvironmentRequest, ask: Ask) -> None:
        self.request = request
        self.as_of = _fixed_day(request)
        self._ask = ask
        self.candidates = (
            interpreters.available()
            if request.python == "auto"
            else (interpreters.find(request.python),)
        )

    def release(self, need: Requirement) -> Release | str:
        """Return the first distribution that serves a requirement, or why there is none."""
        refusals: list[Answer] = []
        for look in (self._wheels, self._source):  # a source only where nobody has a wheel
            for name in need.distributions:
                uploads = look(name, need.version, refusals)
                if uploads:
                    return Release(line=f"{name}=={need.version}", uploads=uploads)
        return self._refused(need, refusals)

    def solve(
        self, lines: Sequence[str], interpreter: Interpreter, as_of: datetime
    ) -> Environment | Unsupported:
        """Resolve requirement lines and all they depend on as of a day."""
        wanted = "\n".join((*lines, *self.request.packages))
        output = list(LOCKED)
        tools: tuple[str, ...] = ()
        answer = self._compile(wanted, interpreter, as_of, output)
        if answer.verdict is Verdict.UNBUILDABLE:
            # The build tools of that day cannot build it: take today's, but install the old ones.
            newest = self._compile(BUILD_TOOLS, interpreter, AFTER_ALL, ["--no-deps"])
            oldest = self._compile(BUILD_TOOLS, interpreter, as_of, ["--no-deps"])
            tools = tuple(newest.text.split())
            output += ["--constraints", "installed.txt"]
            answer = self._compile(
                wanted, interpreter, as_of, output, tools=tools, installed=oldest.text
            )
        if answer.verdict is not Verdict.YES:
            reason = (
                f"{self.request.label} cannot be resolved as of {as_of.date()}: {answer.reason}"
            )
            if answer.verdict is Verdict.UNBUILDABLE and not self.request.compile:
                reason += "; `compile: true` would allow a compiler"
            return Unsupported(request=self.request, reason=reason)
        return Environment(
            request=self.request,
            python=interpreter.minor,
            platform=interpreters.machine_platform(),
            as_of=as_of,
            packages=parse_locked(answer.text),
            build_tools=tools,
        )

    def _wheels(
        self, name: str, version: str, refusals: list[Answer]
    ) -> Mapping[Interpreter, datetime]:
        """Return on which interpreters a version has wheels, and note what uv said of others."""
        noted = len(refusals)
        uploads = self._uploads(name, version, self.candidates, refusals)
        if not uploads and self.request.python == "auto":
            downloaded = _download_newest(refusals[noted:])
            uploads = self._uploads(name, version, downloaded, refusals)
        return uploads

    def _uploads(
        self,
        name: str,
        version: str,
        candidates: Sequence[Interpreter],
        refusals: list[Answer],
    ) -> Mapping[Interpreter, datetime]:
        options = [*LOCKED, "--no-deps", "--only-binary", name]
        uploads = {}
        for interpreter in candidates:
            day = self.as_of or AFTER_ALL
            answer = self._compile(f"{name}=={version}", interpreter, day, options)
            if answer.verdict is Verdict.YES:
                told = re.findall(r"upload-time = (\S+)Z", answer.text.partition("wheels = ")[2])
                uploads[interpreter] = min(_instant(one) for one in told)
                continue
            refusals.append(answer)
            if _UNKNOWN.search(answer.text):
                break  # on every interpreter
        return uploads

    def _source(
        self, name: str, version: str, refusals: list[Answer]
    ) -> Mapping[Interpreter, datetime]:
        """Return the newest interpreter for a version that is on the index as source only."""
        if not any(_SOURCE.search(said.text) and f"`{name}`" in said.text for said in refusals):
            return {}
        newest = self.candidates[0]
        answer = self._compile(f"{name}=={version}", newest, BEFORE_ALL, ["--no-deps"])
        told = _PUBLISHED.search(answer.text)
        return {newest: _instant(told[1])} if told else {}

    def _refused(self, need: Requirement, refusals: Sequence[Answer]) -> str:
        """Say why a requirement cannot be served: when, where or as what it can."""
        subject = f"{need.axis} {need.version}"
        refusals = [said for said in refusals if not _UNKNOWN.search(said.text)] or refusals
        text = "\n".join(said.text for said in refusals)
        if published := _PUBLISHED.search(text):
            return (
                f"{subject} was uploaded on {_instant(published[1]).date()}, after the day in "
                f"`as_of: {self.request.as_of}`; choose a later day or `release`"
            )
        if _UNKNOWN.search(text):
            return f"{subject} is not on the package index as {self._nearest(need)}"
        if platforms := _PLATFORMS.search(text):
            machine = interpreters.machine_platform()
            return f"{subject} has wheels only for {platforms[1]}, none for {machine}"
        pythons = ", ".join(_minor(one) for one in sorted(_wheel_minors(refusals)))
        if not pythons:
            return f"{subject} cannot be had: {refusals[0].reason}"
        if self.request.python == "auto":
            return (
                f"{subject} has wheels only for Python {pythons}, and this machine has none of "
                "these; install one, remove this entry from the lock and lock again"
            )
        return (
            f"{subject} has no wheel for Python {self.request.python}, only for {pythons}; choose "
            "one of these or `python: auto`"
        )

    def _nearest(self, need: Requirement) -> str:
        """Name the distributions that were looked for, and the newest version there is."""
        names = " or ".join(need.distributions)
        for name in need.distributions:
            newest = self._compile(name, self.candidates[0], AFTER_ALL, ["--no-deps"])
            if newest.verdict is Verdict.YES:
                version = newest.text.strip().partition("==")[2]
                return f"{names}; the newest for Python {self.candidates[0].minor} is {version}"
        return f"{names}; look at the spelling"

    def _compile(
        self,
        wanted: str,
        interpreter: Interpreter,
        as_of: datetime,
        options: Sequence[str],
        *,
        tools: Sequence[str] = (),
        installed: str = "",
    ) -> Answer:
        """Ask uv what the requirement lines ``wanted`` come to."""
        return self._ask(
            [
                *("pip", "compile", "wanted.txt", "--no-header", "--no-annotate"),
                *options,
                *settings(interpreter, as_of, tools),
            ],
            purpose=f"resolve {self.request.label}",
            timeout_s=TIMEOUT_S,
            files={"wanted.txt": wanted, "tools.txt": "\n".join(tools), "installed.txt": installed},
            compiler=self.request.compile,
        )


def _wheel_minors(refusals: Sequence[Answer]) -> set[int]:
    """Return the N of each Python 3.N that uv says there are wheels for."""
    told = " ".join(found[0] for said in refusals if (found := _PYTHONS.search(said.text)))
    return {int(minor) for minor in re.findall(r"`cp3(\d+)\w?`", told)}


def _download_newest(refusals: Sequence[Answer]) -> list[Interpreter]:
    """Let uv download the newest interpreter there are wheels for; empty if it cannot be had."""
    here = {one.minor for one in interpreters.available()}
    minors = {minor for minor in _wheel_minors(refusals) if _minor(minor) not in here}
    try:
        return [interpreters.find(_minor(max(minors)))] if minors else []
    except PackagesError:
        return []  # the entry's reason says which interpreters are wanted


def _minor(number: int) -> str:
    return f"3.{number}"


def _fixed_day(request: EnvironmentRequest) -> datetime | None:
    """Return the instant a request names; None for the day of the release."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    if request.as_of == "today" or not request.requirements:
        return now
    if request.as_of == "release":
        return None
    try:
        day = datetime.fromisoformat(request.as_of).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise ConfigError(
            f"as_of: {request.as_of!r} is no day: write release, today, or a day as 2019-10-17."
        ) from error
    return min(day + timedelta(days=1), now)  # the whole day counts


def _instant(told: str) -> datetime:
    # Without the fraction, of which Python 3.10 reads only some lengths.
    return datetime.fromisoformat(told.partition(".")[0]).replace(tzinfo=timezone.utc)


def _day_after(uploaded: datetime) -> datetime:
    now = datetime.now(timezone.utc)
    return min(uploaded + RELEASE_MARGIN, now).replace(microsecond=0)
