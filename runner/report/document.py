"""The report as data: what ``report.json`` holds, as ``report.schema.json`` describes it.

Numbers are as they were measured. Changes on the scale of ratios are shares: 0.44 is 44 % more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from runner.records import Record

FORMAT = 1
"""The format of report.json. 1: the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts(Record):
    """The run, and how far it is."""

    id: str
    started: str
    runner: str
    commit: str | None
    engine: str
    cpu: str
    cores: int
    memory_bytes: int
    blocks: int
    complete_blocks: int
    trials: int
    done: int
    quick: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts(Record):
    """A host that executed blocks, and is judged by itself."""

    name: str
    id: str
    processor: str
    cores: int
    memory_bytes: int
    system: str
    engine: str
    blocks: tuple[int, ...]
    parallel: int = 1
    """How many trials ran side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcrossFacts(Record):
    """A comparison across hosts: the mean of their mean changes, with a t interval over hosts.

    ``hosts`` has the mean change of each host, by its number.
    """

    cell: str
    against: str
    metric: str
    scale: str
    change: float
    low: float
    high: float
    level: float
    n: int
    verdict: str
    hosts: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookFacts(Record):
    """The look at which the verdicts were read."""

    number: int
    of: int
    blocks: int
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploringFacts(Record):
    """What a reader needs for other comparisons: quantiles of t for 1, 2, ... degrees of freedom.

    An interval reaches that many standard errors from the mean at the ``level``.
    """

    level: float
    t: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts(Record):
    """A metric, how it is compared, and whether a busy machine changes it.

    ``margin`` is the largest negligible change: a share on the scale of ratios, else in the unit.
    """

    name: str
    title: str
    unit: str
    better: str
    scale: str
    paired: bool
    margin: float
    timed: bool
    source: str
    reduced: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts(Record):
    """What the report says of one candidate, which would come instead of ``against``.

    ``verdict`` is the policy's, if there is one.
    """

    candidate: str
    against: str
    verdict: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFacts(Record):
    """A change of one metric from the cell ``against`` to the cell ``cell``.

    ``old`` and ``new`` are medians, ``low`` and ``high`` the ends of the interval. ``judged_by`` is
    the metric that was compared. ``blocks`` has the change in each block, if it is paired.
    ``named`` changes were named before the run; the others are a screening. ``limit`` is that of
    the policy, on the scale of the change. ``host`` names the host that it was judged on.
    """

    cell: str
    against: str
    host: str
    metric: str
    judged_by: str
    named: bool
    scale: str
    old: float | None
    new: float | None
    change: float | None
    low: float | None
    high: float | None
    level: float | None
    n: int | None
    limit: float | None
    verdict: str
    reason: str
    blocks: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFacts(Record):
    """The numbers of one metric in one cell."""

    median: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFacts(Record):
    """A cell and how it ended. ``environment`` is an index in the environments."""

    id: str
    values: Mapping[str, str]
    environment: int
    expected: str
    ending: str
    trials: int
    ok: int
    numbers: Mapping[str, NumberFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFacts(Record):
    """An environment: the versions of its packages, and what scripts reported about it."""

    name: str
    python: str | None
    as_of: str | None
    packages: Mapping[str, str]
    reported: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFacts(Record):
    """One attempt of a trial. Only those that ``count`` are in the numbers of the cells."""

    id: str
    cell: str
    block: int
    host: str
    attempt: int
    control: bool
    counts: bool
    status: str
    reason: str | None
    disturbed: str | None
    started: str
    seconds: float | None
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocument(Record):
    """A whole report."""

    format: int = FORMAT
    title: str
    question: str
    run: RunFacts
    hosts: tuple[HostFacts, ...]
    look: LookFacts | None
    exploring: ExploringFacts
    metrics: tuple[MetricFacts, ...]
    answers: tuple[AnswerFacts, ...]
    changes: tuple[ChangeFacts, ...]
    across: tuple[AcrossFacts, ...]
    cells: tuple[CellFacts, ...]
    environments: tuple[EnvironmentFacts, ...]
    trials: tuple[TrialFacts, ...]
