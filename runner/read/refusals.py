"""Checks plain values against the document, and says in our words what is wrong with them."""

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from runner.read import schema
from runner.read.fields import EXPECTED
from runner.read.problems import Keys, Problems
from runner.read.yaml import Date
from runner.text import did_you_mean, quoted

_SECTIONS: dict[str, type[BaseModel]] = {
    "axes": schema.BuildAxis,
    "environment": schema.Environment,
    "experiment": schema.Experiment,
    "metrics": schema.Metric,
    "limits": schema.LimitsSection,
    "published": schema.PublishedSection,
    "claims": schema.Claim,
    "compare": schema.Compare,
}

_LISTS: tuple[Keys, ...] = (
    ("include",),
    ("exclude",),
    ("claims",),
    ("compare",),
    ("published", "cells"),
)
"""The lists of which one entry can be dropped and the others still be checked."""


def document(plain: dict[str, object], problems: Problems) -> schema.Document:
    """Return the document without its refused parts, which are ``None``; note every problem.

    ConfigError at once if the format is another one: then nothing else can be judged.
    """
    _check_format(plain, problems)
    try:
        found = schema.Document.model_validate(plain)
    except ValidationError as error:
        found = None
        for one in error.errors(include_url=False):
            _note(one, plain, problems)
    if found and not problems.refused:
        return found
    for path in problems.refused:
        _drop(path, plain)
    return schema.Document.model_validate(plain)


def _check_format(plain: dict[str, object], problems: Problems) -> None:
    number = plain.get("format")
    if isinstance(number, int) and not isinstance(number, bool) and number != schema.FORMAT:
        place = problems.values[("format",)]
        if number > schema.FORMAT:
            problems.stop(
                f"format {number} is written for a newer matrix-runner; this one reads format "
                f"{schema.FORMAT}: update it",
                place,
            )
        problems.stop(f"there is no format {number}; write `format: {schema.FORMAT}`", place)


def _note(error: ErrorDetails, plain: dict[str, object], problems: Problems) -> None:
    path = _path(error["loc"], plain)
    if error["type"] == "extra_forbidden":
        del _at(path[:-1], plain)[path[-1]]
        problems.add(path, _unknown_key(path), problems.keys.get(path))
    elif error["input"] is None:
        return  # refused when the file was read
    elif error["type"] == "missing":
        problems.refuse((*path, error["loc"][-1]), "the key is missing; add it")
    elif error["loc"][-1] == "[key]":
        problems.add(path, _sentence(error, quoted(str(path[-1]))), problems.keys.get(path))
        problems.refused.add(path)
    else:
        problems.refuse(path, _sentence(error, _found(error["input"], problems.texts.get(path))))


def _path(loc: tuple[str | int, ...], plain: object) -> Keys:
    """Return what of pydantic's location is in the file; it also names the branches of unions."""
    path: list[str | int] = []
    for part in loc:
        is_key = isinstance(plain, dict) and part in plain
        if is_key or (isinstance(plain, list) and isinstance(part, int)):
            plain = _at((part,), plain)
            path.append(part)
    return tuple(path)


def _at(path: Keys, plain: Any) -> Any:
    for part in path:
        plain = plain[part]
    return plain


def _drop(path: Keys, plain: dict[str, object]) -> None:
    """Put ``None`` in the place of the smallest part that the document can do without."""
    for head in _LISTS:
        size = len(head)
        if path[:size] == head and len(path) > size and _at(head[:1], plain) is not None:
            _at(head, plain)[path[size]] = None
            return
    if path[0] in schema.Document.model_fields:
        plain[str(path[0])] = None


def _unknown_key(path: Keys) -> str:
    section: type[BaseModel] = _SECTIONS.get(str(path[0]), schema.Document)
    if path[:2] == ("published", "cells"):
        section = schema.PublishedCell
    known = list(schema.Document.model_fields if len(path) == 1 else section.model_fields)
    hint = did_you_mean(str(path[-1]), known)
    return f"unknown key{hint}" if hint else f"unknown key; the keys here are {', '.join(known)}"


def _found(value: object, text: str | None) -> str:
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "keys with values"
    return quoted(text or "") if isinstance(value, str) else str(text)


def _sentence(error: ErrorDetails, found: str) -> str:
    value, limits = error["input"], error.get("ctx", {})
    if error["type"] == "string_type" and isinstance(value, (bool, int, float, Date)):
        kind = {bool: "boolean", int: "number", Date: "date"}.get(type(value), "float")
        shown = value if isinstance(value, float) else found
        return f"{shown} is a YAML {kind}; quote it: {quoted(found)}"
    match error["type"]:
        case "expected":
            expected = str(limits["what"])
        case "enum":
            words = str(limits["expected"]).replace("'", "")
            hint = did_you_mean(str(value), words.replace(" or ", ", ").split(", "))
            return f"expected {words}, found {found}{hint}"
        case "string_pattern_mismatch":
            expected = EXPECTED[limits["pattern"]]
        case "greater_than_equal":
            expected = f"at least {limits['ge']}"
        case "less_than_equal":
            expected = f"at most {limits['le']}"
        case "string_too_long":
            return f"longer than {limits['max_length']} characters; shorten it"
        case "too_short" if not value:
            return "this is empty; write an entry, or remove the key"
        case "too_short" | "too_long":
            number = limits.get("min_length") or limits.get("max_length")
            expected, found = f"{number} entries", str(len(value))
        case kind:
            expected = EXPECTED.get(kind, "something else")
    return f"expected {expected}, found {found}"
