"""The command line as a record: what every command works from."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, parsed. ``None`` and empty mean: not given."""

    verb: str = "run"
    matrix: Path = Path("matrix.yaml")
    reports: Path = Path("reports")
    select: tuple[str, ...] = ()
    quick: bool = False
    locked: bool = False
    new: bool = False
    blocks: int | None = None
    seed: int | None = None
    json: bool = False
    context: Path | None = None
    run: str | None = None
    yes: bool = False
    all: bool = False
