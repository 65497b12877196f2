"""How often a competitor on the measured core goes unnoticed: by a check, and by the whole guard.

Usage, on a machine with two cores or more that does nothing else::

    python -m benchmarks.guards [--checks N] [--trials N] [--json FILE] [PART ...]

The parts are ``checks`` and ``trials``; without any, both run. The guard is a check before the
script, which waits for a quiet core, and a reading during the script, which flags the trial if
others took too much of the core. The peer's check compares how far the kernel's ticks of the core
and its own CPU time advanced in half a second, in which it sleeps; the reading is the same one.

- ``checks``: only the check before the script. A competitor takes a share of its time on the core,
  in short or in long bursts, or anywhere on the machine. Both checks run in turns, at random
  moments. A core is busy if others take more than the share that a trial waits for.
- ``trials``: the whole guard. A script does the same work in each trial of the venv engine (which
  needs control groups), beside competitors with bursts, with each check in turns. The guard misses
  a trial that took over 5 % longer than the median without competitor, and that it did not flag.
  A check that waits longer may avoid a burst, and one that sees less may let a trial begin in one:
  either is fine as long as the trial is quiet or flagged. Flagged trials and waits are its price.

The exit code is 1 if ours misses significantly more: if the two 95 % intervals (Wilson) of a
competitor do not overlap. In ``checks``, that is one that stays on the core and takes at least the
share that a trial waits for. If the core is busy without a competitor, the machine cannot answer
the question.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, median

from tabulate import tabulate

from benchmarks.rows import Figure, Row, compared, finished, save, with_json
from runner.engines.protocol import Engine, Launch
from runner.engines.venv import connect
from runner.engines.venv.cache import CACHE
from runner.errors import RunnerError
from runner.execute.guards import disturbance
from runner.execute.result import parse_outcome
from runner.inside import LAUNCHER
from runner.inside.launcher import foreign_share
from runner.records.run import Guards
from runner.system.cores import ALLOWED, highest
from tests.support.trials import METRICS, NUMBER, build, launch, plain_environment

CHECKS, TRIALS = 100, 12
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
        return share_of(self.busy, self.checks)


Tallies = Mapping[str, Tally]


def main() -> int:
    """Measure, print, and return the exit code."""
    parts = {"checks": of_checks, "trials": of_trials}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--checks", type=int, default=CHECKS, help="of each competitor")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each competitor")
    asked = with_json(parser).parse_args()
    if unknown := set(asked.parts) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}")
    found: list[Row] = []
    for name in asked.parts or parts:
        found += parts[name](asked)
        save(found, asked.json)  # the next part may have to be stopped
    return finished(found, asked.json)


# --- the check before the script ----------------------------------------------------------------


def of_checks(asked: argparse.Namespace) -> Iterator[Row]:
    """Compare the two checks on their own."""
    os.sched_setaffinity(0, {highest()})
    found = {
        (kind, share): tallied(kind, share, asked.checks) for kind in KINDS for share in SHARES
    }
    heads = ("competitor", "takes", *(f"{name}: called busy" for name in CHECKS_BY_NAME))
    lines = [
        (kind.name, f"{share:.0%}", *(str(one.share()) for one in tallies.values()))
        for (kind, share), tallies in found.items()
    ]
    print(tabulate(lines, heads, disable_numparse=True), end="\n\n", flush=True)
    yield from rows(found)


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


def share_of(count: int, trials: int) -> Figure:
    """Return a share with its 95 % interval."""
    low, high = wilson(count, trials)
    return Figure(median=count / trials, lowest=low, highest=high)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    share, square = successes / trials, NORMAL_95**2 / trials
    middle = share + square / 2
    spread = NORMAL_95 * math.sqrt((share * (1 - share) + square / 4) / trials)
    return (max(0.0, (middle - spread) / (1 + square)), min(1.0, (middle + spread) / (1 + square)))


# --- the whole guard ----------------------------------------------------------------------------

WORK_S = 0.5
PATIENCE_S = 1.0
SLOWED = 1.05
WORK = """\
def work(steps):
    for _ in range(steps):
        pass
"""
TICKS = """\
def foreign_share(cores, seconds):
    before, own_before = core_seconds(cores)[0], time.process_time()
    time.sleep(seconds)
    after, own_after = core_seconds(cores)[0], time.process_time()
    if before is None or after is None:
        return None
    return max(0.0, after - before - (own_after - own_before)) / seconds / len(cores)


PAUSE_S = 0.0
"""
"""The check of the peer, in the words of the launcher."""
START = 'if __name__ == "__main__":'
NONE = "none"
BURSTS = {
    NONE: (KINDS[0], 0.0),
    "2 ms every 20 ms": (KINDS[0], 0.1),
    "50 ms every second": (Kind(name="on the core", period_s=1.0, stays=True), 0.05),
    "200 ms every second": (Kind(name="on the core", period_s=1.0, stays=True), 0.2),
}
BESIDE = tuple(name for name in BURSTS if name != NONE)
WHOLE = ("a trial's check", "half a second of ticks")
"""The guards, ours and the peer's, by the check that they begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How a guarded trial went: how long the script took, and the wait before it."""

    wall_s: float
    waited_s: float
    flagged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of some trials were slowed, were slowed without being flagged, and were flagged."""

    slowed: int
    missed: int
    flagged: int
    trials: int

    def __str__(self) -> str:
        return f"{self.missed} missed, {self.flagged} flagged of {self.trials}"


Trials = Mapping[tuple[str, str], Sequence[Tried]]
"""The trials of each competitor under each guard."""


def of_trials(asked: argparse.Namespace) -> Iterator[Row]:
    """Compare the two guards as a whole."""
    os.sched_setaffinity(0, set(ALLOWED) - {highest()} or ALLOWED)
    with tempfile.TemporaryDirectory(prefix="matrix-runner-benchmark-") as place:
        folder = Path(place)
        folder.chmod(0o755)  # trials run as another user
        os.environ[CACHE] = str(folder / "cache")
        try:
            engine = with_counters()
            launches = guarded(engine, folder)
        except RunnerError as error:
            yield of_guards({}, str(error))
            return
        found = in_rounds(partial(tried, engine), launches, asked.trials)
    usual_s = undisturbed_s(found)
    heads = ("competitor", "guard", "slowed", "missed", "flagged", "wait (s)")
    lines = []
    for (competing, guard), trials in found.items():
        one = counted(trials, usual_s)
        shares = [str(share_of(n, one.trials)) for n in (one.slowed, one.missed, one.flagged)]
        wait_s = mean(trial.waited_s for trial in trials)
        lines.append((competing, guard, *shares, f"{wait_s:.2f}"))
    print(tabulate(lines, heads, disable_numparse=True), end="\n\n", flush=True)
    yield of_guards(found)
    yield from prices(found)


def with_counters() -> Engine:
    """Return an engine that counts the CPU time of a trial; RunnerError if there is none.

    It has no sandbox with mounts of its own, which cannot start while Docker mounts and unmounts.
    """
    engine = connect("benchmark", ("plain",))
    if not engine.describe().cgroup:
        raise RunnerError("no control group can be made here")
    return engine


def guarded(engine: Engine, folder: Path) -> Mapping[str, Launch]:
    """Stage the script beside the launcher of each guard; return the launches."""
    image = build(engine, plain_environment(), folder)
    script = folder / "script.py"
    script.write_text(f"{WORK}\n\nwork({steps()})\n{NUMBER}\n", encoding="utf-8")
    launcher = LAUNCHER.read_text(encoding="utf-8")
    texts = (launcher, with_ticks(launcher))
    launches = {}
    for number, (name, text) in enumerate(zip(WHOLE, texts, strict=True)):
        path = folder / f"launcher-{number}.py"
        path.write_text(text, encoding="utf-8")
        run = f"guards-{number}"
        engine.stage(run, image.id, {"launcher.py": path, "study/script.py": script})
        window_s = PEER_WINDOW_S if number else WINDOW_S
        guards = Guards(window_s=window_s, patience_s=PATIENCE_S)
        launches[name] = replace(launch(image.id), run=run, guards=guards)
    return launches


def steps() -> int:
    """Return how many steps of the script's work take about ``WORK_S``."""
    names: dict[str, Callable[[int], None]] = {}
    exec(WORK, {}, names)  # noqa: S102 (our own text)
    tries, count = [], 1_000_000
    for _ in range(3):
        began = time.process_time()
        names["work"](count)
        tries.append(time.process_time() - began)
    return round(count * WORK_S / min(tries))


def with_ticks(launcher: str) -> str:
    """Return the text of the launcher with the peer's check instead of its own."""
    before, found, after = launcher.rpartition(START)
    if not found:
        raise ValueError(f"the launcher has no line {START}")
    return f"{before}{TICKS}\n\n{found}{after}"


def in_rounds(
    attempt: Callable[[Launch], Tried], launches: Mapping[str, Launch], rounds: int
) -> Trials:
    """Execute a trial of each guard beside each competitor in every round, at random moments."""
    found: dict[tuple[str, str], list[Tried]] = {
        (competing, guard): [] for competing in BURSTS for guard in launches
    }
    for number in range(rounds):
        for competing, (kind, share) in BURSTS.items():
            order = list(launches.items())
            with competitor(kind, share):
                for guard, one in reversed(order) if number % 2 else order:
                    time.sleep(random.uniform(0, kind.period_s))  # noqa: S311 (not a secret)
                    found[competing, guard].append(attempt(one))
    return found


def tried(engine: Engine, one: Launch) -> Tried:
    """Execute a trial, and ask the guard about it."""
    outcome = engine.execute(one, lambda _: None)
    result = parse_outcome(outcome, one, METRICS)
    reading = result.reading
    if not result.values or reading is None or reading.cpu_s is None:
        raise SystemExit(f"a trial was not measured: {result.status} {result.reason} {outcome.log}")
    flagged = disturbance(reading, one.guards) is not None
    return Tried(wall_s=reading.wall_s, waited_s=reading.waited_s or 0.0, flagged=flagged)


def undisturbed_s(found: Trials) -> float:
    """Return the median time of the trials without competitor that were not flagged."""
    quiet = [one for (competing, _), trials in found.items() for one in trials if competing == NONE]
    return median([one.wall_s for one in quiet if not one.flagged] or [one.wall_s for one in quiet])


def counted(trials: Sequence[Tried], usual_s: float) -> Counts:
    """Count the slowed, the missed and the flagged trials."""
    slowed = [one for one in trials if one.wall_s > SLOWED * usual_s]
    return Counts(
        slowed=len(slowed),
        missed=sum(not one.flagged for one in slowed),
        flagged=sum(one.flagged for one in trials),
        trials=len(trials),
    )


def of_guards(found: Trials, problem: str = "") -> Row:
    """Return the claim that ours misses no more; ``problem`` says why it was not measured."""
    row = Row(
        what="trials slowed by a competitor and not flagged by the guard",
        unit="of the trials",
        ours=None,
        peer=WHOLE[1],
        goal="no more",
        note=problem,
    )
    if problem:
        return row
    usual_s = undisturbed_s(found)
    counts = {key: counted(trials, usual_s) for key, trials in found.items()}
    ours, theirs = (missed_of([counts[name, guard] for name in BESIDE]) for guard in WHOLE)
    worse = []
    for name in BESIDE:
        one, other = (missed_of([counts[name, guard]]) for guard in WHOLE)
        worse += [name] if one.lowest > other.highest else []
    worse += ["all together"] if ours.lowest > theirs.highest else []
    alone = [counts[NONE, guard] for guard in WHOLE]
    false = sum(one.missed + one.flagged for one in alone) / sum(one.trials for one in alone)
    is_quiet = false <= MOST_FALSE
    return replace(
        row,
        ours=ours,
        theirs=theirs,
        met=not worse if is_quiet else None,
        note=f"significantly more: {', '.join(worse) or 'nowhere'}; without a competitor: ours "
        f"{alone[0]}, the peer's {alone[1]}; an undisturbed script takes {usual_s:.2f} s"
        + ("" if is_quiet else "; the core was busy without a competitor, too"),
    )


def missed_of(counts: Sequence[Counts]) -> Figure:
    """Return the share of the trials that were missed."""
    return share_of(sum(one.missed for one in counts), sum(one.trials for one in counts))


def prices(found: Trials) -> Iterator[Row]:
    """Return what the guards cost: flagged trials, which run again, and the waits."""
    flags = [[one.flagged for name in BESIDE for one in found[name, guard]] for guard in WHOLE]
    ours, theirs = (share_of(sum(some), len(some)) for some in flags)
    yield Row(
        what="trials flagged beside a competitor",
        unit="of the trials",
        ours=ours,
        peer=WHOLE[1],
        theirs=theirs,
    )
    pairs = []
    for name in BESIDE:
        waits = (mean(one.waited_s for one in found[name, guard]) for guard in WHOLE)
        pairs.append((next(waits), next(waits)))
    yield compared(
        "mean wait for a quiet core beside a competitor",
        WHOLE[1],
        "s",
        pairs,
        note=f"up to {PATIENCE_S:g} s here; of {len(BESIDE)} competitors",
    )


if __name__ == "__main__":
    raise SystemExit(main())
