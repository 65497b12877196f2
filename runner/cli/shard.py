"""Which shard of a study a command executes: as its options say, or as a scheduler says."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from runner.cli.arguments import Options
from runner.errors import ConfigError, NothingSelectedError
from runner.records.run import Shard
from runner.text import counted, quoted

SHARD, SHARDS = "MATRIX_RUNNER_SHARD", "MATRIX_RUNNER_SHARDS"
"""Variables of the environment: the shard, written 2/5, and the number of shards."""
SLURM, KUBERNETES = "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"


class Chosen(NamedTuple):
    """A shard, and what chose it."""

    shard: Shard
    by: str

    def held_by(self, blocks: int) -> Shard:
        """Return the shard; NothingSelectedError if it holds none of so many blocks."""
        if self.shard.number > blocks:
            raise NothingSelectedError(
                f"shard {self.shard} ({self.by}) has no block: the plan has "
                f"{counted(blocks, 'block')}. Use fewer shards, or more --blocks."
            )
        return self.shard


def chosen(options: Options, variables: Mapping[str, str]) -> Chosen | None:
    """Return the shard to execute; None for all blocks. The command line wins.

    ConfigError if it is not clear which shard is meant, or if only a whole study can do what the
    options ask for.
    """
    found = _chosen(options.shard, variables)
    if found is None or found.shard.of == 1:
        return found
    for option, given in (("--until", options.until is not None), ("--gate", options.gate)):
        if given:
            raise ConfigError(
                f"{option} needs the verdicts of all blocks, and this is shard {found.shard} "
                f"({found.by}). Leave it out here, and use `merge --gate` for the gate."
            )
    return found


def _chosen(given: str | None, variables: Mapping[str, str]) -> Chosen | None:
    if given is not None:
        return Chosen(parsed(given), "--shard")
    if (written := variables.get(SHARD)) is not None:
        try:
            return Chosen(parsed(written), SHARD)
        except ValueError as error:
            raise ConfigError(f"{SHARD}: {error}.") from error
    if SLURM in variables:
        return Chosen(_of_slurm(variables), SLURM)
    if KUBERNETES in variables:
        return Chosen(_of_kubernetes(variables), KUBERNETES)
    return None


def parsed(text: str) -> Shard:
    """Return the shard that is written as 2/5; ValueError for anything else."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text, re.ASCII)
    number, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise ValueError(f"expected a shard such as 2/5, not {quoted(text)}")
    return Shard(number, of)


def _of_slurm(variables: Mapping[str, str]) -> Shard:
    """Return the shard of a task of an array job.

    An array that is not 0-N or 1-N, such as one that repeats a few tasks, does not say how many
    shards the study has.
    """
    task = _number(variables, SLURM)
    if SHARDS in variables:
        return _numbered(task, _number(variables, SHARDS), SLURM)
    first, last, count = (
        _number(variables, f"SLURM_ARRAY_TASK_{name}") for name in ("MIN", "MAX", "COUNT")
    )
    if first not in {0, 1} or last - first + 1 != count:
        raise ConfigError(
            f"{SLURM} is {task}, but the tasks of this array are not numbered 1-N, so it does not "
            f"say how many shards there are. Set {SHARDS} to their number, or use --shard."
        )
    return _numbered(task - first + 1, count, SLURM)


def _of_kubernetes(variables: Mapping[str, str]) -> Shard:
    """Return the shard of a pod of an indexed job, whose indices begin at 0."""
    if SHARDS not in variables:
        raise ConfigError(
            f"{KUBERNETES} is set, but not the number of shards. Set {SHARDS} to the `completions` "
            "of the job, or use --shard (`--shard 1/1` runs all blocks)."
        )
    return _numbered(_number(variables, KUBERNETES) + 1, _number(variables, SHARDS), KUBERNETES)


def _number(variables: Mapping[str, str], name: str) -> int:
    value = variables.get(name, "")
    if not re.fullmatch(r"[0-9]{1,7}", value, re.ASCII):
        raise ConfigError(
            f"{name}: expected a whole number, not {quoted(value)}; correct it, or use --shard."
        )
    return int(value)


def _numbered(number: int, of: int, name: str) -> Shard:
    try:
        return Shard(number, of)
    except ValueError as error:
        numbering = "number the tasks of the array from 1, or " if name == SLURM else ""
        raise ConfigError(
            f"{name} means shard {number} of {of}, which does not exist; {numbering}change "
            f"{SHARDS}."
        ) from error
