"""Open files that anybody may have planted: only regular files, and without waiting.

A link may lead anywhere, and opening a FIFO waits for its other end. So a link is followed only
where its target was checked before, and everything but a regular file is an OSError.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LARGEST_BYTES = 1 << 28
"""No matrix, lock or record is larger."""
_PIECE = 1 << 16


class OutsideError(OSError):
    """A link leads out of a folder."""


class IrregularError(OSError):
    """It is a link, or neither a regular file nor a folder."""


@contextmanager
def opened(path: Path, *, follow: bool = False) -> Iterator[BinaryIO]:
    """Open a regular file for reading; OSError for anything else, also for a link."""
    number = _opened(path, os.O_RDONLY | (0 if follow else os.O_NOFOLLOW))
    with os.fdopen(number, "rb") as file:
        yield file


def read(path: Path, *, follow: bool = False, limit: int = LARGEST_BYTES) -> bytes:
    """Return the content of a regular file; OSError if it is larger than the limit."""
    pieces, size = [], 0
    with opened(path, follow=follow) as file:
        while piece := file.read(_PIECE):  # asking for all at once would allocate the limit
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise OSError(errno.EFBIG, f"larger than the limit of {limit} bytes", str(path))
    return b"".join(pieces)


def tail(path: Path, limit: int) -> bytes:
    """Return at most the last ``limit`` bytes of a regular file."""
    with opened(path) as file:
        file.seek(max(os.fstat(file.fileno()).st_size - limit, 0))
        return file.read(limit)


def resolved(path: Path) -> Path:
    """Return a path without links; one that leads in a circle stays as it is.

    ``Path.resolve`` raises RuntimeError for a circle in Python before 3.13.
    """
    return Path(os.path.realpath(path))


@contextmanager
def lock_file(name: str | Path, *, folder: int | None = None, make: bool) -> Iterator[int]:
    """Open a file to lock it, in an open folder if there is one; ``make`` makes a missing file."""
    number = _opened(name, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if make else 0), folder)
    try:
        yield number
    finally:
        os.close(number)


@contextmanager
def own_folder(path: Path) -> Iterator[int]:
    """Open a folder that belongs to this user; OSError for a link and for another user's folder."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        check_owner(number)
        yield number
    finally:
        os.close(number)


def check_owner(number: int) -> None:
    """OSError if an open file belongs to another user."""
    if os.fstat(number).st_uid != os.getuid():
        raise OSError(errno.EPERM, "belongs to another user")


def inside(folder: Path, name: str) -> Path:
    """Return the path of a regular file in a folder, without any links.

    OSError if there is none, or if a link leads out of the folder.
    """
    path = folder / name
    try:
        target = path.resolve(strict=True)
    except RuntimeError as error:  # Python 3.12 and older
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if not target.is_relative_to(folder.resolve()):
        raise OutsideError(errno.EXDEV, "leads out of the folder of the matrix", str(path))
    _check_regular(target.lstat(), path)
    return target


def _opened(path: str | Path, flags: int, folder: int | None = None) -> int:
    """Open a file; neither a FIFO nor a terminal makes us wait or becomes ours."""
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        number = os.open(path, flags, 0o644, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            message = "is a link, which is not followed"
            raise IrregularError(errno.ELOOP, message, str(path)) from error
        raise
    try:
        _check_regular(os.fstat(number), path)
    except OSError:
        os.close(number)
        raise
    return number


def _check_regular(found: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise IrregularError(errno.EINVAL, "is not a regular file", str(path))
