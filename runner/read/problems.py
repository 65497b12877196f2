"""What is wrong in a file: collected with the place of each problem, told all at once."""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from runner.errors import ConfigError
from runner.text import LONGEST_QUOTE, quoted

Keys = tuple[str | int, ...]
"""The way to a value: keys of mappings and positions in lists."""

Place = tuple[int, int]
"""Line and column, both from 1."""

MOST_PROBLEMS = 100
"""Nobody reads on from here, and to look for more may take long."""


@dataclass(slots=True)
class Problems:
    """The problems of one file.

    ``values`` and ``keys`` are the places where values and the keys of entries begin, ``texts`` is
    what was written for each scalar. ``refused`` are the values that cannot be used.
    """

    file: str
    values: dict[Keys, Place] = field(default_factory=dict)
    keys: dict[Keys, Place] = field(default_factory=dict)
    texts: dict[Keys, str] = field(default_factory=dict)
    refused: set[Keys] = field(default_factory=set)
    found: set[tuple[Place, str]] = field(default_factory=set)

    def add(self, path: Keys, sentence: str, place: Place | None = None) -> None:
        """Note that something is wrong at a path: where its value is, if no place is given.

        ConfigError once there is more than a person reads.
        """
        nearest = path
        while place is None:
            place = self.values.get(nearest, None if nearest else (1, 1))
            nearest = nearest[:-1]
        self.found.add((place, f"{shown_path(path)}: {sentence}" if path else sentence))
        if len(self.found) >= MOST_PROBLEMS:
            self.fail()

    def refuse(self, path: Keys, sentence: str) -> None:
        """Note that the value at a path is wrong and cannot be used by further checks."""
        self.add(path, sentence)
        self.refused.add(path)

    def stop(self, sentence: str, place: Place | None = None) -> NoReturn:
        """Raise ConfigError for a file of which nothing can be read."""
        where = "".join(f":{number}" for number in place or ())
        raise ConfigError(f"{self.file}{where}: {sentence}")

    def fail(self) -> NoReturn:
        """Raise ConfigError with every problem, in the order of the file."""
        raise ConfigError(
            "\n".join(
                f"{self.file}:{line}:{column}: {sentence}"
                for (line, column), sentence in sorted(self.found)
            )
        )


def shown_path(path: Keys) -> str:
    """Return a path as a person writes it: ``axes.python[2]``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_bare(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def _bare(key: str) -> str:
    return key if re.fullmatch(rf"[\w-]{{1,{LONGEST_QUOTE}}}", key) else quoted(key)
