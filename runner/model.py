"""The nouns: frozen records that pass between the verbs.

Sequences are tuples. Durations end in ``_s`` (seconds), sizes in ``_bytes``, instants are aware
UTC datetimes. ``None`` means "does not exist", never zero. Every record can be stored as JSON
(``store`` and ``lockfile`` do it with pydantic, strictly); nothing here imports pydantic.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import ClassVar

FORMAT = 4
"""The format of every stored file.

1: the first. 2: how metrics are compared and which pairs, in matrices; looks, guards, cells that
left and the twin of the baseline, in plans; taints, in results. 3: the limit on files; the digests
of our own files, in runs. 4: the engine's machine, in runs; the processor, in results.
"""

Value = str | int | bool
"""A value on an axis. Not a float: YAML reads ``1.10`` as 1.1."""

Scalar = str | int | float | bool
"""A value of a parameter."""

Coordinates = tuple[tuple[str, Value], ...]
"""Axis names with one value each, in the order of the axes."""


class Record:
    """What all nouns share: their stored form refuses unknown fields, wrong types and NaN."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {
        "strict": True,
        "extra": "forbid",
        "allow_inf_nan": False,
        "defer_build": True,  # a stored form is made when it is first used
    }


class Status(Enum):
    """What we concluded of a trial. The value is the word that a person reads."""

    OK = "ok"
    FAILED = "failed"
    BAD_OUTPUT = "bad-output"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    NO_IMAGE = "no-image"
    UNSUPPORTED = "unsupported"
    ENGINE_LOST = "engine-lost"


class Better(Enum):
    """In which direction a metric improves."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Scale(Enum):
    """How two cells are compared in a metric.

    ``RATIO``: by log ratios within blocks. ``DIFFERENCE``: by differences over seeds.
    """

    RATIO = "ratio"
    DIFFERENCE = "difference"


# --- the matrix -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis(Record):
    """A named list of values; a build axis also names the distributions that may serve it."""

    name: str
    values: tuple[Value, ...]
    distributions: tuple[str, ...] = ()

    @property
    def builds(self) -> bool:
        """Whether the axis changes the environment, and not only parameters."""
        return bool(self.distributions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement(Record):
    """One package of a request: the first of ``distributions`` that serves ``version``."""

    axis: str
    distributions: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRequest(Record):
    """What a cell asks of its environment.

    ``python`` is ``auto`` (the newest interpreter with a wheel) or a minor version such as ``3.7``.
    ``as_of`` is ``release`` (the day after the requirements were uploaded), ``today`` or an ISO
    date. ``packages`` are further requirement lines without a version. ``compile`` allows a
    compiler while source packages are built.
    """

    requirements: tuple[Requirement, ...]
    python: str = "auto"
    as_of: str = "release"
    packages: tuple[str, ...] = ()
    compile: bool = False

    @property
    def label(self) -> str:
        """A name for people: ``tensorflow=1.15.0``."""
        pins = ",".join(f"{need.axis}={need.version}" for need in self.requirements)
        return pins or "no packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell(Record):
    """One value on every axis, with what a trial of it needs."""

    coordinates: Coordinates
    request: EnvironmentRequest
    parameters: Mapping[str, Scalar]
    timeout_s: float
    expect: Status = Status.OK
    blocks: int | None = None
    """How many blocks hold this cell; ``None``: all."""

    @property
    def id(self) -> str:
        """The only key of a cell: ``tensorflow=2.0.0,model=sequential``."""
        return ",".join(f"{axis}={shown(value)}" for axis, value in self.coordinates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Record):
    """A number the experiment promises: a value, or a series that the runner reduces."""

    name: str
    unit: str
    better: Better
    title: str
    scale: Scale = Scale.RATIO
    margin: float = 0.03
    """The largest change that is called negligible: a share on the scale of ratios, else in the
    metric's unit."""
    cpu_time: str | None = None
    """The metric that gives the same as CPU time, which a busy host disturbs far less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Record):
    """Two cells that are compared in some metrics, as named before the run."""

    of: str
    against: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(Record):
    """The script and its data files, relative to the folder of ``matrix.yaml``."""

    script: str
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Record):
    """What a trial may use.

    ``temporary_bytes`` bounds /tmp, ``output_bytes`` bounds /out, ``files`` is the number of files
    and folders in each of them.
    """

    cpus: int = 1
    memory_bytes: int = 4 * 1024**3
    timeout_s: float = 900.0
    pids: int = 256
    temporary_bytes: int = 256 * 1024**2
    output_bytes: int = 64 * 1024**2
    files: int = 16384
    log_bytes: int = 1024**2
    result_bytes: int = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Record):
    """What a publication printed about one cell: values by metric, or a note where it has none."""

    cell: str
    values: Mapping[str, float]
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Record):
    """A published sentence.

    Either it compares ``metric`` of the cell ``of`` with that of the cell ``against`` and ``says``
    which way it goes (lower, higher, or ``neither`` for "no change"), with the two published
    numbers where there are any; or it says that the cell ``of`` ends in ``status``.
    """

    id: str
    text: str
    of: str
    against: str | None = None
    metric: str | None = None
    says: Better | None = None
    published: tuple[float, float] | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLimit(Record):
    """The worst acceptable change of a metric: a share of the baseline, or in the metric's unit."""

    metric: str
    change: float
    relative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(Record):
    """The whole declared study."""

    name: str
    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    experiment: Experiment
    metrics: tuple[Metric, ...]
    limits: Limits
    blocks: int
    base: str = "auto"
    """``auto`` (pulled, else assembled), ``pull``, ``host``, or the name of an image."""
    title: str = ""
    source: str | None = None
    """Where the published numbers and claims were published."""
    baseline: Coordinates = ()
    compare: tuple[Pair, ...] = ()
    """The comparisons that were named before the run."""
    looks: int = 4
    """How often verdicts may be read while blocks are added."""
    repeats: int = 2
    """How often a trial is repeated that the machine tainted."""
    matched: bool = False
    """Whether every cell is handed the same initial weights and order of samples."""
    published: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()
    policy: tuple[PolicyLimit, ...] = ()
    quick: Mapping[str, Scalar]
    """The parameters that ``--quick`` replaces."""

    def cell(self, cell_id: str) -> Cell:
        """Return the cell with that id; KeyError if there is none."""
        for cell in self.cells:
            if cell.id == cell_id:
                return cell
        raise KeyError(cell_id)

    def metric(self, name: str) -> Metric:
        """Return the metric of that name; KeyError if there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)


# --- environments ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Package(Record):
    """A locked package; ``hashes`` check downloads, in the form ``sha256:...``."""

    name: str
    version: str
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(Record):
    """A lock entry that can be built: interpreter minor version and exact packages.

    ``as_of`` is the instant the index was looked at. ``build_tools`` names build requirements that
    were exempted from it because a source package could not be built with those of the day.
    """

    request: EnvironmentRequest
    python: str
    platform: str
    as_of: datetime
    packages: tuple[Package, ...]
    build_tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported(Record):
    """A lock entry that cannot exist, with the reason."""

    request: EnvironmentRequest
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(Record):
    """What every request of a matrix came to."""

    entries: tuple[Environment | Unsupported, ...]

    def entry(self, request: EnvironmentRequest) -> Environment | Unsupported | None:
        """What that request came to; ``None`` while it is not locked."""
        for entry in self.entries:
            if entry.request == request:
                return entry
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Base(Record):
    """What an image stands on: ``pulled``, ``local`` by name, ``assembled`` here.

    An environment that no container engine built stands on an ``interpreter``.
    """

    kind: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Record):
    """An environment built for an engine. ``environment`` is the environment's digest."""

    environment: str
    label: str
    id: str
    size_bytes: int
    base: Base


@dataclass(frozen=True, slots=True, kw_only=True)
class Images(Record):
    """The images that a run uses."""

    format: int = FORMAT
    images: tuple[Image, ...]


# --- trials ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Record):
    """One container, once: one cell in one block. ``position`` is its place in the block."""

    cell: str
    block: int
    position: int
    seed: int
    attempt: int = 1
    twin: bool = False
    """Whether this is the second copy of the baseline, by which a run checks itself."""

    @property
    def id(self) -> str:
        """``<cell id>@b<block>.<attempt>``; that of a twin has a ``t`` after the block."""
        return f"{self.cell}@b{self.block}{'t' if self.twin else ''}.{self.attempt}"

    @property
    def place(self) -> tuple[str, int, bool]:
        """What all attempts of a trial share: cell, block, and whether it is the twin."""
        return self.cell, self.block, self.twin


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards(Record):
    """When the machine, and never the result, taints a trial. Fixed before a run.

    Shares are of the measured cores' time. A trial waits up to ``patience_s`` for a window of
    ``window_s`` in which strangers take less than ``foreign_share``. One that is tainted is
    repeated at most ``repeats`` times. Where more than ``most_tainted`` of the trials stay tainted,
    wall times are not judged.
    """

    foreign_share: float = 0.05
    steal_share: float = 0.01
    window_s: float = 0.5
    patience_s: float = 30.0
    repeats: int = 2
    most_tainted: float = 0.3


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
    tainted: str | None = None
    """What the machine did while the trial ran that makes its times doubtful."""
    image: str | None = None
    started_at: datetime
    duration_s: float | None
    """From creating the container to removing it; ``None`` where nothing was executed."""


# --- runs --------------------------------------------------------------------------------------


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


def shown(value: Scalar) -> str:
    """Return the value as an id and a person read it: ``true``, not ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
