"""Write files completely or not at all, even if the process or the machine stops."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a temporary file, sync it and rename it; after an OSError the old content remains."""
    # Nobody can guess the name and plant something there; "x" follows no link.
    fresh = path.with_name(f".{path.name}.{int.from_bytes(os.urandom(6), 'big')}")
    try:
        with fresh.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Also write a renamed file's name to disk, where folders can be synced."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def unfinished(folder: Path) -> Iterator[Path]:
    """Yield all temporary files below a folder, which killed processes left.

    They include those of living processes: ask only where nobody else writes.
    """
    for path in sorted(folder.rglob(".*")):
        if re.fullmatch(r"\..+\.[0-9]+", path.name):
            yield path
