"""The result that a script writes. It is untrusted: strict types, limited sizes, finite numbers."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    Strict,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from runner.records import Scalar
from runner.records.study import Metric, Origin

FORMAT = 1
MAX_NAMES = 1000
MAX_NUMBERS = 1_000_000
MAX_TEXT = 1000
EXACT = 2**53  # up to here a float can represent every whole number
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


class BadOutputError(Exception):
    """The launcher's document or the script's result is bad. The message is the reason."""


def _limited(content: object) -> object:
    """Refuse too many or too long names before anything else is validated."""
    if isinstance(content, dict) and (
        len(content) > MAX_NAMES or any(len(name) > MAX_TEXT for name in content)
    ):
        raise PydanticCustomError("names", f"has more than {MAX_NAMES} names, or too long a name")
    return content


def _text(text: str) -> str:
    return printable(text[:MAX_TEXT])


def _scalar(value: Scalar) -> Scalar:
    """Shorten a text, and restore a whole number: all numbers were parsed as floats."""
    if isinstance(value, str):
        return _text(value)
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT
    return int(value) if is_whole else value


_Names = BeforeValidator(_limited)
_Numbers = Annotated[
    tuple[float, ...],
    Strict(strict=False),  # JSON has lists only
    Field(max_length=MAX_NUMBERS),
    FailFast(),
]


class ScriptResult(BaseModel):
    """What a script measured."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    format: Annotated[float, Field(ge=FORMAT, le=FORMAT)]
    values: Annotated[Mapping[str, float], _Names] = {}
    series: Annotated[Mapping[str, _Numbers], _Names] = {}
    environment: Annotated[
        Mapping[str, Annotated[float | bool | str, AfterValidator(_scalar)]], _Names
    ] = {}
    adapted: Annotated[str, AfterValidator(_text)] | None = None


def read_result(text: str, metrics: Sequence[Metric]) -> ScriptResult:
    """Read the result of a script, which must contain the metrics that come from it."""
    try:
        result = ScriptResult.model_validate(parsed(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise BadOutputError(_problem(first)) from error
    both = sorted(set(result.values) & set(result.series))
    if both:
        raise BadOutputError(f"`{both[0]}` is both a value and a series; it must be one of them")
    for name in promised(metrics):
        if name not in result.values and not result.series.get(name):
            raise BadOutputError(f"the result lacks the promised metric `{name}`")
    return result


def promised(metrics: Sequence[Metric]) -> list[str]:
    """Return the names that the result of a script must contain."""
    return [one.stored_as for one in metrics if one.source.origin is Origin.RESULT]


def parsed(text: str, what: str = "the result") -> object:
    """Parse JSON strictly: no NaN, no infinity, no repeated name, and limited depth."""

    def refuse(word: str) -> float:
        raise BadOutputError(f"{what} contains {word}, which is not a number in JSON")

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = {printable(name): value for name, value in pairs}
        if len(found) < len(pairs):
            raise BadOutputError(f"{what} contains the same name twice")
        return found

    try:
        # As a float, a whole number of any length can be parsed: it may become infinite.
        return json.loads(text, parse_int=float, parse_constant=refuse, object_pairs_hook=unique)
    except RecursionError as error:
        raise BadOutputError(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise BadOutputError(f"{what} is not JSON: {error}") from error


def printable(text: str) -> str:
    r"""Replace characters that files or figures cannot contain: ``\ud800``, ``\u0000``."""
    return _UNPRINTABLE.sub("?", text)


def _problem(error: ErrorDetails) -> str:
    place, kind, given = error["loc"], error["type"], kind_of(error["input"])
    if not place:
        return f"the result must be a JSON object, not {given}"
    if kind == "extra_forbidden":
        return f"the result has an unknown key `{str(place[0])[:80]}`"
    if place[0] == "format":
        return f'the result must contain `"format": {FORMAT}`'
    number = "text, a number, true or false" if place[0] == "environment" else "a number"
    problems = {
        "dict_type": f"must be a JSON object, not {given}",
        "tuple_type": f"must be a list of numbers, not {given}",
        "float_type": f"must be {number}, not {given}",
        "finite_number": "is not a finite number",
        "string_type": f"must be a sentence or null, not {given}",
        "too_long": f"has more than {MAX_NUMBERS} numbers",
    }
    return f"{_where(place)} {problems.get(kind, error['msg'])}"


def _where(place: tuple[int | str, ...]) -> str:
    """Return a place in the result: ``values``, ``values.x`` or ``series.y[1]``."""
    if len(place) == 1:
        return f"`{place[0]}`"
    index = f"[{place[2]}]" if place[0] == "series" and len(place) == 3 else ""  # noqa: PLR2004
    return f"{place[0]}.{place[1]}"[:MAX_TEXT] + index


def kind_of(value: Any) -> str:
    """Return the type of a JSON value in words."""
    kinds = {bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return "null" if value is None else kinds.get(type(value), "a number")
