"""Resolve a request to exact packages as of its day, or say why the environment cannot exist.

uv gets the path of the real interpreter: given only a version, it would build source packages with
a different one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from runner.errors import ConfigError, PackagesError
from runner.python import interpreters, uv
from runner.python.interpreters import Interpreter
from runner.python.packages import AFTER_ALL, parse_locked, settings
from runner.python.uv import Answer, Build, Verdict
from runner.records.environment import (
    BUILD,
    Environment,
    EnvironmentRequest,
    Requirement,
    Unsupported,
)
from runner.text import listed

TIMEOUT_S = 300.0
RELEASE_MARGIN = timedelta(days=1)
BUILD_TOOLS = "setuptools\nwheel\n"
BEFORE_ALL = datetime(1990, 1, 1, tzinfo=timezone.utc)
LOCKED = ("--format=pylock.toml",)

# What uv says about a version: unknown, too new, for other Pythons or platforms, source only.
_UNKNOWN = re.compile(r"there is no version of|was not found in the package registry")
_PUBLISHED = re.compile(r"was published at (\S+)Z\.")
_PYTHONS = re.compile(r"we only found wheels for .*")
_PLATFORMS = re.compile(r"Wheels are available for .* on the following platforms?: (.*)")
_SOURCE = re.compile(r"building from source is disabled")
_SOURCES = re.compile(r"Wheels are required for `([^`]+)` because building from source is disabled")

Ask = Callable[..., Answer]
"""``uv.call``, or a substitute."""

Uploads = Mapping[Interpreter, datetime]
"""When a distribution was uploaded, for each interpreter that can install it."""


def resolve(request: EnvironmentRequest, ask: Ask = uv.call) -> Environment | Unsupported:
    """Resolve a request. PackagesError if the index fails, ConfigError if ``as_of`` is no date."""
    resolver = _Resolver(request, ask)
    releases: dict[str, Uploads] = {}
    for need in request.requirements:
        release = resolver.release(need)
        if isinstance(release, str):
            return Unsupported(request=request, reason=release)
        releases |= release
    first = next(iter(releases.values()), resolver.candidates)
    fitting = [one for one in first if all(one in uploads for uploads in releases.values())]
    if not fitting:
        names = listed(list(releases))
        reason = f"no Python here has wheels for {names}; choose versions from the same time"
        return Unsupported(request=request, reason=reason)
    as_of = resolver.as_of
    if as_of is None:
        uploaded = max(uploads[fitting[0]] for uploads in releases.values())
        as_of = min(uploaded + RELEASE_MARGIN, _now())
    return resolver.solve(list(releases), fitting[0], as_of)


class _Resolver:
    def __init__(self, request: EnvironmentRequest, ask: Ask) -> None:
        auto = request.python == "auto"
        self.request = request
        self.as_of = _fixed_day(request)
        self.candidates = interpreters.available() if auto else (interpreters.find(request.python),)
        self._ask = ask

    def release(self, need: Requirement) -> dict[str, Uploads] | str:
        """Return the line and uploads of the first distribution that serves, or why none does."""
        refusals: list[Answer] = []
        for look in (self._wheels, self._source):  # source only if there is no wheel
            for name in need.distributions:
                if uploads := look(name, need.version, refusals):
                    return {f"{name}=={need.version}": uploads}
        return self._refused(need, refusals)

    def solve(
        self, lines: Sequence[str], interpreter: Interpreter, as_of: datetime
    ) -> Environment | Unsupported:
        """Resolve requirement lines and their dependencies as of a day."""
        wanted = "\n".join((*lines, *self.request.packages))
        output = list(LOCKED)
        tools: tuple[str, ...] = ()
        builds = self.request.source_packages == BUILD
        answer = self._compile(wanted, interpreter, as_of, output, builds=builds)
        if answer.verdict is Verdict.UNBUILDABLE:
            # The build tools of that day fail: build with today's, but install the old ones.
            newest = self._compile(BUILD_TOOLS, interpreter, AFTER_ALL, ["--no-deps"])
            oldest = self._compile(BUILD_TOOLS, interpreter, as_of, ["--no-deps"])
            if newest.verdict is oldest.verdict is Verdict.YES:
                tools = tuple(newest.text.split())
                output += ["--constraints=installed.txt"]
                answer = self._compile(
                    wanted,
                    interpreter,
                    as_of,
                    output,
                    tools=tools,
                    installed=oldest.text,
                    builds=builds,
                )
        if answer.verdict is not Verdict.YES:
            return Unsupported(request=self.request, reason=self._unsolved(answer, as_of))
        return Environment(
            request=self.request,
            python=interpreter.minor,
            platform=interpreters.machine_platform(),
            as_of=as_of,
            packages=parse_locked(answer.text),
            build_tools=tools,
        )

    def _unsolved(self, answer: Answer, as_of: datetime) -> str:
        """Say why there is no solution."""
        label, day = self.request.label, as_of.date()
        if sources := list(dict.fromkeys(_SOURCES.findall(answer.text))):
            return (
                f"{label} needs {listed(sources)} as of {day}, with wheels for none of them here, "
                "and `source_packages: refuse` forbids to build source packages; set "
                "`source_packages: build` to allow it"
            )
        reason = f"{label} cannot be resolved as of {day}: {answer.reason}"
        if answer.verdict is Verdict.UNBUILDABLE and not self.request.compile:
            reason += "; set `compile: true` to allow a compiler"
        return reason

    def _wheels(self, name: str, version: str, refusals: list[Answer]) -> Uploads:
        """Return the uploads of wheels; add the other answers to refusals."""
        noted = len(refusals)
        uploads = self._uploads(name, version, self.candidates, refusals)
        if uploads or self.request.python != "auto":
            return uploads
        return self._uploads(name, version, _download_newest(refusals[noted:]), refusals)

    def _uploads(
        self, name: str, version: str, candidates: Sequence[Interpreter], refusals: list[Answer]
    ) -> Uploads:
        options = [*LOCKED, "--no-deps"]
        uploads = {}
        for interpreter in candidates:
            day = self.as_of or AFTER_ALL
            answer = self._compile(f"{name}=={version}", interpreter, day, options)
            if answer.verdict is Verdict.YES:
                times = re.findall(r"upload-time = (\S+)Z", answer.text.partition("wheels = ")[2])
                uploads[interpreter] = min(_instant(time) for time in times)
                continue
            refusals.append(answer)
            if _UNKNOWN.search(answer.text):
                break  # it is unknown for every interpreter
        return uploads

    def _source(self, name: str, version: str, refusals: list[Answer]) -> Uploads:
        """Return the upload for the newest interpreter if only the source is on the index."""
        if not any(_SOURCE.search(said.text) and f"`{name}`" in said.text for said in refusals):
            return {}
        newest = self.candidates[0]
        answer = self._compile(f"{name}=={version}", newest, BEFORE_ALL, ["--no-deps"])
        published = _PUBLISHED.search(answer.text)
        return {newest: _instant(published[1])} if published else {}

    def _refused(self, need: Requirement, refusals: Sequence[Answer]) -> str:
        """Say why no distribution serves a requirement."""
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
            return f"{subject} has wheels only for {platforms[1]}, not for {machine}"
        pythons = ", ".join(_wheel_minors(refusals))
        if not pythons:
            return f"{subject} is not available: {refusals[0].reason}"
        if self.request.python == "auto":
            return (
                f"{subject} has wheels only for Python {pythons}, and this machine has none of "
                "them; install one, remove this entry from the lock and lock again"
            )
        return (
            f"{subject} has no wheel for Python {self.request.python}, only for {pythons}; choose "
            "one of them or `python: auto`"
        )

    def _nearest(self, need: Requirement) -> str:
        """Return the names that were looked up, and the newest version."""
        names = " or ".join(need.distributions)
        for name in need.distributions:
            newest = self._compile(name, self.candidates[0], AFTER_ALL, ["--no-deps"])
            if newest.verdict is Verdict.YES:
                version = newest.text.strip().partition("==")[2]
                return f"{names}; the newest for Python {self.candidates[0].minor} is {version}"
        return f"{names}; check the spelling"

    def _compile(
        self,
        wanted: str,
        interpreter: Interpreter,
        as_of: datetime,
        options: Sequence[str],
        *,
        tools: Sequence[str] = (),
        installed: str = "",
        builds: bool = False,
    ) -> Answer:
        """Ask uv to resolve the requirement lines ``wanted``; ``builds`` allows source packages."""
        build = Build(interpreter=interpreter.path, compiler=self.request.compile)
        return self._ask(
            [
                *("pip", "compile", "--no-header", "--no-annotate"),
                *(() if builds else ("--no-build",)),
                *options,
                *settings(interpreter, as_of, tools),
                *("--", "wanted.txt"),
            ],
            purpose=f"resolve {self.request.label}",
            timeout_s=TIMEOUT_S,
            files={"wanted.txt": wanted, "tools.txt": "\n".join(tools), "installed.txt": installed},
            build=build if builds else None,
        )


def _wheel_minors(refusals: Sequence[Answer]) -> list[str]:
    """Return the minor versions that have wheels according to uv, the oldest first."""
    text = " ".join(found[0] for said in refusals if (found := _PYTHONS.search(said.text)))
    numbers = {int(number) for number in re.findall(r"`cp3(\d+)\w?`", text)}
    return [f"3.{number}" for number in sorted(numbers)]


def _download_newest(refusals: Sequence[Answer]) -> list[Interpreter]:
    """Download the newest interpreter that has wheels; return nothing if that fails."""
    here = {one.minor for one in interpreters.available()}
    missing = [minor for minor in _wheel_minors(refusals) if minor not in here]
    try:
        return [interpreters.find(minor) for minor in missing[-1:]]
    except PackagesError:
        return []  # the reason of the entry names the interpreters


def _fixed_day(request: EnvironmentRequest) -> datetime | None:
    """Return the instant that a request names; ``None`` for the day of the release."""
    if request.as_of == "today" or not request.requirements:
        return _now()
    if request.as_of == "release":
        return None
    try:
        day = datetime.fromisoformat(request.as_of).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise ConfigError(
            f"as_of: {request.as_of!r} is not a date: write release, today or a date such as "
            "2019-10-17."
        ) from error
    return min(day + timedelta(days=1), _now())  # the end of that day


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


def _instant(text: str) -> datetime:
    # Python 3.10 reads only some lengths of the fraction, so it is removed.
    return datetime.fromisoformat(text.partition(".")[0]).replace(tzinfo=timezone.utc)
