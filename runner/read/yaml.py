"""A YAML file as plain values, with the place and the source text of each. Knows YAML.

The file is untrusted. Its size, depth and number of values are bounded; there are no tags and no
merge keys; a text that YAML 1.1 (this reader) and YAML 1.2 (most editors) read differently is
refused or read as in 1.2, so that nobody gets 8 for ``010`` or true for ``on``.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from runner.read.problems import Keys, Place, Problems
from runner.text import quoted

LARGEST_BYTES = 1024**2
MOST_VALUES = 100_000
DEEPEST = 32

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_STORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MISTAKABLE = {
    "int": "write the number in plain decimal digits",
    "bool": "write true or false",
    "null": "this stands for no value; remove it",
    "merge": "merge keys are not read; write the entries",
    "value": "this has a meaning of its own in YAML; remove it",
}
_HINTS = {
    "mapping values are not allowed": "quote a text that holds a colon and a blank",
    "cannot start any token": "quote a text that begins with `@`, `%` or a backtick",
    "could not find expected ':'": "write `key: value`",
    "found another document": "keep one document in the file",
    "undefined alias": "quote a text that begins with `*`",
    "duplicate anchor": "give each anchor a name of its own",
}


@dataclass(frozen=True, slots=True)
class Date:
    """What YAML takes for a date, as it was written."""

    text: str


class _NotUsableError(Exception):
    """A value cannot be used; the sentence says why."""


def load(path: Path, problems: Problems) -> dict[str, object]:
    """Return the mapping that a YAML file holds; note the place of every value in ``problems``.

    A value that cannot be used is refused there and is ``None`` here. ConfigError if nothing can
    be read.
    """
    text = _text(path, problems)
    try:
        node = _compose(text, problems)
    except yaml.MarkedYAMLError as error:
        problems.stop(*_syntax(error, text))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = (before.count("\n") + 1, error.position - before.rfind("\n"))
        found = quoted(text[error.position : error.position + 1])
        problems.stop(f"the character {found} is not allowed in YAML; remove it", place)
    except yaml.YAMLError as error:
        problems.stop(f"this is not YAML: {error}")
    if node is None:
        problems.stop("the file is empty; begin it with `format: 1`")
    plain = _Reader(problems).value(node, ())
    if not isinstance(plain, dict):
        if problems.found:
            problems.fail()
        problems.stop("expected keys with values, such as `format: 1`", _place(node))
    return plain


def _text(path: Path, problems: Problems) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        problems.stop("there is no such file; name another one with --matrix")
    except IsADirectoryError:
        problems.stop("this is a folder; name a file in it with --matrix")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        problems.stop(f"the file cannot be read ({reason}); name another one with --matrix")
    if len(raw) > LARGEST_BYTES:
        problems.stop("the file is larger than 1 MiB; a matrix is written by hand and smaller")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = (before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        problems.stop("the text is not UTF-8 from here on; save the file as UTF-8", place)


def _compose(text: str, problems: Problems) -> yaml.Node | None:
    """Compose the nodes, after a look that no recursion can be driven too deep by them."""
    depth = count = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        count += isinstance(event, yaml.NodeEvent)
        if depth > DEEPEST:
            problems.stop(f"nested more than {DEEPEST} deep; write it flatter", _place(event))
        if count > MOST_VALUES:
            problems.stop(f"more than {MOST_VALUES:,} values; split the study", _place(event))
    node: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    return node


def _syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[str, Place | None]:
    """Return a sentence about a syntax error, and its place."""
    mark = error.problem_mark or error.context_mark
    if mark and "nesting depth" in (error.problem or ""):  # libyaml's own bound, met first
        return f"nested more than {DEEPEST} deep; write it flatter", (mark.line + 1, DEEPEST + 1)
    if mark is None:
        return f"this is not YAML: {error.problem}", None
    place = (mark.line + 1, mark.column + 1)
    line = "".join(text.splitlines()[mark.line : mark.line + 1])[: place[1]]
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or line.endswith("\t"):
        return "a tab cannot indent or separate in YAML; use blanks", place
    sentence = f"this is not YAML: {error.problem}"
    if error.context and error.context_mark and error.context_mark.line != mark.line:
        sentence += f", {error.context} that begins in line {error.context_mark.line + 1}"
    hints = [hint for words, hint in _HINTS.items() if words in (error.problem or "")]
    return "; ".join([sentence, *hints[:1]]), place


def _place(at: yaml.Node | yaml.Event) -> Place:
    mark = at.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Reader:
    """Turns nodes into plain values. Aliases are followed, so it counts what it reads."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.count = 0
        self.letters = 0

    def value(self, node: yaml.Node, path: Keys) -> object:
        self.problems.values[path] = _place(node)
        self.bound(node, len(path))
        try:
            if isinstance(node, yaml.ScalarNode):
                self.problems.texts[path] = node.value
                return _scalar(node)
            if isinstance(node, yaml.MappingNode):
                _check_tag(node, "map")
                return self.mapping(node, path)
            _check_tag(node, "seq")
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        except _NotUsableError as error:
            self.problems.refuse(path, str(error))
            return None

    def bound(self, node: yaml.Node, depth: int) -> None:
        """Stop where aliases make more of a file than could have been written into it."""
        self.count += 1
        self.letters += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        if self.count > MOST_VALUES or self.letters > LARGEST_BYTES or depth > DEEPEST:
            self.problems.stop("the aliases expand without end; write the values", _place(node))

    def mapping(self, node: yaml.MappingNode, path: Keys) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key_node, child in node.value:
            place = _place(key_node)
            self.bound(key_node, len(path))
            try:
                key = _key(key_node)
            except _NotUsableError as error:
                self.problems.add(path, str(error), place)
                continue
            here = (*path, key)
            if key in plain:
                line = self.problems.keys[here][0]
                self.problems.add(here, f"this key is already in line {line}; keep one", place)
                continue
            self.problems.keys[here] = place
            plain[key] = self.value(child, here)
        return plain


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _NotUsableError("a key must be a text")
    if node.tag == _TAG + "merge":
        raise _NotUsableError("merge keys are not read; write the entries, or alias the whole")
    if node.tag != _TAG + "str":
        raise _NotUsableError(f"a key must be a text; quote it: {quoted(node.value)}")
    return _stored(node.value)


def _check_tag(node: yaml.Node, kind: str) -> None:
    if node.tag != _TAG + kind:
        tag = node.tag.replace(_TAG, "!!")
        raise _NotUsableError(f"the tag {quoted(tag)} is not read; remove it")


def _scalar(node: yaml.ScalarNode) -> object:
    """Return what a scalar stands for; _NotUsableError if nothing, or if versions disagree."""
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    value: object = None
    match kind:
        case "str" if not node.style and "e" in text.lower() and _NUMBER.fullmatch(text):
            value = _number(text)  # 1e-3 is a text only in YAML 1.1
        case "str":
            value = _stored(text)
        case "int" if _WHOLE.fullmatch(text):
            value = int(text)
        case "float":
            value = _number(text)
        case "bool" if text.lower() in ("true", "false"):
            value = text.lower() == "true"
        case "timestamp":
            value = Date(_stored(text))
        case "null" if not text:
            raise _NotUsableError("there is no value; write one, or remove the key")
        case _ if kind in _MISTAKABLE:
            raise _NotUsableError(f"{_MISTAKABLE[kind]}, or quote it: {quoted(text)}")
        case _:
            _check_tag(node, "str")
    return value


def _number(text: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise _NotUsableError(f"{quoted(text)} is not a number that can be used; write another")
    return number


def _stored(text: str) -> str:
    found = _NOT_STORABLE.search(text)
    if found:
        raise _NotUsableError(f"the character {quoted(found.group())} is not allowed; remove it")
    return text
