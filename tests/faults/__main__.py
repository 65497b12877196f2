"""Inject faults into real runs and count the damage: ``python -m tests.faults``.

Every kind of fault strikes as many times as requested, each time at another instant of a run on its
own daemon. Then the same command is repeated until the run is complete. No finished trial may be
lost or doubled, no status may be wrong, and nothing may be left behind.
"""

import argparse
import queue
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tabulate import tabulate

from tests.faults.inject import Injected, inject, prepared
from tests.faults.kinds import KINDS, Kind, small_disk
from tests.faults.study import declare, ended, start
from tests.support.daemons import POSSIBLE, REASON, Daemon

HEADS = (
    *("fault", "instants", "ended ok", "lost", "doubled", "wrong", "missing", "orphans"),
    "bad output",
)


class Lane:
    """One daemon of each sort, into which faults are injected one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemons: dict[str, Daemon] = {}
        self._at_the_end = ExitStack()
        self._spans: dict[bool, float] = {}

    def strike(self, kind: Kind, seed: str) -> Injected:
        """Inject a fault into a new run."""
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._folder))
        daemon = self.daemon(live_restore=kind.live_restore, small=kind.small_storage)
        return inject(kind, daemon, folder, self.span_s(kind), random.Random(seed))

    def daemon(self, *, live_restore: bool = False, small: bool = False) -> Daemon:
        """Return a running daemon; a ``small`` one has its own small disk."""
        sort = "live" if live_restore else "small" if small else "plain"
        if sort not in self._daemons:
            daemon = Daemon(self._folder / sort, live_restore=live_restore)
            if small:
                self._at_the_end.enter_context(small_disk(daemon.storage))
            self._at_the_end.callback(daemon.die)
            daemon.start()
            self._daemons[sort] = daemon
        return self._daemons[sort]

    def span_s(self, kind: Kind) -> float:
        """Return how long a run takes without a fault."""
        if kind.cold not in self._spans:
            folder = Path(tempfile.mkdtemp(prefix="span-", dir=self._folder))
            daemon = self.daemon()
            declare(folder)
            prepared(daemon, folder, cold=kind.cold)
            began = time.monotonic()
            undisturbed = ended(start(folder, daemon.address))
            assert undisturbed.code == 0, undisturbed
            self._spans[kind.cold] = time.monotonic() - began
        return self._spans[kind.cold]

    def close(self) -> None:
        """End the daemons."""
        self._at_the_end.close()


def strike_all(faults: Iterable[tuple[Kind, str]], lanes: int, place: Path) -> list[Injected]:
    """Inject all faults in so many lanes, and print each problem immediately."""
    waiting: queue.SimpleQueue[tuple[Kind, str]] = queue.SimpleQueue()
    for fault in faults:
        waiting.put(fault)
    done: list[Injected] = []

    def work(lane: Lane) -> None:
        while not waiting.empty():
            kind, seed = waiting.get()
            injected = lane.strike(kind, seed)
            done.append(injected)
            if not injected.sound:
                print(f"{seed}: at {injected.instant_s:.2f} s: {injected}", flush=True)

    with ExitStack() as stack:
        threads = []
        for number in range(lanes):
            folder = place / f"lane-{number}"
            folder.mkdir()
            lane = Lane(folder)
            stack.callback(lane.close)
            threads.append(threading.Thread(target=work, args=(lane,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return done


def table(injected: Sequence[Injected]) -> str:
    """Return the counts as a table with a line for each kind of fault."""
    rows = []
    for kind in dict.fromkeys(one.kind for one in injected):
        mine = [one for one in injected if one.kind == kind]
        found = [one.found for one in mine if one.found is not None]
        rows.append(
            [
                kind,
                len(mine),
                sum(one.struck.code == 0 for one in mine),
                sum(one.lost for one in found),
                sum(one.duplicated for one in found),
                sum(one.wrong for one in found),
                sum(one.missing for one in found) + len(mine) - len(found),
                sum(len(one.orphans) for one in found),
                sum(one.problem is not None for one in mine),
            ]
        )
    total = ["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])]
    return tabulate([*rows, total], HEADS)


def main(words: Sequence[str] | None = None) -> int:
    """Inject the faults, print the table, and return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--instants", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--kind", action="append", help="only this kind; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=2, help="runs at a time (default: 2)")
    asked = parser.parse_args(words)
    if not POSSIBLE:
        print(REASON, file=sys.stderr)
        return 1
    # A shell that starts us in the background has us ignore it, and our children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kinds = [kind for kind in KINDS if asked.kind is None or kind.name in asked.kind]
    faults = [
        (kind, f"{asked.seed}/{kind.name}/{at}") for at in range(asked.instants) for kind in kinds
    ]
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as place:
        done = strike_all(faults, asked.lanes, Path(place))
    done.sort(key=lambda one: [kind.name for kind in KINDS].index(one.kind))
    print(table(done))
    return int(len(done) < len(faults) or not all(one.sound for one in done))


if __name__ == "__main__":
    sys.exit(main())
