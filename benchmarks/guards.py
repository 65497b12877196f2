"""How often a check for a quiet core sees another process: the check of a trial, and a longer one.

Usage, on a machine with two cores or more that does nothing else::

    python -m benchmarks.guards [--checks N] [--json FILE]

A competitor takes a share of its time on the checked core, in short or in long bursts, or anywhere
on the machine. Both checks run in turns, at random moments. The peer compares how far the kernel's
ticks of the core and its own CPU time advanced in half a second, in which it sleeps. A core is busy
if others take more than the share that a trial waits for. The exit code is 1 if the check of a
trial misses significantly more: if the two 95 % intervals (Wilson) of a competitor that stays on
the core, and takes at least that share, do not overlap. If the core is busy without a competitor,
the machine cannot answer the question.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from benchmarks.rows import Figure, Row, compared, finished, with_json
from runner.inside.launcher import foreign_share
from runner.records.run import Guards
from runner.system.cores import ALLOWED, highest

CHECKS = 100
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
PEER_WINDOW_S = 0.5
PEER = "ticks of half a second"
WINDOW_S, LIMIT = Guards().window_s, Guards().foreign_share
MOST_FALSE = 0.2
"""The share of the peer's checks without competitor that call the core busy: others work there."""
NORMAL_95 = 1.96
COMPETITOR = """\
import sys, time

share, period = map(float, sys.argv[1:])
while True:
    began, used = time.monotonic(), time.process_time()
    while time.process_time() - used < share * period:
        pass
    time.sleep(max(0, began + period - time.monotonic()) if share < 1 else 0)
"""

Check = Callable[[int], float | None]
"""Returns the share of a core that other processes take, None if it cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of competitor: how often it begins a burst, and whether it stays on the core."""

    name: str
    period_s: float
    stays: bool


KINDS = (
    Kind(name="on the core, a burst every 20 ms", period_s=0.02, stays=True),
    Kind(name="on the core, a burst every 200 ms", period_s=0.2, stays=True),
    Kind(name="anywhere, a burst every 20 ms", period_s=0.02, stays=False),
)


@dataclass(slots=True)
class Tally:
    """What one check found under one competitor."""

    busy: int = 0
    checks: int = 0
    seconds: float = 0.0

    def share(self) -> Figure:
        """Return the share called busy, with its 95 % interval."""
        low, high = wilson(self.busy, self.checks)
        return Figure(median=self.busy / self.checks, lowest=low, highest=high)


Tallies = Mapping[str, Tally]


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checks", type=int, default=CHECKS, help="of each competitor")
    asked = with_json(parser).parse_args()
    os.sched_setaffinity(0, {highest()})
    found = {
        (kind, share): tallied(kind, share, asked.checks) for kind in KINDS for share in SHARES
    }
    heads = ("competitor", "takes", *(f"{name}: called busy" for name in CHECKS_BY_NAME))
    lines = [
        (kind.name, f"{share:.0%}", *(str(one.share()) for one in tallies.values()))
        for (kind, share), tallies in found.items()
    ]
    print(tabulate(lines, heads, disable_numparse=True), end="\n\n")
    return finished(list(rows(found)), asked.json)


def by_ticks(core: int) -> float | None:
    """Return what others took of the core in half a second, as the kernel's ticks say."""
    began, own = busy_seconds(core), time.process_time()
    time.sleep(PEER_WINDOW_S)
    ended, own_then = busy_seconds(core), time.process_time()
    return max(0.0, ended - began - (own_then - own)) / PEER_WINDOW_S


def busy_seconds(core: int) -> float:
    """Return for how long the core was busy since the machine started."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"cpu{core} "))
    user, nice, system, _, _, interrupts, soft_interrupts = map(int, line.split()[1:8])
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def of_a_trial(core: int) -> float | None:
    """Return what the check of a trial says."""
    return foreign_share({core}, WINDOW_S)


CHECKS_BY_NAME: Mapping[str, Check] = {"a trial's": of_a_trial, "half a second": by_ticks}


def tallied(kind: Kind, share: float, checks: int) -> Tallies:
    """Try both checks in turns under one competitor."""
    tallies = {name: Tally() for name in CHECKS_BY_NAME}
    with competitor(kind, share):
        for number in range(checks):
            order = list(CHECKS_BY_NAME.items())
            for name, check in reversed(order) if number % 2 else order:
                time.sleep(random.uniform(0, kind.period_s))  # noqa: S311 (not a secret)
                began = time.monotonic()
                foreign = check(highest())
                tallies[name].seconds += time.monotonic() - began
                tallies[name].checks += 1
                tallies[name].busy += foreign is not None and foreign >= LIMIT
    return tallies


@contextmanager
def competitor(kind: Kind, share: float) -> Iterator[None]:
    """Have another process that takes a share of its time, unless that is none."""
    if not share:
        yield
        return
    cores = {highest()} if kind.stays else ALLOWED
    words = [sys.executable, "-c", COMPETITOR, str(share), str(kind.period_s)]
    child = subprocess.Popen(words)
    try:
        os.sched_setaffinity(child.pid, cores)
        time.sleep(0.3)  # until it has started
        yield
    finally:
        child.kill()
        child.wait()


def rows(found: Mapping[tuple[Kind, float], Tallies]) -> Iterator[Row]:
    """Return the claims: what is missed of each kind of competitor, false alarms, and the time."""
    quiet = [one for (_, share), one in found.items() if not share]
    false = [pooled([one[name] for one in quiet]).share() for name in CHECKS_BY_NAME]
    is_quiet = false[1].median <= MOST_FALSE
    for kind in KINDS:
        busy = {share: one for (of, share), one in found.items() if of == kind and share >= LIMIT}
        ours, theirs = (missed([one[name] for one in busy.values()]) for name in CHECKS_BY_NAME)
        worse = [f"{share:.0%}" for share, one in busy.items() if misses_more(one)]
        worse += ["all together"] if ours.lowest > theirs.highest else []
        found_worse = f"significantly more at {', '.join(worse) or 'none'}"
        yield Row(
            what=f"misses of a competitor {kind.name}",
            unit="of the checks",
            ours=ours,
            peer=PEER,
            theirs=theirs,
            goal="no more" if kind.stays else "",
            met=not worse if kind.stays and is_quiet else None,
            note=f"it takes {min(busy):.0%} to {max(busy):.0%}; {found_worse}"
            + ("" if is_quiet else "; the core was busy without it, too"),
        )
    yield Row(
        what="a core without competitor called busy",
        unit="of the checks",
        ours=false[0],
        peer=PEER,
        theirs=false[1],
        note="includes everything else that this machine did",
    )
    seconds = [
        [1000 * one[name].seconds / one[name].checks for one in found.values()]
        for name in CHECKS_BY_NAME
    ]
    pairs = list(zip(*seconds, strict=True))
    yield compared("time of a check", PEER, "ms", pairs, most=100)


def missed(tallies: Sequence[Tally]) -> Figure:
    """Return the share that was not called busy, with its interval."""
    one = pooled(tallies)
    return Tally(busy=one.checks - one.busy, checks=one.checks).share()


def pooled(tallies: Sequence[Tally]) -> Tally:
    """Add tallies."""
    return Tally(busy=sum(one.busy for one in tallies), checks=sum(one.checks for one in tallies))


def misses_more(tallies: Tallies) -> bool:
    """Return whether ours calls the core busy significantly less often than the peer."""
    ours, theirs = (tallies[name].share() for name in CHECKS_BY_NAME)
    return ours.highest < theirs.lowest


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    share, square = successes / trials, NORMAL_95**2 / trials
    middle = share + square / 2
    spread = NORMAL_95 * math.sqrt((share * (1 - share) + square / 4) / trials)
    return (max(0.0, (middle - spread) / (1 + square)), min(1.0, (middle + spread) / (1 + square)))


if __name__ == "__main__":
    raise SystemExit(main())
