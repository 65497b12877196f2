"""Measure the CPU seconds of commands that run no trial, next to peers measured at the same time.

Usage, on a machine with an engine, so that ``plan`` and ``run`` ask it::

    python -m benchmarks.commands [ROUNDS]

Every round runs each command once, so that a busy machine slows all of them equally: compare the
ratios if the load is high. The peers are installed from the package index for the measurement, and
left out if that fails. The second run repeats one that is complete, like those of ReBench and
Snakemake. The exit code is 1 if a command costs more than its limit or than its peers.
"""

import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

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
PEER = "python -c pass"
LIMITS = {
    "runner --version": 0.04,
    "runner list, 1,000 cells": 0.25,
    "runner plan, 1,000 cells": 0.25,
    "runner plan, 10,000 cells": 1.5,
    "completion, 1,000 cells": 0.3,
    "second run, 1,000 cells": 0.6,
}
"""The most CPU seconds that a command may cost."""

SECOND = "second run, 1,000 cells"
REBENCH, SNAKEMAKE = "ReBench, 1,000 done", "Snakemake, 1,000 done"
CHEAPER = {SECOND: (REBENCH, SNAKEMAKE)}
"""The peers that must cost more than a command."""

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
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="matrix-runner-") as place:
        folder = Path(place)
        write_matrix(folder / "matrix.yaml")
        write_matrix(folder / "large" / "matrix.yaml", versions=100, sizes=100)
        write_matrix(folder / "done" / "matrix.yaml")
        complete_run(folder / "done")
        costs = measure({**peers(folder), **commands(folder)}, folder, rounds)
    load = os.getloadavg()[0]
    print(f"{'command':26} {'CPU s':>7} {'vs peer':>8} {'limit':>6}")
    for name, seconds in costs.items():
        limit = f"{LIMITS[name]:6.2f}" if name in LIMITS else ""
        print(f"{name:26} {seconds:7.3f} {seconds / costs[PEER]:7.1f}x {limit}".rstrip())
    over = [name for name, limit in LIMITS.items() if costs.get(name, 0) > limit]
    for name, others in CHEAPER.items():
        for other in (one for one in others if one in costs):
            print(f"{name}: {costs[name] / costs[other]:.2f}x of {other}")
            over += [name] * (costs[name] >= costs[other])
    print(
        f"median of {rounds} rounds, load {load:.1f}; over the limit: {', '.join(over) or 'none'}"
    )
    return 1 if over else 0


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
        "import pydantic, yaml": [python, "-c", "import pydantic, yaml; pydantic.BaseModel"],
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
        "nox --version": [program, "--version"],
        "nox --list, 1,000 sessions": [program, "--list", "--noxfile", str(noxfile)],
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
        found["completion, 1,000 cells"] = [bash, "complete.bash"]
    return found


def measure(named: Mapping[str, Sequence[str]], folder: Path, rounds: int) -> Mapping[str, float]:
    """Return the median CPU seconds, user and system, of each command."""
    spent: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(rounds + 1):
        for name, command in named.items():
            spent[name].append(cpu_seconds(command, folder))
    return {name: median(seconds[1:]) for name, seconds in spent.items()}  # the first warms up


def cpu_seconds(command: Sequence[str], folder: Path) -> float:
    """Run a command in a folder; return the CPU seconds of it and its child processes."""
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
