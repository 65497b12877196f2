"""Fuzz everything that reads untrusted files: ``python -m tests.fuzz --inputs 100000``.

Hypothesis makes the inputs from JSON Schemas and by changing sound inputs. The exit code is 1 if an
input breaks a promise.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import ROOT, Target, inputs_of, targets

INPUTS = 100_000
COLUMNS = ("target", "inputs", "seconds", "inputs/s", "broken promises")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The numbers of a target, and a line for each broken promise."""

    target: str
    inputs: int
    seconds: float
    broken: tuple[str, ...]

    @property
    def row(self) -> tuple[str, ...]:
        """The row of the table."""
        speed = self.inputs / self.seconds if self.seconds else 0.0
        numbers = (f"{self.inputs:,}", f"{self.seconds:.0f}", f"{speed:,.0f}")
        return (self.target, *numbers, str(len(self.broken)))


def main(words: list[str]) -> int:
    """Fuzz the chosen targets, print a table, and return the exit code."""
    asked = _arguments().parse_args(words)
    chosen = [one for one in targets() if asked.target in {None, one.name}]
    if asked.folder:
        Path(asked.folder).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=asked.folder))
    _say(f"inputs that break a promise are saved in {folder}")
    share = sum(one.share for one in chosen)
    outcomes: list[Outcome] = []
    for target in chosen:
        inputs = inputs_of(target.share / share, asked.inputs)
        _say(f"{target.name}: {inputs:,} inputs")
        outcomes.append(fuzzed(target, inputs, asked.seed, folder))
        for line in outcomes[-1].broken:
            _say(f"    {line}")
    _table([COLUMNS, *(one.row for one in outcomes), _sum(outcomes).row])
    return int(any(one.broken for one in outcomes))


def fuzzed(target: Target, inputs: int, seed: int, folder: Path) -> Outcome:
    """Fuzz a target in its own process, where a crash is a broken promise, too."""
    log = folder / f"{target.name}.log"
    with tempfile.TemporaryDirectory() as own, log.open("wb") as file:
        code = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.one", target.name, str(inputs), str(seed), folder],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": own},
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    numbers = folder / f"{target.name}.json"
    found = json.loads(numbers.read_text()) if numbers.exists() else {}
    broken = [
        f"{place}, {one['times']} times, first at input {one['first']:,}: {one['said']} "
        f"({one['input']})"
        for place, one in found.get("broken", {}).items()
    ]
    if code != 0:
        last = folder / f"{target.name}.last"
        broken.append(f"the process ended with {code}: see {log.name}; its last input: {last.name}")
    return Outcome(
        target=target.name,
        inputs=found.get("inputs", 0),
        seconds=found.get("seconds", 0.0),
        broken=tuple(broken),
    )


def _sum(outcomes: list[Outcome]) -> Outcome:
    return Outcome(
        target="all",
        inputs=sum(one.inputs for one in outcomes),
        seconds=sum(one.seconds for one in outcomes),
        broken=tuple(line for one in outcomes for line in one.broken),
    )


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = [name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]
        _say("  ".join(cells))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS, help="for all targets together")
    parser.add_argument(
        "--target", choices=[one.name for one in targets()], help="fuzz only this target"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same inputs")
    parser.add_argument("--folder", help="save inputs that break a promise in a new folder here")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
