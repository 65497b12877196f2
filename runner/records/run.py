"""Runs: the plan, the trials and their results, and the machines they ran on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from runner.records import FORMAT, Record, Scalar
from runner.records.environment import Base, Lock
from runner.records.study import Matrix, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Record):
    """One execution of a cell in a container of its own, at ``position`` in its block."""

    cell: str
    block: int
    position: int
    seed: int
    attempt: int = 1
    control: bool = False
    """Whether this is the A/A control, a second copy of the baseline."""

    @property
    def id(self) -> str:
        """``<cell id>@b<block>.<attempt>``; the block of a control ends in ``t``."""
        return f"{self.cell}@b{self.block}{'t' if self.control else ''}.{self.attempt}"

    @property
    def slot(self) -> tuple[str, int, bool]:
        """The cell, the block and the control flag, which all attempts of a trial share."""
        return self.cell, self.block, self.control


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards(Record):
    """When a trial counts as disturbed by the machine. Fixed before the run.

    Shares are of the measured cores' time. A trial waits up to ``patience_s`` for a window of
    ``window_s`` in which other processes take less than ``foreign_share``, or of ``short_window_s``
    if an undisturbed trial on its cores has just ended. A disturbed trial is repeated at most
    ``repeats`` times. Wall times are not judged if more than ``most_disturbed`` of the trials stay
    disturbed.
    """

    foreign_share: float = 0.05
    steal_share: float = 0.01
    window_s: float = 0.05
    short_window_s: float = 0.01
    patience_s: float = 30.0
    repeats: int = 2
    most_disturbed: float = 0.3


@dataclass(frozen=True, slots=True)
class Shard(Record):
    """The share of a plan that one of several runs executes: every ``of``-th block, written 2/5."""

    number: int
    of: int

    def __post_init__(self) -> None:
        """Raise ValueError unless the number is between 1 and ``of``."""
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no shard {self}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, block: int) -> bool:
        """Whether the block is one of the shard."""
        return (block - self.number) % self.of == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Record):
    """The ordered trials of a run.

    ``looks`` are the numbers of complete blocks after which verdicts are read. ``left`` maps each
    decided cell that left the plan to its last block. A run with a ``shard`` executes only the
    blocks of the shard; the plan is whole all the same.
    """

    format: int = FORMAT
    seed: int
    blocks: int
    trials: tuple[Trial, ...]
    looks: tuple[int, ...] = ()
    guards: Guards = Guards()
    left: Mapping[str, int] = field(default_factory=dict)
    shard: Shard | None = None

    @property
    def own(self) -> tuple[Trial, ...]:
        """The trials that the run executes: those of its shard, or else all."""
        shard = self.shard
        return tuple(one for one in self.trials if shard is None or shard.holds(one.block))

    @property
    def own_blocks(self) -> frozenset[int]:
        """The blocks of these trials."""
        return frozenset(one.block for one in self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Record):
    """What the launcher measured inside the container; None if the kernel has no figure.

    ``wall_s`` is the wall time of the script. ``cpu_s`` is the CPU time of the container, and
    ``core_busy_s`` is the busy time of the measured cores, so the difference is what other
    processes took. ``core_steal_s`` is the time that the hypervisor took from those cores.
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
    script_cpu_s: float | None = None
    """The CPU time of the script and all its processes; None before format 9."""
    script_peak_bytes: int | None = None
    """The most memory that they used at the same time; None before format 9."""
    waited_s: float = 0.0
    """How long the trial waited for quiet cores before its script started."""
    foreign_share_before: float | None = None
    """The share of the measured cores that other processes took just before that."""
    processor: str | None = None
    cpu_flags: tuple[str, ...] = ()
    """The instruction sets that decide which numeric kernels a framework uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult(Record):
    """The result of a trial. Values and series are as the script wrote them."""

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
    """What the machine did during the trial that makes its times doubtful."""
    image: str | None = None
    waited_s: float = 0.0
    """How long the trial waited until other runs left it the measured cores."""
    occupied_by: str | None = None
    """Who did not leave them, so that the trial went ahead after its patience."""
    started_at: datetime
    duration_s: float | None
    """From starting the container to its end; None if nothing was executed."""

    @property
    def was_executed(self) -> bool:
        """Whether its script ran to an end that was observed."""
        return self.reading is not None and self.status is not Status.ENGINE_LOST

    @property
    def is_lost(self) -> bool:
        """Whether the machine is the reason that there is no result.

        It lost the engine, or disturbed a trial that then reached its time limit.
        """
        too_slow = self.status is Status.TIMED_OUT and self.disturbed is not None
        return too_slow or self.status is Status.ENGINE_LOST

    def failed_unexpectedly(self, expected: Status) -> bool:
        """Whether the trial ended unexpectedly, and not because of the machine."""
        return not self.is_lost and self.status not in {Status.OK, expected}

    def says_something(self, expected: Status = Status.OK) -> bool:
        """Whether the attempt says something about its cell.

        An attempt that is lost to the machine says nothing. Neither does a missing image, unless
        the cell expects it.
        """
        if self.status is Status.NO_IMAGE:
            return expected is Status.NO_IMAGE
        return not self.is_lost


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts(Record):
    """What an engine reports about itself and its machine."""

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
    """A digest of its machine's name; None if a local socket leads to the engine."""

    @property
    def isolation(self) -> str:
        """How well a venv engine isolates its trials."""
        limited = "memory is limited" if self.cgroup else "memory is not limited"
        kind = _ISOLATIONS.get(self.version.partition(" ")[0], f"{self.version} (")
        return f"{kind}; {limited}). venv does not contain a hostile script."


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Record):
    """The machine that the runner runs on, which may not be the engine's.

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
class Machine(Record):
    """A machine that executed ``blocks`` of a merged run, with what its own run knew about it.

    ``key`` is the key of that run.
    """

    key: str
    host: Host
    engine: EngineFacts
    bases: Mapping[str, Base]
    blocks: tuple[int, ...]
    parallel: int = 1
    """How many trials ran side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """What is known when a run begins. Two runs with the same ``key`` can be continued as one.

    A merged run has ``machines``. Its own host, engine and bases are those of the first of them.
    """

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
    script_digest: str | None
    data_digests: Mapping[str, str]
    file_digests: Mapping[str, str] = field(default_factory=dict)
    """The digests of the other files that the matrix includes."""
    own_digests: Mapping[str, str] = field(default_factory=dict)
    """The digests of our files in the container; empty in runs of format 1 and 2."""
    host: Host
    engine: EngineFacts
    bases: Mapping[str, Base] = field(default_factory=dict)
    """What its images are built on, by ``Environment.base_key``; empty before format 7."""
    bundle: str | None = None
    """The digest of the bundle that is replayed."""
    parallel: int = 1
    """How many trials run side by side on its machine."""
    machines: tuple[Machine, ...] = ()
    """Where the blocks of a merged run were executed, each block on one machine."""

    @property
    def input_digests(self) -> Mapping[str, str]:
        """The digests of all files that trials read, by path."""
        script = self.matrix.experiment.script
        own = {} if script is None or self.script_digest is None else {script: self.script_digest}
        return {**own, **self.file_digests, **self.data_digests}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How the user wants a run to start.

    ``root`` is the folder of the matrix, and ``matrix`` is its file, if there is one. The run
    folder keeps its ``text``. Without ``seed`` the run chooses one, or takes one that all shards of
    its study have in common. Without ``blocks`` the matrix decides. Neither a replay nor a shard
    continues a run that has another seed.
    """

    root: Path
    reports: Path
    new: bool = False
    blocks: int | None = None
    seed: int | None = None
    shard: Shard | None = None
    replay: bool = False
    matrix: Path | None = None
    text: str | None = None
