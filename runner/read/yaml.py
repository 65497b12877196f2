"""Load a YAML file as plain values, with the place and the source text of each.

The file is untrusted. Its size, depth and number of values are bounded. Tags and merge keys are not
supported. Text that YAML 1.1 (this parser) and YAML 1.2 (most editors) read differently is refused
or read as in 1.2: ``010`` does not become 8, and ``on`` does not become true.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runner.errors import ConfigError
from runner.read.problems import Keys, Place, Problem, Source
from runner.system import safe
from runner.text import did_you_mean, quoted

LARGEST_BYTES = 1024**2
MOST_VALUES = 100_000
DEEPEST = 32

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*|[0-9]+[kmgsh]", re.ASCII)
_WIDTH, _LONGEST_LINE = 100, 80
_NOT_STORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TOO_DEEP = f"nested more than {DEEPEST} levels deep; use fewer levels"
_AMBIGUOUS = {
    "int": "write the number in plain decimal digits",
    "bool": "write true or false",
    "null": "this means that there is no value; remove it",
    "merge": "merge keys (`<<`) are not supported; remove it",
    "value": "this has a special meaning in YAML; remove it",
}
_HINTS = {
    "mapping values are not allowed": "quote text that contains a colon and a space",
    "cannot start any token": "quote text that begins with `@`, `%` or a backtick",
    "could not find expected ':'": "write `key: value`",
    "found another document": "keep one document in the file",
    "undefined alias": "quote text that begins with `*`",
    "duplicate anchor": "give each anchor a different name",
}


@dataclass(frozen=True, slots=True)
class Date:
    """A text that YAML takes for a date."""

    text: str


class _BadFileError(Exception):
    """Nothing can be read from the file."""

    def __init__(self, sentence: str, place: Place | None = None) -> None:
        super().__init__(sentence)
        self.place = place


class _BadValueError(Exception):
    """A single key or value cannot be used."""


def load(path: Path, changes: Sequence[str] = ()) -> Source:
    """Return the content of a YAML file. ConfigError if nothing can be read from it.

    ``changes`` are values of ``--set``, which replace or complete what is written in the file.
    """
    return parsed(text_of(path), str(path), changes)


def text_of(path: Path) -> str:
    """Return the text of a YAML file. ConfigError if it is too large, or no text."""
    with _named(str(path)):
        return _text(path)


def parsed(text: str, file: str, changes: Sequence[str] = ()) -> Source:
    """Return the content of a YAML text, for messages that name ``file``."""
    reader = _Reader()
    with _named(file):
        root = _root(text)
    root, origins = _changed(root, changes)
    with _named(file):
        plain = reader.value(root, ())
    return Source(file, plain, reader.values, reader.keys, reader.texts, reader.problems, origins)


def _changed(root: yaml.Node, changes: Sequence[str]) -> tuple[yaml.Node, dict[Keys, str]]:
    """Return a root node with values replaced or added, and which change each path comes from.

    ConfigError with every change that cannot be made.
    """
    origins: dict[Keys, str] = {}
    problems: list[str] = []
    for change in changes:
        key, _, written = change.partition("=")
        keys = key.split(".")
        if not all(keys) or not written.strip():
            problems.append(
                f"--set {change}: expected keys and a value, such as `parameters.epochs=3`"
            )
            continue
        try:
            root, path = _with(root, keys, _root(written), ())
            origins[path] = f"--set {key}"
        except (_BadFileError, _BadValueError) as error:
            problems.append(f"--set {key}: {error}")
    if problems:
        raise ConfigError("\n".join(problems))
    return root, origins


def _with(
    node: yaml.Node, keys: Sequence[str], value: yaml.Node, path: Keys
) -> tuple[yaml.Node, Keys]:
    """Return a copy of a node with another value at a path, and the path of what is new in it.

    Copies, because an alias may use the same node elsewhere.
    """
    head, *rest = keys
    if isinstance(node, yaml.SequenceNode) and re.fullmatch("[0-9]{1,6}", head):
        items, index = list(node.value), int(head)
        if index >= len(items):
            raise _BadValueError(
                f"the list has only {len(items)} entries, counted from 0; name one of them"
            )
        items[index], at = _inner(items[index], rest, value, (*path, index))
        return yaml.SequenceNode(node.tag, items, node.start_mark, node.end_mark), at
    if not isinstance(node, yaml.MappingNode):
        place = f"`{'.'.join(map(str, path))}`" if path else "the file"
        raise _BadValueError(f"{place} has no key {quoted(head)}; set the whole value")
    pairs, at = list(node.value), (*path, head)
    for number, (key, child) in enumerate(pairs):
        if isinstance(key, yaml.ScalarNode) and key.value == head:
            changed, at = _inner(child, rest, value, at)
            pairs[number] = (key, changed)
            break
    else:
        if path == ("parameters",) and (hint := did_you_mean(head, _names(node))):
            raise _BadValueError(f"the file has no such parameter{hint}")  # the script ignores it
        key = yaml.ScalarNode(_TAG + "str", head, value.start_mark, value.end_mark)
        pairs.append((key, _nested(rest, value)))
    return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark), at


def _names(node: yaml.MappingNode) -> list[str]:
    return [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]


def _inner(
    node: yaml.Node, keys: Sequence[str], value: yaml.Node, path: Keys
) -> tuple[yaml.Node, Keys]:
    return _with(node, keys, value, path) if keys else (value, path)


def _nested(keys: Sequence[str], value: yaml.Node) -> yaml.Node:
    """Return a value inside new mappings with these keys."""
    for key in reversed(keys):
        name = yaml.ScalarNode(_TAG + "str", key, value.start_mark, value.end_mark)
        value = yaml.MappingNode(_TAG + "map", [(name, value)], value.start_mark, value.end_mark)
    return value


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Turn the reason why nothing can be read into an error that names the file and the place."""
    try:
        yield
    except _BadFileError as error:
        where = "".join(f":{number}" for number in error.place or ())
        raise ConfigError(f"{file}{where}: {error}") from None


def _text(path: Path) -> str:
    try:
        with safe.opened(path, follow=True) as file:
            raw = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise _BadFileError("file not found; name another one with --matrix") from None
    except IsADirectoryError:
        raise _BadFileError("this is a folder; name a file in it with --matrix") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        sentence = f"the file cannot be read ({reason}); name another one with --matrix"
        raise _BadFileError(sentence) from None
    if len(raw) > LARGEST_BYTES:
        raise _BadFileError("the file is larger than the limit of 1 MiB; split the study")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _end(raw[: error.start].decode("utf-8-sig"))
        raise _BadFileError("from here on, this is not UTF-8; save it as UTF-8", place) from None


def _end(text: str) -> Place:
    """Return the place that follows a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _root(text: str) -> yaml.Node:
    """Return the root node of a text whose depth and size are within the bounds."""
    try:
        _check_bounds(text)
        root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from None
    except yaml.reader.ReaderError as error:
        found = quoted(text[error.position : error.position + 1])
        sentence = f"the character {found} is not allowed in YAML; remove it"
        raise _BadFileError(sentence, _end(text[: error.position])) from None
    except yaml.YAMLError as error:
        raise _BadFileError(f"this is not YAML: {error}; correct it") from None
    if root is None:
        raise _BadFileError("the file is empty; begin it with `format: 1`")
    return root


def _check_bounds(text: str) -> None:
    """Check depth and size before anything recursive sees the text."""
    depth = count = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        count += isinstance(event, yaml.NodeEvent)
        if depth > DEEPEST:
            raise _BadFileError(_TOO_DEEP, _place(event))
        if count > MOST_VALUES:
            raise _BadFileError(f"more than {MOST_VALUES:,} values; split the study", _place(event))


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> _BadFileError:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _BadFileError(f"this is not YAML: {error.problem}; correct it")
    place = (mark.line + 1, mark.column + 1)
    if "nesting depth" in (error.problem or ""):  # libyaml's own bound, which is met first
        return _BadFileError(_TOO_DEEP, (place[0], DEEPEST + 1))
    line = "".join(text.splitlines()[mark.line : mark.line + 1])[: place[1]]
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or line.endswith("\t"):
        return _BadFileError("YAML does not allow a tab here; use spaces", place)
    sentence = f"this is not YAML: {error.problem}"
    if error.context and error.context_mark and error.context_mark.line != mark.line:
        sentence += f", {error.context} that begins on line {error.context_mark.line + 1}"
    hints = [hint for words, hint in _HINTS.items() if words in (error.problem or "")]
    return _BadFileError("; ".join([sentence, *(hints[:1] or ["correct it"])]), place)


def _place(at: yaml.Node | yaml.Event) -> Place:
    mark = at.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


@dataclass(slots=True)
class _Reader:
    """Turns nodes into plain values. Aliases are followed, so the values are counted again."""

    values: dict[Keys, Place] = field(default_factory=dict)
    keys: dict[Keys, Place] = field(default_factory=dict)
    texts: dict[Keys, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0
    characters: int = 0

    def value(self, node: yaml.Node, path: Keys) -> object:
        self.values[path] = _place(node)
        self.check_bounds(node, len(path))
        try:
            if isinstance(node, yaml.ScalarNode):
                self.texts[path] = node.value
                return _scalar(node)
            if isinstance(node, yaml.MappingNode):
                _check_tag(node, "map")
                return self.mapping(node, path)
            _check_tag(node, "seq")
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        except _BadValueError as error:
            self.problems.append(Problem(path, str(error)))
            return None

    def check_bounds(self, node: yaml.Node, depth: int) -> None:
        """Stop where aliases make more of a file than anyone could write into it."""
        self.count += 1
        self.characters += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        if self.count > MOST_VALUES or self.characters > LARGEST_BYTES or depth > DEEPEST:
            raise _BadFileError(
                "the aliases expand to too many values; write the values", _place(node)
            )

    def mapping(self, node: yaml.MappingNode, path: Keys) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key_node, child in node.value:
            place = _place(key_node)
            self.check_bounds(key_node, len(path))
            try:
                key = _key(key_node)
            except _BadValueError as error:
                self.problems.append(Problem(path, str(error), place=place))
                continue
            here = (*path, key)
            if key in plain:
                line, _ = self.keys[here]
                sentence = f"this key is already on line {line}; keep one"
                self.problems.append(Problem(here, sentence, place=place))
                continue
            self.keys[here] = place
            plain[key] = self.value(child, here)
        return plain


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _BadValueError("a key must be text; write `key: value`")
    if node.tag == _TAG + "merge":
        raise _BadValueError(
            "merge keys (`<<`) are not supported; write out the entries, or use an alias for all "
            "of them"
        )
    if node.tag != _TAG + "str":
        raise _BadValueError(f"a key must be text; quote it: {quoted(node.value)}")
    return _storable(node.value)


def _check_tag(node: yaml.Node, kind: str) -> None:
    if node.tag != _TAG + kind:
        tag = node.tag.replace(_TAG, "!!")
        raise _BadValueError(f"the tag {quoted(tag)} is not supported; remove it")


def _scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    value: object = None
    match kind:
        case "str" if not node.style and "e" in text.lower() and _NUMBER.fullmatch(text):
            value = _number(text)  # 1e-3 is text only in YAML 1.1
        case "str":
            value = _storable(text)
        case "int" if _WHOLE.fullmatch(text):
            value = int(text)
        case "float":
            value = _number(text)
        case "bool" if text.lower() in ("true", "false"):
            value = text.lower() == "true"
        case "timestamp":
            value = Date(_storable(text))
        case "null" if not text:
            raise _BadValueError("there is no value; write one, or remove the key")
        case _ if kind in _AMBIGUOUS:
            raise _BadValueError(f"{_AMBIGUOUS[kind]}, or quote it: {quoted(text)}")
        case _:
            _check_tag(node, "str")
    return value


def _number(text: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise _BadValueError(f"{quoted(text)} is not a finite number; write another one")
    return number


def _storable(text: str) -> str:
    found = _NOT_STORABLE.search(text)
    if found:
        raise _BadValueError(f"the character {quoted(found.group())} is not allowed; remove it")
    return text


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes unless it is a plain word: other readers take 1e3 for a number."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (its name in PyYAML)
        return True

    def represent_mapping(self, *given: Any, **named: Any) -> yaml.MappingNode:
        node = super().represent_mapping(*given, **named)
        length = sum(_characters(one) for pair in node.value for one in pair)
        node.flow_style = length <= _LONGEST_LINE
        return node

    def represent_sequence(self, *given: Any, **named: Any) -> yaml.SequenceNode:
        node = super().represent_sequence(*given, **named)
        node.flow_style = all(isinstance(one, yaml.ScalarNode) for one in node.value)
        return node


def _characters(node: yaml.Node) -> int:
    """Return about how long a value is in one line, into which no mapping fits."""
    if isinstance(node, yaml.ScalarNode):
        return len(node.value) + 2
    if isinstance(node, yaml.SequenceNode) and node.flow_style:
        return sum(map(_characters, node.value))
    return _WIDTH


def _word(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(
        _TAG + "str", text, style=None if _PLAIN.fullmatch(text) else '"'
    )


_Dumper.add_representer(str, _word)
_Dumper.add_representer(Date, lambda dumper, date: _word(dumper, date.text))


def dumped(plain: object) -> str:
    """Return plain values as YAML text that ``parsed`` reads as the same values."""
    written = _dumped(plain, as_it_is=True)
    return written if written.replace("\n", "").isprintable() else _dumped(plain, as_it_is=False)


def _dumped(plain: object, *, as_it_is: bool) -> str:
    written: str = yaml.dump(
        plain,
        Dumper=_Dumper,
        sort_keys=False,
        width=_WIDTH,
        allow_unicode=as_it_is,
    )
    return written
