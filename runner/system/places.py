"""The folders of this user, in which the working folder has no say.

A relative path in a variable is ignored, as the XDG specification demands.
"""

import os
from pathlib import Path


def named(variable: str) -> Path | None:
    """Return the folder that a variable names; None without one."""
    path = Path(os.environ.get(variable, ""))
    return path if path.is_absolute() else None


def cache() -> Path:
    """Return our folder among the caches; RuntimeError if the user has no home."""
    return (named("XDG_CACHE_HOME") or Path.home() / ".cache") / "matrix-runner"


def state() -> Path:
    """Return the folder of what we remember; RuntimeError if the user has no home."""
    return (named("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "matrix-runner"
