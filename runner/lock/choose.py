"""Choose interpreters: one for all versions of a study if it serves them all.

An interpreter serves a version if it had been released by then and every package is as good on it
as on any other such interpreter. A compiled wheel is better than a pure one of the same version,
and both are better than source.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from packaging.version import Version

from runner.lock.releases import Options
from runner.python.index import File, Files, Quality
from runner.python.interpreters import Interpreter
from runner.records.environment import Environment, EnvironmentRequest, Package
from runner.system.parallel import in_parallel

Solve = Callable[[EnvironmentRequest, Options, Interpreter], Environment | str]
"""Resolves a request on an interpreter, or returns the reason why that is not possible."""

Rank = tuple[bool, bool, int]
"""Whether it failed, whether the interpreter is younger, and how many packages are poorer."""

PAGES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request resolved on one interpreter."""

    entry: Environment | str
    rank: Rank


def choose(
    asked: Mapping[EnvironmentRequest, Options],
    preferred: Collection[str],
    solve: Solve,
    files: Files,
) -> Mapping[EnvironmentRequest, Environment | str]:
    """Resolve requests on one interpreter if one serves them all, else on the best for each.

    Minor versions in ``preferred`` are tried first. PackagesError if the index fails.
    """
    attempts = _Attempts(asked, solve, files)
    common = [one for one in next(iter(asked.values())).days if attempts.may_all_use(one)]
    common.sort(key=lambda one: one.name not in preferred)
    for interpreter in common:
        found = attempts.on(interpreter)
        if all(found[request].rank == _perfect(one) for request, one in asked.items()):
            break
    else:
        best = {request: attempts.best(request) for request in asked}
        ranks = {request: attempt.rank for request, attempt in best.items()}
        as_good = (attempts.on(one) for one in common)
        found = next((one for one in as_good if _ranks(one) == ranks), best)
    return {request: attempt.entry for request, attempt in found.items()}


def _perfect(options: Options) -> Rank:
    """Return the rank that no attempt can improve."""
    return False, options.only_younger, 0


def _ranks(found: Mapping[EnvironmentRequest, Attempt]) -> dict[EnvironmentRequest, Rank]:
    return {request: attempt.rank for request, attempt in found.items()}


class _Attempts:
    """What was resolved so far; no request is resolved twice on the same interpreter."""

    def __init__(
        self, asked: Mapping[EnvironmentRequest, Options], solve: Solve, files: Files
    ) -> None:
        self._asked, self._solve, self._files = asked, solve, files
        self._known: dict[tuple[EnvironmentRequest, Interpreter], Attempt] = {}

    def may_all_use(self, interpreter: Interpreter) -> bool:
        """Whether every request may be resolved on an interpreter, and none is better off older."""
        return all(
            interpreter in one.days and (interpreter in one.younger) <= one.only_younger
            for one in self._asked.values()
        )

    def on(self, interpreter: Interpreter) -> dict[EnvironmentRequest, Attempt]:
        """Return the attempt of every request on an interpreter."""
        waiting = [one for one in self._asked if (one, interpreter) not in self._known]
        made = in_parallel(partial(self._made, interpreter=interpreter), waiting)
        self._known |= {
            (one, interpreter): attempt for one, attempt in zip(waiting, made, strict=True)
        }
        return {one: self._known[one, interpreter] for one in self._asked}

    def best(self, request: EnvironmentRequest) -> Attempt:
        """Return the best attempt of a request, on the first interpreter that has it."""
        options, found = self._asked[request], []
        for interpreter in options.days:
            key = request, interpreter
            if key not in self._known:
                self._known[key] = self._made(request, interpreter)
            found.append(self._known[key])
            if found[-1].rank == _perfect(options):
                break
        return min(found, key=lambda attempt: attempt.rank)

    def _made(self, request: EnvironmentRequest, interpreter: Interpreter) -> Attempt:
        options = self._asked[request]
        entry = self._solve(request, options, interpreter)
        is_younger = interpreter in options.younger
        others = [one for one in options.days if (one in options.younger) is is_younger]
        poorer = 0
        if isinstance(entry, Environment) and len(others) > 1:
            is_poorer = partial(_is_poorer, on=interpreter, than=others, files=self._files)
            poorer = sum(in_parallel(is_poorer, entry.packages, at_once=PAGES_AT_ONCE))
        return Attempt(entry, (isinstance(entry, str), is_younger, poorer))


def _is_poorer(
    package: Package, *, on: Interpreter, than: Collection[Interpreter], files: Files
) -> bool:
    """Whether another interpreter gets a better file of the very same version of a package."""
    version = Version(package.version)
    mine = [one for one in files(package.name) if one.version == version]
    return _quality(mine, on) < max(_quality(mine, other) for other in than)


def _quality(some: Collection[File], interpreter: Interpreter) -> Quality:
    fitting = (file.quality for file in some if file.fits(interpreter))
    return max(fitting, default=Quality.SOURCE)
