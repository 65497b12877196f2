"""The commit that a study was run at.

A study may come from anybody, and git obeys the configuration, the attributes and the hooks of the
repository that it inspects: they can name programs. So the names of the commit are read here, and
git only lists the commit's files, in an empty repository of ours that borrows the objects.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from runner.errors import RunFolderError
from runner.system import child, safe, tempdir

TIMEOUT_S = 10.0
LARGEST_NAME = 4096
LARGEST_PACKED = 1 << 26
MOST_REFERENCES = 5
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REFERENCE = re.compile(r"ref: (refs(?:/(?!\.)[^\x00-\x20\x7f~^:?*\[\\/]+)+)")
_SHA1_LENGTH = 40


def commit(folder: Path, files: Iterable[Path]) -> str | None:
    """Return the checked-out commit, with ``-dirty`` if one of these files in it differs.

    Return None if git, the repository or the commit cannot be found and read.
    """
    try:
        top, own = _repository(folder.resolve())
        common = _common(own)
        found = _resolved(own, common)
        compared = _names(top, files)
        listed = _listed(common / "objects", found, compared)
        is_dirty = any(_blob(path, found) != listed.get(name) for name, path in compared.items())
    except (OSError, ValueError, RuntimeError, RunFolderError):
        return None
    return f"{found}-dirty" if is_dirty else found


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
    value = _line(own / "HEAD")
    for _ in range(MOST_REFERENCES):
        if _HASH.fullmatch(value):
            return value
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            break
        try:
            value = _line(common / reference[1])
        except FileNotFoundError:
            value = _packed(common, reference[1])
    raise ValueError("HEAD leads to no commit")


def _packed(common: Path, reference: str) -> str:
    """Return the hash of a reference that is stored together with others."""
    content = safe.read(common / "packed-refs", limit=LARGEST_PACKED).decode()
    for line in content.splitlines():
        value, _, name = line.partition(" ")
        if name == reference:
            return value
    raise ValueError(f"{reference} does not exist")


def _line(path: Path) -> str:
    return safe.read(path, limit=LARGEST_NAME).decode().rstrip("\n")


def _names(top: Path, files: Iterable[Path]) -> Mapping[str, Path]:
    """Return the files by their path in the working tree; a link counts and its target, too."""
    paths = []
    for file in files:
        path = file.parent.resolve() / file.name
        paths += [path, path.resolve()] if path.is_symlink() else [path]
    return {path.relative_to(top).as_posix(): path for path in paths}


def _listed(objects: Path, found: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return the hash of each of these files that a commit contains."""
    command = ["git", "ls-tree", "-z", "--full-tree", found, "--", *names]
    with tempdir.folder() as ours:
        for name in ("objects", "refs"):
            (ours / name).mkdir()
        (ours / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        if len(found) != _SHA1_LENGTH:
            settings = "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha256\n"
            (ours / "config").write_text(settings, encoding="ascii")
        environment = {
            "PATH": os.pathsep.join(child.folders()),
            "LC_ALL": "C",
            "HOME": str(ours),
            "GIT_DIR": str(ours),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        answer = child.output(command, timeout_s=TIMEOUT_S, folder=ours, environment=environment)
    if answer is None:
        raise ValueError(f"git cannot list the files of {found}")
    entries = (entry.partition("\t") for entry in answer.split("\0") if entry)
    return {name: about.split()[-1] for about, _, name in entries}


def _blob(path: Path, found: str) -> str | None:
    """Return the hash that git gives to a file; None for a missing one."""
    new = hashlib.sha1 if len(found) == _SHA1_LENGTH else hashlib.sha256
    try:
        if path.is_symlink():
            target = os.fsencode(path.readlink())
            return new(b"blob %d\0" % len(target) + target).hexdigest()
        with safe.opened(path) as file:
            blob = new(b"blob %d\0" % os.fstat(file.fileno()).st_size)
            while piece := file.read(1 << 20):
                blob.update(piece)
            return blob.hexdigest()
    except FileNotFoundError:
        return None
