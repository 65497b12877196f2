"""Unpack an untrusted tar into a folder.

The filters of ``tarfile`` do the same, but the first releases of Python 3.10 and 3.11 lack them.
"""

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from runner.system import safe

PIECE_BYTES = 1 << 20
LARGEST_HEADER_BYTES = 4 << 20

Naming = Callable[[tarfile.TarInfo], str | None]


@contextmanager
def opened(path: Path, *, compressed: bool = False) -> Iterator[tarfile.TarFile]:
    """Open a tar in a regular file, perhaps compressed by gzip.

    OSError or TarError for anything else, and while reading for headers that would fill the memory.
    """
    with safe.opened(path, follow=True) as file:
        plain: gzip.GzipFile | BinaryIO = gzip.GzipFile(fileobj=file) if compressed else file
        with plain, tarfile.open(fileobj=_Bounded(plain), mode="r:") as tar:
            yield tar


class _Bounded(io.RawIOBase):
    """A file of which ``tarfile`` reads no huge part at once: it does so with headers."""

    def __init__(self, file: gzip.GzipFile | BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_HEADER_BYTES:
            raise tarfile.ReadError("a header in it is too large")
        return self._file.read(size)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def unpack(tar: tarfile.TarFile, folder: Path, name_of: Naming) -> None:
    """Unpack regular files, folders, and links that stay inside; ValueError for anything else.

    ``name_of`` returns the name of an entry in the folder, or None to leave it out. No entry may
    come twice. Owners and modes mean nothing here, except whether a file is executable.
    """
    for entry in tar:
        name = name_of(entry)
        if name is not None:
            _unpack_one(tar, entry, folder, parts_inside(name))


def _unpack_one(
    tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path, parts: tuple[str, ...]
) -> None:
    if entry.isdir():
        _made(folder, parts)
        return
    path = _made(folder, parts[:-1]).joinpath(*parts[-1:])
    if entry.issym():
        if not _stays_inside(entry.linkname, depth=len(parts) - 1):
            raise ValueError(f"the link {entry.name!r} leads out of the folder")
        path.symlink_to(entry.linkname)
    elif entry.islnk():
        *above, last = parts_inside(entry.linkname)
        target = _made(folder, above) / last
        if target.is_symlink():  # which would lead out from here
            raise ValueError(f"the hard link {entry.name!r} leads to another link")
        os.link(target, path, follow_symlinks=False)
    elif entry.isreg() and not entry.issparse():  # a sparse file can be larger than its tar
        _write(tar, entry, path)
    else:
        raise ValueError(f"{entry.name!r} is neither a file, a folder nor a link")


def parts_inside(name: str) -> tuple[str, ...]:
    """Return the parts of a relative path; ValueError if it leads out of its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"{name!r} leads out of the folder")
    return path.parts


def _made(folder: Path, parts: tuple[str, ...] | list[str]) -> Path:
    """Make a folder inside, and return it; an earlier link must not lead there."""
    for part in parts:
        folder /= part
        if folder.is_symlink():
            raise ValueError(f"{str(folder)!r} is a link, so nothing is unpacked behind it")
        folder.mkdir(mode=0o755, exist_ok=True)
    return folder


def _stays_inside(target: str, depth: int) -> bool:
    """Whether a link at this depth stays inside, wherever other links on its way lead.

    It may go up first and then down: after a link, going up could lead out.
    """
    parts = PurePosixPath(target).parts
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    return not target.startswith("/") and up <= depth and ".." not in parts[up:]


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    """Write a new file with its date, on which the validity of bytecode depends."""
    source = tar.extractfile(entry)
    if source is not None:
        with source, path.open("xb") as file:
            shutil.copyfileobj(source, file, PIECE_BYTES)
        path.chmod(0o755 if entry.mode & 0o100 else 0o644)
        os.utime(path, (entry.mtime, entry.mtime))
