"""The physical cores of a machine, and which cores trials that run side by side get.

Threads of one physical core share its units, and cores share their last-level cache and the way to
the memory. So each trial gets physical cores of its own whose other threads stay free, and trials
are spread over the caches. ``system.cores`` makes sure that no other run has the same ones.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.inside.launcher import text_in

Group = tuple[int, ...]
"""The cores of one trial, in ascending order."""


@dataclass(frozen=True, slots=True)
class Core:
    """A physical core: its threads that trials may use, in ascending order, and its cache."""

    threads: Group
    cache: str


def physical(available: Iterable[int], root: Path = Path("/")) -> tuple[Core, ...]:
    """Return the physical cores of this machine that have such threads, in ascending order.

    A thread that the system says nothing about is a physical core of its own.
    """
    threads: dict[str, list[int]] = {}
    caches: dict[str, str] = {}
    for number in sorted(available):
        siblings = _threads_with(number, root) or str(number)
        threads.setdefault(siblings, []).append(number)
        caches[siblings] = _last_cache(_folder(number, root))
    return tuple(Core(tuple(found), caches[key]) for key, found in threads.items())


def separate(available: Iterable[int]) -> tuple[Core, ...]:
    """Return cores that nothing else is known about: those of a machine elsewhere."""
    return tuple(Core((number,), "") for number in sorted(available))


def siblings(cores: Iterable[int], root: Path = Path("/")) -> set[int]:
    """Return the other threads of the physical cores that these cores of this machine are."""
    own = set(cores)
    return {other for one in own for other in numbers(_threads_with(one, root))} - own


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers in a list of the system, such as ``0-3,8``."""
    ranges = re.findall(r"(\d+)(?:-(\d+))?", text)
    return tuple(one for low, high in ranges for one in range(int(low), int(high or low) + 1))


def _folder(number: int, root: Path) -> Path:
    """Return where the system describes a thread."""
    return root / f"sys/devices/system/cpu/cpu{number}"


def _threads_with(number: int, root: Path) -> str:
    """Return the threads of the physical core of a thread, as the system writes them."""
    return text_in(str(_folder(number, root) / "topology/thread_siblings_list")).strip()


def _last_cache(folder: Path) -> str:
    """Return which cores share the last-level cache of a core, as the system writes it."""
    indexes = sorted(folder.glob("cache/index[0-9]*"), key=lambda path: int(path.name[5:]))
    return text_in(str(indexes[-1] / "shared_cpu_list")).strip() if indexes else ""


def usable(cores: Sequence[Core], wanted: int) -> tuple[Core, ...]:
    """Return what trials that need so many cores in all may use.

    While there are enough, that is one thread of each physical core, without the lowest one, which
    is left to the runner.
    """
    if len(cores) >= wanted:
        own = cores[len(cores) > wanted :]
        return tuple(Core(core.threads[-1:], core.cache) for core in own)
    threads = sorted((thread, core.cache) for core in cores for thread in core.threads)
    own_threads = threads[len(threads) > wanted :]
    return tuple(Core((thread,), cache) for thread, cache in own_threads)


def shared_out(cores: Sequence[Core], cpus: int, count: int) -> tuple[Group, ...] | None:
    """Return the cores of ``count`` trials with ``cpus`` each, the highest first; None if too few.

    ``cores`` have one thread each. A trial gets cores of one cache if that is possible, and of the
    cache with the fewest trials.
    """
    if len(cores) < cpus * count:
        return None
    left: dict[str, list[int]] = {}
    for core in sorted(cores, key=lambda one: one.threads, reverse=True):
        left.setdefault(core.cache, []).append(core.threads[0])
    trials = Counter[str]()
    groups = []
    for _ in range(count):
        best = sorted(left, key=lambda one: (len(left[one]) < cpus, trials[one], -len(left[one])))
        group: list[int] = []
        for cache in best:
            taken = left[cache][: cpus - len(group)]
            del left[cache][: len(taken)]
            group += taken
            trials[cache] += bool(taken)
        groups.append(tuple(sorted(group)))
    return tuple(groups)
