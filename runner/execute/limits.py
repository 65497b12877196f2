"""What an engine allows: the limits of trials, and how many of them run side by side."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.errors import ConfigError
from runner.records.run import EngineFacts
from runner.records.study import AUTO, Matrix
from runner.system.topology import Core, physical, separate, usable
from runner.text import counted, memory

if TYPE_CHECKING:
    from runner.engines.protocol import Engine


def check_limits(matrix: Matrix, engine: EngineFacts) -> None:
    """Refuse limits that exceed the engine, before anything is built."""
    if matrix.cpus > engine.cpus:
        raise ConfigError(
            f"limits.cpus is {matrix.cpus}, but the engine has only {engine.cpus}; lower it in the "
            "matrix."
        )
    most_bytes = _most_bytes(matrix)
    if most_bytes > engine.memory_bytes:
        raise ConfigError(
            f"limits.memory is {memory(most_bytes)}, but the engine has only "
            f"{memory(engine.memory_bytes)}; lower it in the matrix."
        )


def cores_of(engine: "Engine", machine: str) -> tuple[Core, ...]:
    """Return the cores that trials may use; ``machine`` names one elsewhere, which is unknown."""
    return separate(engine.cores()) if machine else physical(engine.cores())


def parallel_trials(matrix: Matrix, engine: EngineFacts, cores: Sequence[Core]) -> int:
    """Return how many trials of a block run side by side on these cores of an engine.

    ConfigError if the matrix asks for more than the engine has cores or memory for.
    """
    if isinstance(matrix.parallel, int):
        _check(matrix, matrix.parallel, engine, cores)
    return matrix.trials_at_once or most_parallel(matrix, engine.memory_bytes, cores)


def most_parallel(matrix: Matrix, memory_bytes: int, cores: Sequence[Core]) -> int:
    """Return how many trials may run side by side on a machine, as ``auto`` means it."""
    cpus = matrix.cpus
    if matrix.is_timed:
        # Trials that share a last-level cache slow each other down, some versions more than others.
        own = Counter(core.cache for core in usable(cores, cpus))
        room = sum(number >= cpus for number in own.values())
    else:
        room = sum(len(core.threads) for core in cores) // cpus
    return max(min(room, memory_bytes // _most_bytes(matrix), matrix.trials_in_block), 1)


def _check(matrix: Matrix, wanted: int, engine: EngineFacts, cores: Sequence[Core]) -> None:
    """Refuse a number of trials that an engine has no room for. One always has."""
    if wanted == 1:
        return
    available, kind = len(cores), "physical core"
    if not matrix.is_timed:  # threads of one core may then be used, too
        available, kind = sum(len(core.threads) for core in cores), "core"
    needed, most_bytes = wanted * matrix.cpus, wanted * _most_bytes(matrix)
    if needed > available:
        raise ConfigError(
            f"parallel is {wanted}, which takes {counted(needed, kind)}, but the engine has only "
            f"{available}; lower it, or write `{AUTO}`."
        )
    if most_bytes > engine.memory_bytes:
        raise ConfigError(
            f"parallel is {wanted}, which may take {memory(most_bytes)} of memory, but the engine "
            f"has only {memory(engine.memory_bytes)}; lower it, or limits.memory."
        )


def _most_bytes(matrix: Matrix) -> int:
    """Return the most memory that one trial may use."""
    return max(matrix.limits_of(cell).memory_bytes for cell in matrix.cells)
