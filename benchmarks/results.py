"""Run every program of this folder that makes a claim, and write ``benchmarks/RESULTS.md``.

Usage, as ``make bench`` does, on a machine that does nothing else::

    python -m benchmarks.results [PROGRAM ...]

Each program runs in a process of its own, at a size that leaves 20 minutes for all of them on two
cores, and is stopped at its time limit. A program that fails or is missing what it needs does not
keep the others from running. The exit code is 1 if a goal was missed or a program did not end.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from benchmarks.rows import HEADS, Row, cells, written
from runner import engines
from runner.errors import RunnerError
from runner.system.host import this_host
from runner.text import counted, memory

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("RESULTS.md")
ENDING_S = 20.0
"""How long a program that is stopped may take to clean up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of this folder, its arguments here, and when it is stopped.

    One without rows has printed a table of its own, and ends with 1 if a figure is over a limit.
    """

    name: str
    words: tuple[str, ...] = ()
    limit_s: float
    rows: bool = False
    claim: str = ""

    @property
    def command(self) -> str:
        """What a person would type."""
        return " ".join((f"python -m benchmarks.{self.name}", *self.words))


PROGRAMS = (
    Program(name="trials", words=("--trials", "40"), limit_s=240, rows=True),
    Program(name="guards", words=("--checks", "6", "--trials", "6"), limit_s=230, rows=True),
    Program(name="images", words=("--rounds", "1", "2.0.0"), limit_s=150, rows=True),
    Program(name="images", words=("--rounds", "1", "--cold"), limit_s=180, rows=True),
    Program(name="commands", words=("5",), limit_s=130, rows=True),
    Program(name="report", words=("2",), limit_s=45, rows=True),
    Program(name="growth", words=("100", "1000", "10000"), limit_s=60, rows=True),
    Program(name="memory", limit_s=40, rows=True),
    Program(name="page", words=("3",), limit_s=45, claim="the page of 1,000 cells"),
    Program(name="adaptive", limit_s=20, rows=True),
    Program(name="acceptance", words=("--size", "reduced"), limit_s=60, claim="error rates"),
)
LONGEST_S = 1200
"""How long all of them may take together."""
LEFT_OUT = {
    "fidelity": "compares engines for 12 minutes",
    "journal": "simulates, and has no goal",
    "launcher": "prints what the launcher adds, and has no goal",
    "packages": "downloads 2 GB for 20 minutes, and has no goal",
    "peers": "compares verdicts on simulated samples, and has no goal",
    "pull_request": "executes a workflow for up to 15 minutes",
}
"""Why ``make bench`` does not run the other programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended: ``code`` is None if it was stopped at its limit."""

    program: Program
    code: int | None
    seconds: float
    rows: Sequence[Row]
    output: str

    @property
    def outcome(self) -> str:
        """Say how it ended."""
        if self.code is None:
            return f"stopped after {self.program.limit_s:.0f} s"
        if not self.code:
            return "all goals met"
        if any(row.met is False for row in self.rows):
            return "a goal was missed"
        return "failed" if self.program.rows else "failed, or a goal was missed"

    @property
    def tells_all(self) -> bool:
        """Whether its rows are all that it has to say: it was not stopped, and did not fail."""
        missed = any(row.met is False for row in self.rows)
        return bool(self.rows) and (self.code == 0 or (self.code is not None and missed))

    @property
    def is_good(self) -> bool:
        """Whether it ended, and met every goal."""
        return self.code == 0


def main() -> int:
    """Run the programs, write the results, and return the exit code."""
    names = [one.name for one in PROGRAMS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(names))
    asked = parser.parse_args().programs
    if unknown := set(asked) - set(names):
        parser.error(f"no program {', '.join(sorted(unknown))}")
    began, load = time.monotonic(), os.getloadavg()[0]
    ended = []
    for program in PROGRAMS:
        if not asked or program.name in asked:
            print(f"\n{program.command}", flush=True)
            ended.append(run(program))
            print(f"{ended[-1].outcome} ({ended[-1].seconds:.0f} s)", flush=True)
    loads = f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after"
    minutes = f"{(time.monotonic() - began) / 60:.0f} minutes"
    text = "\n".join(page(ended, (machine(), engine(), f"{loads}; {minutes}")))
    RESULTS.write_text(text, encoding="utf-8")
    print(f"\nresults: {RESULTS.relative_to(ROOT)}")
    return int(not all(one.is_good for one in ended))


def run(program: Program) -> Ended:
    """Run a program in a process of its own, up to its limit."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-runner-benchmark-") as place:
        rows, output = Path(place) / "rows.json", Path(place) / "output.txt"
        words = [*program.words, *(("--json", str(rows)) if program.rows else ())]
        with output.open("w", encoding="utf-8") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.{program.name}", *words],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                start_new_session=True,
            )
            code = ended_in_time(child, program.limit_s)
        text = output.read_text(encoding="utf-8", errors="replace")
        print(text, end="", flush=True)
        return Ended(
            program=program,
            code=code,
            seconds=time.monotonic() - began,
            rows=written(rows),
            output=text,
        )


def ended_in_time(child: "subprocess.Popen[bytes]", limit_s: float) -> int | None:
    """Wait for a program; stop it and its children at the limit, and then return None."""
    try:
        return child.wait(limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGINT)
    except KeyboardInterrupt:
        os.killpg(child.pid, signal.SIGINT)
        child.wait()
        raise
    try:
        child.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return None


def page(ended: Sequence[Ended], facts: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# Benchmarks"
    yield ""
    yield "`make bench` writes this page. Figures are medians with their range over all rounds."
    yield "Ratios are ours to the peer's, of the same round."
    yield ""
    yield from (f"- {fact}" for fact in facts)
    yield ""
    rows = [cells(row) for one in ended for row in one.rows]
    rows += [
        [one.program.claim or one.program.name, "", "", "", "", "", one.outcome]
        for one in ended
        if not one.tells_all
    ]
    yield tabulate(rows, HEADS, tablefmt="github", disable_numparse=True)
    for one in ended:
        yield ""
        yield f"## {one.program.name}"
        yield ""
        yield f"`{one.program.command}`: {one.outcome}, {one.seconds:.0f} s"
        yield ""
        yield "```text"
        yield one.output.strip()
        yield "```"
    yield ""
    yield "## Not run"
    yield ""
    yield from (f"- `{name}` {reason}" for name, reason in LEFT_OUT.items())
    yield ""


def machine() -> str:
    """Describe this machine, without its name."""
    host = this_host()
    cores, held = counted(host.cores, "core"), memory(host.memory_bytes)
    python = platform.python_version()
    return f"{host.cpu_model}, {cores}, {held}, Linux {host.kernel}, Python {python}"


def engine() -> str:
    """Describe the engine."""
    try:
        with closing(engines.connect("docker", this_host().id, print)) as connected:
            facts = connected.describe()
    except RunnerError:
        return "no Docker"
    return f"Docker {facts.version}, {facts.storage}, cgroup v{facts.cgroup}"


if __name__ == "__main__":
    raise SystemExit(main())
