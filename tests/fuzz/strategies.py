"""Inputs that hypothesis makes: any bytes, values of a JSON Schema, and changes of sound inputs."""

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner.records.environment import Images
from runner.records.run import Plan, Run, TrialResult
from tests.fuzz.edges import NUMBERS, TEXTS, TOKENS

Schema = Mapping[str, Any]

RARELY = 12
"""One value in this many breaks its schema."""

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


# --- from a JSON Schema --------------------------------------------------------------------------


@st.composite
def nearly(draw: st.DrawFn, schema: Schema, whole: Schema | None = None) -> Any:
    """Return a value that keeps a JSON Schema, or breaks it in a place or two."""
    whole = schema if whole is None else whole
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if draw(st.integers(1, RARELY)) == RARELY:
        return draw(ANYTHING)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return draw(nearly(draw(st.sampled_from(choices)), whole))
    kind = schema.get("type")
    match draw(st.sampled_from(kind)) if isinstance(kind, list) else kind:
        case "object":
            return draw(_object(schema, whole))
        case "array":
            return draw(_array(schema, whole))
        case scalar:
            return draw(_scalar(schema, scalar))


def _scalar(schema: Schema, kind: str | None) -> st.SearchStrategy[Any]:
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if schema.get("format") == "date-time":
        return st.builds(
            "{:%Y-%m-%dT%H:%M:%S}{}".format, st.datetimes(), st.sampled_from(["Z", "+14:00", ""])
        )
    kinds: dict[str | None, st.SearchStrategy[Any]] = {
        "string": TEXT,
        "integer": st.integers(0, 9) | NUMBER,
        "number": st.integers(0, 9) | NUMBER,
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return kinds.get(kind, ANYTHING)


@st.composite
def _array(draw: st.DrawFn, schema: Schema, whole: Schema) -> list[Any]:
    found = [draw(nearly(one, whole)) for one in schema.get("prefixItems", ())]
    if items := schema.get("items"):
        count = draw(st.integers(schema.get("minItems", 0), 3))
        found += [draw(nearly(items, whole)) for _ in range(count)]
    return found


@st.composite
def _object(draw: st.DrawFn, schema: Schema, whole: Schema) -> dict[str, Any]:
    required = schema.get("required", ())
    found = {
        name: draw(nearly(inner, whole))
        for name, inner in schema.get("properties", {}).items()
        if draw(st.integers(1, RARELY)) > (1 if name in required else RARELY // 2)
    }
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        names = draw(st.lists(st.sampled_from(["lib", "size", "x", "seconds"]) | TEXT, max_size=3))
        found |= {name: draw(nearly(more, whole)) for name in names}
    return found


# --- from sound inputs ---------------------------------------------------------------------------


@st.composite
def changed(draw: st.DrawFn, tree: Any) -> Any:
    """Return a sound tree of values in which one to three places are changed."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.sampled_from([1, 1, 1, 3]))):
        places = list(_places(tree))
        if not places:
            return draw(ANYTHING)
        inner, key = draw(st.sampled_from(places))
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
            case _:  # another value of the same kind gets past the first checks
                alike = [held[at] for held, at in places if type(held[at]) is type(value)]
                inner[key] = copy.deepcopy(draw(st.sampled_from(alike) | _of_kind(value)))
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return each place of a tree that holds a value: a list or dictionary, and an index or key."""
    if not isinstance(tree, (dict, list)):
        return []
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    return [(tree, key) for key in keys] + [one for key in keys for one in _places(tree[key])]


def _of_kind(value: Any) -> st.SearchStrategy[Any]:
    match value:
        case bool() | None:
            return st.booleans()
        case int() | float():
            return NUMBER
        case str():
            return TEXT
        case list():
            return st.sampled_from([value[::-1], value[:-1], value[:1] * 2, value * 30])
        case _:
            return st.just({})


@st.composite
def spliced(draw: st.DrawFn, content: bytes) -> bytes:
    """Return sound text in which one to three words are replaced, added, removed or repeated."""
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


# --- for each reader -----------------------------------------------------------------------------


def near(
    seeds: Sequence[bytes],
    schema: Schema,
    read: Callable[[bytes], Any],
    write: Callable[[Any], bytes],
) -> st.SearchStrategy[bytes]:
    """Return inputs close to sound ones: changed words, changed values, values of the schema."""
    sound, trees = st.sampled_from(seeds), st.sampled_from([read(seed) for seed in seeds])
    return st.one_of(
        st.binary(max_size=100),
        sound.flatmap(spliced),
        sound.flatmap(spliced),
        trees.flatmap(changed).map(write),
        trees.flatmap(changed).map(write),
        nearly(schema).map(write),
    )


def json_inputs(seeds: Sequence[bytes], schema: Schema | None = None) -> st.SearchStrategy[bytes]:
    """Return inputs for a reader of JSON."""
    return near(seeds, schema or {}, json.loads, as_json)


RECORDS = {"run.json": Run, "plan.json": Plan, "images.json": Images, "trials/": TrialResult}


@st.composite
def run_inputs(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Return a run folder as one text, with one file changed: in half of them ``run.json``."""
    files = sections(draw(st.sampled_from(seeds)))
    name = draw(st.just(b"run.json") | st.sampled_from(sorted(files)))
    record = next((one for start, one in RECORDS.items() if name.decode().startswith(start)), None)
    match draw(st.integers(0, 9)):
        case 0:
            del files[name]
        case 1 if record:
            files[name] = as_json(draw(nearly(TypeAdapter(record).json_schema())))
        case number if number > 2 and record:
            files[name] = as_json(draw(changed(json.loads(files[name]))))
        case _:
            files[name] = draw(spliced(files[name]))
    return as_sections(files)


SECTION = re.compile(rb"^=== (.+)\n", re.MULTILINE)
"""Begins a file of a folder that is written as one text."""


def sections(content: bytes) -> dict[bytes, bytes]:
    """Return the files of a folder that is written as one text, by name."""
    _, *found = SECTION.split(content)
    return dict(zip(found[::2], found[1::2], strict=True))


def as_sections(files: Mapping[bytes, bytes]) -> bytes:
    """Write the files of a folder as one text."""
    return b"".join(b"=== %s\n%s\n" % (name, body.strip(b"\n")) for name, body in files.items())
