"""The nouns of judging: estimates, comparisons and verdicts, as frozen records.

Changes on the scale of ratios are kept as natural logarithms, so that swapping two cells only turns
the sign; those on the scale of differences are in the metric's unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from runner.records.run import Plan
from runner.records.study import Claim, Metric, PolicyLimit, Scale


class Verdict(Enum):
    """What is said of one pair of cells in one metric."""

    LOWER = "lower"
    HIGHER = "higher"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"
    NO_COMPARISON = "no comparison"


class ClaimVerdict(Enum):
    """What is said of a published sentence."""

    REPRODUCED = "reproduced"
    DIRECTION_ONLY = "direction only"
    CONTRADICTED = "contradicted"
    INCONCLUSIVE = "inconclusive"


class Advice(Enum):
    """What the policy says of a candidate."""

    ADOPT = "adopt"
    HOLD = "hold"
    CANNOT_TELL = "cannot tell"


DECIDED = frozenset({Verdict.LOWER, Verdict.HIGHER, Verdict.EQUIVALENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One of the planned moments at which verdicts are read.

    ``number`` counts from 1, ``of`` is how many are planned, ``blocks`` how many complete blocks it
    takes, ``level`` that of every interval.
    """

    number: int
    of: int
    blocks: int
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A change with its interval.

    ``n`` is the number of pairs, or of trials on the smaller side; ``sd`` the spread of the change
    between two single trials; ``p`` the two-sided probability of a change at least this large where
    there is none; ``df`` the degrees of freedom. All that there is when ``sd`` is 0 is ``mean``.
    """

    n: int
    mean: float
    low: float
    high: float
    level: float
    p: float
    sd: float
    df: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of no change."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """About how many more blocks narrow an interval to ``half_width``; 80 of 100 times within."""

    blocks: int
    fewest: int
    most: int
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One pair of cells in one metric, with its verdict and the reason.

    ``named`` comparisons were named before the run, the others are screened. ``measured`` is the
    metric that the numbers are of: another one than ``metric`` where CPU time stands in for wall
    time. ``changes`` are the single blocks' changes, by block.
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
    paired: bool = True
    identical: bool = False
    negligible: bool = False
    outlier_sensitive: bool = False
    forecast: Forecast | None = None

    @property
    def scale(self) -> Scale:
        """The scale of all its numbers."""
        return self.measured.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedClaim:
    """A published sentence with its verdict, and the evidence in sentences."""

    claim: Claim
    verdict: ClaimVerdict
    evidence: tuple[str, ...]
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLimit:
    """One limit of the policy for one pair of cells."""

    limit: PolicyLimit
    of: str
    against: str
    advice: Advice
    reason: str
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policy says of one candidate, such as ``tensorflow=2.0.0``."""

    candidate: str
    advice: Advice
    limits: tuple[JudgedLimit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The A/A check: the baseline against its control, and the smallest change it could have shown.

    ``smallest`` is found nine times out of ten at this look, on the scale of the metric.
    """

    comparison: Comparison
    smallest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """How many trials the machine disturbed: attempts by cell, and those that stayed disturbed.

    ``busy`` means that too many stayed so: wall times are not judged. ``uneven`` names cells that
    were disturbed far more often than the others.
    """

    attempts: Mapping[str, int]
    disturbed: Mapping[str, int]
    stayed: int
    trials: int
    busy: bool
    uneven: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where the series of two matched cells part: the first epoch, counted from 1, by block."""

    of: str
    against: str
    series: str
    first: Mapping[int, int | None]
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All verdicts of a run at one look; ``look`` is ``None`` before the first."""

    look: Look | None
    next_look: int | None
    complete: int
    comparisons: tuple[Comparison, ...]
    checks: tuple[Check, ...]
    claims: tuple[JudgedClaim, ...]
    decisions: tuple[Decision, ...]
    disturbance: Disturbance
    divergences: tuple[Divergence, ...]


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
    """How a run goes on after a look: the plan, which may be the old one, and notes for people."""

    plan: Plan
    notes: tuple[str, ...] = ()
