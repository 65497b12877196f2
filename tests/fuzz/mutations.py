"""Damage to sound inputs, always the same for the same seed.

Half of it is done to the tree of values (a value replaced by another one or by an edge, a key
moved, removed or doubled, a part nested or repeated), half of it to the text (pieces moved,
removed, put in, repeated; two inputs spliced): it reaches the parser and what is behind it.
"""

import copy
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import yaml

PIECE = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[ \t]+|.', re.DOTALL)
SECTION = re.compile(rb"^=== (.+)\n", re.MULTILINE)
"""Begins a file of a folder that is written as one text."""

MOST_DAMAGE = 4
LONGEST = 200_000
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 5, 7, 2**31, 2**53, 2**63, 10**30, 10**400, 0.5, -0.0, -2.5, 1e-320, 1e70, 1e308,
    -1e308, float("nan"), float("inf"),
)  # fmt: skip
TEXTS: tuple[Any, ...] = (
    "", " ", "x", "ok", "failed", "1.0", "a,b=c", "a\nb", "\x00", "\x1b[2J", "\u2028", "\u202e",
    "\ud800", "\ufeff", "\U0001f600", "<b>&|`*_", "..", "/", "é" * 300, "9" * 5000,
    "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
)  # fmt: skip
EDGES: tuple[Any, ...] = (*NUMBERS, *TEXTS, None, True, False, [], {}, [[]], {"": 0}, [None])

Slot = tuple[Any, Any]
"""A list and an index of it, or a dictionary and a key of it."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How an input is read as a tree of values, and written again."""

    read: Callable[[str], Any]
    write: Callable[[Any], str]


def _yaml(tree: Any) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(tree, Dumper=dumper, sort_keys=False, default_flow_style=None))


JSON = Notation(json.loads, json.dumps)
YAML = Notation(
    lambda text: yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)),  # noqa: S506
    _yaml,
)


def mutated(
    random: Random,
    content: bytes,
    others: Sequence[bytes],
    words: Sequence[bytes],
    notation: Notation,
) -> bytes:
    """Return an input damaged in one to four places; ``others`` give pieces to it."""
    for _ in range(random.randint(1, MOST_DAMAGE)):
        if SECTION.match(content):
            content = _in_one_section(random, content, others, words, notation)
        elif random.random() < 0.5:
            content = _damaged_text(random, content, others, words)
        else:
            content = _damaged_tree(random, content, words, notation)
    return content[:LONGEST]


def sections(content: bytes) -> dict[bytes, bytes]:
    """Return the files of a folder that is written as one text, by name."""
    _, *found = SECTION.split(content)
    return dict(zip(found[::2], found[1::2], strict=True))


def as_sections(files: dict[bytes, bytes]) -> bytes:
    """Write the files of a folder as one text."""
    return b"".join(b"=== %s\n%s\n" % (name, body.strip(b"\n")) for name, body in files.items())


def _in_one_section(
    random: Random,
    content: bytes,
    others: Sequence[bytes],
    words: Sequence[bytes],
    notation: Notation,
) -> bytes:
    """Damage one file of a folder, mostly its tree: others are rarely read any further."""
    files = sections(content)
    name = random.choice(list(files))
    match random.randrange(20):
        case 0:
            del files[name]
        case 1:
            files[name] = files[random.choice(list(files))]
        case 2:
            pieces = [sections(other).get(name, b"") for other in others]
            files[name] = _damaged_text(random, files[name], pieces, words)
        case 3 | 4 | 5:
            files[name] = _damaged_tree(random, files[name], words, notation)
        case _:
            files[name] = _damaged_tree(random, files[name], words, notation, _alter)
    return as_sections(files)


def _damaged_tree(
    random: Random,
    content: bytes,
    words: Sequence[bytes],
    notation: Notation,
    damage: Callable[[Random, list[Slot]], None] | None = None,
) -> bytes:
    """Damage the values of a text; its letters where it holds none, or too many."""
    try:
        tree = notation.read(content.decode()) if len(content) < LONGEST else None
        slots = list(_slots(tree))
        if not slots:
            return _damaged_text(random, content, [content], words)
        (damage or _damage)(random, slots)
        return notation.write(tree).encode(errors="surrogatepass")
    except Exception:  # noqa: BLE001 (PyYAML has no family of errors)
        return _damaged_text(random, content, [content], words)


def _slots(tree: Any) -> list[Slot]:
    """Return every place of a tree that holds a value; a shared part is visited once."""
    found: list[Slot] = []
    waiting, seen = [tree], set()
    while waiting:
        inner = waiting.pop()
        if not isinstance(inner, (dict, list)) or id(inner) in seen:
            continue
        seen.add(id(inner))
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        found += [(inner, key) for key in keys]
        waiting += [inner[key] for key in keys]
    return found


def _damage(random: Random, slots: list[Slot]) -> None:
    """Change one place of a tree."""
    inner, key = random.choice(slots)
    other, other_key = random.choice(slots)
    value, another = inner[key], copy.deepcopy(other[other_key])
    match random.randrange(9):
        case 0:
            inner[key] = random.choice(EDGES)
        case 1 | 2:
            inner[key] = _of_its_kind(random, value, slots)
        case 3:
            inner[key] = another
        case 4:
            inner[key], other[other_key] = another, copy.deepcopy(value)
        case 5:
            del inner[key]
        case 6 if isinstance(inner, dict):
            names = [name for held, name in slots if isinstance(held, dict)]
            inner[random.choice([*names, *TEXTS])] = inner.pop(key)
        case 6 | 7 if isinstance(inner, list):
            inner[key:key] = [copy.deepcopy(value)] * random.choice((1, 2, 30))
        case _:
            for _ in range(random.choice((1, 2, 40))):
                value = [value] if random.random() < 0.5 else {"x": value}
            inner[key] = value


def _alter(random: Random, slots: list[Slot]) -> None:
    """Put another value of the same kind in one place: what refuses it does more than parse."""
    inner, key = random.choice(slots)
    inner[key] = _of_its_kind(random, inner[key], slots)


def _of_its_kind(random: Random, value: Any, slots: list[Slot]) -> Any:
    """Return another value of the same kind: it gets past the first checks."""
    alike = [held[key] for held, key in slots if type(held[key]) is type(value)]
    edges = [edge for edge in EDGES if type(edge) is type(value)]
    if isinstance(value, list) and value:
        edges = [value[::-1], value[:-1], value[:1] * 2]
    return copy.deepcopy(random.choice([*alike, *edges]))


def _damaged_text(
    random: Random, content: bytes, others: Sequence[bytes], words: Sequence[bytes]
) -> bytes:
    """Change the letters of one place."""
    if random.random() < 0.3:
        content, rest = _lines(random, content), b""
    else:
        content, rest = _pieces(random, content, words)
    if random.random() < 0.1:
        other = random.choice([content, *others])
        rest = other[random.randrange(len(other) + 1) :]
        content = content[: random.randrange(len(content) + 1)]
    return content + rest


def _pieces(random: Random, content: bytes, words: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Damage some pieces near a random place; return what is before and after it."""
    place = random.randrange(len(content) + 1)
    pieces = PIECE.findall(content[place : place + 200])[:20]
    rest = content[place + sum(map(len, pieces)) :]
    at = random.randrange(len(pieces) + 1)
    word = random.choice(words)
    match random.randrange(6):
        case 0:
            pieces[at : at + 1] = [word]
        case 1:
            pieces[at:at] = [word]
        case 2:
            del pieces[at : at + random.randint(1, 3)]
        case 3:
            pieces[at:at] = pieces[at : at + random.randint(1, 8)] * random.choice((1, 2, 50))
        case 4:
            random.shuffle(pieces)
        case _:
            pieces[at:at] = [bytes([random.randrange(256)])]
    return content[:place] + b"".join(pieces), rest


def _lines(random: Random, content: bytes) -> bytes:
    """Move, double, remove or indent a line."""
    lines = content.split(b"\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            lines.insert(to, lines.pop(at))
        case 1:
            lines.insert(to, lines[at])
        case 2:
            del lines[at]
        case _:
            lines[at] = random.choice((b" ", b"  ", b"\t", b"- ", b"? ", b"# ")) + lines[at]
    return b"\n".join(lines)
