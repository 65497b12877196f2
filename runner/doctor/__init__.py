"""doctor: whether this machine can execute the matrix, and how well it measures.

Each finding is a sentence, and what to do where something is wrong. What cannot be told is said to
be so; nothing is changed but that a container of a moment is made and removed.
"""

import math
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from runner.doctor.calibration import Pair, pair, steadiness
from runner.engines.protocol import Engine
from runner.errors import EngineError, RunFolderError, RunnerError
from runner.execute import clear
from runner.plan import GUARDS
from runner.prepare.recipe import environment_digest, to_build, used
from runner.python import interpreters
from runner.python.interpreters import Interpreter
from runner.records.environment import Image, Lock
from runner.records.run import EngineFacts, Host, isolation
from runner.records.study import Matrix
from runner.runs import folder as store
from runner.runs import registry
from runner.runs.folder import RunFolder
from runner.system.host import check_cpu, runs_here

GB = 10**9
ENVIRONMENT_GB = 4
"""What an environment takes while it is built, here and on the engine: measured on TensorFlow."""
NOISY = 0.10
PAIRS = 7
LEVEL = 0.95
DEAR = 0.05
OLD_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one subject. ``sound`` is None where nobody can tell."""

    subject: str
    sound: bool | None
    text: str
    remedy: str | None = None


def examine(
    matrix: Matrix, lock: Lock, host: Host, engine: Engine | EngineError, reports: Path
) -> Iterator[Finding]:
    """Yield what is found, the quick things first; at most a minute goes by."""
    here = isinstance(engine, EngineError) or runs_here(host, engine.describe())
    yield _processor(host) if here else _elsewhere("processor")
    yield _interpreters(matrix, lock)
    yield _last_run(reports)
    if isinstance(engine, EngineError):
        yield Finding(subject="engine", sound=False, text=str(engine))
        yield _noise(host.cores - 1)
        return
    facts, images = engine.describe(), engine.images()
    yield _engine(facts)
    yield _memory(matrix, facts)
    yield _disk(matrix, lock, images)
    yield _noise(host.cores - 1) if here else _elsewhere("noise")
    yield _overhead(matrix, lock, engine, images, reports) if here else _elsewhere("overhead")


def as_text(finding: Finding) -> str:
    """Return a finding in one line."""
    word = {True: "ok", False: "bad", None: "?"}[finding.sound]
    remedy = f" Do this: {finding.remedy}." if finding.remedy else ""
    return f"{word:4} {finding.subject:12} {finding.text}{remedy}"


def _processor(host: Host) -> Finding:
    trouble = check_cpu(host)
    if trouble:
        return Finding(subject="processor", sound=False, text=trouble)
    text = f"{host.cpu_model} has AVX, which wheels need."
    return Finding(subject="processor", sound=True, text=text)


def _elsewhere(subject: str) -> Finding:
    text = "trials run on another machine: execute doctor there."
    return Finding(subject=subject, sound=None, text=text)


def _interpreters(matrix: Matrix, lock: Lock) -> Finding:
    """Say which interpreters the lock wants and where they are."""
    wanted = sorted({environment.python for environment in used(matrix, lock)})
    unlocked = {cell.request.label for cell in matrix.cells if lock.entry(cell.request) is None}
    here = {one.minor for one in interpreters.available()}
    missing = [minor for minor in wanted if minor not in here]
    if missing:
        text = f"Python {', '.join(missing)} is not on this machine; uv will try to download it."
        remedy = "install it with pyenv or uv where the network does not allow that"
        return Finding(subject="interpreters", sound=None, text=text, remedy=remedy)
    if unlocked:
        text = f"{', '.join(sorted(unlocked))} is not locked yet, so that nobody knows its Python."
        remedy = "python -m runner lock"
        return Finding(subject="interpreters", sound=None, text=text, remedy=remedy)
    text = f"Python {', '.join(wanted)} is here." if wanted else "None is needed."
    return Finding(subject="interpreters", sound=True, text=text)


def _last_run(reports: Path) -> Finding:
    """Say how old the newest run is: a schedule that died says nothing."""
    for folder in store.run_folders(reports):
        try:
            begun = folder.run().created_at
        except RunFolderError:
            continue
        days = (datetime.now(timezone.utc) - begun).days
        text = f"{folder.path} is {days} days old."
        if days > OLD_DAYS:
            remedy = "look whether what ought to start runs still does"
            return Finding(subject="last run", sound=False, text=text, remedy=remedy)
        return Finding(subject="last run", sound=True, text=text)
    return Finding(subject="last run", sound=True, text=f"There is none in {reports}.")


def _engine(facts: EngineFacts) -> Finding:
    if facts.name == "venv":
        isolated = isolation(facts.version, facts.cgroup)
        text = f"trials run as processes on {facts.cpus} cores, {isolated}"
        return Finding(subject="engine", sound=True, text=text)
    text = (
        f"{facts.name} {facts.version} (API {facts.api}), cgroup v{facts.cgroup}, storage "
        f"{facts.storage}, {facts.cpus} cores."
    )
    return Finding(subject="engine", sound=True, text=text)


def _memory(matrix: Matrix, facts: EngineFacts) -> Finding:
    wanted, there = matrix.limits.memory_bytes / GB, facts.memory_bytes / GB
    text = f"a trial may take {wanted:.1f} GB, the engine has {there:.1f} GB."
    if wanted > there:
        remedy = "lower limits.memory in the matrix"
        return Finding(subject="memory", sound=False, text=text, remedy=remedy)
    return Finding(subject="memory", sound=True, text=text)


def _disk(matrix: Matrix, lock: Lock, images: Mapping[str, Image]) -> Finding:
    """Compare the free space for temporary files with what the images to be built take."""
    count = len(to_build(matrix, lock, images))
    place = Path(tempfile.gettempdir())
    free = shutil.disk_usage(place).free / GB
    text = f"{free:.0f} GB are free in {place}; {count} images are to be built"
    if free < ENVIRONMENT_GB * count:
        remedy = "make room, or name another place in TMPDIR"
        text += f", about {ENVIRONMENT_GB * count} GB."
        return Finding(subject="disk", sound=False, text=text, remedy=remedy)
    return Finding(subject="disk", sound=True, text=f"{text}.")


def _noise(core: int) -> Finding:
    """See how the times of equal pieces of work vary on a measured core."""
    try:
        found = steadiness(core)
    except (AttributeError, OSError):  # no Linux, or a core that is not ours
        return Finding(subject="noise", sound=None, text="the measured core is not ours to try.")
    middle = statistics.median(found.times_s)
    tenth = len(found.times_s) // 10
    low, high = (sorted(found.times_s)[at] / middle - 1 for at in (tenth, -1 - tenth))
    text = f"equal pieces of work took {low:+.0%} to {high:+.0%} of their median (four of five)"
    text += "." if found.strangers is None else f"; others took {found.strangers:.1%} of the core."
    if high > NOISY or (found.strangers or 0.0) > GUARDS.foreign_share:
        remedy = "stop what else runs here, or expect wide intervals and more blocks"
        return Finding(subject="noise", sound=False, text=text, remedy=remedy)
    return Finding(subject="noise", sound=True, text=text)


def _overhead(
    matrix: Matrix, lock: Lock, engine: Engine, images: Mapping[str, Image], reports: Path
) -> Finding:
    """Compare a container with a bare process of the same interpreter, pair by pair."""
    found = _something_built(matrix, lock, images)
    if found is None:
        text, remedy = "there is no image to try it with.", "python -m runner prepare"
        return Finding(subject="overhead", sound=None, text=text, remedy=remedy)
    folder = RunFolder(reports / "doctor")
    if not folder.occupy():
        return Finding(subject="overhead", sound=None, text="another doctor is at work.")
    run = registry.remember(folder.path)
    try:
        pairs = [pair(engine, run, *found, matrix.limits) for _ in range(PAIRS)]
    except RunnerError as error:
        return Finding(subject="overhead", sound=False, text=str(error))
    finally:
        clear(engine, run)
        folder.leave()
    return _dearness(pairs)


def _dearness(pairs: Sequence[Pair]) -> Finding:
    """Say what a container costs by pairs of the same work, in it and outside."""
    from runner.judge.estimate import paired  # noqa: PLC0415  it takes scipy

    around = statistics.median(one.container_s - one.inside_s for one in pairs)
    found = paired([math.log(one.inside_s / one.outside_s) for one in pairs], LEVEL)
    if found is None:
        text = "the same work in a container and outside took no time that could be compared."
        return Finding(subject="overhead", sound=None, text=text)
    mean, low, high = (math.exp(change) for change in (found.mean, found.low, found.high))
    text = (
        f"work takes {mean:.2f} times as long in a container as outside ({LEVEL:.0%} interval "
        f"{low:.2f} to {high:.2f}, {found.n} pairs); a container itself takes {around:.1f} s."
    )
    if low > 1 + DEAR:
        remedy = "compare only numbers from the same engine"
        return Finding(subject="overhead", sound=False, text=text, remedy=remedy)
    steady = low > 1 - DEAR and high < 1 + DEAR
    return Finding(subject="overhead", sound=True if steady else None, text=text)


def _something_built(
    matrix: Matrix, lock: Lock, images: Mapping[str, Image]
) -> tuple[Image, Interpreter] | None:
    """Return an image of the matrix with the interpreter that it stands on, if both are here."""
    here = {one.minor: one for one in interpreters.available()}
    for environment in used(matrix, lock):
        image = images.get(environment_digest(environment))
        if image is not None and environment.python in here:
            return image, here[environment.python]
    return None
