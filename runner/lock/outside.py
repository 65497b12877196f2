"""What a matrix mentions without containing it: lock files, projects, versions.

Most matrices mention little of it, so what reads it is imported where it is used.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import ConfigError, EngineError, ImageBuildError
from runner.lock.file import lock_path
from runner.read import Locked
from runner.records.environment import (
    EnvironmentRequest,
    IndexSettings,
    Lock,
    Source,
    SourceKind,
    VersionRange,
)
from runner.system import digest, safe
from runner.text import listed, quoted

if TYPE_CHECKING:
    from runner.lock import projects
    from runner.lock.pins import Content, Pins
    from runner.lock.projects import Wheel
    from runner.python.interpreters import Interpreter

# ruff: noqa: PLC0415 (see above)

_IN_GIT = re.compile(r"git:([^:]+):([^:]+)")


def _no_engine(name: str) -> str:
    raise EngineError(f"no engine was asked for the image {name}; start one.")


class Outside:
    """The world outside a matrix. Everything is read once.

    With ``asks``, the package index may be asked for the versions of a range that is not locked.
    ``ask_engine`` returns the digest of an image. ``reports`` is where runs are stored; they are
    not part of a project around them. Paths begin at ``root``, by default the folder of the matrix.
    """

    def __init__(
        self,
        matrix: Path,
        known: Lock,
        *,
        asks: bool = False,
        reports: Path = Path("reports"),
        root: Path | None = None,
        ask_engine: Callable[[str], str] = _no_engine,
    ) -> None:
        self._folder = matrix.parent if root is None else root
        self._known, self._asks = known, asks
        self._ask_engine = ask_engine
        ours = (matrix, lock_path(matrix), reports)
        here, places = safe.resolved(self._folder), map(safe.resolved, ours)
        self.ours = [one.relative_to(here).as_posix() for one in places if one.is_relative_to(here)]
        self._contents: dict[str, Content] = {}
        self._projects: dict[str, projects.Source] = {}
        self._digests: dict[tuple[SourceKind, str], str] = {}
        self._pins: dict[str, Pins] = {}

    def versions(self, wanted: VersionRange) -> tuple[str, ...]:
        """Return the versions of a range; ConfigError if it has none or is not locked."""
        if self._asks and self._known.versions(wanted) is None:
            from runner.lock.ranges import versions_of
            from runner.python.addresses import configured
            from runner.python.index import Index, with_local

            files = Index(configured(wanted.index)).files
            return versions_of(wanted, with_local(files, self.local_wheels(wanted.index)))
        return Locked(self._known).versions(wanted)

    def digest(self, kind: SourceKind, written: str) -> str:
        """Return the digest of a source; ConfigError if it cannot be read."""
        if (kind, written) not in self._digests:
            self._digests[kind, written] = self._digested(kind, written)
        return self._digests[kind, written]

    def _digested(self, kind: SourceKind, written: str) -> str:
        if kind is SourceKind.DOCKERFILE:
            return self._context(written)
        if kind is SourceKind.PROJECT:
            return f"sha256:{self._project(written).digest}"
        content = self._content(written)
        found = digest.of_content({name: one.hex() for name, one in content.items()})
        return f"sha256:{found}"

    def pins(self, source: Source) -> "Pins":
        """Return the packages of a lock file; ConfigError if it cannot be read."""
        from runner.lock import pins

        written = source.written
        if written not in self._pins:
            self._pins[written] = pins.read_pins(written, self._content(written))
        return self._pins[written]

    def image_digest(self, name: str) -> str:
        """Return the digest of an image; EngineError if no engine or registry knows it."""
        return self._ask_engine(name)

    def local_wheels(self, index: IndexSettings | None) -> tuple[Path, ...]:
        """Return the wheels in the folder that the matrix names, but no links."""
        if index is None or index.wheels is None:
            return ()
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        found = []
        for path in sorted((self._folder / index.wheels).glob("*.whl")):
            if path.is_symlink():
                continue
            with suppress(OSError, InvalidWheelFilename):
                parse_wheel_filename(path.name)
                found.append(safe.inside(self._folder, f"{index.wheels}/{path.name}"))
        return tuple(found)

    def wheel(
        self, source: Source, interpreter: "Interpreter", request: EnvironmentRequest
    ) -> "Wheel":
        """Return the wheel of a project, which is built unless it is known; PackagesError."""
        from runner.lock import projects

        found, compiler = self._project(source.written), request.compile
        return projects.wheel(
            self._folder, found, interpreter, compiler=compiler, index=request.index
        )

    def _context(self, written: str) -> str:
        """Return the digest of the context of a Dockerfile."""
        from runner.system.context import context_digest

        folder = safe.resolved(self._folder / written)
        if not folder.is_relative_to(safe.resolved(self._folder)):
            raise ConfigError(f"{written} leads out of the folder of the matrix; copy it there.")
        try:
            return context_digest(folder)
        except ImageBuildError as error:
            raise ConfigError(str(error)) from error

    def _project(self, written: str) -> "projects.Source":
        from runner.lock import projects

        if written not in self._projects:
            at, _, project = written.partition(":")
            self._projects[written] = projects.source(self._folder, project, at, self.ours)
        return self._projects[written]

    def _content(self, written: str) -> "Content":
        if written not in self._contents:
            self._contents[written] = _read(self._folder, written)
        return self._contents[written]


def _read(folder: Path, written: str) -> "Content":
    """Return the content of a lock file, and for uv.lock of the project beside it."""
    from runner.lock import pins
    from runner.system import git

    in_git = _IN_GIT.fullmatch(written)
    path = in_git[2] if in_git else written
    if not pins.is_lock_file(path):
        raise ConfigError(
            f"{quoted(path)} is no lock file that can be read: name {pins.FORMATS} (other tools "
            "can export one of them)."
        )
    place, _, name = path.rpartition("/")
    names = (name, pins.PROJECT) if name == pins.UV_LOCK else (name,)
    paths = {one: f"{place}/{one}" if place else one for one in names}
    try:
        if in_git:
            revision = git.revision(folder, in_git[1])
            return {one: revision.content(where) for one, where in paths.items()}
        return {one: safe.read(safe.inside(folder, where)) for one, where in paths.items()}
    except FileNotFoundError as error:
        absent = f"there is no file {listed([*paths.values()], 'or')}; check the path"
        raise ConfigError(f"{written}: {error if in_git else absent}.") from None
    except safe.OutsideError:
        raise ConfigError(
            f"{written} leads out of the folder of the matrix; move it, or name a commit: "
            f"`git:HEAD:{written}`."
        ) from None
    except git.RevisionError as error:
        raise ConfigError(f"{written}: {error}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{written} cannot be read: {reason}; check the file.") from None
