"""Our caches on this machine: packages, environments and interpreters, which can be made again."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runner.engines.protocol import Owned
from runner.engines.venv.cache import cache, former_folders
from runner.errors import RunFolderError
from runner.python import uv
from runner.system import places, tempdir
from runner.text import why

KIND = "cache"


def caches(machine: str) -> tuple[Owned, ...]:
    """Return the cache folders of this user that exist, with their sizes."""
    return tuple(
        Owned(kind=KIND, id=str(path), label=str(path), size_bytes=_size(path))
        for path in _folders(machine)
        if _is_own_folder(path)
    )


def _folders(machine: str) -> Iterator[Path]:
    with suppress(RuntimeError):  # the user has no home
        yield from uv.cache_folders()
        if _is_own_folder(cache(machine)):  # others may fill a shared cache
            yield from (cache(machine) / name for name in ("environments", "interpreters"))
        yield from former_folders()
        yield places.cache() / "parts"  # what a worker of a cluster got


def _is_own_folder(path: Path) -> bool:
    """Whether a path is a folder of this user with something in it, and not a link."""
    try:
        has_content = any(path.iterdir())
        return has_content and not path.is_symlink() and path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _size(folder: Path) -> int:
    """Return the bytes that a folder takes on disk."""
    found = {}
    for where, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                status = Path(where, name).lstat()
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def remove(thing: Owned) -> None:
    """Remove a cache: its name at once, its content afterwards. RunFolderError if that fails."""
    path = Path(thing.id)
    try:
        with tempdir.folder(path.parent) as removed:
            path.rename(removed / path.name)
            shutil.rmtree(removed / path.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunFolderError(
            f"the cache {path} cannot be removed ({why(error)}); fix this and run the command "
            "again."
        ) from error
