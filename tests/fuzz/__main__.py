"""Fuzz everything that is read: ``python -m tests.fuzz --inputs 100000``.

Hypothesis makes the inputs: from JSON Schemas, and by changes of sound inputs. Ends with 1 if any
promise is broken.
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
class Ended:
    """How a target ended: its numbers, and a line for each promise that it broke."""

    target: str
    inputs: int
    seconds: float
    broken: tuple[str, ...]

    @property
    def row(self) -> tuple[str, ...]:
        """The line of the table."""
        speed = self.inputs / self.seconds if self.seconds else 0.0
        numbers = (f"{self.inputs:,}", f"{self.seconds:.0f}", f"{speed:,.0f}")
        return (self.target, *numbers, str(len(self.broken)))


def main(words: list[str]) -> int:
    """Fuzz what is asked for, print a table, and return the exit code."""
    asked = _arguments().parse_args(words)
    chosen = [one for one in targets() if asked.target in {None, one.name}]
    if asked.folder:
        Path(asked.folder).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=asked.folder))
    _say(f"what breaks a promise is saved in {folder}")
    share = sum(one.share for one in chosen)
    ended = []
    for target in chosen:
        inputs = inputs_of(target.share / share, asked.inputs)
        _say(f"{target.name}: {inputs:,} inputs")
        ended.append(fuzzed(target, inputs, asked.seed, folder))
        for line in ended[-1].broken:
            _say(f"    {line}")
    _table([COLUMNS, *(one.row for one in ended), _sum(ended).row])
    return int(any(one.broken for one in ended))


def fuzzed(target: Target, inputs: int, number: int, folder: Path) -> Ended:
    """Fuzz a target in a process of its own; also a crash of that is a broken promise."""
    log = folder / f"{target.name}.log"
    with tempfile.TemporaryDirectory() as own, log.open("wb") as file:
        code = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.one", target.name, str(inputs), str(number), folder],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": own},
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    numbers = folder / f"{target.name}.json"
    found = json.loads(numbers.read_text()) if numbers.exists() else {}
    broken = [
        f"{place}, {one['times']} times: {one['said']} ({one['input']})"
        for place, one in found.get("broken", {}).items()
    ]
    if code != 0:
        last = folder / f"{target.name}.last"
        broken.append(f"the process ended with {code}: see {log.name}; its last input: {last.name}")
    return Ended(
        target=target.name,
        inputs=found.get("inputs", 0),
        seconds=found.get("seconds", 0.0),
        broken=tuple(broken),
    )


def _sum(ended: list[Ended]) -> Ended:
    return Ended(
        target="all",
        inputs=sum(one.inputs for one in ended),
        seconds=sum(one.seconds for one in ended),
        broken=tuple(line for one in ended for line in one.broken),
    )


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = [name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]
        _say("  ".join(cells))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of all targets together")
    parser.add_argument("--target", choices=[one.name for one in targets()], help="only this one")
    parser.add_argument("--seed", type=int, default=1, help="the same one gives the same inputs")
    parser.add_argument("--folder", help="a new folder in it gets what breaks a promise")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
