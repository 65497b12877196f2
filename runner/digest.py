"""SHA-256 of content and of files, in hex: how the runner knows that two things are the same."""

import hashlib
import json
from pathlib import Path


def of_content(content: object) -> str:
    """Return the digest of a JSON-able content in canonical form: order of keys does not count."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> str:
    """Return the digest of a file's bytes, read in pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
