"""Temporary folders that are removed even if their process is killed.

Each folder contains a file that its process has locked. The kernel releases the lock however the
process ends, and the next start removes every folder whose lock it can take. Other users may plant
anything beside our folders, so only a folder and a lock of this user count.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runner.errors import RunFolderError
from runner.system import safe
from runner.text import why

PREFIX = "matrix-runner-"
LOCK = ".occupied"
CONTENT = "content"


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
            claim = outer / ".claim"
            fcntl.flock(cleanup.enter_context(safe.lock_file(claim, make=True)), fcntl.LOCK_EX)
            claim.rename(outer / LOCK)  # so nobody sees the lock before it is taken
            (outer / CONTENT).mkdir()
        except OSError as error:
            raise RunFolderError(
                f"cannot make a temporary folder ({why(error)}); free some disk space, or set "
                "TMPDIR to "
                "another folder."
            ) from error
        yield outer / CONTENT


def is_temporary(path: Path) -> bool:
    """Whether a path lies in a folder of ours. If that is gone, its process has ended."""
    return path.match(f"{PREFIX}*/{CONTENT}/*")


def sweep(parent: Path | None = None) -> None:
    """Remove the folders that killed processes of this user left."""
    for path in _all(parent):
        if _is_in_use(path) is False:
            shutil.rmtree(path, ignore_errors=True)


def _all(parent: Path | None = None) -> list[Path]:
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    with suppress(OSError):
        return sorted(path for path in parent.iterdir() if path.name.startswith(PREFIX))
    return []


def _is_in_use(path: Path) -> bool | None:
    """Whether a process works in the folder; None if it is not a folder of ours."""
    with (
        suppress(OSError),
        safe.own_folder(path) as opened,
        safe.lock_file(LOCK, folder=opened, make=False) as lock,
    ):
        safe.check_owner(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
    return None
