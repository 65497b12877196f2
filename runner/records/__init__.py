"""Frozen records that the verbs exchange.

Sequences are tuples. Names of durations end in ``_s`` (seconds) and names of sizes in ``_bytes``.
Instants are datetimes in UTC. ``None`` means "does not exist" and never zero. ``system.stored``
reads and writes records as JSON; nothing here imports pydantic.
"""

from collections.abc import Iterable
from typing import ClassVar

FORMAT = 11
"""The format of every stored file.

1: the first. 2: matrices have the scale of metrics and the named comparisons; plans have looks,
guards, cells that left and the control; results have the disturbance. 3: the limit on files; runs
have the digests of our own files. 4: runs have the engine's machine; results have the processor.
5: new names: ``disturbed`` was ``tainted``, ``most_disturbed`` was ``most_tainted``, ``control``
was ``twin``. 6: metrics are ``paired`` and ``timed``,
matrices know ``--quick``, and results say how long they waited for the measured cores. 7: runs
have their bases and their bundle, images their bundle, and every file has a digest of its content;
requests say whether source packages are built, and locked packages whether they are such packages.
8: axes have kinds, cells have variables and limits of their own, and locks have ranges of versions.
9: metrics have sources and reductions, experiments have commands and files, and readings have the
CPU time and the peak memory of the script alone. 10: plans have a shard, and runs the machines that
executed their blocks. 11: matrices say how many trials may run side by side, and runs how many did.
"""

MOST_BLOCKS = 10_000
"""Planning more blocks than this would take all memory."""

Value = str | int | float | bool
"""A value on an axis. Only parameters may be floats: YAML reads the version ``1.10`` as 1.1."""

Scalar = str | int | float | bool
"""A value of a parameter."""

Coordinates = tuple[tuple[str, Value], ...]
"""Axis names with one value each, in the order of the axes."""


class Record:
    """Base of all records: their stored form refuses unknown fields, wrong types and NaN."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {
        "strict": True,
        "extra": "forbid",
        "allow_inf_nan": False,
        "defer_build": True,  # until a record is first stored or read
    }


def shown(value: object) -> str:
    """Return the value as ids and people write it: ``true`` instead of ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_id(coordinates: Iterable[tuple[str, Value]]) -> str:
    """Return the id of a cell with these coordinates: ``tensorflow=2.0.0,model=sequential``."""
    return ",".join([f"{axis}={shown(value)}" for axis, value in coordinates])
