"""A thousand trials with a random fault every few seconds: ``python -m tests.faults.thousand``.

The command is repeated whenever the program ends, until the run is complete. Then each trial must
have exactly one correct result.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from runner.errors import Exit
from runner.records.study import Status
from tests.faults.inject import prepared
from tests.faults.kinds import KINDS, Scene
from tests.faults.study import declare, ended, inspect, saved, start
from tests.support.daemons import POSSIBLE, REASON, Daemon
from tests.support.studies import run_folders

CELLS = 24  # without the control
NAMES = (
    *("runner killed", "SIGINT", "SIGTERM", "SIGINT twice", "container removed"),
    *("container killed", "container stopped", "daemon SIGTERM", "daemon SIGKILL", "image removed"),
    *("container paused", "first process killed", "shim killed", "runner suspended"),
)
FAULTS = tuple(kind for kind in KINDS if kind.name in NAMES)


class Faults(threading.Thread):
    """Injects a fault into the running program every few seconds, until it is stopped."""

    def __init__(self, folder: Path, daemon: Daemon, chance: random.Random, every_s: float) -> None:
        super().__init__()
        self.struck: Counter[str] = Counter()
        self.stopped = threading.Event()
        self.scene: Scene | None = None
        self._folder, self._daemon = folder, daemon
        self._chance, self._every_s = chance, every_s

    def run(self) -> None:
        """Wait and inject faults."""
        while not self.stopped.wait(self._chance.uniform(0.5, 2 * self._every_s - 0.5)):
            scene = self.scene
            if scene is not None and scene.program.poll() is None:
                kind = self._chance.choice(FAULTS)
                self.struck[kind.name] += 1
                kind.strike(scene)


def execute(
    folder: Path, daemon: Daemon, chance: random.Random, every_s: float
) -> tuple[int, Counter[str]]:
    """Repeat the command until the run is complete; return the number of commands and faults."""
    faults = Faults(folder, daemon, chance, every_s)
    faults.start()
    commands, last = 0, None
    try:
        while last is None or last.code != Exit.OK:
            program = start(folder, daemon.address)
            faults.scene = Scene(program=program, folder=folder, daemon=daemon, chance=chance)
            last = ended(program, within_s=None)
            commands += 1
            print(f"{commands}: {last.code}, {len(saved(folder))} results", flush=True)
            assert "Traceback" not in last.err, last.err
    finally:
        faults.stopped.set()
        faults.join()
    return commands, faults.struck


def main(words: Sequence[str] | None = None) -> int:
    """Run the study, print the counts, and return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.thousand", description=__doc__)
    parser.add_argument("--blocks", type=int, default=40, help=f"of {CELLS + 1} trials each")
    parser.add_argument("--every", type=float, default=6.0, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(words)
    if not POSSIBLE:
        print(REASON, file=sys.stderr)
        return 1
    # A shell that starts us in the background has us ignore it, and our children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as place:
        folder, daemon = Path(place, "study"), Daemon(Path(place, "daemon"))
        declare(folder, cells=CELLS, blocks=asked.blocks, seconds=0.0)
        daemon.start()
        try:
            prepared(daemon, folder, cold=False)
            began = time.monotonic()
            commands, struck = execute(folder, daemon, random.Random(asked.seed), asked.every)
            seconds = time.monotonic() - began
            found = inspect(folder, {}, daemon.address, {})
            (run,) = run_folders(folder)
            statuses = Counter(result.status for result in run.results())
        finally:
            daemon.die()
    print(
        f"{sum(struck.values())} faults in {seconds:.0f} s and {commands} commands: {dict(struck)}"
    )
    print({status.value: count for status, count in statuses.items()})
    print(found)
    right = statuses[Status.OK] == (CELLS + 1) * asked.blocks
    return int(not (right and found.sound))


if __name__ == "__main__":
    sys.exit(main())
