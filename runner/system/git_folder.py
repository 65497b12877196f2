"""Find the git folder of a working tree, and read the names of commits in it.

Its files are read as text, so nothing that they say has an effect.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from runner.system import safe

LARGEST_NAME = 4096
LARGEST_PACKED = 1 << 26
MOST_REFERENCES = 5
SHA1_LENGTH = 40
HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
PART = r"(?!\.)[^\x00-\x20\x7f~^:?*\[\\/]+"
"""One part of the name of a reference."""

SHORT = ("refs/tags/", "refs/heads/", "refs/remotes/")
"""Where a name that does not begin with ``refs/`` is looked up, in the order of git."""

_REFERENCE = re.compile(rf"ref: (refs(?:/{PART})+)")


def find(folder: Path) -> tuple[Path, Path]:
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


def shared(own: Path) -> Path:
    """Return the git folder that all worktrees of a repository share."""
    try:
        return (own / _line(own / "commondir")).resolve()
    except FileNotFoundError:
        return own


def trusted(top: Path, own: Path) -> Path:
    """Return the git folder that all worktrees share.

    ValueError unless it belongs to this working tree: a stranger's ``.git`` file could lead to any
    repository that this user can read.
    """
    common = shared(own)
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


def length(own: Path, common: Path, first: str | None) -> int:
    """Return the number of digits of the hashes in a repository."""
    if first is not None and HASH.fullmatch(first):
        return len(first)
    with suppress(OSError, ValueError):
        return len(head(own, common))
    return SHA1_LENGTH


def head(own: Path, common: Path) -> str:
    """Return the hash of the commit that HEAD leads to."""
    return followed(common, _line(own / "HEAD"))


def followed(common: Path, value: str) -> str:
    """Return the hash that the content of a reference leads to."""
    for _ in range(MOST_REFERENCES):
        if HASH.fullmatch(value):
            return value
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            break
        value = stored(common, reference[1])
    raise ValueError("a reference leads to no commit")


def stored(common: Path, reference: str) -> str:
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


def names(common: Path) -> Iterator[str]:
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


def _line(path: Path) -> str:
    return safe.read(path, limit=LARGEST_NAME).decode().rstrip("\n")
