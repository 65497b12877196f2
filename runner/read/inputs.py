"""The experiment: its command, and which files of the study a trial gets."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from runner.read.problems import Keys, Problem, repeated, unknown
from runner.read.schema import ExperimentSection
from runner.records.patterns import placeholders
from runner.records.study import Cell, Experiment, Limits
from runner.system import safe
from runner.text import counted, quoted

MOST_FILES = 10_000
MOST_MATCHED = 100_000
"""How many files one pattern may match; a later pattern can leave some out."""
LEFT_OUT = "__pycache__"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def read_experiment(
    section: ExperimentSection, matrix: Path, root: Path, ours: Collection[str] = ()
) -> tuple[Experiment, list[Problem]]:
    """Return the experiment that a section declares, and the problems of its keys and files.

    Its paths begin at the folder ``root``. ``ours`` are paths there that never belong to an
    experiment. Neither do the matrix and its lock: all of these change while the experiment stays
    the same.
    """
    own = {matrix.name, matrix.with_suffix(".lock").name, *ours}
    files, problems = _included(section.files, root, own)
    experiment = Experiment(
        script=section.script,
        args=tuple(section.args if section.command is None else section.command),
        files=tuple(name for name in files if name != section.script),
        data=tuple(section.data),
    )
    return experiment, [*_key_problems(section), *_file_problems(section, root), *problems]


def argument_problems(section: ExperimentSection, cells: Iterable[Cell]) -> Iterator[Problem]:
    """Yield a problem for each name in braces that is no parameter of some cell."""
    words, key = section.args, "args"
    if section.command is not None:
        words, key = section.command, "command"
    if not words:
        return
    known = [{"seed", *dict(cell.coordinates), *cell.parameters} for cell in cells]
    anywhere, everywhere = set().union(*known), sorted(set.intersection(*known))
    for index, word in enumerate(words):
        path: Keys = ("experiment", key, index)
        for name in placeholders(word, anywhere):
            if name in anywhere and name not in everywhere:
                sentence = f"only some cells have the parameter {quoted(name)}"
                yield Problem(path, f"{sentence}; add it to `parameters`")
            else:
                yield from unknown(f"parameter {quoted(name)}", name, everywhere, path)


def room_problems(experiment: Experiment, limits: Iterable[Limits]) -> Iterator[Problem]:
    """Yield a problem if a trial has no room for its files, and for the folders that they are in.

    The working folder has a link to each file, and a second folder has links to the data.
    """
    names = [PurePosixPath(name) for name in experiment.inputs]
    folders = {folder for name in names for folder in name.parents}
    needed = len(names) + len(folders) + len(experiment.data)
    least = min(one.files for one in limits)
    if needed >= least:
        sentence = f"a trial has room for {counted(least, 'file')}, and these need {needed:,}"
        remedy = "include fewer, or raise `limits: {files: ...}`"
        yield Problem(("experiment",), f"{sentence} with their folders; {remedy}")


def _key_problems(section: ExperimentSection) -> Iterator[Problem]:
    if section.script is None and section.command is None:
        yield Problem(("experiment",), "there is nothing to run; give `script` or `command`")
    if section.script is not None and section.command is not None:
        sentence = "give either a script with `args`, or a command; remove one of them"
        yield Problem(("experiment", "command"), sentence, at_key=True)
    if section.command is not None and section.args:
        sentence = "add these to the command, which has its own arguments"
        yield Problem(("experiment", "args"), sentence, at_key=True)


def _file_problems(section: ExperimentSection, root: Path) -> Iterator[Problem]:
    data = [(("experiment", "data", i), file) for i, file in enumerate(section.data)]
    files: list[tuple[Keys, str]] = [*data]
    if section.script is not None:
        files.append((("experiment", "script"), section.script))
    for path, file in files:
        trouble = file_trouble(file, root)
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
        leads = "is a link to a file that does not exist; check the link"
        absent = "does not exist beside this file; check the path"
        return f"{quoted(file)} {leads if (folder / file).is_symlink() else absent}"
    except safe.OutsideError:
        return f"{quoted(file)} is a link that leads out of the folder of this file; copy the file"
    except (IsADirectoryError, safe.IrregularError):
        return f"{quoted(file)} is not a file; name each file"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"{quoted(file)} cannot be read: {reason}; check the file"
    return None


def _included(
    patterns: Sequence[str], folder: Path, own: Collection[str]
) -> tuple[list[str], list[Problem]]:
    """Return the files that patterns match, in a fixed order, and the problems of the patterns."""
    found, problems = dict[str, int](), []
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
            names = _matching(folder, parts, own) if parts else set()
            trouble = _pattern_trouble(pattern, names, folder, own)
            if trouble:
                problems.append(Problem(path, trouble))
            else:
                found = {**dict.fromkeys(names, index), **found}
    if len(found) > MOST_FILES:
        sentence = f"these are more than {counted(MOST_FILES, 'file')}; include fewer"
        problems.append(Problem(("experiment", "files"), sentence))
    else:
        problems += _matched_problems(found, folder)
    return sorted(found), problems


def _pattern_trouble(
    pattern: str, names: Collection[str], folder: Path, own: Collection[str]
) -> str | None:
    if len(names) > MOST_MATCHED:
        return f"this matches more than {counted(MOST_MATCHED, 'file')}; write a narrower pattern"
    if names:
        return None
    if str(PurePosixPath(pattern)) in own:
        return "no trial gets the matrix, its lock or its runs; remove this"
    if os.path.isdir(folder / pattern):  # noqa: PTH112 (it is never an error)
        return f"{quoted(pattern)} is a folder; write {quoted(pattern.rstrip('/') + '/**')}"
    return f"no file matches {quoted(pattern)}; check the path"


def _matched_problems(found: dict[str, int], folder: Path) -> Iterator[Problem]:
    """Yield the first problem of the files that each pattern matched."""
    seen = set[int]()
    for name, index in sorted(found.items()):
        trouble = None if index in seen else _matched_trouble(name, folder)
        if trouble:
            seen.add(index)
            yield Problem(("experiment", "files", index), trouble)


def _matched_trouble(name: str, folder: Path) -> str | None:
    if _UNPRINTABLE.search(name):
        return f"the name {quoted(name)} is not printable text; rename the file"
    trouble = file_trouble(name, folder)
    return trouble and f"{trouble}, or leave it out with {quoted(f'!{name}')}"


def _matching(folder: Path, parts: Sequence[str], own: Collection[str]) -> set[str]:
    """Return the files in a folder that match the parts of a pattern, also links and pipes.

    ``**`` stands for any number of folders. Links to folders are not followed; they match like
    files, and are refused later. Hidden files match only a pattern that begins with a dot, too.
    The search ends when there are too many files.
    """
    found: set[str] = set()
    waiting, seen = [("", 0)], set[tuple[str, int]]()
    while waiting and len(found) <= MOST_MATCHED:
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
            fits = not _hidden(entry.name) if part == "**" else _fits(entry.name, part)
            if not fits or path in own:
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
