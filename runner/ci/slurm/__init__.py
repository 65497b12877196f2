"""A script for Slurm: what ``ci slurm`` writes. One task of an array executes one shard."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from runner.errors import ConfigError
from runner.plan import estimate, make_plan
from runner.records.run import Shard
from runner.records.study import Matrix
from runner.system import program
from runner.text import counted, duration, quoted

MARK = "# Written by `matrix-runner ci slurm`"
MOST_TASKS = 1000
"""How many tasks an array of Slurm has at most, unless its administrator allows more."""
BUILD_S = 300.0
"""Longer than it takes to build an environment, also with a slow package index."""
STEP_S = 300.0
"""Time limits are multiples of this."""

_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the script is for. ``shards`` is the number of tasks; None means one for each block."""

    path: Path
    matrix: Matrix
    reports: Path
    engine: str
    blocks: int | None
    shards: int | None

    @property
    def script(self) -> Path:
        """Where the script lies, next to which it is submitted."""
        return Path(f"{self.matrix.name}.sbatch")

    @property
    def all_blocks(self) -> int:
        """The number of blocks of the study."""
        return self.matrix.blocks if self.blocks is None else self.blocks

    @property
    def tasks(self) -> int:
        """The number of tasks of the array."""
        return min(self.all_blocks, MOST_TASKS) if self.shards is None else self.shards

    @property
    def command(self) -> str:
        """The command that writes the script again."""
        words = [program.name(), "ci slurm --matrix", str(self.path), "--engine", self.engine]
        words += [] if self.blocks is None else ["--blocks", str(self.blocks)]
        words += [] if self.shards is None else ["--shards", str(self.shards)]
        words += [] if self.reports == Path("reports") else ["--reports", str(self.reports)]
        return " ".join(words)

    @property
    def submission(self) -> tuple[str, ...]:
        """The commands that lock and submit the study, and merge its blocks after that."""
        merge = f"{program.name()} merge {self.reports}/slurm/$study"
        settings = f"--job-name={self.matrix.name}-merge --output=%x-%j.log"
        return (
            f"{program.name()} lock --matrix {self.path}",
            f"study=$(sbatch --parsable {self.script})",
            f'sbatch --dependency=afterany:$study {settings} --wrap="{merge}"',
        )


def script(wanted: Wanted) -> str:
    """Return the script; ConfigError if a path cannot stand in it, or if a task has no block."""
    for path in (wanted.path, wanted.reports):
        if not _PLAIN_PATH.fullmatch(str(path)):
            raise ConfigError(
                f"{quoted(str(path))} cannot be used in a Slurm script: use a path with letters, "
                "digits and the characters ._/+- only."
            )
    if wanted.tasks > wanted.all_blocks:
        raise ConfigError(
            f"{wanted.tasks} tasks cannot share {counted(wanted.all_blocks, 'block')}; use fewer "
            "--shards, or more --blocks."
        )
    environment = Environment(
        loader=PackageLoader("runner.ci.slurm"),
        autoescape=False,  # noqa: S701 (a script; every value is checked)
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("array.sbatch.j2").render(_values(wanted))


def is_ours(text: str) -> bool:
    """Whether a file was written by ``ci slurm``."""
    return MARK in text


def _values(wanted: Wanted) -> Mapping[str, object]:
    """Return the values that the template needs."""
    matrix, environments = wanted.matrix, len(wanted.matrix.requests)
    shard = Shard(1, wanted.tasks)  # none has more blocks
    trials = replace(make_plan(matrix, 0, wanted.all_blocks), shard=shard).own
    limits = {cell.id: cell.timeout_s for cell in matrix.cells}
    most = sum(limits[trial.cell] for trial in trials) + environments * BUILD_S
    blocks = math.ceil(wanted.all_blocks / wanted.tasks)
    return {
        "mark": MARK,
        "command": wanted.command,
        "program": program.name(),
        "name": wanted.matrix.name,
        "script": wanted.script,
        "submission": wanted.submission,
        "matrix": wanted.path,
        "reports": f"{wanted.reports}/slurm",
        "engine": wanted.engine,
        "tasks": wanted.tasks,
        "blocks": wanted.all_blocks,
        "share": "one block" if blocks == 1 else f"at most {blocks} blocks",
        "takes": duration(estimate(matrix, trials, (), environments)),
        "time": _time(most),
    }


def _time(seconds: float) -> str:
    """Return a time limit as Slurm reads it, days-hours:minutes:seconds."""
    minutes = round(math.ceil(seconds / STEP_S) * STEP_S / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}-{hours:02}:{minutes:02}:00"
