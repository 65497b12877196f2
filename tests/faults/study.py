"""The study that faults are injected into, and the check of its results."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker

from runner.errors import Exit
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.runs.folder import RunFolder
from tests.support.studies import ROOT, run_folders, write_study
from tests.support.trials import plain_environment

SCRIPT = """
import json, os, time
order = json.load(open(os.environ["PARAMS_PATH"]))
time.sleep({seconds})
x = order["seed"] % 10**6 + order["cell"]["size"] / 10
json.dump({{"format": 1, "values": {{"x": x}}}}, open(os.environ["RESULT_PATH"], "w"))
"""
FILLS = """
if order["cell"]["size"] == 2:
    time.sleep({seconds})
    with open("/out/big", "wb", 0) as file:
        while True:
            file.write(bytes(2**20))
"""
TIMEOUT_S = 240


def declare(
    folder: Path,
    *,
    cells: int = 2,
    blocks: int = 2,
    seconds: float = 0.4,
    fills_after: float | None = None,
) -> None:
    """Write the study into a folder. Its second cell may fill its disk after some seconds."""
    script = SCRIPT.format(seconds=seconds)
    if fills_after is not None:
        script = script.replace("x = order", FILLS.format(seconds=fills_after) + "x = order")
    folder.mkdir(parents=True, exist_ok=True)
    write_study(folder, plain_environment(), script, blocks=blocks)
    matrix = folder / "matrix.yaml"
    sizes = list(range(1, cells + 1))
    matrix.write_text(matrix.read_text().replace("{size: [1, 2]}", f"{{size: {sizes}}}"))


def start(
    folder: Path, address: str, more: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the program with its own temporary folder, and wait until it handles signals."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.program", "--engine", "docker"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DOCKER_HOST": address,
            "TMPDIR": str(temporary),
            "XDG_STATE_HOME": str(folder.parent / "state"),
            **(more or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while program.poll() is None and not _handles_signals(program.pid):
        time.sleep(0.01)
    return program


def _handles_signals(pid: int) -> bool:
    """Whether a process has installed its signal handlers."""
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the program ended."""

    code: int
    out: str
    err: str


def ended(program: subprocess.Popen[str], within_s: float | None = TIMEOUT_S) -> Ended:
    """Wait for the program to end."""
    out, err = program.communicate(timeout=within_s)
    # A Ctrl-C while Python still starts ends it by the signal; a shell reports 130 for both.
    code = Exit.INTERRUPTED if program.returncode == -signal.SIGINT else program.returncode
    return Ended(int(code), out, err)


def saved(folder: Path) -> dict[Path, bytes]:
    """Return the files of the saved results."""
    return {path: path.read_bytes() for path in folder.glob("reports/2*/trials/*.json")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The problems after a fault and its resumed run; there should be none."""

    lost: int
    duplicated: int
    wrong: int
    missing: int
    orphans: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.wrong or self.missing or self.orphans)


def inspect(
    folder: Path, before: Mapping[Path, bytes], address: str, failing: Mapping[int, Status]
) -> Found:
    """Check a complete study.

    ``before`` are the results that were saved when the fault struck. ``failing`` has the expected
    status of cells that fail, by size.
    """
    (run,) = run_folders(folder)
    results = [one for one in run.results() if one.says_something()]
    planned = {trial.slot for trial in run.plan().trials}
    said = Counter(result.trial.slot for result in results)
    kept = saved(folder)
    return Found(
        lost=sum(kept.get(path) != content for path, content in before.items()),
        duplicated=sum(count - 1 for count in said.values()),
        wrong=sum(not _right(result, failing) for result in run.results()),
        missing=len(planned - set(said)),
        orphans=tuple(orphans(folder, run, address)),
    )


def _right(result: TrialResult, failing: Mapping[int, Status]) -> bool:
    """Whether a result has the expected status, and numbers only if it is ok."""
    size = int(result.trial.cell.partition("=")[2])
    if not result.says_something():
        return not result.values and bool(result.reason)
    if size in failing:
        return result.status is failing[size] and not result.values
    return result.status is Status.OK and result.values == {
        "x": result.trial.seed % 10**6 + size / 10
    }


def orphans(folder: Path, run: RunFolder, address: str) -> list[str]:
    """Return the remains on the engine, on the disk and as processes."""
    found = on_engine(address)
    found += [str(path) for path in (folder / "temporary").iterdir()]
    found += [str(path) for path in run.path.rglob(".*") if path.name != ".occupied"]
    return found + _processes(folder)


def on_engine(address: str) -> list[str]:
    """Return the containers and volumes on an engine."""
    client = docker.DockerClient(address)
    try:
        found = [str(one.name) for one in client.containers.list(all=True)]
        return found + [str(one.name) for one in client.volumes.list()]
    finally:
        client.close()


def _processes(folder: Path) -> list[str]:
    """Return the processes that run in the study's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder.resolve()):
                found.append((process / "cmdline").read_text())
        except OSError:  # it has just ended
            continue
    return found
