"""The context of a Dockerfile: the files of its folder, without those in ``.dockerignore``.

The digest of a context covers the name, the content and the executable bit of each file, and where
each link leads. It depends on neither owners nor dates, so two checkouts have equal digests.
"""

import os
import posixpath
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from runner.errors import ImageBuildError
from runner.system import digest, safe
from runner.text import why

DOCKERFILE, IGNORED = "Dockerfile", ".dockerignore"
ALWAYS_SENT = {DOCKERFILE, IGNORED}


def context_digest(folder: Path) -> str:
    """Return the digest (``sha256:...``) of a context; ImageBuildError if it cannot be built."""
    with Path(os.devnull).open("wb") as nowhere:
        return write_context(folder, nowhere)


def write_context(folder: Path, target: IO[bytes]) -> str:
    """Write a context as a tar and return its digest; ImageBuildError if it cannot be built."""
    if not (folder / DOCKERFILE).is_file():
        raise ImageBuildError(f"{folder} contains no {DOCKERFILE}: add one, or correct the path.")
    try:
        with tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT) as tar:
            entries = [_add(tar, folder, name) for name in _names(folder)]
    except (OSError, ValueError) as error:
        raise ImageBuildError(
            f"the build context {folder} cannot be used: {why(error)}. Correct this, or name it in "
            f"{folder / IGNORED}."
        ) from error
    return f"sha256:{digest.of_content(entries)}"


def _names(folder: Path) -> Iterator[str]:
    """Yield the paths in a context, each folder before its content, in a fixed order."""
    ignored = _Ignored.in_folder(folder)

    def below(parent: str) -> Iterator[str]:
        for entry in sorted(os.scandir(folder / parent), key=lambda entry: entry.name):
            name = posixpath.join(parent, entry.name)
            kept, is_folder = not ignored.matches(name), entry.is_dir(follow_symlinks=False)
            if kept or name in ALWAYS_SENT:
                yield name
            if is_folder and (kept or ignored.has_exceptions_in(name)):
                yield from below(name)

    return below("")


def _add(tar: tarfile.TarFile, folder: Path, name: str) -> list[str | bool]:
    """Add a file, a folder or a link; return what the digest covers. ValueError for others."""
    path = folder / name
    entry = tarfile.TarInfo(name)
    if path.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        if not _stays_inside(folder, name, entry.linkname):
            raise ValueError(f"the link {name} leads out of it, to {entry.linkname}")
        tar.addfile(entry)
        return [name, "link", entry.linkname]
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        return [name, "folder"]
    with safe.opened(path) as file:
        status = os.fstat(file.fileno())
        executable = bool(status.st_mode & 0o100)
        entry.size, entry.mtime = status.st_size, int(status.st_mtime)
        entry.mode = 0o755 if executable else 0o644
        reading = digest.DigestingReader(file)
        tar.addfile(entry, reading)  # OSError if the file becomes shorter meanwhile
    return [name, "file", executable, reading.digest.hexdigest()]


def _stays_inside(folder: Path, name: str, target: str) -> bool:
    """Whether a link leads to somewhere in the folder, here and in an image."""
    whole = folder.resolve()
    reached = (whole / name).resolve()
    return not target.startswith("/") and (reached == whole or whole in reached.parents)


class _Ignored:
    """The patterns of a ``.dockerignore``; of those that match a path, the last one decides."""

    def __init__(self, lines: list[str]) -> None:
        stripped = (line.strip() for line in lines)
        found = [line for line in stripped if line and not line.startswith("#")]
        rules = [(line.startswith("!"), _cleaned(line.removeprefix("!"))) for line in found]
        self._rules = [(excepts, re.compile(_expression(rule))) for excepts, rule in rules]
        self._exceptions = [rule for excepts, rule in rules if excepts]

    @classmethod
    def in_folder(cls, folder: Path) -> "_Ignored":
        path = folder / IGNORED
        if not os.path.lexists(path):
            return cls([])
        return cls(safe.read(path).decode(errors="replace").removeprefix("\ufeff").splitlines())

    def matches(self, name: str) -> bool:
        ignored = False
        for excepts, expression in self._rules:
            if expression.fullmatch(name):
                ignored = not excepts
        return ignored

    def has_exceptions_in(self, folder: str) -> bool:
        """Whether an exception names something in an ignored folder; docker looks no further."""
        return any(rule.startswith(f"{folder}/") for rule in self._exceptions)


def _cleaned(pattern: str) -> str:
    return posixpath.normpath(pattern.strip().lstrip("/") or ".")


def _expression(pattern: str) -> str:
    """Return a regular expression for a pattern and for everything below what it matches.

    ValueError for an unfinished class of characters.
    """
    wildcards = {
        "**/": "(?:.*/)?",
        "**": ".*",
        "*": "[^/]*",
        "?": "[^/]",
    }
    parts = re.findall(r"\*\*/|\*\*|\*|\?|\[\^?[^]]+\]|\\.|.", pattern, re.DOTALL)
    expression = ""
    for part in parts:
        if part == "[":
            raise ValueError(f"{IGNORED} has a `[` without its `]` in {pattern!r}")
        is_class = part.startswith("[") and len(part) > 1
        literal = re.escape(part[1:] if part.startswith("\\") and len(part) > 1 else part)
        expression += wildcards.get(part, part if is_class else literal)
    return f"{expression}(?:/.*)?"
