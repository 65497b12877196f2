"""Stored JSON: records written as JSON, and read back strictly.

A stored record has a ``format`` number. Older formats are upgraded and newer ones refused. A sealed
one also has the digest of its own content.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from itertools import chain
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from runner.records import Record
from runner.system import digest
from runner.text import cut, one_line

LARGEST = 2**64
"""No seed, size or count reaches this."""
LONGEST_PROBLEM = 300
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
SEAL = "digest"
"""The field that holds the digest of all other fields."""

_WITHOUT_PROBLEMS = frozenset({str, float, bool, type(None), ...})
_T = TypeVar("_T", bound=Record)
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}
_DOUBTFUL: dict[type, list[str]] = {}


class InvalidError(ValueError):
    """The content is not such a record. The message says where and why, in printable text."""


class NewerFormatError(ValueError):
    """A newer program wrote the content. The message follows the name of the file."""


def parse(
    kind: type[_T],
    content: bytes,
    newest: int,
    upgrade: Callable[[dict[str, Any]], object] | None = None,
) -> _T:
    """Return the record of a kind that the content holds.

    ``newest`` is the newest format that this program reads. ``upgrade`` turns the JSON object of
    an older format into that of the newest one.
    """
    return _record(kind, _json(content), content, newest, upgrade)


def parse_sealed(
    kind: type[_T],
    content: bytes,
    newest: int,
    upgrade: Callable[[dict[str, Any]], object] | None = None,
) -> tuple[_T, bool | None]:
    """Return the record, and whether its digest fits; None if it has no digest."""
    written, is_genuine = _json(content), None
    if isinstance(written, dict) and SEAL in written:
        is_genuine = written.pop(SEAL) == digest.of_content(written)
        content = to_json(written)
    return _record(kind, written, content, newest, upgrade), is_genuine


def _json(content: bytes) -> object:
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise _invalid((), f"Invalid JSON: {error}") from error


def _record(
    kind: type[_T],
    written: object,
    content: bytes,
    newest: int,
    upgrade: Callable[[dict[str, Any]], object] | None,
) -> _T:
    """Return the record that the content holds; ``written`` is the same as a JSON value."""
    version = written.get("format", newest) if isinstance(written, dict) else newest
    if isinstance(version, int) and version > newest:
        raise NewerFormatError(
            f"was written by a newer matrix-runner (format {version}, this one reads up to "
            f"{newest}): upgrade matrix-runner."
        )
    if isinstance(written, dict) and isinstance(version, int) and version < newest and upgrade:
        content = to_json(upgrade(written))
    try:
        record: _T = _adapter(kind).validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        records = {one.__name__ for one in Record.__subclasses__()}  # pydantic names what it tried
        path = tuple(part for part in first["loc"] if part not in records)
        raise _invalid(path, first["msg"].removeprefix("Value error, ")) from error
    if _has_problem(record):
        raise next(
            _invalid(path, problem)
            for path, value in leaves(record)
            if (problem := _problem(value))
        )
    return record


def _has_problem(record: Record) -> bool:
    """Whether a single value in the record has a problem; much faster than ``leaves``."""
    parts: list[Any] = [record]
    for part in parts:  # it grows meanwhile
        kind = type(part)  # pydantic makes no subclasses of these
        if kind in _WITHOUT_PROBLEMS:
            continue
        if kind is int:
            if abs(part) >= LARGEST:
                return True
        elif kind is tuple:
            parts += part
        elif kind is dict:
            parts += part.values()
        elif kind is datetime:
            if _problem(part):
                return True
        elif kind in _DOUBTFUL or dataclasses.is_dataclass(kind):
            parts += [getattr(part, name) for name in _doubtful(kind)]
    return False


def _doubtful(kind: type[Any]) -> list[str]:
    """Return the fields of a record that may hold more than texts, floats and truth values."""
    if kind not in _DOUBTFUL:
        hints = get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        safe = _WITHOUT_PROBLEMS.issuperset
        _DOUBTFUL[kind] = [name for name in names if not safe(_parts(hints[name]))]
    return _DOUBTFUL[kind]


def _parts(hint: object) -> Iterator[object]:
    """Yield the types that a type consists of: text and float for a table of floats."""
    inner = get_args(hint)
    yield from chain.from_iterable(map(_parts, inner)) if inner else (hint,)


def _problem(value: object) -> str | None:
    """Return what is wrong with a value that pydantic allows."""
    if isinstance(value, int) and abs(value) >= LARGEST:
        return "Number is too large"
    if isinstance(value, datetime) and (
        value.tzinfo is None or value.year in {MINYEAR, MAXYEAR}  # other zones need a margin
    ):
        return "Date needs a time zone and a usual year"
    return None


def dump(record: Record, indent: int | None = 1) -> bytes:
    """Return a record as the content of a file."""
    return _adapter(type(record)).dump_json(record, indent=indent) + b"\n"


def json_schema(kind: type[Record]) -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a record."""
    return {"$schema": SCHEMA_DIALECT, **_adapter(kind).json_schema(mode="serialization")}


def sealed(content: bytes) -> bytes:
    """Return the content of a file with a digest of it."""
    written = from_json(content)
    written[SEAL] = digest.of_content(written)
    return to_json(written, indent=1) + b"\n"


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _invalid(path: tuple[object, ...], problem: str) -> InvalidError:
    where = ".".join(map(str, path)) or "the whole file"
    return InvalidError(cut(one_line(f"{where}: {problem}"), LONGEST_PROBLEM))


def leaves(part: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the single values in records and mappings, each with the names that lead to it."""
    if dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            yield from leaves(getattr(part, field.name), (*path, field.name))
    elif isinstance(part, Mapping | tuple):
        items = part.items() if isinstance(part, Mapping) else enumerate(part)
        for name, value in items:
            yield from leaves(value, (*path, str(name)))
    else:
        yield path, part
