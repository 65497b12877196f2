"""The blocks of the documents: which are commands, and which of them a test runs."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.studies import ROOT

GUIDES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FOLLOWED = {
    "README.md",
    "docs/experiments.md",
    "docs/faults.md",
    "docs/lock-bump.md",
    "docs/running.md",
    "docs/start.md",
}
"""The guides whose commands ``tests/engine/test_documentation.py`` runs, unless they are marked."""
STARTS = (["python", "-m", "runner"], [".venv/bin/python", "-m", "runner"], ["matrix-runner"])
ENDS = {"&&", "||", "|", ">", ">>", ";", "<"}

_BLOCK = re.compile(
    r"(?:^<!-- not run: (.+?) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"`([\w.-]+\.(?:py|yaml))`")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a guide: its language, its text, and the last file named just before it.

    ``reason`` says why no test runs its commands.
    """

    language: str
    text: str
    file: str
    reason: str

    @property
    def commands(self) -> list[str]:
        """The lines that a reader types."""
        return re.findall(r"^\$ (.+)$", self.text, re.MULTILINE)


def blocks(guide: Path) -> Iterator[Block]:
    """Yield each block of a guide."""
    text, end = guide.read_text(encoding="utf-8"), 0
    for found in _BLOCK.finditer(text):
        before = text[end : found.start()].strip().rsplit("\n\n", 1)[-1]
        named = _FILE.findall(before)
        end = found.end()
        reason, language, content = found.groups()
        yield Block(language, content, named[-1] if named else "", reason or "")


def marks(guide: Path) -> int:
    """Count the marks of a guide, also those that belong to no block."""
    return len(re.findall("^<!-- not run:", guide.read_text(encoding="utf-8"), re.MULTILINE))


def our_arguments(guide: Path) -> Iterator[list[str]]:
    """Yield the arguments of each line of a guide that starts our program."""
    text = guide.read_text(encoding="utf-8")
    quoted = re.findall(
        r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    steps = re.findall(r"^ *- run: (.+)$", text, re.MULTILINE)
    lines = [line for block in blocks(guide) for line in block.commands]
    for line in (*lines, *steps, *(" ".join(one.split()) for one in quoted)):
        for start in STARTS:
            if f"{line} ".startswith(f"{' '.join(start)} "):
                yield list(_own(shlex.split(line, comments=True)[len(start) :]))


def _own(words: list[str]) -> Iterator[str]:
    for word in words:
        if word in ENDS:
            return
        yield word
