"""Lines that fit the terminal they are printed on."""

import os
from typing import TextIO

from runner.text import wrapped


def fitted(text: str, stream: TextIO, hang: int | None = None) -> str:
    """Return a text whose lines are broken at spaces, if the stream is a terminal.

    Files and pipes get the lines as they are, for programs that read them.
    """
    columns = _columns(stream)
    if not columns:
        return text
    lines = (part for line in text.split("\n") for part in wrapped(line, columns, hang))
    return "\n".join(lines)


def _columns(stream: TextIO) -> int:
    """Return the width of a terminal; 0 if the stream is none, or if it does not know."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0
