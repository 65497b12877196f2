"""Validate plain values against the schema, with messages in terms of the file."""

from collections.abc import Callable, Iterator
from functools import partial
from heapq import nsmallest
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from runner.errors import ConfigError
from runner.read.fields import EXPECTED
from runner.read.problems import (
    MOST_PROBLEMS,
    Keys,
    Problem,
    Source,
    refused,
    suggestion,
)
from runner.read.schema import FORMAT, Document, keys_at
from runner.read.yaml import Date
from runner.text import did_you_mean, quoted


def validated(source: Source) -> Document:
    """Return the document of a file. ConfigError with every key and value that is wrong."""
    _check_format(source)
    try:
        document = Document.model_validate(source.plain)
    except ValidationError as error:
        raise refused(source, [*source.problems, *_problems(error, source)]) from None
    if source.problems:
        raise refused(source, source.problems)
    return document


def _check_format(source: Source) -> None:
    """Refuse another format alone: nothing else can be judged then."""
    number = source.plain.get("format") if isinstance(source.plain, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number == FORMAT:
        return
    sentence = f"there is no format {number}; write `format: {FORMAT}`"
    if number > FORMAT:
        sentence = (
            f"format {number} was written for a newer matrix-runner (this one reads format "
            f"{FORMAT}): upgrade matrix-runner"
        )
    where = source.where(Problem(("format",), sentence)).removesuffix(": format")
    raise ConfigError(f"{where}: {sentence}")


def _problems(error: ValidationError, source: Source) -> Iterator[Problem]:
    located = [
        (_path(details["loc"], source.plain), details)
        for details in error.errors(include_url=False)
        # The file's own problems hold a value that is None.
        if details["type"] == "extra_forbidden" or details["input"] is not None
    ]
    unusable = {one.path[:n] for one in source.problems for n in range(len(one.path))}
    located = [  # what is empty only without its unusable parts is not empty in the file
        (path, details)
        for path, details in located
        if details["type"] != "too_short" or path not in unusable
    ]
    # Sentences are made only for problems that can be shown: there may be very many.
    first = nsmallest(MOST_PROBLEMS, located, key=lambda one: source.place_of(one[0]))
    for path, details in first:
        last = details["loc"][-1:]
        if details["type"] == "extra_forbidden":
            hint = partial(suggestion, str(path[-1]), keys_at(path, _at(path[:-1], source.plain)))
            yield Problem(path, "unknown key", at_key=True, hint=hint)
        elif details["type"] == "missing":
            yield Problem((*path, *last), "the key is missing; add it")
        elif last == ("[key]",):
            yield Problem(path, _sentence(details, quoted(str(path[-1]))), at_key=True)
        else:
            found = _found(details["input"], source.texts.get(path))
            yield Problem(path, _sentence(details, found), hint=_hint(details))


def _path(loc: tuple[str | int, ...], plain: Any) -> Keys:
    """Return the parts of pydantic's location that are in the file; others name union branches."""
    path: list[str | int] = []
    for part in loc:
        is_key = isinstance(plain, dict) and part in plain
        if is_key or (isinstance(plain, list) and isinstance(part, int)):
            plain = plain[part]
            path.append(part)
    return tuple(path)


def _at(path: Keys, plain: Any) -> object:
    """Return what is at a path that exists."""
    for part in path:
        plain = plain[part]
    return plain


def _found(value: object, text: str | None) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "keys with values"
    return quoted(text or "") if isinstance(value, str) else str(text)


def _sentence(error: ErrorDetails, found: str) -> str:
    kind, value, limits = error["type"], error["input"], error.get("ctx", {})
    if kind == "string_type" and isinstance(value, (bool, int, float, Date)):
        yaml_type = {bool: "boolean", int: "number", Date: "date"}.get(type(value), "float")
        shown = value if isinstance(value, float) else found
        return f"{shown} is a YAML {yaml_type}; quote it: {quoted(found)}"
    if kind == "string_too_long":
        return f"longer than {limits['max_length']} characters; shorten it"
    if kind == "too_short" and not value:
        return "this is empty; write an entry, or remove the key"
    if kind in {"too_short", "too_long"}:
        found = str(len(value))
    if "pattern" in limits:
        expected = EXPECTED[limits["pattern"]]
    else:
        expected = EXPECTED.get(kind, "something else").format_map(limits)
    unquoted = expected.replace("'", "")  # pydantic quotes the words of an enum
    return f"expected {unquoted}, found {found}"


def _hint(error: ErrorDetails) -> Callable[[], str]:
    if not error["loc"]:
        return lambda: "; begin with `format: 1`"
    if error["type"] != "enum":
        return str
    words = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
    return partial(did_you_mean, str(error["input"]), words)
