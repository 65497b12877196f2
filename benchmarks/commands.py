"""Measure the CPU seconds of commands that run no trial, next to peers measured at the same time.

Usage, on a machine with an engine, so that ``plan`` and ``run`` ask it::

    python -m benchmarks.commands [ROUNDS] [--json FILE]

Every round runs each command once, so that a busy machine slows all of them equally: compare the
ratios if the load is high. The peers are installed from the package index for the measurement, and
left out if that fails. The second run repeats one that is complete, like those of ReBench and
Snakemake. The exit code is 1 if a command costs more than its limit or than its peers.
"""

import argparse
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.rows import Row, compared, figure, finished, limited, save, with_json
from runner import engines
from runner.lock.file import lock_path, read_lock, write_lock
from runner.prepare import find_bases
from runner.python.interpreters import machine_platform
from runner.read import read
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    Image,
    Images,
    Lock,
    Package,
)
from runner.records.run import Start
from runner.runs.enter import describe, entered
from runner.runs.files import file_name
from runner.system import stored
from runner.system.host import this_host
from tests.support.fakes import QUIET
from tests.support.samples import ok_result

ROOT = Path(__file__).parents[1]
ROUNDS = 15
UNIT = "CPU s"
PEER = "python -c pass"
IMPORTS = "import pydantic, yaml"
NOX_VERSION, NOX_LIST = "nox --version", "nox --list, 1,000 sessions"
REBENCH, SNAKEMAKE = "ReBench, 1,000 done", "Snakemake, 1,000 done"
SECOND, COMPLETION = "second run, 1,000 cells", "completion, 1,000 cells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a command may cost at most: in CPU seconds, and next to a peer."""

    what: str
    peer: str = PEER
    most: float | None = None
    most_ratio: float | None = None


CLAIMS = (
    Claim(what="runner --version", peer=NOX_VERSION, most=0.04),
    Claim(what="runner plan, 1,000 cells", peer=NOX_LIST, most=0.25),
    Claim(what="runner plan, 10,000 cells", peer=NOX_LIST, most=1.5),
    Claim(what=SECOND, peer=REBENCH, most=0.6, most_ratio=1),
    Claim(what=SECOND, peer=SNAKEMAKE, most=0.6, most_ratio=1),
    Claim(what="runner list, 1,000 cells", peer=NOX_LIST, most=0.25),
    Claim(what=COMPLETION, most=0.3),
    Claim(what="runner help"),
    Claim(what="runner status"),
)

VERSIONS, SIZES = 20, 50
"""How many values the two axes of the studies with 1,000 cells have."""

MATRIX = """\
format: 1
name: benchmark
axes:
  lib: {{package: numpy, versions: [{versions}]}}
  size: [{sizes}]
experiment: {{script: run.py}}
parameters: {{epochs: 5}}
metrics:
  seconds: {{unit: s, better: lower}}
"""
NOXFILE = """\
import nox

@nox.session
@nox.parametrize("size", range({sizes}))
@nox.parametrize("lib", range({versions}))
def bench(session, lib, size):
    pass
"""
REBENCH_CONF = """\
default_experiment: all
default_data_file: rebench.data
runs: {{invocations: 1, min_iteration_time: 0}}
benchmark_suites:
  cells:
    gauge_adapter: RebenchLog
    command: "%(benchmark)s: iterations=1 runtime: 1000us # %(input)s"
    input_sizes: [{sizes}]
    benchmarks: [{versions}]
executors:
  echo: {{path: /bin, executable: echo}}
experiments:
  all: {{suites: [cells], executions: [echo]}}
"""
SNAKEFILE = """\
rule all:
    input: expand("cells/{{lib}}-{{size}}", lib=range({versions}), size=range({sizes}))

rule cell:
    output: "cells/{{lib}}-{{size}}"
    shell: "touch {{output}}"
"""
COMPLETE = """\
matrix-runner() {{ {python} -m runner "$@"; }}
source completion.bash
COMP_LINE='matrix-runner logs lib=1.1' COMP_POINT=26
_matrix_runner
[[ ${{#COMPREPLY[@]}} -eq {expected} ]]
"""
"""Completes the beginning of an id, as bash does when somebody presses the key."""


def main() -> int:
    """Measure, print, and return the exit code."""
    asked = arguments(__doc__, ROUNDS)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="matrix-runner-") as place:
        folder = Path(place)
        write_matrix(folder / "matrix.yaml")
        write_matrix(folder / "large" / "matrix.yaml", versions=100, sizes=100)
        write_matrix(folder / "done" / "matrix.yaml")
        complete_run(folder / "done")
        for costs in measured({**peers(folder), **commands(folder)}, folder, asked.rounds):
            rows = [row(claim, costs) for claim in CLAIMS if claim.what in costs]
            save(rows, asked.json)  # the next round may have to be stopped
    print(f"{IMPORTS}: {figure(costs[IMPORTS])} {UNIT}, part of most commands")
    return finished(rows, asked.json)


def arguments(purpose: str, rounds: int) -> argparse.Namespace:
    """Read the number of rounds, and the file for the rows."""
    parser = argparse.ArgumentParser(description=purpose.splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=rounds, metavar="ROUNDS")
    return with_json(parser).parse_args()


def row(claim: Claim, costs: Mapping[str, Sequence[float]], note: str = "") -> Row:
    """Return the row of a claim; of its limit alone, if the peer could not be measured."""
    if claim.peer in costs:
        pairs = list(zip(costs[claim.what], costs[claim.peer], strict=True))
        most, most_ratio = claim.most, claim.most_ratio
        return compared(
            claim.what, claim.peer, UNIT, pairs, most=most, most_ratio=most_ratio, note=note
        )
    note = f"without {claim.peer}" + (f"; {note}" if note else "")
    if claim.most is None:
        return Row(what=claim.what, unit=UNIT, ours=figure(costs[claim.what]), note=note)
    return limited(claim.what, UNIT, costs[claim.what], most=claim.most, note=note)


def write_matrix(path: Path, versions: int = VERSIONS, sizes: int = SIZES) -> None:
    """Write a study of so many versions and sizes, with its lock."""
    path.parent.mkdir(exist_ok=True)
    path.with_name("run.py").write_text("")
    text = MATRIX.format(
        versions=", ".join(f'"1.{minor}.0"' for minor in range(versions)),
        sizes=", ".join(map(str, range(sizes))),
    )
    path.write_text(text)
    entries = tuple(environment(request) for request in read(path).requests)
    write_lock(lock_path(path), Lock(entries=entries))


def environment(request: EnvironmentRequest) -> Environment:
    """Return an environment of 30 packages, about as many as with TensorFlow."""
    return Environment(
        request=request,
        python=".".join(map(str, sys.version_info[:2])),
        platform=machine_platform(),
        as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
        packages=tuple(
            Package(name=f"package-{number}", version="1.0", hashes=(f"sha256:{number:064}",))
            for number in range(30)
        ),
    )


def complete_run(folder: Path) -> None:
    """Write a run of one block in which every trial of the study is done, with invented results."""
    path, machine = folder / "matrix.yaml", this_host()
    matrix, lock = read(path), read_lock(lock_path(path))
    start = Start(root=folder, reports=folder / "reports", matrix=path, blocks=1)
    with closing(engines.connect("auto", machine.id, print)) as engine:
        bases = find_bases(matrix, lock, engine)
        run = describe(matrix, lock, start, machine, engine.describe(), bases=bases)
    image = Image(
        environment="0" * 64,
        label="benchmark",
        id=f"sha256:{0:064}",
        size_bytes=1,
        base=next(iter(bases.values())),
    )
    with entered(run, start, print) as execution:
        execution.folder.save(Images(images=(image,)))
        trials = execution.folder.path / "trials"
        trials.mkdir()
        for number, trial in enumerate(execution.plan.trials):
            result = ok_result(trial, {"seconds": 1 + number % 7 / 100}, {})
            result = replace(result, reading=QUIET, image=image.id)
            content = stored.sealed(stored.dump(result))  # without waiting for the disk
            (trials / f"{file_name(trial.id)}.json").write_bytes(content)


def peers(folder: Path) -> Mapping[str, Sequence[str]]:
    """Return what the commands are compared with, by the printed names."""
    python = sys.executable
    found: dict[str, Sequence[str]] = {
        PEER: [python, "-c", "pass"],
        IMPORTS: [python, "-c", "import pydantic, yaml; pydantic.BaseModel"],
    }
    for name, peer in (("nox", nox), ("rebench", rebench), ("snakemake", snakemake)):
        try:
            found |= peer(folder, installed(name, folder))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"without {name}: {error}")
    return found


def installed(name: str, folder: Path) -> str:
    """Install a package into an environment of its own; return the path of its program."""
    place = folder / f"venv-{name}"
    venv.create(place, with_pip=True)
    subprocess.run([str(place / "bin" / "pip"), "install", "--quiet", name], check=True)
    return str(place / "bin" / name)


def nox(folder: Path, program: str) -> Mapping[str, Sequence[str]]:
    """Return the commands of nox."""
    noxfile = folder / "noxfile.py"
    noxfile.write_text(NOXFILE.format(versions=VERSIONS, sizes=SIZES))
    return {
        NOX_VERSION: [program, "--version"],
        NOX_LIST: [program, "--list", "--noxfile", str(noxfile)],
    }


def rebench(folder: Path, program: str) -> Mapping[str, Sequence[str]]:
    """Run as many benchmarks as a study has cells; return the command that repeats that."""
    versions = ", ".join(f"lib{minor}" for minor in range(VERSIONS))
    sizes = ", ".join(map(str, range(SIZES)))
    (folder / "rebench.conf").write_text(REBENCH_CONF.format(versions=versions, sizes=sizes))
    line = f"{shlex.quote(program)} --no-denoise --without-building rebench.conf; [ $? -le 1 ]"
    command = ["sh", "-c", line]  # it returns 1 if nothing was left to do
    cpu_seconds(command, folder)
    return {REBENCH: command}


def snakemake(folder: Path, program: str) -> Mapping[str, Sequence[str]]:
    """Make a file for each cell of a study; return the command that has nothing left to do."""
    (folder / "Snakefile").write_text(SNAKEFILE.format(versions=VERSIONS, sizes=SIZES))
    (folder / "cells").mkdir()
    for minor in range(VERSIONS):
        for size in range(SIZES):
            (folder / "cells" / f"{minor}-{size}").touch()
    command = [program, "--cores", "1"]
    cpu_seconds([*command, "--touch"], folder)  # it notes how the files were made
    return {SNAKEMAKE: command}


def commands(folder: Path) -> Mapping[str, Sequence[str]]:
    """Return our commands by their printed names."""
    runner = [sys.executable, "-m", "runner"]
    large, done = folder / "large" / "matrix.yaml", folder / "done" / "matrix.yaml"
    again = ["run", "--matrix", str(done), "--reports", str(done.with_name("reports"))]
    found = {
        "runner --version": [*runner, "--version"],
        "runner help": [*runner, "help"],
        "runner status": [*runner, "status", "--reports", str(done.with_name("reports"))],
        "runner list, 1,000 cells": [*runner, "list"],
        "runner plan, 1,000 cells": [*runner, "plan"],
        "runner plan, 10,000 cells": [*runner, "plan", "--matrix", str(large)],
        SECOND: [*runner, *again, "--blocks", "1"],
    }
    if bash := shutil.which("bash"):
        script = subprocess.run(
            [*runner, "completion", "bash"], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        (folder / "completion.bash").write_bytes(script.stdout)
        expected = SIZES * sum(f"1.{minor}.0".startswith("1.1") for minor in range(VERSIONS))
        asked = COMPLETE.format(python=shlex.quote(sys.executable), expected=expected)
        (folder / "complete.bash").write_text(asked)
        found[COMPLETION] = [bash, "complete.bash"]
    return found


def measured(
    named: Mapping[str, Sequence[str]], folder: Path, rounds: int
) -> Iterator[Mapping[str, Sequence[float]]]:
    """Yield, after each round, what each command cost in every round so far."""
    spent: dict[str, list[float]] = {name: [] for name in named}
    for command in named.values():
        cpu_seconds(command, folder)  # warms up
    for _ in range(rounds):
        for name, command in named.items():
            spent[name].append(cpu_seconds(command, folder))
        yield spent


def cpu_seconds(command: Sequence[str], folder: Path) -> float:
    """Run a command in a folder; return the CPU seconds, user and system, of all its processes."""
    ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        cwd=folder,
        env=ours,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
