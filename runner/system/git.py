"""The commit that a study was run at, and the files of other commits.

A study may come from anybody, and git obeys the configuration, the attributes and the hooks of the
repository that it inspects: they can name programs. So the names of commits are read here, and
git only reads objects, in an empty repository of ours that borrows them.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runner.errors import RunFolderError
from runner.system import child, git_folder, safe
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
from runner.text import did_you_mean, quoted, why

LARGEST_INDEX = 1 << 28
LONGEST_REVISION = 200
_NAME = rf"{git_folder.PART}(?:/{git_folder.PART})*"
_REVISION = re.compile(
    rf"(?P<start>(?!-)(?!.*(?:\.\.|@\{{)){_NAME})(?P<steps>(?:~[0-9]{{0,5}}|\^[0-9]?)*)"
)
_ABBREVIATED = re.compile(r"[0-9a-f]{7,64}")

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
            raise FileNotFoundError(f"{self.name} has no file {quoted(path)}; check the path")
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
            raise FileNotFoundError(f"{self.name} has no folder {quoted(path)}; check the path")
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
        top, own = git_folder.find(folder.resolve())
        common = git_folder.shared(own)
        found = git_folder.head(own, common)
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
        top, own = git_folder.find(folder.resolve())
    except FileNotFoundError as error:
        raise RevisionError(
            f"{name} cannot be read: {folder} is in no git repository; name a folder or file "
            "without it"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(folder, error) from error
    start, steps = written.group("start", "steps")
    try:
        common = git_folder.trusted(top, own)
        reference, first = _start(own, common, start)
        objects = Objects(common / "objects", git_folder.length(own, common, first))
        found = objects.commit(f"{first}{steps}") if first else None
    except (OSError, ValueError, RuntimeError, RunFolderError) as error:
        raise RevisionError(f"{name} cannot be read in {top}: {why(error)}") from error
    if found is None and (not first or reference is None):
        known = did_you_mean(start, dict.fromkeys(git_folder.names(common)))
        hint = known or "; `git branch --all` and `git tag` list the names"
        raise RevisionError(f"{top} has no branch, tag or commit {quoted(start)}{hint}")
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
        return git_folder.find(folder.resolve())[0]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(folder, error) from error


def working_files(folder: Path) -> tuple[str, ...]:
    """Return the files below a folder of a working tree that git tracks or does not ignore.

    They are as git knows them: some may be gone, links or folders. git works in a repository of
    ours with a copy of the index. It obeys ``.gitignore`` and ``info/exclude``, but no other list.
    RevisionError if that is not possible.
    """
    folder = folder.resolve()
    try:
        around, own = git_folder.find(folder)
        common = git_folder.trusted(around, own)
        length = git_folder.length(own, common, None)
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
        raise _unreadable(folder, error) from error
    if answer is None:
        raise RevisionError(f"git cannot list the files of {folder}; check that it is installed")
    return tuple(sorted({os.fsdecode(name) for name in answer.split(b"\0") if name}))


def _unreadable(folder: Path, error: Exception) -> RevisionError:
    reason = why(error) if ";" in why(error) else f"{why(error)}; `git fsck` may say more"
    return RevisionError(f"the git repository of {folder} cannot be read: {reason}")


def _copy(source: Path, target: Path) -> None:
    """Copy a file that may be missing."""
    with suppress(FileNotFoundError):
        target.write_bytes(safe.read(source, limit=LARGEST_INDEX))


def _start(own: Path, common: Path, name: str) -> tuple[str | None, str | None]:
    """Return the full name and the hash of what a revision starts with; None for unknown ones."""
    if name == "HEAD":
        return name, git_folder.head(own, common)
    if git_folder.HASH.fullmatch(name):
        return None, name
    remote = [f"refs/remotes/{name}/HEAD"]
    short = [f"{place}{name}" for place in git_folder.SHORT] + remote
    for reference in [name] if name.startswith("refs/") else short:
        with suppress(FileNotFoundError):
            return reference, git_folder.followed(common, git_folder.stored(common, reference))
    return None, name if _ABBREVIATED.fullmatch(name) else None


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
