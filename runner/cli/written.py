"""How commands write a matrix.yaml: its first lines, its words and lists, and the file."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from runner.runs.files import disk
from runner.system import atomic

HEAD = (
    "# yaml-language-server: $schema=./matrix.schema.json\n"
    "# docs/matrix.md explains every key. `matrix-runner schema > matrix.schema.json` lets your\n"
    "# editor know them, too.\n"
)

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_BOOLEANS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def key(word: str) -> str:
    """Return a word of YAML; with quotes if it needs them."""
    needs_none = _PLAIN.fullmatch(word) and word.lower() not in _BOOLEANS
    return word if needs_none else text(word)


def text(words: str) -> str:
    """Return a text of YAML in quotes."""
    return json.dumps(words, ensure_ascii=False)


def texts(words: Iterable[str]) -> str:
    """Return a list of YAML with each text in quotes."""
    return f"[{', '.join(map(text, words))}]"


def content(written: str) -> bytes:
    """Return the content of the file. An argument of a command may be no text at all."""
    return written.encode(errors="backslashreplace")


def write(path: Path, written: str) -> None:
    """Write a file, and the folders that it lies in."""
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, content(written))
