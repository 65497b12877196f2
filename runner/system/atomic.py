"""Files that are whole or not there, whenever the process or the machine is stopped."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file beside its place, sync it and rename it; OSError leaves what was there."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
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
    """Have the name of a file outlast the machine, too, where folders can be synced."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def unfinished(folder: Path) -> Iterator[Path]:
    """Yield the files anywhere below a folder that a process was writing when it was killed.

    Those of living processes are among them: ask only where nobody else writes.
    """
    for path in sorted(folder.rglob(".*")):
        if re.fullmatch(r"\..+\.[0-9]+", path.name):
            yield path
