"""Lock every environment that the cells of a matrix need, as exact packages."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from runner.errors import ConfigError, PackagesError
from runner.lock.choose import choose
from runner.lock.outside import Outside
from runner.lock.pins import options_of, pinned
from runner.lock.projects import Wheel
from runner.lock.releases import Options, options
from runner.lock.resolve import Ask, resolve
from runner.python import interpreters, packages, uv
from runner.python.addresses import configured
from runner.python.index import Files, Index, with_local
from runner.python.interpreters import Interpreter, machine_platform
from runner.records.environment import (
    BUILD,
    Entry,
    Environment,
    EnvironmentRequest,
    LocalWheel,
    Lock,
    LockedRange,
    ReadyImage,
    SourceKind,
    Unsupported,
)
from runner.records.study import Matrix
from runner.system import digest
from runner.system.parallel import in_parallel
from runner.text import counted, listed

__all__ = ["Outside", "lock_matrix", "missing", "provide_wheels", "ranges_of", "resolve_all"]


def missing(matrix: Matrix, lock: Lock) -> tuple[EnvironmentRequest, ...]:
    """Return the requests that are not locked. ConfigError if one is for another platform."""
    here = machine_platform()
    entries = [(request, lock.entry(request)) for request in matrix.requests]
    for request, entry in entries:
        if isinstance(entry, Environment) and entry.platform != here:
            raise ConfigError(
                f"{request.label} is locked for {entry.platform}, but this machine is {here}: "
                "remove the lock file and lock again, or use a copy of the matrix with its own "
                "lock for each platform."
            )
    return tuple(request for request, entry in entries if entry is None)


def lock_matrix(
    matrix: Matrix,
    known: Lock,
    absent: Sequence[EnvironmentRequest],
    note: Callable[[str], None],
    *,
    outside: Outside | None = None,
    ask: Ask = uv.call,
    files: Files | None = None,
) -> Lock:
    """Return the lock of a matrix: known entries stay as they are, ``absent`` ones are resolved.

    Entries are in the order of the cells; entries that no cell needs are dropped. ``note`` gets a
    line for each new environment. ``outside`` knows the user's lock files, if the matrix names
    any. PackagesError if the index does not answer.
    """
    named = next((request.index for request in absent), None)  # all are of one matrix
    files = files or Index(configured(named)).files
    found = resolve_all(
        absent, _pythons(matrix, known), ask, files, outside, _project_day(known, matrix)
    )
    for entry in found:
        if isinstance(entry, ReadyImage):
            note(f"locked {entry.request.label}: {entry.source.written}, {entry.digest[:19]}...")
        if isinstance(entry, Environment):  # the caller reports unsupported ones
            count = counted(len(entry.packages), "package")
            note(
                f"locked {entry.request.label}: Python {entry.python}, {count} as of "
                f"{entry.as_of.date()}"
            )
    entries = Lock(entries=(*known.entries, *found))
    in_order = (entries.entry(request) for request in matrix.requests)
    return Lock(
        entries=tuple(entry for entry in in_order if entry is not None), ranges=ranges_of(matrix)
    )


def provide_wheels(matrix: Matrix, lock: Lock, outside: Outside) -> None:
    """Have the wheels that no index has in our cache: build the project, copy those of a folder.

    ConfigError if one cannot be had as it was locked, PackagesError if a build fails.
    """
    for request in matrix.requests:
        entry, source = lock.entry(request), request.source(SourceKind.PROJECT)
        if not isinstance(entry, Environment):
            continue
        local = {path.name: path for path in outside.local_wheels(request.index)}
        for wheel in entry.wheels:
            if wheel.name in local and wheel.hash != f"sha256:{digest.of_file(local[wheel.name])}":
                raise ConfigError(
                    f"{local[wheel.name]} was replaced since {request.label} was locked; remove "
                    "its entry from the lock and lock again, or restore the file."
                )
        if not _lost(entry):
            continue
        for path in local.values():
            packages.keep_wheel(path)
        if source is not None:
            interpreter = interpreters.find(entry.python)
            outside.wheel(source, interpreter, request)
        if lost := _lost(entry):
            raise ConfigError(
                f"{listed(lost)} of {request.label} is not here as it was locked; restore the file "
                "or the sources, or remove the entry from the lock and lock again."
            )


def _lost(entry: Environment) -> list[str]:
    """Return the wheels of an environment that our cache does not have."""
    return [one.name for one in entry.wheels if packages.kept_wheel(one) is None]


def ranges_of(matrix: Matrix) -> tuple[LockedRange, ...]:
    """Return the ranges of the axes, with their versions."""
    return tuple(
        LockedRange(range=axis.range, versions=tuple(map(str, axis.values)))
        for axis in matrix.axes
        if axis.range is not None
    )


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


def _pythons(matrix: Matrix, known: Lock) -> set[str]:
    """Return the minor versions that were chosen for other cells before."""
    entries = (known.entry(request) for request in matrix.requests if request.python == "auto")
    return {entry.python for entry in entries if isinstance(entry, Environment)}


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
            if isinstance(found, Options) and self.project_day and _is_only_project(request):
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


def _is_only_project(request: EnvironmentRequest) -> bool:
    """Whether the day of an environment is that of locking: a project has no upload time."""
    alone = not request.requirements and request.as_of == "release"
    return alone and request.source(SourceKind.PROJECT) is not None


def _project_day(known: Lock, matrix: Matrix) -> datetime | None:
    """Return the day as of which other states of the project are locked; None if there is none."""
    entries = (known.entry(one) for one in matrix.requests if _is_only_project(one))
    return next((one.as_of for one in entries if isinstance(one, Environment)), None)


def _not_built(entry: Environment, why: str) -> str:
    """Return that source packages cannot be built, with advice."""
    sources = listed([one.name for one in entry.packages if one.source])
    advice = "" if entry.request.compile else ", or set `compile: true` to allow a compiler"
    return (
        f"{entry.request.label} needs {sources} as of {entry.as_of.date()}, which cannot be built "
        f"for Python {entry.python} ({why}); choose another Python or version{advice}"
    )
