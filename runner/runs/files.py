"""The files of a run: their names, how they are written and read, and their older formats."""

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from runner.errors import DamagedError, NoSpaceError, RunFolderError
from runner.records import FORMAT, Record
from runner.system import atomic, digest, safe, stored

SEALED = 7
"""The first format whose files have a digest of their content."""
MAX_NAME = 200  # file systems allow 255 bytes, and an ending is added
_T = TypeVar("_T", bound=Record)


def file_name(name: str) -> str:
    """Return a file name for an id. An ordinary id is returned unchanged."""
    plain = re.sub(r"[^\w.=,@+-]", "_", name, flags=re.ASCII)
    if plain == name and len(name) <= MAX_NAME:
        return name
    return f"{plain[: MAX_NAME - 17]}-{digest.of_content(name)[:16]}"


def save(path: Path, record: Record) -> None:
    """Write a record, with a digest of it."""
    update(path, stored.sealed(stored.dump(record)))


def update(path: Path, content: bytes) -> None:
    """Write a file unless it has this content already: its date says when it last changed."""
    with contextlib.suppress(OSError):
        if safe.read(path, limit=len(content)) == content:
            return
    write(path, content)


def write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Its folder is made, but not the run folder around it."""
    with disk(path):
        path.parent.mkdir(exist_ok=True)
        atomic.write(path, content)


def load(path: Path, kind: type[_T]) -> _T:
    """Read a record; DamagedError if the file does not hold one."""
    return examine(path, kind)[0]


def examine(path: Path, kind: type[_T]) -> tuple[_T, bool]:
    """Read a record, and whether it was edited after it was saved.

    DamagedError if the file does not hold one.
    """
    with disk(path):
        try:
            content = safe.read(path)
        except (safe.IrregularError, IsADirectoryError) as error:  # we never wrote that
            raise damaged(path, str(error.strerror)) from error
    try:
        record, is_genuine = stored.parse_sealed(kind, content, FORMAT, _upgraded)
    except stored.NewerFormatError as error:
        raise RunFolderError(f"{path} {error}") from error
    except stored.InvalidError as error:
        raise damaged(path, str(error)) from error
    is_sealed = is_genuine is not None or getattr(record, "format", FORMAT) >= SEALED
    return record, is_sealed and not is_genuine


def _upgraded(written: dict[str, Any]) -> object:
    """Rename the fields that had other names before format 5, and keep the rules of format 7."""
    trials = written.get("trials", [written.get("trial")])
    trials = trials if isinstance(trials, list) else []
    for part, old, new in (
        (written, "tainted", "disturbed"),
        (written.get("guards"), "most_tainted", "most_disturbed"),
        *((trial, "twin", "control") for trial in trials),
    ):
        if isinstance(part, dict) and old in part:
            part[new] = part.pop(old)
    matrix = written.get("matrix")
    metrics = matrix.get("metrics") if isinstance(matrix, dict) else None
    for metric in metrics if isinstance(metrics, list) else ():
        if isinstance(metric, dict):  # differences were formed over seeds
            metric.setdefault("paired", metric.get("scale") != "difference")
    axes = matrix.get("axes") if isinstance(matrix, dict) else None
    for axis in axes if isinstance(axes, list) else ():
        if isinstance(axis, dict) and axis.get("distributions"):  # there were only two kinds
            axis.setdefault("kind", "version")
    return written


def damaged(path: Path, problem: str) -> DamagedError:
    """Return the error for a file that does not hold what it should."""
    return DamagedError(f"{path} is damaged ({problem}); remove it and repeat the command.")


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn an OSError into a sentence about the path."""
    try:
        yield
    except OSError as error:
        kind = NoSpaceError if error.errno in {errno.ENOSPC, errno.EDQUOT} else RunFolderError
        raise kind(
            f"{path}: {error.strerror or error}; fix this and repeat the command. "
            "Everything saved before is kept."
        ) from error
