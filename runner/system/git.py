"""The commit that a study was run at, and the files of other commits.

A study may come from anybody, and git obeys the configuration, the attributes and the hooks of the
repository that it inspects: they can name programs. So the names of commits are read here, and
git only reads objects, in an empty repository of ours that borrows them.
"""

import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runner.errors import RunFolderError
from runner.system import child, safe
from runner.system.git_objects import (
    Entry,
    File,
    Objects,
    answer_of,
    empty_repository,
    hash_of,
    new_hash,
    variables,
)
from runner.text import did_you_mean, quoted

LARGEST_NAME = 4096
LARGEST_PACKED = 1 << 26
LARGEST_INDEX = 1 << 28
MOST_REFERENCES = 5
LONGEST_REVISION = 200
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REFERENCE = re.compile(r"ref: (refs(?:/(?!\.)[^\x00-\x20\x7f~^:?*\[\\/]+)+)")
_PART = r"(?!\.)[^\x00-\x20\x7f~^:?*\[\\/]+"
_REVISION = re.compile(
    rf"(?P<start>(?!-)(?!.*(?:\.\.|@\{{)){_PART}(?:/{_PART})*)(?P<steps>(?:~[0-9]{{0,5}}|\^[0-9]?)*)"
)
_ABBREVIATED = re.compile(r"[0-9a-f]{7,64}")
_SHA1_LENGTH = 40

SHORT = ("refs/tags/", "refs/heads/", "refs/remotes/")
"""Where a name that does not begin with ``refs/`` is looked up, in the order of git."""

NEVER_FILES = ("--exclude=__pycache__", "--exclude=*.egg-info", "--exclude=.venv")
"""Untracked files that no project consists of."""

REVISIONS = (
    "a branch, a tag or a commit such as `main`, `origin/main`, `v1.2`, `HEAD~1` or `1a2b3c4`"
)
"""What a revision may be, for messages."""


class RevisionError(ValueError):
    """A revision or a path in it cannot be found or read; the message is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A commit in the repository of a folder. Paths are relative to this folder.

    They may lead out of the folder with ``..``, but not out of the repository. Links on the way are
    not followed. ``reference`` is the full name of the branch or tag that led to the commit without
    further steps.
    """

    name: str
    commit: str
    reference: str | None
    folder: PurePosixPath
    objects: Objects

    def content(self, path: str) -> bytes:
        """Return the content of a regular file.

        FileNotFoundError if the commit has none there. RevisionError for a path that leads out of
        the repository, for anything but a regular file and for a file that is too large.
        """
        found = self._entry(self._inside(path))
        if found is None:
            raise FileNotFoundError(f"{self.name} has no file {quoted(path)}")
        if found.kind not in {"file", "executable"}:
            raise RevisionError(f"{quoted(path)} is a {found.kind} in {self.name}: name a file")
        try:
            return self.objects.read([found.hash], "blob")[found.hash]
        except ValueError as error:
            raise RevisionError(
                f"{quoted(path)} of {self.name} is not readable: {error}"
            ) from error

    def files(self, path: str) -> Mapping[str, File]:
        """Return the files and links below a folder by their paths from there.

        Submodules are left out: their files are in another repository. Errors are as those of
        ``content``.
        """
        inside = self._inside(path)
        found = self._entry(inside)
        if found is None:
            raise FileNotFoundError(f"{self.name} has no folder {quoted(path)}")
        if found.kind != "folder":
            raise RevisionError(f"{quoted(path)} is a {found.kind} in {self.name}: name a folder")
        try:
            entries = dict(self.objects.below(found.hash))
            hashes = [one.hash for one in entries.values() if one.kind != "submodule"]
            contents = self.objects.read(hashes, "blob")
        except ValueError as error:
            raise RevisionError(
                f"{quoted(path)} of {self.name} is not readable: {error}"
            ) from error
        return {
            str(where): File(content=contents[one.hash], kind=one.kind)
            for where, one in entries.items()
            if one.kind in {"file", "executable", "link"}
        }

    def _inside(self, path: str) -> PurePosixPath:
        """Return the path from the top of the repository."""
        inside = posixpath.normpath(posixpath.join(self.folder, path))
        if "\0" in path or inside.startswith("/") or inside.split("/")[0] == "..":
            raise RevisionError(
                f"{quoted(path)} leads out of the repository: name a path inside it, relative to "
                "the folder of the matrix"
            )
        return PurePosixPath(inside)

    def _entry(self, path: PurePosixPath) -> Entry | None:
        """Return the entry at a path from the top of the repository; None without one."""
        try:
            found = Entry(name="", kind="folder", hash=self.objects.root(self.commit))
            for part in path.parts:
                if found.kind != "folder":
                    return None
                known = {one.name: one for one in self.objects.entries(found.hash)}
                if part not in known:
                    return None
                found = known[part]
        except ValueError as error:
            raise RevisionError(f"{self.name} is not readable: {error}") from error
        return found


def commit(folder: Path, files: Iterable[Path]) -> str | None:
    """Return the checked-out commit, with ``-dirty`` if one of these files in it differs.

    Return None if git, the repository or the commit cannot be found and read.
    """
    try:
        top, own = _repository(folder.resolve())
        common = _common(own)
        found = _resolved(own, common)
        compared = _names(top, files)
        listed = Objects(common / "objects", len(found)).hashes(found, compared)
        is_dirty = any(_blob(path, found) != listed.get(name) for name, path in compared.items())
    except (OSError, ValueError, RuntimeError, RunFolderError):
        return None
    return f"{found}-dirty" if is_dirty else found


def revision(folder: Path, name: str) -> Revision:
    """Return the commit that a user names, in the repository around a folder.

    RevisionError if the name cannot be one, if there is no such commit, or if git, the repository
    or the commit cannot be found and read.
    """
    written = _REVISION.fullmatch(name) if len(name) <= LONGEST_REVISION else None
    if written is None:
        raise RevisionError(f"{quoted(name)} is no revision: write {REVISIONS}")
    if child.program("git") is None:
        raise RevisionError(f"git is needed to read {name}: install it")
    try:
        top, own = _repository(folder.resolve())
    except FileNotFoundError as error:
        raise RevisionError(f"{name} cannot be read: {folder} is in no git repository") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise RevisionError(f"the git repository of {folder} cannot be read: {error}") from error
    start, steps = written.group("start", "steps")
    try:
        common = _trusted(top, own)
        reference, first = _start(own, common, start)
        objects = Objects(common / "objects", _length(own, common, first))
        found = objects.commit(f"{first}{steps}") if first else None
    except (OSError, ValueError, RuntimeError, RunFolderError) as error:
        raise RevisionError(f"{name} cannot be read in {top}: {error}") from error
    if found is None and (not first or reference is None):
        known = did_you_mean(start, dict.fromkeys(_names_of_references(common)))
        raise RevisionError(f"{top} has no branch, tag or commit {quoted(start)}{known}")
    if found is None:
        raise RevisionError(
            f"{top} has no commit {name}: if it is a shallow clone, `git fetch --unshallow` gets "
            "older commits"
        )
    return Revision(
        name=name,
        commit=found,
        reference=None if steps else reference,
        folder=PurePosixPath(folder.resolve().relative_to(top)),
        objects=objects,
    )


def top(folder: Path) -> Path | None:
    """Return the top of the working tree around a folder; None if there is no repository."""
    try:
        return _repository(folder.resolve())[0]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RuntimeError) as error:
        raise RevisionError(f"the git repository of {folder} cannot be read: {error}") from error


def working_files(folder: Path) -> tuple[str, ...]:
    """Return the files below a folder of a working tree that git tracks or does not ignore.

    They are as git knows them: some may be gone, links or folders. git works in a repository of
    ours with a copy of the index. It obeys ``.gitignore`` and ``info/exclude``, but no other list.
    RevisionError if that is not possible.
    """
    folder = folder.resolve()
    try:
        around, own = _repository(folder)
        common = _trusted(around, own)
        length = _length(own, common, None)
        with empty_repository(length) as ours:
            (ours / "info").mkdir()
            _copy(own / "index", ours / "index")
            _copy(common / "info" / "exclude", ours / "info" / "exclude")
            settings = {"GIT_WORK_TREE": str(around), "GIT_OBJECT_DIRECTORY": f"{common}/objects"}
            answer = answer_of(
                ["ls-files", "-z", "--cached", "--others", "--exclude-standard", *NEVER_FILES],
                folder,
                variables(ours) | settings,
            )
    except (OSError, ValueError, RuntimeError, RunFolderError) as error:
        raise RevisionError(f"the git repository of {folder} cannot be read: {error}") from error
    if answer is None:
        raise RevisionError(f"git cannot list the files of {folder}; check that it is installed")
    return tuple(sorted({os.fsdecode(name) for name in answer.split(b"\0") if name}))


def _copy(source: Path, target: Path) -> None:
    """Copy a file that may be missing."""
    with suppress(FileNotFoundError):
        target.write_bytes(safe.read(source, limit=LARGEST_INDEX))


def _trusted(top: Path, own: Path) -> Path:
    """Return the git folder that all worktrees share.

    ValueError unless it belongs to this working tree: a stranger's ``.git`` file could lead to any
    repository that this user can read.
    """
    common = _common(own)
    if not own.is_relative_to(common) or not any(_owners(top, own)):
        raise ValueError(
            f"its git folder {own} belongs to another folder; try `git worktree repair`"
        )
    if (common / "reftable").is_dir():
        raise ValueError(
            "run `git refs migrate --ref-format=files` there to make branches readable"
        )
    return common


def _owners(top: Path, own: Path) -> Iterator[bool]:
    """Yield whether a git folder lies in a working tree or around it, or names it as a worktree."""
    yield own.is_relative_to(top)
    for outer in top.parents:  # of submodules
        yield own.is_relative_to(outer / ".git")
    for place in (own, *own.parents):
        if place.parent.name == "worktrees":
            with suppress(FileNotFoundError):
                named = (place / _line(place / "gitdir")).resolve()
                yield named.name == ".git" and top.is_relative_to(named.parent)


def _start(own: Path, common: Path, name: str) -> tuple[str | None, str | None]:
    """Return the full name and the hash of what a revision starts with; None for unknown ones."""
    if name == "HEAD":
        return name, _resolved(own, common)
    if _HASH.fullmatch(name):
        return None, name
    remote = [f"refs/remotes/{name}/HEAD"]
    short = [f"{place}{name}" for place in SHORT] + remote
    for reference in [name] if name.startswith("refs/") else short:
        with suppress(FileNotFoundError):
            return reference, _followed(common, _stored(common, reference))
    return None, name if _ABBREVIATED.fullmatch(name) else None


def _length(own: Path, common: Path, first: str | None) -> int:
    """Return the number of digits of the hashes in a repository."""
    if first is not None and _HASH.fullmatch(first):
        return len(first)
    with suppress(OSError, ValueError):
        return len(_resolved(own, common))
    return _SHA1_LENGTH


def _names_of_references(common: Path) -> Iterator[str]:
    """Yield the short names of branches and tags."""
    packed = {}
    with suppress(OSError, ValueError):
        packed = dict(_packed(common))
    for place in SHORT:
        for where, folders, files in os.walk(common / place):
            folders.sort()
            for name in sorted(files):
                yield str(Path(where, name).relative_to(common / place))
        yield from (name.removeprefix(place) for name in packed if name.startswith(place))


def _repository(folder: Path) -> tuple[Path, Path]:
    """Return the top of the working tree around a folder, and its git folder."""
    for top in (folder, *folder.parents):
        path = top / ".git"
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            return top, path
        kind, _, target = _line(path).partition(": ")  # of a worktree or a submodule
        if kind != "gitdir":
            raise ValueError(f"{path} names no git folder")
        return top, (top / target).resolve()
    raise FileNotFoundError(str(folder))


def _common(own: Path) -> Path:
    """Return the git folder that all worktrees of a repository share."""
    try:
        return (own / _line(own / "commondir")).resolve()
    except FileNotFoundError:
        return own


def _resolved(own: Path, common: Path) -> str:
    """Return the hash of the commit that HEAD leads to."""
    return _followed(common, _line(own / "HEAD"))


def _followed(common: Path, value: str) -> str:
    """Return the hash that the content of a reference leads to."""
    for _ in range(MOST_REFERENCES):
        if _HASH.fullmatch(value):
            return value
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            break
        value = _stored(common, reference[1])
    raise ValueError("a reference leads to no commit")


def _stored(common: Path, reference: str) -> str:
    """Return the content of a reference, which may be stored together with others.

    FileNotFoundError if it does not exist, OSError if a link leads out of the repository.
    """
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _line(safe.inside(common, reference))
    try:
        return _packed(common)[reference]
    except KeyError as error:
        raise FileNotFoundError(f"{reference} does not exist") from error


def _packed(common: Path) -> Mapping[str, str]:
    """Return the hashes of the references that are stored together."""
    try:
        content = safe.read(common / "packed-refs", limit=LARGEST_PACKED).decode()
    except FileNotFoundError:
        return {}
    lines = (line.partition(" ") for line in content.splitlines())
    return {name: value for value, _, name in lines}


def _line(path: Path) -> str:
    return safe.read(path, limit=LARGEST_NAME).decode().rstrip("\n")


def _names(top: Path, files: Iterable[Path]) -> Mapping[str, Path]:
    """Return the files by their path in the working tree; a link counts and its target, too."""
    paths = []
    for file in files:
        path = file.parent.resolve() / file.name
        paths += [path, path.resolve()] if path.is_symlink() else [path]
    return {path.relative_to(top).as_posix(): path for path in paths}


def _blob(path: Path, found: str) -> str | None:
    """Return the hash that git gives to a file; None for a missing one."""
    try:
        if path.is_symlink():
            return hash_of(os.fsencode(path.readlink()), "blob", len(found))
        with safe.opened(path) as file:
            blob = new_hash(len(found), "blob", os.fstat(file.fileno()).st_size)
            while piece := file.read(1 << 20):
                blob.update(piece)
            return blob.hexdigest()
    except FileNotFoundError:
        return None
