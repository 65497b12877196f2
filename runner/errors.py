"""Every error a user can meet, and the exit code of each.

::

    RunnerError                     1   (only its children are raised)
    ├── ConfigError                 2   matrix.yaml, the lock or the command line is wrong
    ├── NothingSelectedError        3   the selection leaves no cell
    ├── EngineError                 5   no engine, or it failed at its own work
    │   ├── ImageBuildError         5   one image could not be built; its cells get ``no-image``
    │   └── EngineLostError         5   it went away, or lost something, while it was needed
    ├── RunFolderError              6   a run folder cannot be read, written or shared
    │   ├── NoSpaceError            6   the disk is full
    │   └── DamagedError            6   a stored file does not hold what it should
    ├── BundleError                 6   a bundle cannot be read or written
    └── PackagesError               5   packages could not be resolved or installed

A message says what happened, where, and what to do next. Only ``cli.main`` turns an error into an
exit code. A failed trial is a result and never an error.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the program."""

    OK = 0
    CELL_FAILED = 1
    CONFIG = 2
    NOTHING_SELECTED = 3
    HOLD = 4
    ENGINE = 5
    RUN_FOLDER = 6
    INTERRUPTED = 130


class RunnerError(Exception):
    """Base of the family. ``str(error)`` is the whole message for the user."""

    exit_code = Exit.CELL_FAILED


class ConfigError(RunnerError):
    """The matrix, the lock or the command line is wrong. Holds every problem found, one a line."""

    exit_code = Exit.CONFIG


class NothingSelectedError(RunnerError):
    """The selection leaves no cell to execute."""

    exit_code = Exit.NOTHING_SELECTED


class EngineError(RunnerError):
    """The engine cannot be reached or failed at its own work; never the fault of an experiment."""

    exit_code = Exit.ENGINE


class ImageBuildError(EngineError):
    """One image could not be built.

    ``log`` holds what the build printed, for the run folder.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class EngineLostError(EngineError):
    """The engine went away, failed, or lost what it had: the same may go well a moment later."""


class PackagesError(RunnerError):
    """Packages could not be resolved or installed for a reason that is not the matrix's fault."""

    exit_code = Exit.ENGINE


class RunFolderError(RunnerError):
    """A run folder cannot be found, read, written or shared."""

    exit_code = Exit.RUN_FOLDER


class NoSpaceError(RunFolderError):
    """The disk is full, which may pass."""


class DamagedError(RunFolderError):
    """A stored file does not hold what it should."""


class BundleError(RunnerError):
    """A bundle cannot be read or written, or is not whole."""

    exit_code = Exit.RUN_FOLDER
