"""What the programs of this folder measured, in the one form that ``make bench`` collects.

A program prints its rows and, with ``--json FILE``, writes them for ``benchmarks/results.py``.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from tabulate import tabulate

HEADS = ("what", "peer", "ours", "peer's", "ratio", "goal", "")

Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The median of a figure over all rounds, and its range."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        if self.lowest == self.highest:
            return f"{self.median:.3g}"
        return f"{self.median:.3g} ({self.lowest:.3g} to {self.highest:.3g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One claim: ours next to the peer's figure of the same rounds. ``ratio`` is ours to theirs.

    ``met`` is None if there is no goal, or if it could not be measured, as ``note`` then says.
    """

    what: str
    unit: str
    ours: Figure | None
    peer: str = ""
    theirs: Figure | None = None
    ratio: Figure | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""


def figure(values: Iterable[float]) -> Figure:
    """Summarise what the rounds measured."""
    known = list(values)
    return Figure(median=median(known), lowest=min(known), highest=max(known))


def compared(
    what: str,
    peer: str,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    *,
    most: float | None = None,
    most_ratio: float | None = None,
    note: str = "",
) -> Row:
    """Return the row of ours and the peer's figure in each round; its goal is a limit of either."""
    ours, theirs = (figure(column) for column in zip(*pairs, strict=True))
    ratio = figure(one / other for one, other in pairs)
    goals = {} if most is None else {f"<= {most:g} {unit}": ours.median <= most}
    goals |= {} if most_ratio is None else {f"<= {most_ratio:g}x": ratio.median <= most_ratio}
    return Row(
        what=what,
        unit=unit,
        ours=ours,
        peer=peer,
        theirs=theirs,
        ratio=ratio,
        goal=", ".join(goals),
        met=all(goals.values()) if goals else None,
        note=note,
    )


def limited(what: str, unit: str, values: Sequence[float], *, most: float, note: str = "") -> Row:
    """Return the row of a figure without a peer."""
    ours = figure(values)
    goal = f"<= {most:g} {unit}"
    return Row(what=what, unit=unit, ours=ours, goal=goal, met=ours.median <= most, note=note)


def in_turns(
    ours: Callable[[], Measured], peers: Callable[[], Measured], rounds: int
) -> Iterator[tuple[Measured, Measured]]:
    """Yield what both return in each round; every second round begins with the peer."""
    for number in range(rounds):
        if number % 2:
            theirs = peers()
            pair = ours(), theirs
        else:
            pair = ours(), peers()
        both = (f"{one:.3g}" if isinstance(one, float) else str(one) for one in pair)
        print(f"  {' and '.join(both)}", file=sys.stderr, flush=True)
        yield pair


def with_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the option that every program with rows has."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    return parser


def finished(rows: Sequence[Row], path: Path | None) -> int:
    """Print the rows, write them if asked; return the exit code, 1 if a goal was missed."""
    print(tabulate([cells(row) for row in rows], HEADS, disable_numparse=True))
    for row in rows:
        if row.note:
            print(f"{row.what}: {row.note}")
    print(f"load {os.getloadavg()[0]:.1f}")
    save(rows, path)
    return int(any(row.met is False for row in rows))


def save(rows: Sequence[Row], path: Path | None) -> None:
    """Write the rows, if asked."""
    if path is not None:
        path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def cells(row: Row) -> list[str]:
    """Return a row as the texts of a table."""
    unit = f" {row.unit}" if row.unit else ""
    verdicts = {True: "met", False: "missed", None: "not measured" if row.goal else ""}
    return [
        row.what,
        row.peer,
        f"{row.ours}{unit}" if row.ours else "",
        f"{row.theirs}{unit}" if row.theirs else "",
        str(row.ratio or ""),
        row.goal,
        verdicts[row.met],
    ]


def written(path: Path) -> list[Row]:
    """Return the rows that a program wrote; none if it did not get so far."""
    if not path.is_file():
        return []
    return [_row(found) for found in json.loads(path.read_text(encoding="utf-8"))]


def _row(found: dict[str, Any]) -> Row:
    numbers = {name: found[name] and Figure(**found[name]) for name in ("ours", "theirs", "ratio")}
    return Row(**{**found, **numbers})
