"""Tars that are made while they are read, so that gigabytes are not written to a disk first.

Order, owners, modes and dates of the entries are fixed: equal files give equal bytes.
"""

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from runner.system import archive

PIECE_BYTES = 1 << 20
MOST_ENTRIES = 1_000_000
"""An untrusted tar with more entries is refused, because they are kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A folder, a link, or a file with ``size`` bytes, which are in ``file`` from ``offset`` on."""

    name: str
    kind: bytes = tarfile.REGTYPE
    executable: bool = False
    target: str = ""
    file: str | None = None
    offset: int = 0
    size: int = 0

    def head(self) -> bytes:
        """Return the header in a tar."""
        head = tarfile.TarInfo(self.name)
        head.type, head.linkname, head.size = self.kind, self.target, self.size
        head.mode = 0o755 if self.executable else 0o644
        return head.tobuf(tarfile.GNU_FORMAT)

    def content(self) -> Iterator[bytes]:
        """Yield the content; OSError if the file is shorter by now."""
        if self.file is None:
            return
        with open(self.file, "rb", buffering=0) as file:  # noqa: PTH123  there may be 100,000
            file.seek(self.offset)
            left = self.size
            while left:
                piece = file.read(min(left, PIECE_BYTES))
                if not piece:
                    raise OSError(f"{self.file} was cut off while it was packed")
                left -= len(piece)
                yield piece


class Tar:
    """A tar whose size is known before its content is read."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._parts = [(one.head(), one) for one in entries]
        used = sum(len(head) + one.size + _padding(one.size) for head, one in self._parts)
        used += 2 * tarfile.BLOCKSIZE
        self.size = used + -used % tarfile.RECORDSIZE

    def pieces(self) -> Iterator[bytes]:
        """Yield the tar in pieces of 1 to 2 MB; OSError if a file was cut off meanwhile."""
        waiting, sent = bytearray(), 0
        for head, entry in self._parts:
            waiting += head
            for piece in entry.content():
                waiting += piece
                if len(waiting) >= PIECE_BYTES:
                    yield bytes(waiting)
                    sent += len(waiting)
                    waiting.clear()
            waiting += bytes(_padding(entry.size))
        yield bytes(waiting) + bytes(self.size - sent - len(waiting))


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE


def of_folder(folder: Path) -> Iterator[Entry]:
    """Yield the content of a folder; OSError if it has anything but files, folders and links."""
    return _of_folder(str(folder), "")


def _of_folder(folder: str, above: str) -> Iterator[Entry]:
    for found in sorted(os.scandir(folder), key=lambda one: one.name):
        name, status = above + found.name, found.stat(follow_symlinks=False)
        executable = bool(status.st_mode & 0o100)
        if stat.S_ISDIR(status.st_mode):
            yield Entry(name=name, kind=tarfile.DIRTYPE, executable=True)
            yield from _of_folder(found.path, f"{name}/")
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(found.path)  # noqa: PTH115  as it is written
            yield Entry(name=name, kind=tarfile.SYMTYPE, executable=executable, target=target)
        elif stat.S_ISREG(status.st_mode):
            size = status.st_size
            yield Entry(name=name, executable=executable, file=found.path, size=size)
        else:
            raise OSError(f"{found.path} is neither a file, a folder nor a link")


def of_tar(path: Path) -> Iterator[Entry]:
    """Yield the files, folders and symbolic links of an untrusted tar.

    OSError, TarError or ValueError if it has anything else, or if a name leads out of it.
    """
    with archive.opened(path) as tar:
        for number, found in enumerate(tar):
            name = "/".join(archive.parts_inside(found.name))
            executable = bool(found.mode & 0o100)
            if number == MOST_ENTRIES or not name:
                raise ValueError(f"{path.name} has too many entries, or one without a name")
            if found.isdir():
                yield Entry(name=name, kind=tarfile.DIRTYPE, executable=True)
            elif found.issym():
                kind, target = tarfile.SYMTYPE, found.linkname
                yield Entry(name=name, kind=kind, executable=executable, target=target)
            elif found.isreg() and not found.issparse():
                yield Entry(
                    name=name,
                    executable=executable,
                    file=str(path),
                    offset=found.offset_data,
                    size=found.size,
                )
            else:
                raise ValueError(f"{found.name!r} is neither a file, a folder nor a link")


def below(folder: str, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries in a relative folder, after that folder and those above it."""
    parts = archive.parts_inside(folder)
    for number in range(len(parts)):
        name = "/".join(parts[: number + 1])
        yield Entry(name=name, kind=tarfile.DIRTYPE, executable=True)
    for entry in entries:
        yield replace(entry, name="/".join((*parts, entry.name)))
