"""What 200 trivial trials cost, next to ``xargs docker run`` of the same image and script.

Usage, on a machine with Docker that does nothing else::

    python -m benchmarks.trials [--trials N] [--rounds N] [--seconds N] [--json FILE] [PART ...]

The parts are ``side-by-side``, ``one-at-a-time`` and ``measured``; without any, all three run.

- ``side-by-side``: a study without a time metric, so without a quiet window, with ``parallel: 2``,
  next to ``xargs -P2``. It also counts the CPU time of both clients, each with the processes that
  it starts: of the whole command, and of one more trial. The engine's own time is not in it.
- ``one-at-a-time``: the same study with a time metric, next to ``xargs -P1``.
- ``measured``: the CPU time of the runner while a script sleeps or spins, and on which cores its
  threads run meanwhile.

Ours is ``python -m runner run`` in a process of its own, with hardening, checked and saved results,
and two reports. The peer mounts the folder with the script, as a person would do, gives the
container no network, and appends what the scripts print to one file. Both use the image that
``prepare`` makes of a Python of this machine, without packages. It is not removed afterwards.
"""

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks.rows import Row, compared, figure, finished, in_turns, limited, save, with_json
from runner.inside.launcher import descendants_of, text_in
from runner.system.cores import ALLOWED

ROOT = Path(__file__).parents[1]
TRIALS, ROUNDS, SECONDS = 200, 3, 20
BLOCKS = 2
SOON_S = 2.0
"""The most seconds per trial before a run is stopped: other processes keep the core busy."""
MOST_WALL_SIDE_BY_SIDE, MOST_WALL_ONE_AT_A_TIME = 0.75, 1.3
MOST_CPU_MS = 12.0
MOST_SHARE = 0.5
SAMPLE_S = 0.05
LOG = "log.txt"
RUNNER = (sys.executable, "-m", "runner")
UNTIMED = "{better: lower, timed: false}"
TIMED = "{unit: s, better: lower}"
MATRIX = """\
format: 1
name: trials
axes: {{case: [{cases}]}}
environment: {{base: host}}
experiment: {{script: {script}}}
metrics: {{number: {metric}}}
parallel: {parallel}
blocks: {blocks}
looks: 1
repeats: 0
"""
SCRIPT = """\
import json, os

with open(os.environ["RESULT_PATH"], "w") as file:
    print(json.dumps({"format": 1, "values": {"number": 1.0}}), file=file)
"""
LONG_SCRIPT = """\
import json, os, time

with open(os.environ["PARAMS_PATH"]) as file:
    case = json.load(file)["cell"]["case"]
end = time.monotonic() + %d
while time.monotonic() < end:
    if case == "sleep":
        time.sleep(1)
with open(os.environ["RESULT_PATH"], "w") as file:
    print(json.dumps({"format": 1, "values": {"number": 1.0}}), file=file)
"""
PEER = (
    "seq {trials} | xargs -P{parallel} -I % docker run --rm --network none "
    "--volume {folder}:/study:ro --env RESULT_PATH=/dev/stdout {image} "
    "python /study/script.py % > {out}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a command took.

    ``waited_s`` is the part for other processes to leave the core alone. It ``took_turns`` if
    another run measured on the same cores.
    """

    wall_s: float
    cpu_s: float
    waited_s: float = 0.0
    took_turns: bool = False
    stopped: bool = False

    def __str__(self) -> str:
        waited = f", {self.waited_s:.1f} s of it waiting" if self.waited_s else ""
        turns = ", in turns with another run" if self.took_turns else ""
        return f"{self.wall_s:.1f} s ({self.cpu_s:.2f} s of CPU time{waited}{turns})"


def main() -> int:
    """Measure, print, and return the exit code."""
    parts = {
        "side-by-side": side_by_side,
        "one-at-a-time": one_at_a_time,
        "measured": while_measured,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each measured script")
    asked = with_json(parser).parse_args()
    if unknown := set(asked.parts) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}")
    asked.trials -= asked.trials % BLOCKS
    rows: list[Row] = []
    for name in asked.parts or parts:
        with tempfile.TemporaryDirectory(prefix="matrix-runner-benchmark-") as place:
            rows += parts[name](Path(place), asked)
        save(rows, asked.json)  # the next part may have to be stopped
    return finished(rows, asked.json)


# --- trivial trials -----------------------------------------------------------------------------


def side_by_side(place: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """Compare two at a time, and count the CPU time of both clients."""
    few = BLOCKS * max(3, asked.trials // (4 * BLOCKS))
    image = prepared(place)
    all_of_them = trivial(place / "many", asked.trials, UNTIMED, parallel=2)
    some = trivial(place / "few", few, UNTIMED, parallel=2)
    peer = partial(in_containers, all_of_them, image, asked.trials, parallel=2)
    start_s, marginal = [], []

    def ours() -> Spent:
        whole, part = executed(all_of_them, asked.trials), executed(some, few)
        reports_s = BLOCKS * (reported(all_of_them).cpu_s - reported(some).cpu_s)
        marginal.append((whole.cpu_s - part.cpu_s - reports_s) / (asked.trials - few))
        start_s.append(part.cpu_s - few * marginal[-1])
        return whole

    pairs = list(in_turns(ours, peer, asked.rounds))
    name = f"{asked.trials} trivial trials, parallel: 2, quiet window off"
    yield in_time(name, 2, pairs, MOST_WALL_SIDE_BY_SIDE)
    whole_ms = figure(1000 * one.cpu_s / asked.trials for one, _ in pairs)
    row = compared(
        "client CPU of one more trial",
        "docker run, with xargs",
        "ms",
        [
            (1000 * more_s, 1000 * theirs.cpu_s / asked.trials)
            for more_s, (_, theirs) in zip(marginal, pairs, strict=True)
        ],
        most=MOST_CPU_MS,
        note=f"from {few} to {asked.trials} trials, without what their {BLOCKS} reports cost "
        f"more; start and reports of {few} take {figure(start_s)} s; all CPU time, divided by the "
        f"number of trials: {whole_ms} ms",
    )
    yield replace(row, met=None) if any(one.took_turns for one, _ in pairs) else row


def one_at_a_time(place: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """Compare one at a time, with the wait for a quiet core."""
    image = prepared(place)
    folder = trivial(place / "one", asked.trials, TIMED, parallel=1)
    ours = partial(executed, folder, asked.trials)
    peer = partial(in_containers, folder, image, asked.trials, parallel=1)
    pairs = []
    for pair in in_turns(ours, peer, asked.rounds):
        pairs.append(pair)
        if pair[0].stopped:
            break
    name = f"{asked.trials} trivial trials, one at a time, quiet window on"
    yield in_time(name, 1, pairs, MOST_WALL_ONE_AT_A_TIME)


def in_time(
    what: str, parallel: int, pairs: Sequence[tuple[Spent, Spent]], most_ratio: float
) -> Row:
    """Compare wall times. They say nothing about the goal if others used the measured cores."""
    peer = f"xargs -P{parallel} docker run"
    ended = [pair for pair in pairs if not pair[0].stopped]
    goal = f"<= {most_ratio}x"
    if not ended:
        note = "stopped, because other processes did not leave the measured core alone"
        return Row(what=what, unit="s", ours=None, peer=peer, goal=goal, note=note)
    alone = [pair for pair in ended if not pair[0].took_turns]
    kept = alone or ended
    waited = figure(ours.waited_s for ours, _ in kept)
    row = compared(
        what,
        peer,
        "s",
        [(ours.wall_s, theirs.wall_s) for ours, theirs in kept],
        most_ratio=most_ratio,
        note=f"{len(alone)} of {len(pairs)} rounds without another run on the same cores; "
        f"{waited} s of ours are waits for a quiet core",
    )
    return row if alone else replace(row, met=None)


def trivial(folder: Path, trials: int, metric: str, *, parallel: int) -> Path:
    """Lock a study of so many trivial trials, with those of the control; return its folder."""
    cases = [str(number) for number in range(trials // BLOCKS - 1)]
    matrix = {"cases": cases, "metric": metric, "parallel": parallel, "blocks": BLOCKS}
    return locked(folder, "script.py", SCRIPT, matrix)


def locked(folder: Path, script: str, content: str, matrix: Mapping[str, Any]) -> Path:
    """Write a study and its lock; return its folder."""
    folder.mkdir()
    (folder / script).write_text(content, encoding="utf-8")
    cases = ", ".join(matrix["cases"])
    text = MATRIX.format_map({**matrix, "cases": cases, "script": script})
    (folder / "matrix.yaml").write_text(text, encoding="utf-8")
    spent((*RUNNER, "lock"), folder, None)
    return folder


def prepared(place: Path) -> str:
    """Run a small study once, so that every cache is warm; return the id of its image."""
    folder = trivial(place / "first", 3 * BLOCKS, UNTIMED, parallel=1)
    executed(folder, 3 * BLOCKS)
    (image,) = json.loads((folder / "reports/latest/images.json").read_text())["images"]
    return str(image["id"])


def executed(folder: Path, trials: int) -> Spent:
    """Run the study anew, check that all of its trials are saved, and return what it took."""
    ours = spent((*RUNNER, "run", "--new", "--engine", "docker"), folder, SOON_S * trials + 60)
    if ours.stopped:
        return ours
    files = list((folder / "reports/latest/trials").glob("*.json"))
    results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    statuses = [one["status"] for one in results]
    if statuses != ["ok"] * trials:
        raise SystemExit(f"not {trials} trials that are ok, but {statuses}")
    waited_s = sum(one["reading"]["waited_s"] for one in results)
    took_turns = "waiting for core" in (folder / LOG).read_text(encoding="utf-8")
    return replace(ours, waited_s=waited_s, took_turns=took_turns)


def in_containers(folder: Path, image: str, trials: int, *, parallel: int) -> Spent:
    """Run the same script as often with xargs and the docker command."""
    out = folder / "results.txt"
    command = PEER.format(
        trials=trials, parallel=parallel, folder=folder, image=image, out=shlex.quote(str(out))
    )
    theirs = spent(("sh", "-c", command), folder, None)
    if len(out.read_text(encoding="utf-8").splitlines()) != trials:
        raise SystemExit(f"not {trials} results of the peer")
    return theirs


def reported(folder: Path) -> Spent:
    """Write the report of the newest run again."""
    return spent((*RUNNER, "report"), folder, None)


def spent(command: Sequence[str], folder: Path, limit_s: float | None) -> Spent:
    """Run a command in a folder; return what it and the processes that it started took."""
    log = folder / LOG
    with log.open("w", encoding="utf-8") as file:
        began = time.monotonic()
        child = started(command, folder, file)
        stopped = threading.Event()
        timer = threading.Timer(limit_s or 0, interrupt, (child.pid, stopped))
        if limit_s is not None:
            timer.start()
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        wall_s = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode and not stopped.is_set():
        raise SystemExit(f"{shlex.join(command)}: {log.read_text(encoding='utf-8')[-2000:]}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return Spent(wall_s=wall_s, cpu_s=cpu_s, stopped=stopped.is_set())


def started(command: Sequence[str], folder: Path, log: IO[str]) -> "subprocess.Popen[str]":
    """Start a command in a folder, as from a shell there."""
    ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    return subprocess.Popen(
        command, cwd=folder, env=ours, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
    )


def interrupt(process: int, stopped: threading.Event) -> None:
    """Stop a command as Ctrl-C does."""
    stopped.set()
    os.kill(process, signal.SIGINT)


# --- while a trial is measured ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A thread of the runner as the kernel sees it at one moment."""

    cpu_ns: int
    turns: int
    core: int
    allowed: frozenset[int]


@dataclass(slots=True)
class Watched:
    """What the runner did while one script ran."""

    began: float = 0.0
    seconds: float = 0.0
    cpu_ns: int = 0
    samples: int = 0
    on_core: int = 0
    allowed_on_core: int = 0


def while_measured(place: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """Watch the runner while a script sleeps, and while it spins."""
    script = f"benchmark-{os.getpid()}.py"
    matrix = {"cases": ("sleep", "spin"), "metric": TIMED, "parallel": 1, "blocks": 1}
    folder = locked(place / "long", script, LONG_SCRIPT % asked.seconds, matrix)
    scripts = watched(folder, script)
    whole = [one for one in scripts if one.seconds > asked.seconds / 2]
    if not whole:
        raise SystemExit("no script was seen; does the engine run on this machine?")
    samples = sum(one.samples for one in whole)
    yield limited(
        f"the runner's own CPU while a script runs {asked.seconds} s",
        "% of a core",
        [one.cpu_ns / one.seconds / 1e7 for one in whole],
        most=MOST_SHARE,
        note=f"{len(whole)} scripts that sleep or spin, all threads of the runner and its children",
    )
    yield limited(
        "its threads on the measured core meanwhile",
        "seen",
        [sum(one.on_core for one in whole)],
        most=0,
        note=f"{samples} samples of a thread; in {sum(one.allowed_on_core for one in whole)} of "
        "them the thread was allowed to run there",
    )


def watched(folder: Path, script: str) -> list[Watched]:
    """Run the study, and watch the runner during each script."""
    os.sched_setaffinity(0, set(ALLOWED) - {max(ALLOWED)} or ALLOWED)
    scripts: dict[int, Watched] = {}
    with (folder / LOG).open("w", encoding="utf-8") as log:
        runner = started((*RUNNER, "run", "--new", "--engine", "docker"), folder, log)
        earlier: Mapping[int, Thread] = {}
        while runner.poll() is None:
            now, found = time.monotonic(), running(script)
            if found is None:
                earlier = {}
            else:
                threads = threads_of(runner.pid)
                if earlier:
                    add(scripts[found], now, earlier, threads, cores_of(Path(f"/proc/{found}")))
                else:
                    scripts[found] = Watched(began=now)
                earlier = threads
            time.sleep(SAMPLE_S)
    if runner.returncode:
        raise SystemExit((folder / LOG).read_text(encoding="utf-8")[-2000:])
    return list(scripts.values())


def running(script: str) -> int | None:
    """Return the process of the script, wherever its container put it."""
    for place in Path("/proc").glob("[0-9]*"):
        if text_in(f"{place}/cmdline").split("\0")[1:2] == [script]:
            return int(place.name)
    return None


def threads_of(process: int) -> dict[int, Thread]:
    """Return the threads of a process and of all its descendants, by their numbers."""
    found = {}
    for one in (process, *descendants_of(process)):
        for place in Path(f"/proc/{one}/task").glob("*"):
            if thread := thread_at(place):
                found[int(place.name)] = thread
    return found


def thread_at(place: Path) -> Thread | None:
    """Return a thread of the kernel's list; None if it has just ended."""
    ran, stat = (text_in(f"{place}/{name}") for name in ("schedstat", "stat"))
    if not ran or not stat:
        return None
    cpu_ns, _, turns = map(int, ran.split())
    core = int(stat.rpartition(")")[2].split()[36])
    return Thread(cpu_ns=cpu_ns, turns=turns, core=core, allowed=cores_of(place))


def cores_of(place: Path) -> frozenset[int]:
    """Return the cores on which a process or thread may run."""
    listed = re.search(r"^Cpus_allowed_list:(.*)$", text_in(f"{place}/status"), re.MULTILINE)
    ranges = re.findall(r"(\d+)(?:-(\d+))?", listed.group(1) if listed else "")
    return frozenset(core for low, high in ranges for core in range(int(low), int(high or low) + 1))


def add(
    script: Watched,
    now: float,
    earlier: Mapping[int, Thread],
    threads: Mapping[int, Thread],
    measured: frozenset[int],
) -> None:
    """Add what each thread did since the sample before."""
    script.seconds = now - script.began
    for number, thread in threads.items():
        before = earlier.get(number)
        script.samples += 1
        script.cpu_ns += thread.cpu_ns - (before.cpu_ns if before else 0)
        has_run = before is None or thread.turns > before.turns
        script.on_core += has_run and thread.core in measured
        script.allowed_on_core += bool(thread.allowed & measured)


if __name__ == "__main__":
    raise SystemExit(main())
