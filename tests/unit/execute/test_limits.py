"""How many trials run side by side, and what an engine refuses."""

from dataclasses import replace

import pytest

from runner.errors import ConfigError
from runner.execute import parallel_trials
from runner.records.study import Better, Metric, MetricSource, Origin, Parallel, Scale
from runner.system.topology import Core, separate
from tests.support.fakes import QuickEngine
from tests.support.samples import founding_matrix

GIB = 1024**3
ENGINE = replace(QuickEngine().describe(), cpus=16, memory_bytes=64 * GIB)
SERVER = tuple(Core((one, one + 8), "left" if one < 4 else "right") for one in range(8))
MATRIX = founding_matrix()
SECONDS = MATRIX.metrics[0]
ACCURACY = Metric(name="x", unit="", better=Better.HIGHER, title="x", scale=Scale.DIFFERENCE)
CPU = Metric(
    name="cpu",
    unit="s",
    better=Better.LOWER,
    title="CPU",
    source=MetricSource(origin=Origin.CPU_TIME),
)
CELLS = tuple(replace(MATRIX.cells[0], coordinates=(("size", number),)) for number in range(20))
TIMED = replace(MATRIX, metrics=(SECONDS,), cells=CELLS, compare=(), policy=())
UNTIMED = replace(TIMED, metrics=(ACCURACY,))


@pytest.mark.parametrize(
    ("metric", "asked", "expected"),
    [
        (SECONDS, None, 1),
        (CPU, None, 1),
        (SECONDS, 3, 3),
        (SECONDS, 8, 8),
        (SECONDS, "auto", 2),  # one for each last-level cache
        (ACCURACY, None, 16),
        (ACCURACY, "auto", 16),
        (ACCURACY, 1, 1),
        (ACCURACY, 16, 16),
    ],
)
def test_times_are_measured_one_at_a_time_unless_the_matrix_says_more(
    metric: Metric, asked: Parallel, expected: int
) -> None:
    """Trials of other studies use every core."""
    matrix = replace(TIMED, metrics=(metric,), parallel=asked)
    assert parallel_trials(matrix, ENGINE, SERVER) == expected


def test_trials_side_by_side_need_cores_memory_and_work() -> None:
    """``auto`` takes what there is, and at least one."""
    wide = replace(UNTIMED, limits=replace(UNTIMED.limits, cpus=5))
    assert parallel_trials(wide, ENGINE, SERVER) == 3
    assert parallel_trials(UNTIMED, replace(ENGINE, memory_bytes=10 * GIB), SERVER) == 2
    assert parallel_trials(replace(UNTIMED, cells=CELLS[:3]), ENGINE, SERVER) == 3
    assert parallel_trials(UNTIMED, ENGINE, separate(range(1))) == 1
    alone = replace(TIMED, parallel="auto")
    assert parallel_trials(alone, ENGINE, separate(range(1))) == 1
    assert parallel_trials(alone, ENGINE, separate(range(8))) == 1


@pytest.mark.parametrize(
    ("asked", "memory_bytes", "expected"),
    [
        (9, 64 * GIB, "parallel is 9, which takes 9 physical cores, but the engine has only 8"),
        (8, 16 * GIB, "parallel is 8, which may take 32 GiB of memory, but the engine has only 16"),
    ],
)
def test_more_than_the_engine_has_is_refused(asked: int, memory_bytes: int, expected: str) -> None:
    """Before anything is built."""
    engine = replace(ENGINE, memory_bytes=memory_bytes)
    with pytest.raises(ConfigError, match=expected):
        parallel_trials(replace(TIMED, parallel=asked), engine, SERVER)
