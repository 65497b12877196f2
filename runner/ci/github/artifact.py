"""The artifact with the report of a pull request: a zip archive that a stranger may have made.

It is never extracted. Its two files are read into memory, each up to a limit, so links and paths in
it mean nothing.
"""

import lzma
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from runner.records import Record
from runner.runs.files import damaged
from runner.system import safe
from runner.text import size

REPORT, SUMMARY = "report.json", "summary.md"
LARGEST_ARCHIVE = 1 << 24
LARGEST_REPORT = 1 << 26
LARGEST_SUMMARY = 1 << 18
"""In bytes. What we write is far below: a summary has at most 60 kB."""

_PROBLEMS = (OSError, EOFError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile)
"""What ``zipfile`` raises for archives that are damaged, incomplete, encrypted or unknown to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(Record):
    """The content of the two files."""

    path: Path
    report: bytes
    summary: str


def read(folder: Path) -> Artifact | None:
    """Return the artifact that was downloaded to a folder; None if there is none.

    DamagedError if it is no archive of this kind.
    """
    path = next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None
    if path is None:
        return None
    try:
        with safe.opened(path) as file:
            if os.fstat(file.fileno()).st_size > LARGEST_ARCHIVE:
                raise ValueError(f"it is larger than {size(LARGEST_ARCHIVE)}")
            with zipfile.ZipFile(file) as archive:
                report = _member(archive, REPORT, LARGEST_REPORT)
                summary = _member(archive, SUMMARY, LARGEST_SUMMARY).decode(errors="replace")
    except (*_PROBLEMS, zlib.error, lzma.LZMAError) as error:
        raise damaged(path, str(error)) from error
    return Artifact(path=path, report=report, summary=summary)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name} is larger than {size(limit)}")
    return content
