"""The command line as a record: what every command works from."""

from pathlib import Path
from typing import NamedTuple


class Options(NamedTuple):
    """The command line, parsed. ``None`` and empty mean: not given.

    No dataclass: to import those would take a quarter of ``--version``.
    """

    verb: str = "run"
    matrix: Path = Path("matrix.yaml")
    reports: Path = Path("reports")
    engine: str = "auto"
    select: tuple[str, ...] = ()
    quick: bool = False
    locked: bool = False
    new: bool = False
    blocks: int | None = None
    seed: int | None = None
    until: str | None = None
    budget_s: float | None = None
    gate: bool = False
    json: bool = False
    context: Path | None = None
    run: str | None = None
    cell: str | None = None
    output: Path | None = None
    pythons: tuple[str, ...] = ()
    bundle: Path | None = None
    yes: bool = False
    all: bool = False
