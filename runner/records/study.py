"""The study that a matrix declares: cells, metrics, limits, claims and policy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Literal

from runner.records import Coordinates, Record, Scalar, Value, as_id, patterns, shown, units
from runner.records.environment import EnvironmentRequest, VersionRange

AUTO: Literal["auto"] = "auto"
Parallel = int | Literal["auto"] | None
"""A number of trials, as many as the machine allows, or whatever suits the metrics."""


class Status(Enum):
    """How a trial ended. The value is the word that users read."""

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
    """How two cells are compared: by log ratios within blocks, or by differences over seeds."""

    RATIO = "ratio"
    DIFFERENCE = "difference"


class AxisKind(Enum):
    """What differs between the values of an axis."""

    PARAMETER = "parameter"
    VARIABLE = "variable"
    VERSION = "version"
    PACKAGES = "packages"
    PYTHON = "python"
    BASE = "base"
    LOCK = "lock"
    PROJECT = "project"
    IMAGE = "image"
    DOCKERFILE = "dockerfile"

    @property
    def builds(self) -> bool:
        """Whether such an axis changes the environment."""
        return self is not AxisKind.PARAMETER and self is not AxisKind.VARIABLE


@dataclass(frozen=True, kw_only=True)  # without slots, so that it can keep its meanings
class Axis(Record):
    """A named list of values."""

    name: str
    values: tuple[Value, ...]
    """As ids show them: what the file says, or the names that it gives."""
    kind: AxisKind = AxisKind.PARAMETER
    meanings: tuple[str, ...] = ()
    """What each value stands for, where values have names: ``intel-tensorflow==2.9.1``."""
    distributions: tuple[str, ...] = ()
    """The distributions that may have the versions."""
    range: VersionRange | None = None
    """What the matrix says instead of the versions."""
    variable: str | None = None
    """The environment variable that is set to the values."""
    project: str | None = None
    """The folder of the project under test, of which the values are revisions."""

    @property
    def builds(self) -> bool:
        """Whether the axis changes the environment."""
        return self.kind.builds

    def meaning(self, value: Value) -> str:
        """Return what a value stands for; a value without a name stands for itself."""
        return self._meanings.get(value, shown(value))

    @cached_property
    def _meanings(self) -> Mapping[Value, str]:
        return dict(zip(self.values, self.meanings, strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Record):
    """The resources of a trial.

    ``temporary_bytes`` limits /tmp, ``output_bytes`` limits /out, and ``files`` limits the number
    of files and folders in each.
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


@dataclass(frozen=True, kw_only=True)  # without slots, so that it can keep its id
class Cell(Record):
    """One value on every axis, and everything that its trials need."""

    coordinates: Coordinates
    request: EnvironmentRequest
    parameters: Mapping[str, Scalar]
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the script."""
    timeout_s: float
    limits: Limits | None = None
    """Its own limits, if they differ from those of the matrix."""
    expect: Status = Status.OK
    blocks: int | None = None
    """The number of blocks that contain this cell; None for all."""

    @cached_property
    def id(self) -> str:
        """The id of the cell: ``tensorflow=2.0.0,model=sequential``."""
        return as_id(self.coordinates)

    @property
    def is_sound(self) -> bool:
        """Whether it is expected to end ok and is in every block, as comparisons need it."""
        return self.expect is Status.OK and self.blocks is None


class Origin(Enum):
    """Where the number of a metric comes from. The value is the key in ``matrix.yaml``."""

    RESULT = "result"
    WALL_TIME = "wall_time"
    CPU_TIME = "cpu_time"
    PEAK_MEMORY = "peak_memory"
    STDOUT = "stdout"
    JSON = "json"
    CSV = "csv"
    BENCHMARK = "pytest-benchmark"

    @property
    def from_launcher(self) -> bool:
        """Whether the launcher measures it, so that the script need not do anything."""
        return self in _FROM_LAUNCHER

    @property
    def from_file(self) -> bool:
        """Whether it is in a file that the script writes."""
        return self in {Origin.JSON, Origin.CSV, Origin.BENCHMARK}


_FROM_LAUNCHER = frozenset({Origin.WALL_TIME, Origin.CPU_TIME, Origin.PEAK_MEMORY})


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSource(Record):
    """Where a metric comes from.

    ``file`` is a path in the working folder. ``selects`` picks the number: the name in the result,
    the regular expression, the keys, the column, or the name of the benchmark.
    """

    origin: Origin = Origin.RESULT
    file: str = ""
    selects: tuple[str, ...] = ()
    series: bool = False

    @property
    def described(self) -> str:
        """Where the number comes from, for people: ``history.csv, column loss``."""
        name = ".".join(self.selects)
        match self.origin:
            case Origin.RESULT:
                return f"result, {name}" if name else "result"
            case Origin.STDOUT:
                return f"output matching {name}"
            case Origin.JSON:
                return f"{self.file}, {name}"
            case Origin.CSV:
                return f"{self.file}, column {name}"
            case Origin.BENCHMARK:
                return f"{self.file}, benchmark {name}"
            case _:
                return "launcher"


class Reduction(Enum):
    """How a series becomes one number."""

    MEDIAN = "median"
    MEAN = "mean"
    FIRST = "first"
    LAST = "last"
    BEST = "best"


CPU_TIME = " (CPU time)"
"""The name of a series with this end is the CPU time of the work that the rest of it names."""
WARM_UP_ENTRIES = 2
"""Entries of a series that do not count: first epochs trace, allocate and fill caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Record):
    """A number that the experiment promises: a value, or a series that is reduced to one."""

    name: str
    unit: str
    better: Better
    title: str
    source: MetricSource = MetricSource()
    warmup: int = WARM_UP_ENTRIES
    """How many first entries of a series do not count; at least one always does."""
    reduce: Reduction = Reduction.MEDIAN
    scale: Scale = Scale.RATIO
    margin: float = 0.03
    """The largest negligible change: a share for ratios, otherwise in the metric's unit."""
    cpu_time: str | None = None
    """The metric with the CPU time of the same work, which a busy host disturbs far less."""
    paired: bool = True
    """Whether differences are formed within blocks. Ratios always are."""
    timed: bool | None = None
    """Whether the speed of the machine changes the metric; None if its unit says so."""

    @property
    def stored_as(self) -> str:
        """The name of its value or series in a result."""
        if self.source.origin is Origin.RESULT and self.source.selects:
            return self.source.selects[0]
        return self.name

    @property
    def reduction(self) -> str:
        """How its series becomes one number, for people: ``median after the first 2``."""
        origin, steady = self.source.origin, f" after the first {self.warmup}" * bool(self.warmup)
        if origin is Origin.BENCHMARK:
            return f"{self.reduce.value} of all rounds"
        if origin.from_launcher or not (self.source.series or origin is Origin.RESULT):
            return "the last one" if origin in {Origin.STDOUT, Origin.CSV} else "one number"
        return f"{self.reduce.value}{steady}"

    @property
    def own_cpu_time(self) -> "Metric":
        """The CPU time of the same work, as it is recorded without being declared."""
        if self.source.origin is Origin.WALL_TIME:
            source = MetricSource(origin=Origin.CPU_TIME)
        else:
            source = MetricSource(selects=(self.stored_as + CPU_TIME,))
        return replace(
            self,
            name=self.name + CPU_TIME,
            title=f"CPU time of {self.title}",
            source=source,
            cpu_time=None,
            timed=False,
        )

    @property
    def change_margin(self) -> float:
        """The margin on the scale of changes, which is logarithmic for ratios."""
        return math.log1p(self.margin) if self.scale is Scale.RATIO else self.margin

    def why_not_cpu_time_of(self, metric: "Metric") -> str | None:
        """Return why this cannot be the CPU time of another metric, whatever is measured."""
        for one in (metric, self):
            if not units.is_time(one.unit):
                return f"{one.title} is not a time"
            if one.scale is not Scale.RATIO:
                return f"{one.title} is not compared by ratios"
            if one.better is Better.HIGHER:
                return f"a higher {one.title} is better"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Record):
    """Two cells that are compared in some metrics, chosen before the run."""

    of: str
    against: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(Record):
    """What a trial runs, and the files that it has. Paths are relative to ``matrix.yaml``.

    Without a script, ``args`` are the whole command. ``{name}`` in them stands for a parameter.
    """

    script: str | None
    args: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The command with its placeholders."""
        if self.script is None:
            return self.args
        is_like_option = self.script.startswith("-")
        return ("python", f"./{self.script}" if is_like_option else self.script, *self.args)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The paths of all files, each once."""
        script = () if self.script is None else (self.script,)
        return tuple(dict.fromkeys((*script, *self.files, *self.data)))

    def command_of(self, cell: Cell, seed: int) -> tuple[str, ...]:
        """Return the command of a trial; KeyError if the cell lacks a parameter."""
        known = {"seed": seed, **dict(cell.coordinates), **cell.parameters}
        return tuple(patterns.filled(word, known) for word in self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Record):
    """What a publication says about one cell: values by metric, or a note instead."""

    cell: str
    values: Mapping[str, float]
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Record):
    """A published statement.

    It either compares ``metric`` of the cells ``of`` and ``against`` and ``says`` in which
    direction it changes (``neither`` for "no change"), possibly with the two published numbers; or
    it states that the cell ``of`` ends in ``status``.
    """

    id: str
    text: str
    of: str
    against: str | None = None
    metric: str | None = None
    says: Better | None = None
    published: tuple[float, float] | None = None
    status: Status | None = None

    def published_change(self, scale: Scale) -> float | None:
        """Return the published change on a scale; ``None`` if no two numbers were published."""
        if self.published is None:
            return None
        of, against = self.published
        if scale is Scale.DIFFERENCE:
            return of - against
        return math.log(of / against) if of > 0 and against > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLimit(Record):
    """The worst acceptable change of a metric: a share of the baseline, or in the metric's unit."""

    metric: str
    change: float
    relative: bool


@dataclass(frozen=True, kw_only=True)  # without slots, so that it can keep its tables
class Matrix(Record):
    """The whole declared study."""

    name: str
    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    experiment: Experiment
    metrics: tuple[Metric, ...]
    limits: Limits
    files: tuple[str, ...] = ()
    """What else the matrix refers to in its folder: requirements and constraints."""
    blocks: int
    base: str = "auto"
    """``auto`` (pulled, or else assembled), ``pull``, ``host``, or the name of an image."""
    title: str = ""
    source: str | None = None
    """Where the published numbers and claims were published."""
    baseline: Coordinates = ()
    compare: tuple[Pair, ...] = ()
    """The comparisons that were chosen before the run."""
    looks: int = 4
    """How many times verdicts may be read while blocks are added."""
    repeats: int = 2
    """How many times a disturbed trial is repeated."""
    matched: bool = False
    """Whether every cell gets the same initial weights and order of samples."""
    parallel: Parallel = None
    """How many trials of a block run side by side; None if that depends on the metrics."""
    published: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()
    policy: tuple[PolicyLimit, ...] = ()
    quick: Mapping[str, Scalar]
    """The parameters that ``--quick`` replaces."""
    is_quick: bool = False
    """Whether ``--quick`` was given."""

    @property
    def requests(self) -> tuple[EnvironmentRequest, ...]:
        """The environments that the cells need, each once, in the order of the cells."""
        return tuple(dict.fromkeys(cell.request for cell in self.cells))

    @property
    def cpus(self) -> int:
        """The most cores that a trial uses."""
        return max((self.limits_of(cell).cpus for cell in self.cells), default=self.limits.cpus)

    def limits_of(self, cell: Cell) -> Limits:
        """Return the limits of the trials of a cell."""
        return cell.limits or self.limits

    @cached_property
    def _axes(self) -> Mapping[str, Axis]:
        return {axis.name: axis for axis in self.axes}

    @cached_property
    def _cells(self) -> Mapping[str, Cell]:
        return {cell.id: cell for cell in self.cells}

    @cached_property
    def _metrics(self) -> Mapping[str, Metric]:
        return {metric.name: metric for metric in self.metrics}

    def axis(self, name: str) -> Axis:
        """Return the axis with this name, or raise KeyError."""
        return self._axes[name]

    def cell(self, cell_id: str) -> Cell:
        """Return the cell with this id, or raise KeyError."""
        return self._cells[cell_id]

    def metric(self, name: str) -> Metric:
        """Return the metric with this name, or raise KeyError."""
        return self._metrics[name]

    def depends_on_speed(self, metric: Metric) -> bool:
        """Whether a busy host changes the metric.

        It changes times, rates, and everything that is compared by ratios and is not known to be a
        size. It hardly changes CPU time.
        """
        if metric.timed is not None:
            return metric.timed
        if metric.source.origin is Origin.CPU_TIME:
            return False
        if metric.name in {one.cpu_time for one in self.metrics}:
            return False
        if units.is_time(metric.unit) or units.is_rate(metric.unit):
            return True
        declared = self.metric(metric.name)  # a limit may compare it on another scale
        return declared.scale is Scale.RATIO and not units.is_size(metric.unit)

    @property
    def is_timed(self) -> bool:
        """Whether trials beside each other would change a metric: also CPU times."""
        return any(
            self.depends_on_speed(one) or (one.timed is None and units.is_time(one.unit))
            for one in self.metrics
        )

    @property
    def trials_in_block(self) -> int:
        """How many trials a block has at most, with the control."""
        return len(self.cells) + bool(self.compare)

    @property
    def trials_at_once(self) -> int | None:
        """How many trials of a block run side by side; None if that depends on the machine."""
        if isinstance(self.parallel, int):
            return max(min(self.parallel, self.trials_in_block), 1)
        return 1 if self.parallel is None and self.is_timed else None

    @property
    def headline(self) -> Metric:
        """The metric that says most: the first one of the policy, or else the first one."""
        return self.metric(self.policy[0].metric) if self.policy else self.metrics[0]

    def limited(self, limit: PolicyLimit) -> Metric:
        """Return the metric of a limit. An absolute limit bounds the difference within blocks.

        The margin of a ratio is a share, so the limit itself takes its place.
        """
        metric = self.metric(limit.metric)
        if limit.relative or metric.scale is Scale.DIFFERENCE:
            return metric
        return replace(metric, scale=Scale.DIFFERENCE, paired=True, margin=abs(limit.change))

    def baseline_cell(self) -> Cell | None:
        """Return the first sound cell of the baseline, or else the first sound cell."""
        wanted = set(self.baseline)
        sound = [cell for cell in self.cells if cell.is_sound]
        return next(
            (one for one in sound if wanted <= set(one.coordinates)), next(iter(sound), None)
        )

    def against_baseline(self) -> list[tuple[Cell, Cell]]:
        """Return each sound cell with the sound cells that it could replace.

        The two differ on one axis, on which the second has the baseline's value: on any build
        axis, or without build axes on the first axis of the baseline. They agree on all others,
        so versions are compared model by model.
        """
        usual = dict(self.baseline)
        varied = [axis.name for axis in self.axes if axis.builds and axis.name in usual]
        varied = varied or [axis for axis, _ in self.baseline[:1]]
        fixed = {(axis, value) for axis, value in usual.items() if axis not in varied}
        sound = {cell.id: cell for cell in self.cells if cell.is_sound}
        found = []
        for axis in varied:
            for cell in sound.values():
                moved = {**dict(cell.coordinates), axis: usual[axis]}
                other = sound.get(as_id(moved.items()))
                if other is not None and other is not cell and fixed <= moved.items():
                    found.append((cell, other))
        return found
