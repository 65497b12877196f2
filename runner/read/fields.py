"""How single values are written in ``matrix.yaml``: names, durations, sizes, changes and others."""

import re
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from runner.read.yaml import Date
from runner.records import Scalar, Value, patterns

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_BASE = r"^[A-Za-z0-9]([A-Za-z0-9._:/@-]|\{python\}){0,254}$"
_TEXT = r"\S"

LONGEST_S = 30 * 24 * 3600
LEAST_MEMORY_BYTES = 64 * 1024**2

EXPECTED = {
    **patterns.EXPECTED,
    _NAME: "at most 63 letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
    _BASE: "`auto`, `pull`, `host` or the name of an image",
    _TEXT: "text that is not empty",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "enum": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "{min_length} entries",
    "too_long": "{max_length} entries",
    "expected": "{what}",
    "union_tag_not_found": "a list of values, or `package` and `versions`",
}
"""What is expected, by pattern and by pydantic's type of error."""


def _expected(what: str) -> PydanticCustomError:
    return PydanticCustomError("expected", "{what}", {"what": what})


def _label(value: str) -> str:
    if not patterns.fits(value, patterns.LABEL):
        raise _expected(EXPECTED[patterns.LABEL])
    return value


def _axis_value(value: object) -> Value:
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, (float, Date)):
        raise PydanticCustomError("string_type", "")
    if not isinstance(value, str):
        raise _expected("text, a whole number, true or false")
    return _label(value)


def _parameter(value: object) -> Scalar:
    if isinstance(value, Date):
        raise PydanticCustomError("string_type", "")
    if not isinstance(value, (bool, int, float, str)):
        raise _expected("text, a number, true or false")
    return value


def _day(value: str) -> str:
    if value[0].isdigit():
        try:
            date.fromisoformat(value)
        except ValueError:
            raise _expected("a date that exists") from None
    return value


def _amount(value: object, units: dict[str, int], what: str) -> int:
    """Return the seconds or bytes that a number with a unit means; at least 1."""
    if isinstance(value, int) and not isinstance(value, bool):
        amount = value
    else:
        written = re.fullmatch(r"([0-9]{1,12})([a-z])", value) if isinstance(value, str) else None
        amount = int(written[1]) * units.get(written[2], 0) if written else 0
    if not 0 < amount < 2**53:
        raise _expected(what)
    return amount


def _duration(value: object) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    seconds = _amount(value, units, "a duration such as 60s, 15m or 2h")
    if seconds > LONGEST_S:
        raise _expected("at most 30 days")
    return float(seconds)


def _size(value: object) -> int:
    units = {"k": 1024, "m": 1024**2, "g": 1024**3}
    return _amount(value, units, "a size such as 256m or 4g")


def _enough(size: int) -> int:
    if size < LEAST_MEMORY_BYTES:
        raise _expected("at least 64m, because a smaller container cannot start Python")
    return size


def _change(value: object) -> tuple[float, bool]:
    """Return a change and whether it is relative: ``+3%`` is (0.03, True)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value), False
    written = re.fullmatch(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?)(%?)", str(value))
    if isinstance(value, str) and written:
        number = float(written[1])
        return (number / 100, True) if written[2] else (number, False)
    raise _expected("a change such as +3% or -0.2")


def _with_unit(units: str) -> WithJsonSchema:
    pattern = f"^[0-9]+[{units}]$"
    return WithJsonSchema({"type": ["string", "integer"], "pattern": pattern, "minimum": 1})


Name = Annotated[str, StringConstraints(pattern=_NAME)]
Text = Annotated[str, StringConstraints(pattern=_TEXT, max_length=1000)]
FilePath = Annotated[Text, AfterValidator(lambda value: str(PurePosixPath(value)))]
Label = Annotated[str, StringConstraints(pattern=patterns.LABEL), AfterValidator(_label)]
Version = Annotated[str, StringConstraints(pattern=patterns.VERSION)]
Package = Annotated[str, StringConstraints(pattern=patterns.PACKAGE)]
Requirement = Annotated[
    str,
    StringConstraints(pattern=patterns.REQUIREMENT, max_length=patterns.REQUIREMENT_LENGTH),
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
AxisValue = Annotated[
    Value, PlainValidator(_axis_value), WithJsonSchema({"type": ["string", "integer", "boolean"]})
]
Parameter = Annotated[
    Scalar, PlainValidator(_parameter), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
AxisValues = Annotated[dict[Label, AxisValue], Field(min_length=1)]
Duration = Annotated[float, PlainValidator(_duration), _with_unit("smh")]
Size = Annotated[int, PlainValidator(_size), _with_unit("kmg")]
Memory = Annotated[Size, AfterValidator(_enough)]
Processes = Annotated[int, Field(ge=16, le=1_000_000)]
Change = Annotated[
    tuple[float, bool],
    PlainValidator(_change),
    WithJsonSchema({"type": ["string", "number"], "pattern": "^[+-]?[0-9]+(\\.[0-9]+)?%?$"}),
]
Python = Annotated[str, StringConstraints(pattern=patterns.PYTHON)]
SourcePackages = Annotated[str, StringConstraints(pattern=patterns.SOURCE_PACKAGES)]
AsOf = Annotated[
    str,
    StringConstraints(pattern=patterns.AS_OF),
    AfterValidator(_day),
    BeforeValidator(lambda value: value.text if isinstance(value, Date) else value),
]
Base = Annotated[str, StringConstraints(pattern=_BASE)]
