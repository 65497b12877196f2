"""Estimates, comparisons, verdicts and goals, as frozen records.

On the scale of ratios, changes are natural logarithms, so that swapping two cells only changes the
sign. On the scale of differences, they are in the metric's unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from runner.records.run import Machine, Plan
from runner.records.study import Claim, Metric, PolicyLimit, Scale


class Verdict(Enum):
    """How one metric of a cell compares with that of another cell."""

    LOWER = "lower"
    HIGHER = "higher"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"
    NO_COMPARISON = "no comparison"


class ClaimVerdict(Enum):
    """Whether a published sentence holds here."""

    REPRODUCED = "reproduced"
    DIRECTION_ONLY = "direction only"
    CONTRADICTED = "contradicted"
    INCONCLUSIVE = "inconclusive"


class Advice(Enum):
    """Whether the policy allows an upgrade to a candidate."""

    ADOPT = "adopt"
    HOLD = "hold"
    CANNOT_TELL = "cannot tell"


DECIDED = frozenset({Verdict.LOWER, Verdict.HIGHER, Verdict.EQUIVALENT})

FEWEST_HOSTS = 3
"""With fewer hosts, nothing is said across hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """A host with one engine and one processor, which is judged by itself.

    ``machine`` has the blocks of the stratum. The processor is that of its trials; ``None`` if all
    trials of a run are one stratum, whatever they report.
    """

    name: str
    host: int
    machine: Machine
    processor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One of the planned moments at which verdicts are read.

    It is look ``number`` (from 1) of ``of``, after ``blocks`` complete blocks. Every interval has
    the confidence ``level``.
    """

    number: int
    of: int
    blocks: int
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A change with its interval.

    ``n`` is the number of pairs, or of trials on the smaller side. ``sd`` is the spread of the
    change between two single trials, and ``error`` the standard error of the ``mean``. ``p`` is the
    two-sided probability of a change at least this large if there is none, ``df`` the degrees of
    freedom. If ``sd`` is 0, the interval is only the ``mean``.
    """

    n: int
    mean: float
    low: float
    high: float
    level: float
    p: float
    sd: float
    error: float
    df: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of no change."""
        return self.low > 0 or self.high < 0

    def is_within(self, bound: float) -> bool:
        """Whether the interval lies between minus and plus a bound."""
        return -bound < self.low and self.high < bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """About how many more blocks narrow an interval to ``half_width``.

    In 80 of 100 cases it takes between ``fewest`` and ``most``.
    """

    blocks: int
    fewest: int
    most: int
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One pair of cells in one metric, with its verdict and the reason.

    ``named`` comparisons were named before the run, the others are screened. ``measured`` is the
    metric of the numbers: it differs from ``metric`` if CPU time replaces wall time. ``changes``
    holds the change in each block, ``old`` and ``new`` are the medians of the compared numbers of
    ``against`` and ``of``. ``stratum`` is the name of its stratum if the run has several.
    """

    of: str
    against: str
    metric: Metric
    measured: Metric
    named: bool
    verdict: Verdict
    reason: str
    estimate: Estimate | None = None
    changes: Mapping[int, float]
    old: float | None = None
    new: float | None = None
    paired: bool = True
    identical: bool = False
    negligible: bool = False
    outlier_sensitive: bool = False
    forecast: Forecast | None = None
    stratum: str = ""

    @property
    def scale(self) -> Scale:
        """The scale of all its numbers."""
        return self.measured.scale

    @property
    def usable(self) -> Estimate | None:
        """The estimate; ``None`` where no verdict can be read from it, for the reason given."""
        estimate = self.estimate
        too_coarse = estimate and estimate.sd == 0 and self.verdict is Verdict.CANNOT_TELL
        return None if too_coarse or self.verdict is Verdict.NO_COMPARISON else estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What is known of a named comparison between two looks: no verdict can be read from it."""

    of: str
    against: str
    metric: Metric
    measured: Metric
    old: float
    new: float
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedClaim:
    """A published sentence with its verdict, and the evidence in sentences."""

    claim: Claim
    verdict: ClaimVerdict
    evidence: tuple[str, ...]
    comparison: Comparison | None = None
    stratum: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLimit:
    """One limit of the policy, judged for one pair of cells.

    ``bound`` is the limit on the scale of the comparison, if that has numbers.
    """

    limit: PolicyLimit
    of: str
    against: str
    advice: Advice
    reason: str
    comparison: Comparison | None = None
    bound: float | None = None
    stratum: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policy says of one candidate, such as ``tensorflow=2.0.0``.

    It must hold on every stratum. ``advices`` has the advice of each, if there are several.
    """

    candidate: str
    advice: Advice
    limits: tuple[JudgedLimit, ...]
    advices: Mapping[str, Advice] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The A/A check: the baseline against its control.

    ``smallest`` is the smallest change that this look finds nine times in ten, on the scale of the
    metric.
    """

    comparison: Comparison
    smallest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """How many trials the machine disturbed: attempts by cell, and trials that stayed disturbed.

    ``busy`` means that too many stayed disturbed, so wall times are not judged. ``uneven`` names
    cells that were disturbed far more often than the others.
    """

    attempts: Mapping[str, int]
    disturbed: Mapping[str, int]
    stayed: int
    trials: int
    busy: bool
    uneven: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where the series of two matched cells diverge: the first epoch, from 1, by block."""

    of: str
    against: str
    series: str
    first: Mapping[int, int | None]
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AcrossHosts:
    """A comparison whose changes are the means of hosts, by number: so many ``of`` all hosts."""

    comparison: Comparison
    hosts: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All verdicts of a run at its latest look; ``look`` is ``None`` before the first.

    Of a run with several strata, comparisons, checks and claims are those of each stratum, and
    ``strata`` has their disturbances by name; ``disturbance`` counts the trials of all.
    """

    look: Look | None
    next_look: int | None
    complete: int
    comparisons: tuple[Comparison, ...]
    checks: tuple[Check, ...]
    claims: tuple[JudgedClaim, ...]
    decisions: tuple[Decision, ...]
    disturbance: Disturbance
    divergences: tuple[Divergence, ...]
    strata: Mapping[str, Disturbance] = field(default_factory=dict)
    across: tuple[AcrossHosts, ...] = ()

    def disturbance_of(self, stratum: str) -> Disturbance:
        """Return how the machine disturbed the trials of a stratum."""
        return self.strata.get(stratum, self.disturbance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """When a run stops adding blocks.

    With a metric: when all its named comparisons are known to ``half_width``, which is a share on
    the scale of ratios and otherwise in the metric's unit. Without one: when nothing is undecided.
    """

    metric: str | None = None
    half_width: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextPlan:
    """The plan with which a run continues after a look, and notes for people."""

    plan: Plan
    notes: tuple[str, ...] = ()
