"""plan: which trials, in which order, with which seeds. Nothing runs here.

Blocks are complete and randomised: each holds every cell once, in its own order. Order and seeds
come from SHA-256 of the run's seed, so they are the same on every Python, and adding blocks or
cells never changes the order of the others.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from runner.errors import ConfigError, NothingSelectedError
from runner.records import shown
from runner.records.attempts import Attempts
from runner.records.run import Guards, Plan, Trial, TrialResult
from runner.records.study import Cell, Matrix, Status
from runner.text import did_you_mean

# Rough durations for cells that never ran, rounded up from a 2-core x86-64 machine.
IMAGE_S = 40.0
TRIAL_S = 30.0
STARTUP_S = 8.0
EPOCH_S = 1.1

MOST_LOST = 3
"""How often one command tries a trial whose engine is lost, before it leaves it to the next."""

FEWEST_BLOCKS = 5
"""With fewer common blocks, or fewer trials on a side, nothing is compared."""

GUARDS = Guards()
"""The guards of new runs."""


def select(matrix: Matrix, selections: Sequence[str]) -> Matrix:
    """Keep the cells that match ``axis=value[,value...]``, where values may be globs.

    Giving an axis twice widens the selection, different axes narrow it. Raises ConfigError if a
    selection is malformed, and NothingSelectedError if a value, or all of them together, selects no
    cell: a misspelt value must not silently shrink a study.
    """
    wanted = _wanted(matrix, selections)
    selected: dict[str, set[str]] = {axis: set() for axis in wanted}
    for axis, patterns in wanted.items():
        values = list(dict.fromkeys(_value(cell, axis) for cell in matrix.cells))
        for pattern in patterns:
            found = [value for value in values if fnmatchcase(value, pattern)]
            if not found:
                raise NothingSelectedError(
                    f"{axis}={pattern} selects no cell; {axis} has {', '.join(values)}"
                )
            selected[axis].update(found)
    cells = tuple(
        cell
        for cell in matrix.cells
        if all(_value(cell, axis) in values for axis, values in selected.items())
    )
    if not cells:
        asked = " ".join(f"{axis}={','.join(patterns)}" for axis, patterns in wanted.items())
        listed = "".join(f"\n  {cell.id}" for cell in matrix.cells)
        raise NothingSelectedError(f"no cell has all of {asked}; the cells are:{listed}")
    return only(matrix, cells)


def only(matrix: Matrix, cells: Iterable[Cell]) -> Matrix:
    """Return a matrix with some of its cells, and the comparisons between them."""
    chosen = tuple(cells)
    kept = {cell.id for cell in chosen}
    pairs = tuple(pair for pair in matrix.compare if {pair.of, pair.against} <= kept)
    return replace(matrix, cells=chosen, compare=pairs)


def _wanted(matrix: Matrix, selections: Sequence[str]) -> dict[str, list[str]]:
    """Return the patterns of each selected axis; ConfigError with every problem found."""
    axes = [axis.name for axis in matrix.axes]
    wanted: dict[str, list[str]] = {}
    problems: list[str] = []
    for selection in selections:
        name, _, values = (part.strip() for part in selection.partition("="))
        patterns = [value.strip() for value in values.split(",")]
        if not name or not all(patterns):
            problems.append(
                f"selection {selection!r} is not of the form axis=value[,value...]; write one "
                "such as tensorflow=2.*"
            )
        elif name not in axes:
            hint = did_you_mean(name, axes) or f"; the axes are {', '.join(axes)}"
            problems.append(f"selection {selection!r}: there is no axis {name!r}{hint}")
        else:
            wanted.setdefault(name, []).extend(patterns)
    if problems:
        raise ConfigError("\n".join(problems))
    return wanted


def _value(cell: Cell, axis: str) -> str:
    """Return the value of a cell on an axis, as a person writes it."""
    return shown(dict(cell.coordinates)[axis])


def quick(matrix: Matrix, blocks: int = 1) -> Matrix:
    """Return the matrix for a first look: quick parameters, few blocks, and no repeats."""
    cells = tuple(
        replace(
            cell,
            parameters={**cell.parameters, **matrix.quick},
            blocks=None if cell.blocks is None else 1,
        )
        for cell in matrix.cells
    )
    return replace(matrix, cells=cells, blocks=blocks, repeats=0, is_quick=True)


def make_plan(
    matrix: Matrix, seed: int, blocks: int | None = None, earlier: Plan | None = None
) -> Plan:
    """Order the trials of ``blocks`` blocks (``None``: as many as the matrix says).

    If cells are compared in several blocks, each block also holds the control, a second copy of the
    baseline. ``earlier`` is the plan of the same run so far: its looks, its guards and the cells
    that left stay the same.
    """
    count = matrix.blocks if blocks is None else blocks
    looks = (earlier.looks if earlier else ()) or looks_of(matrix)
    left = earlier.left if earlier else {}
    lasts = {
        cell.id: min(cell.blocks or count, left.get(cell.id, count), count) for cell in matrix.cells
    }
    control = matrix.baseline_cell() if matrix.compare and looks[0] > 1 else None
    trials: list[Trial] = []
    for block in range(1, count + 1):
        block_seed = int.from_bytes(_hash(f"seed\0{seed}\0{block}")[:4], "big") >> 1  # 31 bits
        held = [(cell, False) for cell, last in lasts.items() if block <= last]
        held += [(control.id, True)] if control and held else []
        order = f"order\0{seed}\0{block}\0"
        # Stored plans were ordered with "twin", the former word for the control.
        held.sort(key=lambda one: _hash(order + one[0] + "\0twin" * one[1]))
        trials += (
            Trial(cell=cell, block=block, position=position, seed=block_seed, control=is_control)
            for position, (cell, is_control) in enumerate(held, start=1)
        )
    window_s = GUARDS.window_s if matrix.is_timed else 0.0  # or nothing has to be quiet
    guards = (
        earlier.guards if earlier else replace(GUARDS, window_s=window_s, repeats=matrix.repeats)
    )
    return Plan(
        seed=seed, blocks=count, trials=tuple(trials), looks=looks, guards=guards, left=left
    )


def looks_of(matrix: Matrix) -> tuple[int, ...]:
    """Return after how many blocks verdicts are read: 7, 14, 21 and 28 where a matrix says 7."""
    return tuple(matrix.blocks * look for look in range(1, matrix.looks + 1))


def pending(matrix: Matrix, plan: Plan, results: Iterable[TrialResult]) -> tuple[Trial, ...]:
    """Return the trials of a run that need an attempt, in order, each as its next attempt.

    These are the trials without an attempt that says something about the cell, and those that the
    machine disturbed and that were not repeated often enough. Other shards execute the others.
    """
    attempts = Attempts(results)
    expected = {cell.id: cell.expect for cell in matrix.cells}
    return tuple(
        attempts.next(trial)
        for trial in plan.own
        if not _settled(attempts.of(trial), plan.guards, expected.get(trial.cell, Status.OK))
    )


def _settled(known: Sequence[TrialResult], guards: Guards, expected: Status) -> bool:
    """Whether a trial needs no further attempt."""
    telling = [one for one in known if one.says_something(expected)]
    undisturbed = any(one.disturbed is None for one in telling)
    return undisturbed or (bool(telling) and _disturbed(known) > guards.repeats)


def _disturbed(known: Iterable[TrialResult]) -> int:
    return sum(one.disturbed is not None for one in known)


def to_repeat(
    matrix: Matrix, plan: Plan, block: int, results: Iterable[TrialResult]
) -> tuple[Trial, ...]:
    """Return the trials to repeat at the end of a block: the machine disturbed or lost them.

    A trial that was lost too often, or that only reached its time limit while it was disturbed, is
    left to the next command.
    """
    known = [result for result in results if result.trial.block == block]
    attempts = Attempts(known)
    return tuple(
        trial
        for trial in pending(matrix, plan, known)
        if _is_repeated_now(attempts.of(trial), plan.guards)
    )


def _is_repeated_now(known: Sequence[TrialResult], guards: Guards) -> bool:
    if not known:
        return False
    if known[-1].status is Status.ENGINE_LOST:
        return sum(one.status is Status.ENGINE_LOST for one in known) < MOST_LOST
    return 0 < _disturbed(known) <= guards.repeats


def complete_blocks(plan: Plan, results: Iterable[TrialResult]) -> int:
    """Return how many blocks are complete, counted from the first one without a gap."""
    attempts = Attempts(results)
    waiting = (
        trial.block
        for trial in plan.trials
        if all(one.status is Status.ENGINE_LOST for one in attempts.of(trial))
    )
    return min(waiting, default=plan.blocks + 1) - 1


def whole_blocks(matrix: Matrix, plan: Plan, results: Iterable[TrialResult]) -> frozenset[int]:
    """Return the blocks that are complete, with the repeats of what the machine disturbed."""
    by_block: dict[int, list[TrialResult]] = {}
    for result in results:
        by_block.setdefault(result.trial.block, []).append(result)
    trials: dict[int, list[Trial]] = {}
    for trial in plan.trials:
        trials.setdefault(trial.block, []).append(trial)
    return frozenset(
        block
        for block, known in by_block.items()
        if block in trials
        and _is_whole(matrix, replace(plan, trials=tuple(trials[block]), shard=None), known)
    )


def _is_whole(matrix: Matrix, block: Plan, known: Sequence[TrialResult]) -> bool:
    """Whether a plan of one block needs neither another trial nor a repeat."""
    attempts = Attempts(known)
    return all(
        any(one.status is not Status.ENGINE_LOST for one in attempts.of(trial))
        for trial in block.trials
    ) and not to_repeat(matrix, block, known[0].trial.block, known)


def estimate(
    matrix: Matrix,
    trials: Iterable[Trial],
    history: Iterable[TrialResult],
    images_to_build: int,
    parallel: int = 1,
) -> float:
    """Return about how many seconds these trials and images take, with so many side by side.

    A trial takes the median duration of its cell in ``history``: results with equal parameters,
    which the caller chooses. Without any, it takes the rough durations above.
    """
    durations: dict[str, list[float]] = {}
    for result in history:
        if result.duration_s is not None and result.status is not Status.ENGINE_LOST:
            durations.setdefault(result.trial.cell, []).append(result.duration_s)
    seconds = {cell.id: _rough(cell) for cell in matrix.cells}
    if durations:
        from statistics import median  # noqa: PLC0415 (heavy, and only a run has a history)

        seconds |= {cell: median(known) for cell, known in durations.items()}
    return images_to_build * IMAGE_S + sum(seconds[trial.cell] for trial in trials) / parallel


def _rough(cell: Cell) -> float:
    """Guess the seconds of a trial from its ``epochs`` parameter, if it has one."""
    epochs = cell.parameters.get("epochs")
    seconds = STARTUP_S + EPOCH_S * epochs if isinstance(epochs, int | float) else TRIAL_S
    return min(seconds, cell.timeout_s)


def _hash(text: str) -> bytes:
    """Return the SHA-256 of a text; the same on every machine and Python."""
    return hashlib.sha256(text.encode()).digest()
