"""SHA-256 digests of values and files, in hex."""

import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import IO, BinaryIO

from runner.system import safe

_NAMES: dict[type, tuple[str, ...] | None] = {}
"""The fields of records, by kind; None for anything else."""


def of_content(content: object) -> str:
    """Return the digest of records and JSON values; the order of keys does not matter."""
    return hashlib.sha256(_JSON.encode(content).encode()).hexdigest()


def _plain(value: object) -> object:
    """Return a record as its fields and anything else as text."""
    kind = type(value)
    if kind not in _NAMES:
        _NAMES[kind] = None
        if dataclasses.is_dataclass(value):
            _NAMES[kind] = tuple(field.name for field in dataclasses.fields(value))
    names = _NAMES[kind]
    return str(value) if names is None else {name: getattr(value, name) for name in names}


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain)


def of_file(path: Path) -> str:
    """Return the digest of a regular file's bytes, also through a link."""
    with safe.opened(path, follow=True) as file:
        return _of_open(file)


def of_input(folder: Path, name: str) -> str:
    """Return the digest of a file in a folder; OSError if a link leads out of the folder."""
    with safe.opened(safe.inside(folder, name)) as file:
        return _of_open(file)


class DigestingReader(io.RawIOBase):
    """A file whose content is digested while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``."""
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


def _of_open(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()
