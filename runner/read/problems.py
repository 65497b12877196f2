"""Problems of a YAML file: where each one is, and one error that shows them all."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from runner.errors import ConfigError
from runner.text import LONGEST_QUOTE, cut, did_you_mean, listed, quoted

Keys = tuple[str | int, ...]
"""The path to a value: keys of mappings and positions in lists."""

Place = tuple[int, int]
"""Line and column, both from 1."""

MOST_PROBLEMS = 100
"""Nobody reads more than this."""

_LONGEST_SUGGESTION = 240


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake at a path. It is shown at the value, at the key, or at a place of its own."""

    path: Keys
    sentence: str
    at_key: bool = False
    place: Place | None = None
    hint: Callable[[], str] = str
    """Completes the sentence. It is called only for problems that are shown, because the search
    for a similar word is slow."""


@dataclass(frozen=True, slots=True)
class Source:
    """A YAML file as plain values, with the places of values and keys and the text of scalars.

    Unusable values are ``None`` in ``plain`` and listed in ``problems``.
    """

    file: str
    plain: object
    values: dict[Keys, Place]
    keys: dict[Keys, Place]
    texts: dict[Keys, str]
    problems: list[Problem]
    origins: Mapping[Keys, str] = field(default_factory=dict)
    """Which option of the command line each path comes from that the file does not contain."""

    def where(self, problem: Problem) -> str:
        """Return where a problem is: ``matrix.yaml:3:9: parameters.epochs``, or the option."""
        path = problem.path
        shown = f": {shown_path(path)}" if path else ""
        for length in range(len(path), 0, -1):
            if (origin := self.origins.get(path[:length])) is not None:
                return origin if origin.endswith(f" {shown_path(path)}") else f"{origin}{shown}"
        line, column = self.place(problem)
        return f"{self.file}:{line}:{column}{shown}"

    def place(self, problem: Problem) -> Place:
        """Return where to show a problem; a missing value is shown where its section begins."""
        if problem.place:
            return problem.place
        if problem.at_key and problem.path in self.keys:
            return self.keys[problem.path]
        return self.place_of(problem.path)

    def place_of(self, path: Keys) -> Place:
        """Return where a value is, or where the section begins that lacks it."""
        while path not in self.values:
            path = path[:-1]
        return self.values[path]


def refused(source: Source, problems: Iterable[Problem]) -> ConfigError:
    """Return the error that shows the first problems in the order of the file, one per line."""
    first = sorted(problems, key=source.place)[:MOST_PROBLEMS]
    lines = [f"{source.where(one)}: {one.sentence}{one.hint()}" for one in first]
    return ConfigError("\n".join(dict.fromkeys(lines)))


def shown_path(path: Keys) -> str:
    """Return a path as people write it: ``axes.python[2]``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_bare(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def _bare(key: str) -> str:
    return key if re.fullmatch(rf"[\w-]{{1,{LONGEST_QUOTE}}}", key) else quoted(key)


def unknown(
    noun: str, word: str, known: Collection[str], path: Keys, *, at_key: bool = False
) -> list[Problem]:
    """Return a problem if a word is not among the known ones."""
    if word in known:
        return []
    return [Problem(path, f"unknown {noun}", at_key, hint=partial(suggestion, word, known))]


def suggestion(word: str, known: Collection[str]) -> str:
    """Return the end of a sentence: the most similar known word, or else all known words."""
    every = cut(listed(list(known), "or"), _LONGEST_SUGGESTION)
    return did_you_mean(word, known) or (f"; expected {every}" if every else "; remove it")


def repeated(words: Iterable[tuple[Keys, str]]) -> list[Problem]:
    """Return a problem for each word that an earlier path already has."""
    first: dict[str, Keys] = {}
    return [
        Problem(
            path, f"{quoted(word)} is already at {shown_path(first[word])}; change or remove one"
        )
        for path, word in words
        if first.setdefault(word, path) != path
    ]
