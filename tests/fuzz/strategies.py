"""Inputs that hypothesis makes: bytes, values that fit a JSON Schema, and changed sound inputs."""

import copy
import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner.records.environment import Images
from runner.records.run import Plan, Run, TrialResult
from tests.fuzz.edges import NUMBERS, TEXTS, TOKENS

Schema = Mapping[str, Any]
Value = st.SearchStrategy[Any]

WORD = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[ \t]+|.', re.DOTALL)
TEXT = st.sampled_from(TEXTS) | st.text(max_size=20)
NUMBER = st.sampled_from(NUMBERS) | st.sampled_from(NUMBERS) | st.floats()
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def as_json(tree: Any) -> bytes:
    """Write a tree of values as JSON."""
    return json.dumps(tree).encode(errors="surrogatepass")


def as_yaml(tree: Any) -> bytes:
    """Write a tree of values as YAML."""
    return str(yaml.safe_dump(tree, sort_keys=False)).encode(errors="surrogatepass")


def texts_in(tree: Any) -> Iterator[str]:
    """Yield every key and every text of a tree of values."""
    if isinstance(tree, dict):
        yield from tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for inner in tree:
            yield from texts_in(inner)
    if isinstance(tree, str):
        yield tree


# --- values of a JSON Schema ---------------------------------------------------------------------


def nearly(schema: Schema, trees: Sequence[Any]) -> Value:
    """Return values that fit a JSON Schema, or nearly; ``trees`` are sound values.

    Some are sound except for one part, some are ordinary, some are ordinary with changes, and some
    have any numbers and texts that fit.
    """
    words = sorted({text for tree in trees for text in texts_in(tree)})
    parts = {name: fitting(part, words, schema) for name, part in schema["properties"].items()}

    def with_part(name: str) -> Value:
        return st.builds(
            lambda tree, part: {**tree, name: part}, st.sampled_from(trees), parts[name]
        )

    ordinary, mixed = fitting(schema, words), st.sampled_from(sorted(parts)).flatmap(with_part)
    rare = (ordinary, ordinary.flatmap(changed), fitting(schema, ()))
    return st.one_of(mixed, mixed, mixed, mixed, *rare)


def fitting(schema: Schema, words: Sequence[str], whole: Schema | None = None) -> Value:
    """Return values that fit a JSON Schema.

    With ``words`` they are ordinary: numbers are small, and texts are among the words where one
    fits, so that names agree. Without, any number and any text that fits may occur.
    """
    whole = whole or schema

    def inner(part: Schema) -> Value:
        return fitting(part, words, whole)

    if "$ref" in schema:
        return inner(whole["$defs"][schema["$ref"].rpartition("/")[2]])
    kind = schema.get("type")
    kinds = [{**schema, "type": one} for one in kind] if isinstance(kind, list) else []
    if choices := schema.get("anyOf") or schema.get("oneOf") or kinds:
        return st.one_of([inner(choice) for choice in choices])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    strategies: dict[str | None, Callable[[], Value]] = {
        "object": lambda: _objects(schema, words, inner),
        "array": lambda: _arrays(schema, inner),
        "string": lambda: _texts(schema, words),
        "integer": lambda: _numbers(schema, words, is_whole=True),
        "number": lambda: _numbers(schema, words, is_whole=False),
        "boolean": st.booleans,
        "null": st.none,
    }
    return strategies[kind]() if kind in strategies else ANYTHING


def _objects(schema: Schema, words: Sequence[str], inner: Callable[[Schema], Value]) -> Value:
    named = {name: inner(part) for name, part in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    strategy: Value = st.fixed_dictionaries(
        {name: part for name, part in named.items() if name in required},
        optional={name: part for name, part in named.items() if name not in required},
    )
    patterns = dict(schema.get("patternProperties", {}))
    if isinstance(schema.get("additionalProperties"), Mapping):
        patterns[""] = schema["additionalProperties"]
    for pattern, part in patterns.items():
        names = _texts({"pattern": pattern}, words)
        count = schema.get("minProperties", 0)
        others = st.dictionaries(names, inner(part), min_size=count, max_size=max(count, 3))
        strategy = st.builds(lambda one, other: {**other, **one}, strategy, others)
    return strategy


def _arrays(schema: Schema, inner: Callable[[Schema], Value]) -> Value:
    if "prefixItems" in schema:
        return st.tuples(*[inner(one) for one in schema["prefixItems"]]).map(list)
    least = schema.get("minItems", 0)
    most = min(schema.get("maxItems", math.inf), max(least, 3))
    return st.lists(inner(schema.get("items", {})), min_size=least, max_size=most)


def _texts(schema: Schema, words: Sequence[str]) -> Value:
    if schema.get("format") == "date-time":
        zones = st.sampled_from(["Z", "Z", "+14:00", ""])
        return st.builds("{:%Y-%m-%dT%H:%M:%S}{}".format, st.datetimes(), zones)
    pattern, longest = schema.get("pattern", ""), schema.get("maxLength", math.inf)
    known = [word for word in words if re.search(pattern, word) and len(word) <= longest]
    if known:
        return st.sampled_from(known)
    return st.from_regex(pattern) if pattern else TEXT


def _numbers(schema: Schema, words: Sequence[str], *, is_whole: bool) -> Value:
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    low = math.ceil(max(least, 0))
    small = st.integers(low, int(min(low + 9, most)))
    known = [
        number
        for number in NUMBERS
        if least <= number <= most and (isinstance(number, int) or not is_whole)
    ]
    return st.sampled_from(known) if known and not words else small


# --- changed sound inputs ------------------------------------------------------------------------


@st.composite
def changed(draw: st.DrawFn, tree: Any) -> Any:
    """Return a sound tree of values with changes in one to three places."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.sampled_from([1, 1, 1, 3]))):
        places = _places(tree)
        if not places:
            return draw(ANYTHING)
        inner, key = draw(st.sampled_from(places[draw(st.sampled_from(list(places)))]))
        value = inner[key]
        match draw(st.integers(0, 11)):
            case 0:
                del inner[key]
            case 1:
                inner[key] = draw(ANYTHING)
            case 2:
                inner[key] = [value]
            case 3 if isinstance(inner, dict):
                inner[draw(TEXT)] = inner.pop(key)
            case 3:
                inner[key:key] = [copy.deepcopy(value)]
            case number:  # another value of the same kind gets past the first checks
                others = [held[at] for some in places.values() for held, at in some]
                alike = [other for other in others if type(other) is type(value)]
                same_kind = st.sampled_from(alike) if number % 2 else _of_same_kind(value)
                inner[key] = copy.deepcopy(draw(same_kind))
    return tree


def _places(tree: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Return each place of a tree that holds a value: a list or dictionary, and an index or key.

    They are grouped by path, and all entries of a list share a path. Otherwise a long list would
    get nearly all changes.
    """
    places: dict[str, list[tuple[Any, Any]]] = {}

    def add(inner: Any, path: str) -> None:
        if isinstance(inner, (dict, list)):
            for key in inner if isinstance(inner, dict) else range(len(inner)):
                here = f"{path}.{key if isinstance(inner, dict) else ''}"
                places.setdefault(here, []).append((inner, key))
                add(inner[key], here)

    add(tree, "")
    return places


def _of_same_kind(value: Any) -> Value:
    match value:
        case bool() | None:
            return st.booleans()
        case int():
            return st.sampled_from([one for one in NUMBERS if isinstance(one, int)])
        case float():
            return NUMBER
        case str():
            return TEXT
        case list():
            return st.sampled_from([value[::-1], value[:-1], value[:1] * 2, value * 30])
        case _:
            return st.just({})


@st.composite
def spliced(draw: st.DrawFn, content: bytes) -> bytes:
    """Return a sound text with one to three words replaced, added, removed or repeated."""
    words = WORD.findall(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(words)))
        count = draw(st.integers(1, 8))
        token = draw(st.sampled_from(TOKENS) | st.binary(max_size=3))
        match draw(st.integers(0, 3)):
            case 0:
                words[at : at + 1] = [token]
            case 1:
                words[at:at] = [token]
            case 2:
                del words[at : at + count]
            case _:
                words[at:at] = words[at : at + count] * draw(st.sampled_from([1, 1, 1, 50]))
    return b"".join(words)


# --- inputs of each reader -----------------------------------------------------------------------


def near(
    seeds: Sequence[bytes],
    schema: Schema,
    read: Callable[[bytes], Any] = json.loads,
    write: Callable[[Any], bytes] = as_json,
) -> st.SearchStrategy[bytes]:
    """Return inputs close to sound ones: changed words, changed values, values of the schema.

    ``read`` and ``write`` convert between an input and its tree of values; the default is JSON.
    """
    trees = [read(seed) for seed in seeds]
    return st.one_of(
        st.binary(max_size=100),
        st.sampled_from(seeds).flatmap(spliced),
        st.sampled_from(seeds).flatmap(spliced),
        st.sampled_from(trees).flatmap(changed).map(write),
        st.sampled_from(trees).flatmap(changed).map(write),
        nearly(schema, trees).map(write),
    )


RECORDS = {"run.json": Run, "plan.json": Plan, "images.json": Images, "trials/": TrialResult}
"""The record that a file of a run folder holds, by the beginning of its name."""


@st.composite
def run_inputs(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Return a run folder as one text with one file changed; in half of them, ``run.json``."""
    files = sections(draw(st.sampled_from(seeds)))
    name = draw(st.just(b"run.json") | st.sampled_from(sorted(files)))
    record = next((one for start, one in RECORDS.items() if name.decode().startswith(start)), None)
    match draw(st.integers(0, 9)):
        case 0:
            del files[name]
        case 1 if record:
            files[name] = draw(_records(record, files[name]))
        case number if number > 2 and record:
            files[name] = as_json(draw(changed(json.loads(files[name]))))
        case _:
            files[name] = draw(spliced(files[name]))
    return as_sections(files)


@functools.cache
def _records(record: type, sound: bytes) -> st.SearchStrategy[bytes]:
    """Return files that nearly hold a record, made from a sound one."""
    return nearly(TypeAdapter(record).json_schema(), [json.loads(sound)]).map(as_json)


SECTION = re.compile(rb"^=== (.+)\n", re.MULTILINE)
"""The header of a file in a folder that is written as one text."""


def sections(content: bytes) -> dict[bytes, bytes]:
    """Return the files of a folder that is written as one text, by name."""
    _, *found = SECTION.split(content)
    return dict(zip(found[::2], found[1::2], strict=True))


def as_sections(files: Mapping[bytes, bytes]) -> bytes:
    """Write the files of a folder as one text."""
    return b"".join(b"=== %s\n%s\n" % (name, body.strip(b"\n")) for name, body in files.items())
