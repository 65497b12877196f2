"""The run registry: it finds the folder of a run by its label.

Everything that a run holds on an engine carries the run's label instead of a path, because the
engine may be another machine. The label is the name of the run folder and a digest of its path. The
registry holds a link of that name to the folder. The link stays as long as the folder does, because
nobody knows which engines still hold something of the run.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from runner.system import digest, places

LONGEST_NAME = 100


def remember(folder: Path) -> str:
    """Register a run folder and return its label.

    The run goes on if no link can be made. Then only ``clean --all`` removes what it leaves behind.
    """
    path, label = folder.resolve(), label_of(folder)
    with suppress(OSError, RuntimeError):  # an existing link leads to the same folder
        registry = _registry()
        registry.mkdir(parents=True, exist_ok=True)
        (registry / label).symlink_to(path)
    return label


def label_of(folder: Path) -> str:
    """Return the label of the run in a folder."""
    path = folder.resolve()
    return f"{path.name[:LONGEST_NAME]}-{digest.of_content(str(path))[:16]}"


def folders() -> Mapping[str, Path]:
    """Return the folders of all runs of this user by label. A folder may be gone."""
    with suppress(OSError, RuntimeError):
        return {link.name: link.readlink() for link in _registry().iterdir()}
    return {}


def sweep() -> None:
    """Forget the runs whose folders are gone."""
    for label in folders():
        forget_if_gone(label)


def forget_if_gone(label: str) -> None:
    """Forget a run if its folder is gone."""
    with suppress(OSError, RuntimeError):
        link = _registry() / label
        if not link.exists():
            link.unlink()


def _registry() -> Path:
    """Return the folder of the links; RuntimeError if the user has no home."""
    return places.state() / "runs"
