"""Resolve the environments that are not locked yet, and choose an interpreter for each."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from runner.errors import PackagesError
from runner.lock.choose import choose
from runner.lock.outside import Outside
from runner.lock.pins import options_of, pinned
from runner.lock.projects import Wheel
from runner.lock.releases import Options, options
from runner.lock.resolve import Ask, resolve
from runner.python import packages
from runner.python.index import Files, with_local
from runner.python.interpreters import Interpreter
from runner.records.environment import (
    BUILD,
    Entry,
    Environment,
    EnvironmentRequest,
    LocalWheel,
    Lock,
    ReadyImage,
    SourceKind,
    Unsupported,
)
from runner.system.parallel import in_parallel
from runner.text import listed


def resolve_all(  # noqa: PLR0917 (each is another source of what is resolved)
    requests: Sequence[EnvironmentRequest],
    preferred: Collection[str],
    ask: Ask,
    files: Files,
    outside: Outside | None = None,
    known_day: datetime | None = None,
) -> tuple[Entry, ...]:
    """Resolve requests; those with ``python: auto`` get the same interpreter if possible.

    Minor versions in ``preferred`` are tried first. ``known_day`` is the day of the locked states
    of the project under test.
    """
    found: dict[EnvironmentRequest, Environment | str] = {}
    groups: dict[str, dict[EnvironmentRequest, Options]] = {}
    outside = outside or Outside(Path("matrix.yaml"), Lock(entries=()))
    local = outside.local_wheels(next((one.index for one in requests), None))
    files = with_local(files, local)
    solver = _Solver(ask, files, outside, local, known_day)
    ready = {request: image for request in requests if (image := solver.ready(request))}
    resolvable = [request for request in requests if request not in ready]
    offers = in_parallel(solver.options, resolvable)
    for request, offer in zip(resolvable, offers, strict=True):
        if isinstance(offer, str):
            found[request] = offer
        else:
            groups.setdefault(request.python, {})[request] = offer
    for group in groups.values():
        found |= choose(group, preferred, solver.solve, files)
    return tuple(
        Unsupported(request=request, reason=entry) if isinstance(entry, str) else entry
        for request, entry in ((one, ready.get(one) or found[one]) for one in requests)
    )


@dataclass(frozen=True, slots=True)
class _Solver:
    """Resolves requests, or returns why they cannot be resolved."""

    ask: Ask
    files: Files
    outside: Outside
    local: Sequence[Path]
    project_day: datetime | None = None
    """The day of the locked entries of the project, which a new state of it gets too."""

    def ready(self, request: EnvironmentRequest) -> ReadyImage | None:
        """Return the entry of a request for an image or a Dockerfile; None for any other."""
        if (image := request.source(SourceKind.IMAGE)) is not None:
            return ReadyImage(request=request, digest=self.outside.image_digest(image.written))
        context = request.source(SourceKind.DOCKERFILE)
        if context is None or context.digest is None:
            return None
        return ReadyImage(request=request, digest=context.digest)

    def options(self, request: EnvironmentRequest) -> Options | str:
        """Return where a request may be resolved."""
        source = request.source(SourceKind.LOCK)
        if source is None:
            found = options(request, self.files)
            if isinstance(found, Options) and self.project_day and is_only_project(request):
                return replace(found, days=dict.fromkeys(found.days, self.project_day))
            return found
        return options_of(request, self.outside.pins(source), self.files)

    def solve(
        self, request: EnvironmentRequest, options: Options, interpreter: Interpreter
    ) -> Environment | str:
        """Resolve a request with source packages that can be built."""
        try:
            wheels = self._wheels(request, interpreter)
        except PackagesError as error:
            return str(error).rstrip(".")
        reasons = []
        for entry in self._resolved(request, options, interpreter, wheels):
            if isinstance(entry, str):
                reasons.append(entry)
            elif (why := packages.why_not_built(entry, interpreter)) is None:
                return self._with_wheels(entry, wheels)
            else:
                reasons.append(_not_built(entry, why))
        return reasons[0]

    def _resolved(
        self,
        request: EnvironmentRequest,
        options: Options,
        interpreter: Interpreter,
        wheels: Sequence[Wheel],
    ) -> Iterator[Environment | str]:
        """Yield what may be built, or why there is nothing; a later one has newer build tools."""
        as_of, source = options.days[interpreter], request.source(SourceKind.LOCK)
        if source is not None:
            yield pinned(request, self.outside.pins(source), interpreter, as_of, self.files)
            return
        resolved = partial(
            resolve,
            request,
            options.lines,
            interpreter,
            as_of,
            self.ask,
            wheels=[one.path for one in wheels],
            local=self.local,
        )
        yield resolved()
        if request.source_packages == BUILD:
            yield resolved(newest_tools=True)

    def _with_wheels(self, entry: Environment, wheels: Sequence[Wheel]) -> Environment:
        """Add the wheel of the project, and keep the wheels that lie beside the matrix."""
        for path in self.local:
            if path.name in {one.name for one in entry.wheels}:
                packages.keep_wheel(path)
        built = (LocalWheel(name=one.path.name, hash=f"sha256:{one.sha256}") for one in wheels)
        return replace(entry, wheels=(*entry.wheels, *built))

    def _wheels(self, request: EnvironmentRequest, interpreter: Interpreter) -> list[Wheel]:
        """Return the wheel of the project under test, if the request has one."""
        source = request.source(SourceKind.PROJECT)
        return [] if source is None else [self.outside.wheel(source, interpreter, request)]


def is_only_project(request: EnvironmentRequest) -> bool:
    """Whether the day of an environment is that of locking: a project has no upload time."""
    alone = not request.requirements and request.as_of == "release"
    return alone and request.source(SourceKind.PROJECT) is not None


def _not_built(entry: Environment, why: str) -> str:
    """Return that source packages cannot be built, with advice."""
    sources = listed([one.name for one in entry.packages if one.source])
    advice = "" if entry.request.compile else ", or set `compile: true` to allow a compiler"
    return (
        f"{entry.request.label} needs {sources} as of {entry.as_of.date()}, which cannot be built "
        f"for Python {entry.python} ({why}); choose another Python or version{advice}"
    )
