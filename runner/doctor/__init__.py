"""doctor: check whether this machine can run the matrix, and how precisely it measures.

Each diagnosis says what is wrong and what to do. What cannot be known is reported as unknown.
Nothing is changed, except that short containers are started and removed.
"""

import math
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from runner.doctor.calibration import overhead, steadiness
from runner.engines.caches import caches
from runner.engines.protocol import Engine
from runner.errors import EngineError, RunFolderError, RunnerError
from runner.execute import clear
from runner.plan import GUARDS
from runner.prepare.recipe import find_image, to_build, used
from runner.python import interpreters
from runner.python.interpreters import Interpreter
from runner.records.environment import Image, Lock
from runner.records.run import EngineFacts, Host
from runner.records.study import Matrix
from runner.runs import registry
from runner.runs.folder import occupied, run_folders
from runner.system import program
from runner.system.cores import highest
from runner.system.host import check_cpu, runs_here
from runner.text import counted, listed, memory, size

GB = 10**9
ENVIRONMENT_GB = 4
"""Disk space that the build of an environment takes, here and on the engine (with TensorFlow)."""
NOISY = 0.10
PAIRS = 7
LEVEL = 0.95
COSTLY = 0.05
OLD_DAYS = 30


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check, and a remedy if it is not sound. ``None`` means unknown."""

    subject: str
    sound: bool | None
    text: str
    remedy: str = ""


def examine(
    matrix: Matrix, lock: Lock, host: Host, engine: Engine | EngineError, reports: Path
) -> Iterator[Diagnosis]:
    """Yield all diagnoses, the quick ones first. All checks together take at most a minute."""
    here = isinstance(engine, EngineError) or runs_here(host, engine.describe())
    yield _processor(host) if here else _elsewhere("processor")
    yield _interpreters(matrix, lock)
    yield _last_run(reports)
    if isinstance(engine, EngineError):
        yield Diagnosis("engine", False, str(engine))
        yield _noise(highest())
        yield _caches(host)
        return
    facts, images = engine.describe(), engine.images()
    yield _engine(facts)
    yield _memory(matrix, facts)
    yield _disk(matrix, lock, images)
    yield _noise(engine.cores()[-1]) if here else _elsewhere("noise")
    yield _overhead(matrix, lock, engine, images, reports) if here else _elsewhere("overhead")
    yield _caches(host)


def as_text(diagnosis: Diagnosis) -> str:
    """Return a diagnosis in one line."""
    word = {True: "ok", False: "bad", None: "?"}[diagnosis.sound]
    remedy = "" if diagnosis.sound else diagnosis.remedy
    return f"{word:4} {diagnosis.subject:12} {diagnosis.text} {remedy}".rstrip()


def _processor(host: Host) -> Diagnosis:
    trouble = check_cpu(host)
    text = trouble or f"{host.cpu_model} has AVX, as wheels require."
    return Diagnosis("processor", trouble is None, text)


def _elsewhere(subject: str) -> Diagnosis:
    return Diagnosis(subject, None, "Trials run on another machine.", "Run doctor there.")


def _interpreters(matrix: Matrix, lock: Lock) -> Diagnosis:
    """Check that the interpreters of the lock are installed."""
    wanted = sorted({environment.python for environment in used(matrix, lock)})
    unlocked = {cell.request.label for cell in matrix.cells if lock.entry(cell.request) is None}
    if missing := [name for name in wanted if interpreters.known(name) is None]:
        text = f"Python {listed(missing)} is not installed here; uv will try to download it."
        remedy = "If the network does not allow that, install it with pyenv or uv."
        return Diagnosis("interpreters", None, text, remedy)
    if unlocked:
        count = counted(len(unlocked), "environment")
        text = f"{count} not locked yet, so the Python is unknown: {listed(sorted(unlocked))}."
        remedy = f"Run `{program.name()} lock`."
        return Diagnosis("interpreters", None, text, remedy)
    text = f"Python {listed(wanted)} is installed." if wanted else "No interpreter is needed."
    return Diagnosis("interpreters", True, text)


def _last_run(reports: Path) -> Diagnosis:
    """Check the age of the newest run: a schedule that no longer runs reports nothing itself."""
    for folder in run_folders(reports):
        try:
            begun = folder.run().created_at
        except RunFolderError:
            continue
        days = (datetime.now(timezone.utc) - begun).days
        text = f"{folder.path} is {counted(days, 'day')} old."
        remedy = "Check that your scheduler still starts runs."
        return Diagnosis("last run", days <= OLD_DAYS, text, remedy)
    return Diagnosis("last run", True, f"There is no run in {reports} yet.")


def _engine(facts: EngineFacts) -> Diagnosis:
    cores = counted(facts.cpus, "core")
    if facts.name == "venv":
        text = f"Trials run as processes on {cores}. Isolation: {facts.isolation}"
    else:
        text = (
            f"{facts.name} {facts.version} (API {facts.api}), cgroup v{facts.cgroup}, storage "
            f"{facts.storage}, {cores}."
        )
    return Diagnosis("engine", True, text)


def _memory(matrix: Matrix, facts: EngineFacts) -> Diagnosis:
    limit = max(matrix.limits_of(cell).memory_bytes for cell in matrix.cells)
    available = facts.memory_bytes
    text = f"A trial may use {memory(limit)}; the engine has {memory(available)}."
    return Diagnosis("memory", limit <= available, text, "Lower limits.memory in the matrix.")


def _disk(matrix: Matrix, lock: Lock, images: tuple[Image, ...]) -> Diagnosis:
    """Compare the free space for temporary files with the needs of the missing images."""
    count = len(to_build(matrix, lock, images))
    place = Path(tempfile.gettempdir())
    free, needed = shutil.disk_usage(place).free / GB, ENVIRONMENT_GB * count
    text = f"{free:.0f} GB are free in {place}; the missing images need {needed} GB."
    remedy = "Free some space, or set TMPDIR to another folder."
    return Diagnosis("disk", free >= needed, text, remedy)


def _noise(core: int) -> Diagnosis:
    """Check how much the time of equal pieces of work varies on a measured core."""
    try:
        times, others_share = steadiness(core)
    except (AttributeError, OSError):  # not on Linux, or the core is reserved for others
        text = f"Unknown, because this process may not use core {core}."
        return Diagnosis("noise", None, text)
    middle, tenth = statistics.median(times), len(times) // 10
    low, high = (sorted(times)[at] / middle - 1 for at in (tenth, -1 - tenth))
    text = f"The time for the same work varied by {low:+.0%} to {high:+.0%} (80 % of the tries)"
    if others_share is not None:
        text += f"; other processes took {others_share:.1%} of the core"
    quiet = high <= NOISY and (others_share or 0.0) <= GUARDS.foreign_share
    remedy = "Stop other programs on this machine, or expect wide intervals and more blocks."
    return Diagnosis("noise", quiet, f"{text}.", remedy)


def _overhead(
    matrix: Matrix, lock: Lock, engine: Engine, images: tuple[Image, ...], reports: Path
) -> Diagnosis:
    """Compare the same work in a container and in a plain process of the same interpreter."""
    found = _image_with_interpreter(matrix, lock, images)
    if found is None:
        text, remedy = "There is no image to test it with.", f"Run `{program.name()} prepare`."
        return Diagnosis("overhead", None, text, remedy)
    folder = reports / "doctor"
    with occupied(folder) as ours:
        if not ours:
            text, remedy = "Another doctor is running.", "Wait for it, then run this one again."
            return Diagnosis("overhead", None, text, remedy)
        run = registry.remember(folder)
        try:
            pairs = [overhead(engine, run, *found, matrix.limits) for _ in range(PAIRS)]
        except RunnerError as error:
            return Diagnosis("overhead", False, str(error))
        finally:
            clear(engine, run)
    ratios, startups_s = zip(*pairs, strict=True)
    return _cost(ratios, startups_s)


def _caches(host: Host) -> Diagnosis:
    """Say what our caches take; nobody else limits them."""
    found = caches(host.id)
    taken = size(sum(one.size_bytes or 0 for one in found))
    text = f"{listed([one.label for one in found])} take {taken}; `clean` removes them."
    return Diagnosis("caches", True, text if found else "There is nothing in our caches.")


def _image_with_interpreter(
    matrix: Matrix, lock: Lock, images: tuple[Image, ...]
) -> tuple[Image, Interpreter] | None:
    """Return an image of the matrix and its interpreter, if both are on this machine."""
    for environment in used(matrix, lock):
        image = find_image(environment, images, matrix.base)
        interpreter = interpreters.known(environment.python)
        if image is not None and interpreter is not None:
            return image, interpreter
    return None


def _cost(ratios: Sequence[float], startups_s: Sequence[float]) -> Diagnosis:
    """Judge how much a container costs."""
    from runner.judge.estimate import paired  # noqa: PLC0415  it needs scipy

    found = paired([math.log(ratio) for ratio in ratios], LEVEL)
    if found is None:
        text = "The times inside and outside a container cannot be compared."
        return Diagnosis("overhead", None, text)
    mean, low, high = (math.exp(change) for change in (found.mean, found.low, found.high))
    text = (
        f"Work takes {mean:.2f} times as long in a container as outside ({LEVEL:.0%} interval "
        f"{low:.2f} to {high:.2f}, {found.n} pairs); to start and stop a container takes "
        f"{statistics.median(startups_s):.1f} s."
    )
    negligible = low > 1 - COSTLY and high < 1 + COSTLY
    sound = True if negligible else False if low > 1 + COSTLY else None
    return Diagnosis("overhead", sound, text, "Compare only results from the same engine.")
