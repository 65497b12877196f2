"""Physical cores, their caches, and which of them trials side by side get."""

from pathlib import Path

import pytest

from runner.system.topology import (
    Core,
    numbers,
    physical,
    separate,
    shared_out,
    siblings,
    usable,
)


def machine(root: Path, threads: list[str], caches: list[str]) -> Path:
    """Write what a machine says about its cores: for each, its threads and its last cache."""
    for number, (own, cache) in enumerate(zip(threads, caches, strict=True)):
        folder = root / f"sys/devices/system/cpu/cpu{number}"
        (folder / "topology").mkdir(parents=True)
        (folder / "topology/thread_siblings_list").write_text(own + "\n")
        for index, shared in ((0, own), (2, own), (3, cache), (10, cache)):
            (folder / f"cache/index{index}").mkdir(parents=True)
            (folder / f"cache/index{index}/shared_cpu_list").write_text(shared + "\n")
    return root


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Eight physical cores with two threads each, and a cache for each four of them."""
    threads = [f"{core},{core + 8}" for core in range(8)] * 2
    caches = (["0-3,8-11"] * 4 + ["4-7,12-15"] * 4) * 2
    return machine(tmp_path, threads, caches)


def test_threads_belong_to_physical_cores(server: Path) -> None:
    """Only the threads that trials may use count."""
    cores = physical(range(16), server)
    assert [core.threads for core in cores] == [(one, one + 8) for one in range(8)]
    assert {core.cache for core in cores} == {"0-3,8-11", "4-7,12-15"}
    assert [core.threads for core in physical([0, 1, 9], server)] == [(0,), (1, 9)]
    assert siblings({15, 6}, server) == {7, 14}


def test_an_unknown_machine_has_separate_cores(tmp_path: Path) -> None:
    """Such as one without these files, or one elsewhere."""
    assert physical([3, 1], tmp_path) == separate([1, 3]) == (Core((1,), ""), Core((3,), ""))
    assert siblings({1}, tmp_path) == set()


def test_trials_side_by_side_share_neither_core_nor_cache(server: Path) -> None:
    """The other threads and the lowest core stay free, and the caches are used in turns."""
    cores = physical(range(16), server)
    one_each = shared_out(usable(cores, 4), 1, 4)
    assert one_each == ((15,), (11,), (14,), (10,))
    pairs = shared_out(usable(cores, 6), 2, 3)
    assert pairs == ((14, 15), (10, 11), (12, 13))
    assert shared_out(usable(cores, 8), 1, 8) == tuple(
        (core,) for core in (15, 11, 14, 10, 13, 9, 12, 8)
    )


def test_threads_are_shared_only_if_there_are_too_few_cores(server: Path) -> None:
    """As studies without time metrics may use them all."""
    cores = physical(range(16), server)
    every = shared_out(usable(cores, 16), 1, 16)
    assert every is not None
    assert sorted(every) == [(core,) for core in range(16)]
    assert shared_out(usable(cores, 17), 1, 17) is None


def test_a_trial_may_need_several_caches(server: Path) -> None:
    """It gets what is left of the fullest ones."""
    cores = physical(range(16), server)
    assert shared_out(usable(cores, 6), 6, 1) == ((10, 11, 12, 13, 14, 15),)


def test_lists_of_the_system() -> None:
    """Ranges and single numbers."""
    assert numbers("0-3,8,10-11\n") == (0, 1, 2, 3, 8, 10, 11)
    assert numbers("") == ()
