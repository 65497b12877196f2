"""The nouns: frozen records that pass between the verbs.

Sequences are tuples. Durations end in ``_s`` (seconds), sizes in ``_bytes``, instants are aware
UTC datetimes. ``None`` means "does not exist", never zero. Every record can be stored as JSON
(``store`` and ``lockfile`` do it with pydantic, strictly); nothing here imports pydantic.
"""

from typing import ClassVar

FORMAT = 5
"""The format of every stored file.

1: the first. 2: how metrics are compared and which pairs, in matrices; looks, guards, cells that
left and the second copy of the baseline, in plans; what disturbed a trial, in results. 3: the limit
on files; the digests of our own files, in runs. 4: the engine's machine, in runs; the processor, in
results. 5: new names: ``disturbed`` was ``tainted``, ``most_disturbed`` was ``most_tainted``,
``control`` was ``twin``.
"""


Value = str | int | bool
"""A value on an axis. Not a float: YAML reads ``1.10`` as 1.1."""


Scalar = str | int | float | bool
"""A value of a parameter."""


Coordinates = tuple[tuple[str, Value], ...]
"""Axis names with one value each, in the order of the axes."""


class Record:
    """What all nouns share: their stored form refuses unknown fields, wrong types and NaN."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {
        "strict": True,
        "extra": "forbid",
        "allow_inf_nan": False,
        "defer_build": True,  # a stored form is made when it is first used
    }


def shown(value: Scalar) -> str:
    """Return the value as an id and a person read it: ``true``, not ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
