"""How single values are written in ``matrix.yaml``: names, durations, sizes, changes and others."""

import re
import warnings
from datetime import date
from functools import partial
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
from runner.records import MOST_BLOCKS, Scalar, Value, patterns, shown, study
from runner.records.study import AUTO

# ruff: noqa: PLC0415 (packaging takes a tenth of `list`, and few matrices need it)

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_TEXT = r"\S"

MOST_PARALLEL = 1024
LONGEST_S = 30 * 24 * 3600
LONGEST_VARIABLE = 10_000
DEEPEST_JSON = 100
RESERVED = frozenset({"PARAMS_PATH", "DATA_DIR", "RESULT_PATH"})
LEAST_MEMORY_BYTES = 64 * 1024**2

EXPECTED = {
    **patterns.EXPECTED,
    _NAME: "at most 63 letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
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
    "string_too_short": "text that is not empty",
    "too_short": "{min_length} entries",
    "too_long": "{max_length} entries",
    "expected": "{what}",
}
"""What is expected, by pattern and by pydantic's type of error."""


def _expected(what: str) -> PydanticCustomError:
    return PydanticCustomError("expected", "{what}", {"what": what})


def _label(value: str) -> str:
    if not patterns.fits(value, patterns.LABEL):
        raise _expected(EXPECTED[patterns.LABEL])
    return value


def _axis_value(value: object, pattern: str = patterns.NAMED) -> Value:
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Date):
        raise PydanticCustomError("string_type", "")
    if not isinstance(value, str):
        raise _expected("text, a number, true or false")
    if not patterns.fits(value, pattern):
        raise _expected(EXPECTED[pattern])
    return value


def _variable(value: str) -> str:
    if value in RESERVED:
        raise _expected("another variable, because the runner sets this one")
    return value


def _parallel(value: object) -> study.Parallel:
    if value == AUTO:
        return AUTO
    if type(value) is int and 1 <= value <= MOST_PARALLEL:
        return value
    raise _expected(f"a whole number from 1 to {MOST_PARALLEL}, or `auto`")


def _argument(value: object) -> str:
    text = _variable_value(value)
    if any(letter < " " for letter in text):
        raise _expected("text without control characters")
    return text


def _regex(value: str) -> str:
    """Check a regular expression, as far as that is possible without applying it."""
    try:
        with warnings.catch_warnings():  # about what may mean something else one day
            warnings.simplefilter("ignore")
            groups = re.compile(value).groups
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        raise _expected(f"a regular expression ({error})") from None
    if groups > 1:
        raise _expected("at most one group in parentheses, for the number; write (?:...) elsewhere")
    return value


def _output_path(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _expected("a path in the working folder of the script")
    return str(path)


def _json_keys(value: object) -> tuple[str, ...]:
    """Return the keys that lead to a number: ``eval.accuracy``, ``[eval, accuracy]``."""
    if isinstance(value, (float, Date)):
        raise PydanticCustomError("string_type", "")
    several = value.split(".") if isinstance(value, str) else value
    keys = several if isinstance(several, list) else [several]
    sound = all(isinstance(key, (str, int)) and not isinstance(key, bool) for key in keys)
    if not sound or not all(map(str, keys)) or not 0 < len(keys) <= DEEPEST_JSON:
        raise _expected("keys such as `eval.accuracy`, or a list of keys")
    return tuple(map(str, keys))


def _variable_value(value: object) -> str:
    if isinstance(value, Date):
        raise PydanticCustomError("string_type", "")
    if not isinstance(value, (bool, int, float, str)):
        raise _expected("text or a number")
    text = shown(value)
    if "\0" in text or len(text) > LONGEST_VARIABLE:
        raise _expected(f"at most {LONGEST_VARIABLE:,} characters")
    return text


def _pinned(value: str) -> str:
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Line

    try:
        line = Line(value)
    except InvalidRequirement:
        line = Line("none")
    versions = [one.version for one in line.specifier if one.operator == "=="]
    exact = bool(versions) and patterns.fits(versions[0], patterns.VERSION)
    exact = exact and not versions[0].endswith(".*") and patterns.fits(line.name, patterns.PACKAGE)
    if line.marker or len(line.specifier) != 1 or not exact:
        raise _expected("a package with its exact version, such as pandas[performance]==2.0.3")
    return value


def _parameter(value: object) -> Scalar:
    if isinstance(value, Date):
        raise PydanticCustomError("string_type", "")
    if not isinstance(value, (bool, int, float, str)):
        raise _expected("text, a number, true or false")
    return value


def _one_python(value: object) -> object:
    if isinstance(value, list):
        raise _expected("one version; an axis `python: {python: [...]}` compares several")
    return value


def _specifiers(value: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(value)
    except InvalidSpecifier:
        raise _expected(EXPECTED[patterns.SPECIFIERS]) from None
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
JsonKeys = Annotated[
    tuple[str, ...],
    PlainValidator(_json_keys),
    WithJsonSchema(
        {"type": ["string", "integer", "array"], "items": {"type": ["string", "integer"]}}
    ),
]
OutputPath = Annotated[Text, AfterValidator(_output_path)]
Regex = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_regex)]
Argument = Annotated[
    str, PlainValidator(_argument), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
Label = Annotated[str, StringConstraints(pattern=patterns.LABEL), AfterValidator(_label)]
Version = Annotated[str, StringConstraints(pattern=patterns.VERSION)]
Package = Annotated[str, StringConstraints(pattern=patterns.PACKAGE)]
Requirement = Annotated[
    str,
    StringConstraints(pattern=patterns.REQUIREMENT, max_length=patterns.REQUIREMENT_LENGTH),
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Parallel = Annotated[
    study.Parallel,
    PlainValidator(_parallel),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_PARALLEL}, {"const": AUTO}]}
    ),
]
Blocks = Annotated[int, Field(ge=1, le=MOST_BLOCKS)]
AxisValue = Annotated[
    Value, PlainValidator(_axis_value), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
RunValue = Annotated[
    Value,
    PlainValidator(partial(_axis_value, pattern=patterns.LABEL)),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Parameter = Annotated[
    Scalar, PlainValidator(_parameter), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
AxisValues = Annotated[dict[Label, AxisValue], Field(min_length=1)]
Variable = Annotated[str, StringConstraints(pattern=patterns.VARIABLE), AfterValidator(_variable)]
VariableValue = Annotated[
    str,
    PlainValidator(_variable_value),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Pinned = Annotated[
    str,
    StringConstraints(pattern=patterns.REQUIREMENT, max_length=patterns.REQUIREMENT_LENGTH),
    AfterValidator(_pinned),
]
Source = Annotated[str, StringConstraints(pattern=patterns.SOURCE)]
Folder = Annotated[Source, AfterValidator(lambda value: str(PurePosixPath(value)))]
Revision = Annotated[str, StringConstraints(pattern=patterns.REVISION)]
IndexUrl = Annotated[str, StringConstraints(pattern=patterns.INDEX)]
Image = Annotated[str, StringConstraints(pattern=patterns.IMAGE)]
Images = Annotated[str, StringConstraints(pattern=patterns.IMAGES, max_length=255)]
ImageTag = Annotated[str, StringConstraints(pattern=patterns.IMAGE_TAG)]
Specifiers = Annotated[
    str,
    StringConstraints(pattern=patterns.SPECIFIERS, max_length=200),
    AfterValidator(_specifiers),
]
Take = Annotated[str, StringConstraints(pattern=patterns.TAKE)]
PythonName = Annotated[str, StringConstraints(pattern=patterns.PYTHON_NAME)]
PythonOrRange = Annotated[str, StringConstraints(pattern=patterns.PYTHON_OR_RANGE)]
Duration = Annotated[float, PlainValidator(_duration), _with_unit("smh")]
Size = Annotated[int, PlainValidator(_size), _with_unit("kmg")]
Memory = Annotated[Size, AfterValidator(_enough)]
Processes = Annotated[int, Field(ge=16, le=1_000_000)]
Change = Annotated[
    tuple[float, bool],
    PlainValidator(_change),
    WithJsonSchema({"type": ["string", "number"], "pattern": "^[+-]?[0-9]+(\\.[0-9]+)?%?$"}),
]
Python = Annotated[str, StringConstraints(pattern=patterns.PYTHON), BeforeValidator(_one_python)]
SourcePackages = Annotated[str, StringConstraints(pattern=patterns.SOURCE_PACKAGES)]
AsOf = Annotated[
    str,
    StringConstraints(pattern=patterns.AS_OF),
    AfterValidator(_day),
    BeforeValidator(lambda value: value.text if isinstance(value, Date) else value),
]
Base = Annotated[str, StringConstraints(pattern=patterns.BASE)]
