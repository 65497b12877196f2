"""A run: its plan, its trials with their results, and where it was made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from runner.records import FORMAT, Record, Scalar
from runner.records.environment import Lock
from runner.records.study import Matrix, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Record):
    """One container, once: one cell in one block. ``position`` is its place in the block."""

    cell: str
    block: int
    position: int
    seed: int
    attempt: int = 1
    control: bool = False
    """Whether this is the second copy of the baseline, by which a run checks itself."""

    @property
    def id(self) -> str:
        """``<cell id>@b<block>.<attempt>``; that of a control has a ``t`` after the block."""
        return f"{self.cell}@b{self.block}{'t' if self.control else ''}.{self.attempt}"

    @property
    def slot(self) -> tuple[str, int, bool]:
        """Cell, block and whether it is the control: the same for all attempts of a trial."""
        return self.cell, self.block, self.control


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards(Record):
    """When the machine, and never the result, disturbs a trial. Fixed before a run.

    Shares are of the measured cores' time. A trial waits up to ``patience_s`` for a window of
    ``window_s`` in which strangers take less than ``foreign_share``. One that is disturbed is
    repeated at most ``repeats`` times. Wall times are not judged where more than
    ``most_disturbed`` of the trials stay disturbed.
    """

    foreign_share: float = 0.05
    steal_share: float = 0.01
    window_s: float = 0.5
    patience_s: float = 30.0
    repeats: int = 2
    most_disturbed: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Record):
    """The ordered trials of a run.

    ``looks`` are the numbers of complete blocks at which verdicts are read. ``left`` holds the
    cells that left the plan because all was decided, each with its last block.
    """

    format: int = FORMAT
    seed: int
    blocks: int
    trials: tuple[Trial, ...]
    looks: tuple[int, ...] = ()
    guards: Guards = Guards()
    left: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Record):
    """What the launcher measured from inside; ``None`` where the kernel has no figure.

    ``cpu_s`` is the container's own, ``core_busy_s`` and ``core_steal_s`` are those of the measured
    cores, whoever used them, so that their difference is what strangers took.
    """

    wall_s: float
    cpus: tuple[int, ...]
    cgroup: int
    cpu_s: float | None
    user_s: float
    system_s: float
    core_busy_s: float | None
    core_steal_s: float | None
    throttled_s: float | None
    swapped_in_pages: int | None
    major_faults: int
    largest_process_bytes: int
    memory_peak_bytes: int | None
    oom_kills: int | None
    log_left_out_bytes: int
    waited_s: float = 0.0
    """How long the trial waited, before its script began, for the measured cores to be quiet."""
    foreign_share_before: float | None = None
    """What strangers took of the measured cores in the last moment before."""
    processor: str | None = None
    cpu_flags: tuple[str, ...] = ()
    """The instruction sets that decide which numeric kernels a framework takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult(Record):
    """What we concluded of a trial. Values and series are raw, as the script wrote them."""

    format: int = FORMAT
    trial: Trial
    status: Status
    reason: str | None = None
    values: Mapping[str, float]
    series: Mapping[str, tuple[float, ...]]
    environment: Mapping[str, Scalar]
    adapted: str | None = None
    reading: Reading | None = None
    disturbed: str | None = None
    """What the machine did while the trial ran that makes its times doubtful."""
    image: str | None = None
    started_at: datetime
    duration_s: float | None
    """From creating the container to removing it; ``None`` where nothing was executed."""

    def says_something(self, expected: Status = Status.OK) -> bool:
        """Whether the attempt says something about its cell.

        A lost engine says nothing. Neither does a missing image, unless the cell expects it.
        """
        if self.status is Status.NO_IMAGE:
            return expected is Status.NO_IMAGE
        return self.status is not Status.ENGINE_LOST


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts(Record):
    """What an engine says of itself and of the machine it runs on."""

    name: str
    version: str
    api: str
    storage: str
    cgroup: int
    cpus: int
    memory_bytes: int
    architecture: str
    kernel: str
    system: str
    machine: str | None = None
    """A digest of its machine's name; None where a socket of the runner's machine leads to it."""


SANDBOXES = ("bwrap", "unshare")
"""The programs that can sandbox a trial of the venv engine, the stricter one first."""

_ISOLATIONS = {
    "bwrap": "bubblewrap (read-only root, own /tmp, no network, own processes",
    "unshare": "unshare (no network, own processes, but the disk of the host",
    "plain": "none (plain processes on the network and the disk of the host",
}


def sandboxed(version: str) -> bool:
    """Whether a venv engine of this version runs trials in a sandbox."""
    return version.partition(" ")[0] in SANDBOXES


def isolation(version: str, cgroup: int) -> str:
    """Return how well a venv engine of this version isolates its trials."""
    limited = "memory is limited" if cgroup else "memory is not limited"
    kind = _ISOLATIONS.get(version.partition(" ")[0], f"{version} (")
    return f"{kind}; {limited}). venv does not contain a hostile script."


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Record):
    """The machine the runner runs on, which need not be the engine's.

    ``id`` is a digest of the machine's own id.
    """

    id: str
    cpu_model: str
    cpu_flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    kernel: str
    system: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """What is known when a run begins. ``key`` digests all that makes two runs the same."""

    format: int = FORMAT
    id: str
    key: str
    created_at: datetime
    runner_version: str
    git_commit: str | None
    matrix: Matrix
    matrix_digest: str
    lock: Lock
    lock_digest: str
    script_digest: str
    data_digests: Mapping[str, str]
    own_digests: Mapping[str, str] = field(default_factory=dict)
    """Of what is ours in a container: launcher and recipe. None in runs of an earlier format."""
    host: Host
    engine: EngineFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a run was asked for.

    ``root`` is the folder of matrix.yaml. ``seed`` and ``blocks`` are ``None`` if the run decides
    itself. A replay has a seed of its own and never continues a run with another one.
    """

    root: Path
    reports: Path
    new: bool = False
    blocks: int | None = None
    seed: int | None = None
    replay: bool = False
