"""Temporary folders that are removed even if their process is killed.

Each folder contains a file that its process has locked. The kernel releases the lock however the
process ends, and the next start removes every folder whose lock it can take.
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
def folder(parent: Path | None = None) -> Iterator[Path]:
    """Make an empty folder in ``parent`` or in TMPDIR, and remove it with its content at the end.

    RunFolderError if that is not possible.
    """
    with ExitStack() as cleanup:
        try:
            made = tempfile.TemporaryDirectory(
                prefix=PREFIX, dir=parent, ignore_cleanup_errors=True
            )
            outer = Path(cleanup.enter_context(made))
            lock = cleanup.enter_context((outer / ".claim").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            Path(lock.name).rename(outer / LOCK)  # so nobody sees the lock before it is taken
            (outer / "content").mkdir()
        except OSError as error:
            raise RunFolderError(
                f"cannot make a temporary folder ({error}); free some disk space, or set TMPDIR to "
                "another folder."
            ) from error
        yield outer / "content"


def sweep(parent: Path | None = None) -> None:
    """Remove the folders that killed processes left."""
    for path in _all(parent):
        if not _in_use(path):
            shutil.rmtree(path, ignore_errors=True)


def any_in_use() -> bool:
    """Whether another process of the program is running on this machine."""
    return any(_in_use(path) for path in _all())


def _all(parent: Path | None = None) -> list[Path]:
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    return sorted(path.parent for path in parent.glob(f"{PREFIX}*/{LOCK}"))


def _in_use(path: Path) -> bool:
    """Whether a process works in the folder; assume so for folders of other users."""
    try:
        with (path / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
