"""Temporary folders of which nothing stays, also where the process is killed.

Each holds a file that its process has locked. The kernel releases the lock however that process
ends, and the next start removes every folder whose lock it can take.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runner.errors import RunFolderError

PREFIX = "matrix-runner-"
LOCK = ".occupied"


@contextmanager
def folder(place: Path | None = None) -> Iterator[Path]:
    """Make an empty folder, and remove it with all that is in it; RunFolderError without room.

    It lies in ``place``, or where temporary files belong.
    """
    with ExitStack() as at_the_end:
        try:
            made = tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True)
            outer = Path(at_the_end.enter_context(made))
            lock = at_the_end.enter_context((outer / ".claim").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            Path(lock.name).rename(outer / LOCK)  # nobody sees a lock that is not taken yet
            (outer / "content").mkdir()
        except OSError as error:
            raise RunFolderError(
                f"no temporary folder can be made ({error}); make room, or name another place in "
                "TMPDIR."
            ) from error
        yield outer / "content"


def sweep(place: Path | None = None) -> None:
    """Remove the folders of processes that ended without removing them."""
    for path in _all(place):
        if not _in_use(path):
            shutil.rmtree(path, ignore_errors=True)


def any_in_use() -> bool:
    """Whether another process of the program is at work on this machine."""
    return any(_in_use(path) for path in _all())


def _all(place: Path | None = None) -> list[Path]:
    where = Path(tempfile.gettempdir()) if place is None else place
    return sorted(path.parent for path in where.glob(f"{PREFIX}*/{LOCK}"))


def _in_use(path: Path) -> bool:
    """Whether a process works in the folder; so does one of another user, as far as we can tell."""
    try:
        with (path / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
