"""Wheels of the project that a study is about: of one of its commits, or of its working tree.

Sources are identified before anything is built, and read without obeying git settings of their
folder. A wheel is built once and kept under the digest of all files that it is built from. A commit
hash would not be enough: SHA-1 does not prevent that two different commits have the same one.
"""

import fcntl
import hashlib
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from runner.errors import ConfigError, PackagesError
from runner.python import addresses, uv
from runner.python.interpreters import Interpreter
from runner.python.uv import Build
from runner.records.environment import IndexSettings
from runner.system import atomic, digest, git, safe, tempdir
from runner.system.git_objects import LARGEST_FOLDER, LARGEST_OBJECT, MOST_FILES, File
from runner.text import one_line, quoted, shortened, size, why

WORKTREE = "worktree"
"""The sources as they lie in the folder. A branch of this name is ``refs/heads/worktree``."""

BUILD_TIMEOUT_S = 900.0
BUILT_FROM = ("pyproject.toml", "setup.py")
NO_SOURCES = frozenset({"__pycache__", "build", "dist"})
"""Folders that are left out where no git says what belongs to a project."""

VERSION_VARIABLES = (
    "SETUPTOOLS_SCM_PRETEND_VERSION",  # also hatch-vcs
    "PDM_BUILD_SCM_VERSION",
    "POETRY_DYNAMIC_VERSIONING_BYPASS",
    "UV_DYNAMIC_VERSIONING_BYPASS",
    "PBR_VERSION",
)
"""Where build backends look for a version that they would otherwise ask git for."""

EARLIEST = "315532800"
"""1980, the earliest date in a zip file: with one date, equal sources can give equal wheels."""

ANY_PYTHON = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The sources of a project: ``digest`` is the SHA-256 of the names, modes and contents.

    ``commit`` is None for a working tree. ``version`` is for projects that ask git for theirs.
    """

    project: str
    at: str
    commit: str | None
    without: tuple[str, ...] = ()
    digest: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel in our cache."""

    path: Path
    name: str
    version: str
    sha256: str


def source(root: Path, project: str, at: str, without: Collection[str] = ()) -> Source:
    """Identify the sources of a project, whose path is relative to the folder of the study.

    ``at`` is a revision or ``worktree``. ``without`` are files and folders of the study, relative
    to its folder, that do not belong to the project: they change while it is measured. ConfigError
    if there are no sources, or if a link leads out.
    """
    files, revision = _read(root, project, at, without)
    found = _digest(files)
    return Source(
        project=project,
        at=at,
        commit=revision.commit if revision else None,
        without=tuple(without),
        digest=found,
        version=_version(revision, found),
    )


def wheel(
    root: Path,
    source: Source,
    interpreter: Interpreter,
    *,
    compiler: bool,
    index: IndexSettings | None = None,
) -> Wheel:
    """Return the wheel of sources from our cache, or build it with tools from the index.

    PackagesError if it cannot be built, or if the sources are no longer the same.
    """
    try:
        with _own_folder(source, compiler=compiler) as kept:
            known = _known(kept, interpreter)
            if known is not None:
                return known
            build = _permission(source, interpreter, compiler=compiler, index=index)
            return _build(root, source, interpreter, build, kept)
    except (OSError, RuntimeError, ValueError) as error:
        raise PackagesError(
            f"the wheel of {_label(source)} cannot be kept ({why(error)}); free some disk space, "
            "or "
            "set XDG_CACHE_HOME to a folder that you can write."
        ) from error


def _read(
    root: Path, project: str, at: str, without: Collection[str]
) -> tuple[Mapping[str, File], git.Revision | None]:
    """Return the files of a project, and the revision that they are from."""
    try:
        if at == WORKTREE:
            files, revision = _working_tree(_folder(root, project)), None
        else:
            revision = git.revision(root, at)
            files = revision.files(project)
    except (OSError, ValueError) as error:
        raise ConfigError(f"project {quoted(project)} at {quoted(at)}: {why(error)}.") from error
    files = {path: file for path, file in files.items() if not _is_left_out(project, path, without)}
    if not any(name in files for name in BUILT_FROM):
        raise ConfigError(
            f"project {quoted(project)} at {quoted(at)}: it has neither a pyproject.toml nor a "
            "setup.py; name the folder that has one."
        )
    for path, file in files.items():
        if file.kind == "link" and _leads_out(path, os.fsdecode(file.content)):
            raise ConfigError(
                f"project {quoted(project)} at {quoted(at)}: the link {quoted(path)} leads out of "
                "the project; replace it by its target."
            )
    return files, revision


def _is_left_out(project: str, path: str, without: Collection[str]) -> bool:
    where = PurePosixPath(posixpath.normpath(posixpath.join(project, path)))
    return any(where.is_relative_to(one) for one in without)


def _folder(root: Path, project: str) -> Path:
    """Return the folder of a project; ValueError if it is outside the repository and the study."""
    root = root.resolve()
    folder = Path(posixpath.normpath(posixpath.join(root, project)))
    if not folder.is_relative_to(root) and not folder.is_relative_to(git.top(root) or root):
        raise ValueError("it is outside the repository; name a folder of the project under test")
    if not folder.is_dir() or folder.resolve() != folder:
        raise ValueError("it is not a folder, or a link leads there")
    return folder


def _working_tree(folder: Path) -> Mapping[str, File]:
    """Return the files of a folder that belong to the project there."""
    names = _all_files(folder) if git.top(folder) is None else iter(git.working_files(folder))
    files: dict[str, File] = {}
    total = 0
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            files[name] = _file(folder, name)
            total += len(files[name].content)
        if len(files) > MOST_FILES:
            raise ValueError(f"there are more than {MOST_FILES:,} files")
        if total > LARGEST_FOLDER:
            raise ValueError(f"there are more than {size(LARGEST_FOLDER)} of files")
    return files


def _all_files(folder: Path) -> Iterator[str]:
    """Yield the files of a folder without git, except those that tools make."""
    for where, folders, names in os.walk(folder):
        for name in sorted(names):
            yield (Path(where) / name).relative_to(folder).as_posix()
        links = [name for name in folders if Path(where, name).is_symlink()]
        for name in sorted(links):
            yield (Path(where) / name).relative_to(folder).as_posix()
        folders[:] = sorted(one for one in folders if one not in links and _may_have_sources(one))


def _may_have_sources(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".egg-info") and name not in NO_SOURCES


def _file(folder: Path, name: str) -> File:
    """Return a regular file or a link; FileNotFoundError if a link is on the way to it.

    OSError for anything else, and for a file that is too large.
    """
    path = folder / name
    if path.parent.resolve() != path.parent:
        raise FileNotFoundError(name)
    if path.is_symlink():
        return File(content=os.fsencode(path.readlink()), kind="link")
    content = safe.read(path, limit=LARGEST_OBJECT)
    is_executable = path.lstat().st_mode & 0o100
    return File(content=content, kind="executable" if is_executable else "file")


def _leads_out(path: str, target: str) -> bool:
    """Whether a link can lead out of the project.

    ``..`` may only come first, because a folder before it could be a link to another place.
    """
    parts = [part for part in target.split("/") if part not in {"", "."}]
    up = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    depth = len(PurePosixPath(path).parts) - 1
    return target.startswith("/") or up > depth or ".." in parts[up:]


def _digest(files: Mapping[str, File]) -> str:
    return digest.of_content(
        [
            (path, file.kind, hashlib.sha256(file.content).hexdigest())
            for path, file in sorted(files.items())
        ]
    )


def _version(revision: git.Revision | None, found: str) -> str:
    """Return the version that a tag names, or one that names the commit or the digest."""
    if revision is None:
        return f"0+d{found[:7]}"
    tag = (revision.reference or "").removeprefix("refs/tags/")
    with suppress(InvalidVersion):
        return str(Version(tag))
    return f"0+g{revision.commit[:7]}"


@contextmanager
def _own_folder(source: Source, *, compiler: bool) -> Iterator[Path]:
    """Make the folder of sources in our cache, which nobody else uses meanwhile."""
    key = digest.of_content([source.digest, source.version, compiler])
    folder = uv.wheels_folder() / key
    folder.mkdir(parents=True, exist_ok=True)
    with safe.lock_file(folder / ".lock", make=True) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _known(kept: Path, interpreter: Interpreter) -> Wheel | None:
    """Return the wheel for any Python or for this one; None if it was not built yet."""
    for python in (ANY_PYTHON, interpreter.name):
        for path in (kept / python).glob("*.whl"):
            return _described(path)
    return None


def _permission(
    source: Source, interpreter: Interpreter, *, compiler: bool, index: IndexSettings | None
) -> Build:
    variables = dict.fromkeys(VERSION_VARIABLES, source.version) | {"SOURCE_DATE_EPOCH": EARLIEST}
    variables |= addresses.variables(index) if index else {}
    return Build(interpreter=interpreter.path, compiler=compiler, variables=variables)


def _build(root: Path, source: Source, interpreter: Interpreter, build: Build, kept: Path) -> Wheel:
    """Build the wheel of sources, and keep it."""
    files, _ = _read(root, source.project, source.commit or WORKTREE, source.without)
    if _digest(files) != source.digest:
        raise PackagesError(f"the files of {_label(source)} have changed since: try again.")
    with tempdir.folder() as folder:
        _write(files, folder / "source")
        answer = uv.build_wheel(
            folder,
            build,
            purpose=f"build the wheel of {_label(source)}",
            timeout_s=BUILD_TIMEOUT_S,
        )
        if not answer.found:
            raise PackagesError(_why_not(source, interpreter, answer.text, compiler=build.compiler))
        return _keep(folder / "built", source, interpreter, kept)


def _write(files: Mapping[str, File], folder: Path) -> None:
    """Write files below a new folder; links come last, so none is followed."""
    folder.mkdir()
    for path, file in sorted(files.items(), key=lambda item: item[1].kind == "link"):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.kind == "link":
            target.symlink_to(os.fsdecode(file.content))
        else:
            target.write_bytes(file.content)
            target.chmod(0o755 if file.kind == "executable" else 0o644)


def _why_not(source: Source, interpreter: Interpreter, reason: str, *, compiler: bool) -> str:
    advice = "" if compiler else ", or set `compile: true` if it needs a compiler"
    return (
        f"the wheel of {_label(source)} cannot be built for Python {interpreter.name}: "
        f"{shortened(one_line(reason)).rstrip('.')}; make `uv build` work in a fresh copy of these "
        f"files{advice}."
    )


def _keep(built: Path, source: Source, interpreter: Interpreter, kept: Path) -> Wheel:
    """Move the wheel that a build made to our cache; the build is not trusted."""
    names = [] if built.is_symlink() else sorted(path.name for path in built.glob("*.whl"))
    try:
        _, _, _, tags = parse_wheel_filename(names[0] if len(names) == 1 else "")
    except InvalidWheelFilename as error:
        reason = f"the build made {len(names)} wheels, or one with a strange name"
        raise PackagesError(_why_not(source, interpreter, reason, compiler=True)) from error
    is_pure = all((tag.abi, tag.platform) == ("none", "any") for tag in tags)
    place = kept / (ANY_PYTHON if is_pure else interpreter.name)
    place.mkdir(exist_ok=True)
    atomic.write(place / names[0], safe.read(built / names[0]))
    return _described(place / names[0])


def _described(path: Path) -> Wheel:
    name, version, _, _ = parse_wheel_filename(path.name)
    return Wheel(path=path, name=name, version=str(version), sha256=digest.of_file(path))


def _label(source: Source) -> str:
    return one_line(f"{source.project} at {source.at}")
