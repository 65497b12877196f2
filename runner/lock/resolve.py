"""Resolve a request on one interpreter to exact packages as of a day.

uv gets the path of the real interpreter: given only a version, it would build source packages with
a different one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from runner.lock import repairs
from runner.python import interpreters, uv
from runner.python.index import named
from runner.python.interpreters import Interpreter
from runner.python.packages import AFTER_ALL, LOCAL, index_day, parse_local, parse_locked, settings
from runner.python.uv import Answer, Build
from runner.records.environment import BUILD, REFUSE, Environment, EnvironmentRequest

TIMEOUT_S = 300.0
BUILD_TOOLS = "setuptools\nwheel\n"
LOCKED = ("--format=pylock.toml",)

Ask = Callable[..., Answer]
"""``uv.call``, or a substitute."""


def resolve(
    request: EnvironmentRequest,
    lines: Sequence[str],
    interpreter: Interpreter,
    as_of: datetime,
    ask: Ask = uv.call,
    *,
    wheels: Sequence[Path] = (),
    local: Sequence[Path] = (),
    newest_tools: bool = False,
) -> Environment | str:
    """Resolve requirement lines and their dependencies, or return why that is not possible.

    With ``newest_tools``, source packages are built with today's build tools, because those of that
    day may fail; the tools that are installed are still those of that day. PackagesError if the
    index fails. ``wheels`` are files of ours to install, too; the environment leaves them out.
    ``local`` are wheels that may be chosen like those of an index.
    """
    resolver = _Resolver(request, interpreter, as_of, ask, wheels, local)
    chosen = [_chosen(line, interpreter, local) for line in (*lines, *request.packages)]
    wanted = "\n".join((*chosen, *(f"./{one.name}" for one in wheels)))
    tools = resolver.tools() if newest_tools else ()
    answer = resolver.compile(
        wanted,
        *LOCKED,
        *(("--constraints=installed.txt",) if tools else ()),
        tools=tools,
        installed=resolver.of_that_day(tools),
        builds=request.source_packages == BUILD,
    )
    if not answer.found:
        return resolver.reason(wanted, answer)
    return Environment(
        request=request,
        python=interpreter.name,
        platform=interpreters.machine_platform(),
        as_of=as_of,
        packages=parse_locked(answer.text),
        wheels=parse_local(answer.text),
        build_tools=tools,
    )


def _chosen(line: str, interpreter: Interpreter, local: Sequence[Path]) -> str:
    """Return a requirement, or the newest wheel on this machine that serves it.

    An index may have another package of the same name and version.
    """
    wanted = Requirement(line)
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    marker = f" ; {wanted.marker}" if wanted.marker else ""
    fitting = [
        (file.version, path.name)
        for path in local
        if parse_wheel_filename(path.name)[0] == canonicalize_name(wanted.name)
        and (file := named(path.name)) is not None
        and file.fits(interpreter)
        and wanted.specifier.contains(file.version, prereleases=True)
    ]
    return f"./{LOCAL}/{max(fitting)[1]}{extras}{marker}" if fitting else line


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Asks uv about one request on one interpreter as of one day."""

    request: EnvironmentRequest
    interpreter: Interpreter
    as_of: datetime
    ask: Ask
    wheels: Sequence[Path] = ()
    local: Sequence[Path] = ()

    def compile(
        self,
        wanted: str,
        *options: str,
        day: datetime | None = None,
        tools: Sequence[str] = (),
        installed: str = "",
        builds: bool = False,
    ) -> Answer:
        """Resolve the requirement lines ``wanted``; ``builds`` allows source packages."""
        build = Build(interpreter=self.interpreter.path, compiler=self.request.compile)
        return self.ask(
            [
                *("pip", "compile", "--no-header", "--no-annotate"),
                *(() if builds else ("--no-build",)),
                *((f"--find-links={LOCAL}",) if self.local else ()),
                *(("--constraints=constraints.txt",) if self.request.constraints else ()),
                *options,
                *settings(self.interpreter, day or index_day(self.request, self.as_of), tools),
                *("--", "wanted.txt"),
            ],
            purpose=f"resolve {self.request.label}",
            timeout_s=TIMEOUT_S,
            files={
                "wanted.txt": wanted,
                "tools.txt": "\n".join(tools),
                "installed.txt": installed,
                "constraints.txt": "\n".join(self.request.constraints),
                "uv.toml": repairs.settings(),
                **{one.name: one for one in self.wheels},
                **{f"{LOCAL}/{one.name}": one for one in self.local},
            },
            build=build if builds else None,
            index=self.request.index,
        )

    def tools(self) -> tuple[str, ...]:
        """Return the newest build tools with everything that they need."""
        newest = self.compile(BUILD_TOOLS, day=AFTER_ALL)
        return tuple(newest.text.split()) if newest.found else ()

    def of_that_day(self, tools: Sequence[str]) -> str:
        """Return the versions that build tools had on the day, if they existed."""
        names = [tool.partition("==")[0] for tool in tools]
        old = [self.compile(name, "--no-deps") for name in names]
        return "".join(answer.text for answer in old if answer.found)

    def reason(self, wanted: str, answer: Answer) -> str:
        """Return why there is no solution, with advice."""
        reason = f"{self.request.label} cannot be resolved as of {self.as_of.date()}"
        reason = f"{reason} for Python {self.interpreter.name}: {answer.reason}"
        if self.request.source_packages == REFUSE:
            return f"{reason}; set `source_packages: build` to allow source packages"
        if self.compile(wanted).found:
            return f"{reason}; `source_packages: refuse` takes older packages that have wheels"
        return reason + ("" if self.request.compile else "; `compile: true` allows a compiler")
