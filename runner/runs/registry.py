"""Where the folders of runs lie, by the mark that engines are told instead of a path.

An engine may be another machine, which no path of this one concerns: what a run has there carries
the run's mark, the name of its folder and a digest of the folder's path. Here a link of that name
leads to the folder. It stays as long as the folder, since nobody knows which engines hold what.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from runner.system import digest

LONGEST_NAME = 100


def remember(folder: Path) -> str:
    """Return the mark of a run folder, by which ``folders`` knows it from now on.

    Where no link can be made the run goes on: what it might leave is for ``clean --all``.
    """
    path = folder.resolve()
    mark = f"{path.name[:LONGEST_NAME]}-{digest.of_content(str(path))[:16]}"
    with suppress(OSError, RuntimeError):  # one that is there already leads to the same folder
        place = _place()
        place.mkdir(parents=True, exist_ok=True)
        (place / mark).symlink_to(path)
    return mark


def folders() -> Mapping[str, Path]:
    """Return the folders of the runs that were executed on this machine, by their marks.

    A folder may be gone, or out of sight.
    """
    with suppress(OSError, RuntimeError):
        return {link.name: link.readlink() for link in _place().iterdir()}
    return {}


def sweep() -> None:
    """Forget the runs whose folders are gone."""
    with suppress(OSError, RuntimeError):
        for link in _place().iterdir():
            if not link.exists():
                link.unlink()


def _place() -> Path:
    """Return the folder of the links; RuntimeError where the user has no home."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "matrix-runner", "runs")
