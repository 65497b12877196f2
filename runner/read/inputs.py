"""The experiment: its command, and which files of the study a trial gets."""

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from runner.read.problems import Keys, Problem, repeated, unknown
from runner.read.schema import ExperimentSection
from runner.records.patterns import placeholders
from runner.records.study import Cell, Experiment
from runner.system import safe
from runner.text import counted, quoted

MOST_FILES = 10_000
"""A trial has room for 16,384 files and folders by default."""
LEFT_OUT = "__pycache__"


def read_experiment(section: ExperimentSection, matrix: Path) -> tuple[Experiment, list[Problem]]:
    """Return the experiment that a section declares, and the problems of its keys and files."""
    files, problems = _included(section.files, matrix)
    experiment = Experiment(
        script=section.script,
        args=tuple(section.args if section.command is None else section.command),
        files=tuple(name for name in files if name != section.script),
        data=tuple(section.data),
    )
    return experiment, [*_key_problems(section), *_file_problems(section, matrix), *problems]


def argument_problems(section: ExperimentSection, cells: Iterable[Cell]) -> Iterator[Problem]:
    """Yield a problem for each name in braces that is no parameter of some cell."""
    key = "args" if section.command is None else "command"
    known = [{"seed", *dict(cell.coordinates), *cell.parameters} for cell in cells]
    everywhere = sorted(set.intersection(*known)) if known else []
    for index, word in enumerate(section.command or section.args):
        for name in placeholders(word):
            yield from unknown(
                f"parameter {quoted(name)}", name, everywhere, ("experiment", key, index)
            )


def _key_problems(section: ExperimentSection) -> Iterator[Problem]:
    if section.script is None and section.command is None:
        yield Problem(("experiment",), "there is nothing to run; give `script` or `command`")
    if section.script is not None and section.command is not None:
        sentence = "give either a script with `args`, or a command; remove one of them"
        yield Problem(("experiment", "command"), sentence, at_key=True)
    if section.command is not None and section.args:
        sentence = "add these to the command, which has its own arguments"
        yield Problem(("experiment", "args"), sentence, at_key=True)


def _file_problems(section: ExperimentSection, matrix: Path) -> Iterator[Problem]:
    data = [(("experiment", "data", i), file) for i, file in enumerate(section.data)]
    files: list[tuple[Keys, str]] = [*data]
    if section.script is not None:
        files.append((("experiment", "script"), section.script))
    for path, file in files:
        trouble = file_trouble(file, matrix.parent)
        if trouble:
            yield Problem(path, trouble)
    # $DATA_DIR has all data files side by side.
    yield from repeated((path, PurePosixPath(file).name) for path, file in data)


def file_trouble(file: str, folder: Path) -> str | None:
    """Return what is wrong with an input; ``None`` if it is a file in the folder."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        return f"expected a path inside the folder of this file, found {quoted(file)}"
    try:
        safe.inside(folder, file)
    except FileNotFoundError:
        return f"{quoted(file)} does not exist beside this file; check the path"
    except safe.OutsideError:
        return f"{quoted(file)} is a link that leads out of the folder of this file; copy the file"
    except (IsADirectoryError, safe.IrregularError):
        return f"{quoted(file)} is not a file; name each file"
    except (OSError, ValueError) as error:
        return f"{quoted(file)} cannot be read: {getattr(error, 'strerror', None) or error}"
    return None


def _included(patterns: Sequence[str], matrix: Path) -> tuple[list[str], list[Problem]]:
    """Return the files that patterns match, in a fixed order, and the problems of the patterns."""
    folder, found, problems = matrix.parent, dict[str, None](), []
    own_lock = matrix.with_suffix(".lock").name  # it can change without the experiment
    for index, pattern in enumerate(patterns):
        path: Keys = ("experiment", "files", index)
        parts = PurePosixPath(pattern.removeprefix("!")).parts
        if pattern.removeprefix("!").startswith("/") or ".." in parts or "\0" in pattern:
            sentence = f"expected a path inside the folder of this file, found {quoted(pattern)}"
            problems.append(Problem(path, sentence))
        elif pattern.startswith("!"):
            for name in [name for name in found if _matches(PurePosixPath(name).parts, parts)]:
                del found[name]
        else:
            names = sorted(_matching(folder, parts)) if parts else []
            names = [name for name in names if name != own_lock]
            trouble = _pattern_trouble(pattern, names, folder)
            if trouble:
                problems.append(Problem(path, trouble))
            found.update(dict.fromkeys(names))
    if len(found) > MOST_FILES:
        sentence = f"these are {counted(len(found), 'file')}, more than {MOST_FILES:,}; name fewer"
        problems.append(Problem(("experiment", "files"), sentence))
    return sorted(found), problems


def _pattern_trouble(pattern: str, names: Sequence[str], folder: Path) -> str | None:
    if not names and (folder / pattern).is_dir():
        return f"{quoted(pattern)} is a folder; write {quoted(pattern.rstrip('/') + '/**')}"
    if not names:
        return f"no file matches {quoted(pattern)}; check the path"
    return next(filter(None, (file_trouble(name, folder) for name in names[:MOST_FILES])), None)


def _matching(folder: Path, parts: Sequence[str]) -> set[str]:
    """Return the files in a folder that match the parts of a pattern, also links and pipes.

    ``**`` stands for any number of folders. Links to folders are not followed; they match like
    files, and are refused later. Hidden files match only a pattern that begins with a dot, too.
    """
    found: set[str] = set()
    waiting, seen = [("", 0)], set[tuple[str, int]]()
    while waiting and len(found) <= MOST_FILES:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        name, index = place
        part, is_last = parts[index], index == len(parts) - 1
        if part == "**" and not is_last:
            waiting.append((name, index + 1))
        for entry in _entries(folder / name):
            path = f"{name}/{entry.name}" if name else entry.name
            if _hidden(entry.name) if part == "**" else not _fits(entry.name, part):
                continue
            if not entry.is_dir(follow_symlinks=False):
                found.update({path} if is_last else ())
            elif part == "**":
                waiting.append((path, index))
            elif not is_last:
                waiting.append((path, index + 1))
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # no pattern matches what cannot be listed
        return []


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == LEFT_OUT


def _fits(name: str, part: str) -> bool:
    return fnmatchcase(name, part) and (part.startswith(".") or not _hidden(name) or name == part)


def _matches(name: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern."""
    states = {0}
    for one in name:
        states = {state for state in _skipping(states, parts) if state < len(parts)}
        states = {
            state + (parts[state] != "**")
            for state in states
            if parts[state] == "**" or _fits(one, parts[state])
        }
    return len(parts) in _skipping(states, parts) or (
        bool(parts) and parts[-1] == "**" and len(parts) - 1 in states
    )


def _skipping(states: Iterable[int], parts: Sequence[str]) -> set[int]:
    """Return the states of a match, and those after a ``**`` that stands for nothing."""
    found = set(states)
    for index, part in enumerate(parts):
        if part == "**" and index in found:
            found.add(index + 1)
    return found
