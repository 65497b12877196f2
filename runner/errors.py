"""Every error that a user can see, and its exit code.

::

    RunnerError                     1   (only its children are raised)
    ├── ConfigError                 2   the matrix, the lock or the command line is wrong
    ├── NothingSelectedError        3   no cell is selected
    ├── EngineError                 5   no engine answers, or the engine failed
    │   ├── ImageBuildError         5   one image could not be built; its cells get ``no-image``
    │   └── EngineLostError         5   it went away or lost something during its work
    ├── RunFolderError              6   a run folder cannot be read, written or shared
    │   ├── NoSpaceError            6   the disk is full
    │   └── DamagedError            6   a stored file is damaged
    ├── BundleError                 6   a bundle cannot be read or written
    ├── PackagesError               5   packages could not be resolved or installed
    └── ServiceError                5   a web service does not answer, or refuses a request

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
    BUG = 70
    INTERRUPTED = 130


class RunnerError(Exception):
    """The base of all errors. ``str(error)`` is the whole message for the user."""

    exit_code = Exit.CELL_FAILED


class ConfigError(RunnerError):
    """The matrix, the lock or the command line is wrong. The message lists every problem."""

    exit_code = Exit.CONFIG


class NothingSelectedError(RunnerError):
    """No cell is selected."""

    exit_code = Exit.NOTHING_SELECTED


class EngineError(RunnerError):
    """The engine cannot be reached, or it failed. An experiment never causes this."""

    exit_code = Exit.ENGINE


class ImageBuildError(EngineError):
    """One image could not be built. ``log`` is the output of the build."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class EngineLostError(EngineError):
    """The engine went away, failed or lost something. The same step may succeed later."""


class PackagesError(RunnerError):
    """Packages could not be resolved or installed, and the matrix did not cause it."""

    exit_code = Exit.ENGINE


class ServiceError(RunnerError):
    """A web service does not answer, or refuses a request."""

    exit_code = Exit.ENGINE


class RunFolderError(RunnerError):
    """A run folder cannot be found, read, written or shared."""

    exit_code = Exit.RUN_FOLDER


class NoSpaceError(RunFolderError):
    """The disk is full. This may pass."""


class DamagedError(RunFolderError):
    """A stored file is damaged."""


class BundleError(RunnerError):
    """A bundle cannot be read or written, or is incomplete."""

    exit_code = Exit.RUN_FOLDER
