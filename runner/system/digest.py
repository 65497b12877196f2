"""SHA-256 of content and of files, in hex: how the runner knows that two things are the same."""

import dataclasses
import hashlib
import json
from pathlib import Path


def of_content(content: object) -> str:
    """Return the digest of records and JSON-able content: the order of keys does not count."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    """Return a record by its fields, one after the other; anything else as text."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return str(value)


def of_file(path: Path) -> str:
    """Return the digest of a file's bytes, read in pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
