"""Which quantity a metric is judged by, on a quiet and on a busy host."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.judge import judge
from runner.judge.records import Advice, ClaimVerdict, Comparison, Judgement, Verdict
from runner.records.run import TrialResult
from runner.records.study import (
    CPU_TIME,
    Better,
    Claim,
    Matrix,
    Metric,
    MetricSource,
    Origin,
    PolicyLimit,
    Scale,
    Status,
)
from tests.support.fakes import QUIET
from tests.support.judging import ACCURACY, CPU, matrix, only, plan_of, results_of

FAST = (1.00, 1.01, 0.99, 1.02, 0.98, 1.01, 0.99)
SLOW = (3.05, 2.96, 3.01, 2.98, 3.03, 2.99, 3.02)
BUSY = range(1, 8)
TIME = Metric(name="seconds", unit="s", better=Better.LOWER, title="time")
PAIR = replace(TIME, cpu_time="cpu")
RATE = Metric(name="rate", unit="rows/s", better=Better.HIGHER, title="throughput")
MEMORY = Metric(name="memory", unit="MB", better=Better.LOWER, title="peak memory")
LOSS = Metric(name="loss", unit="", better=Better.LOWER, title="loss")


def study(*metrics: Metric, limit: str = "seconds", change: float = 0.05) -> Matrix:
    """Return a study that compares b with a in all metrics, with a limit and a claim on one."""
    worse = -change if any(one.better is Better.HIGHER for one in metrics[:1]) else change
    claim = Claim(
        id="slower",
        text="b is slower.",
        of="v=b",
        against="v=a",
        metric=limit,
        says=Better.HIGHER,
        published=(3.0, 1.0),
    )
    return replace(
        matrix(metrics=tuple(one.name for one in metrics)),
        metrics=metrics,
        policy=(PolicyLimit(metric=limit, change=worse, relative=True),),
        claims=(claim,),
    )


def judged(
    asked: Matrix,
    values: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    disturbed: Sequence[int] = (),
    change: Callable[[TrialResult], TrialResult] = lambda one: one,
) -> Judgement:
    """Judge a run in which both cells gave these values, block by block."""
    plan = plan_of(asked)
    numbers = {name: {"a": a, "b": b} for name, (a, b) in values.items()}
    return judge(asked, plan, map(change, results_of(plan, numbers, disturbed)))


def test_a_quiet_host_judges_a_time_by_itself() -> None:
    """The CPU time of the whole trial, or a named one, plays no part."""
    found = judged(study(PAIR, CPU), {"seconds": (FAST, SLOW), "cpu": (FAST, FAST)})
    assert only(found).measured == PAIR
    assert only(found).verdict is Verdict.HIGHER
    assert found.decisions[0].advice is Advice.HOLD
    assert found.claims[0].verdict is ClaimVerdict.REPRODUCED


def test_a_busy_host_cannot_judge_a_time_without_cpu_time() -> None:
    """There is no verdict, no decision and no ruling; the reason says what to do."""
    found = judged(study(TIME), {"seconds": (FAST, SLOW)}, BUSY)
    assert only(found).verdict is Verdict.NO_COMPARISON
    assert only(found).estimate is None
    assert only(found).reason == (
        "the host was too busy (14 of 14 trials disturbed); name a `cpu_time` or free the core"
    )
    assert found.decisions[0].advice is Advice.CANNOT_TELL
    assert found.claims[0].verdict is ClaimVerdict.INCONCLUSIVE


def test_a_busy_host_judges_a_time_by_the_cpu_time_it_names() -> None:
    """The comparison, the limit and the claim all say which quantity they are about."""
    wall = ([2 * one for one in FAST], [2 * one for one in SLOW])
    found = judged(study(PAIR, CPU), {"seconds": wall, "cpu": (FAST, SLOW)}, BUSY)
    assert only(found).metric == PAIR
    assert only(found).measured == CPU
    assert only(found).verdict is Verdict.HIGHER
    [limit] = found.decisions[0].limits
    assert limit.advice is Advice.HOLD
    assert limit.comparison is not None
    assert limit.comparison.measured == CPU
    assert found.claims[0].evidence[1] == "time was published, CPU time is judged."


def recorded(name: str, lacking: str = "") -> Callable[[TrialResult], TrialResult]:
    """Return a function that adds CPU times under a name, except to the trials of one cell."""

    def change(one: TrialResult) -> TrialResult:
        at = one.trial.block - 1
        times = {"v=a": FAST[at] / 2, "v=b": SLOW[at] / 2}
        found = {name: (times[one.trial.cell],)} if one.trial.cell != lacking else {}
        return replace(one, series=found)

    return change


def test_a_busy_host_judges_a_time_by_the_cpu_time_that_was_recorded_with_it() -> None:
    """The matrix need not name it. The comparison says which quantity it is about."""
    numbers = {"seconds": (FAST, SLOW)}
    found = judged(study(TIME), numbers, BUSY, recorded(f"seconds{CPU_TIME}"))
    assert only(found).verdict is Verdict.HIGHER
    assert only(found).measured == TIME.own_cpu_time
    assert found.decisions[0].advice is Advice.HOLD
    assert found.claims[0].evidence[1] == "time was published, CPU time of time is judged."
    quiet = judged(study(TIME), numbers, change=recorded(f"seconds{CPU_TIME}"))
    assert only(quiet).measured == TIME


@pytest.mark.parametrize("lacking", ["v=a", "v=b"])
def test_a_cpu_time_that_some_trials_lack_judges_nothing(lacking: str) -> None:
    """Both sides need it, or the remedy is named as if there were none."""
    change = recorded(f"seconds{CPU_TIME}", lacking)
    found = judged(study(TIME), {"seconds": (FAST, SLOW)}, BUSY, change)
    assert only(found).verdict is Verdict.NO_COMPARISON
    assert only(found).reason.endswith("name a `cpu_time` or free the core")


def test_a_failed_trial_needs_no_cpu_time() -> None:
    """It has no numbers at all, and the others are judged."""
    numbers = {"seconds": ((*FAST[:6], None), SLOW)}
    with_cpu = recorded(f"seconds{CPU_TIME}")
    found = judged(
        study(TIME),
        numbers,  # type: ignore[arg-type]  # a failed trial has no number
        BUSY,
        lambda one: with_cpu(one) if one.status is Status.OK else one,
    )
    assert only(found).measured == TIME.own_cpu_time


def test_a_named_cpu_time_comes_before_a_recorded_one() -> None:
    """The matrix decides."""
    numbers = {"seconds": (FAST, SLOW), "cpu": (FAST, SLOW)}
    found = judged(study(PAIR, CPU), numbers, BUSY, recorded(f"seconds{CPU_TIME}"))
    assert only(found).measured == CPU


@pytest.mark.parametrize("unit", ["", "rows/s", "MB"])
def test_only_a_time_has_a_recorded_cpu_time(unit: str) -> None:
    """A series may have any name."""
    metric = replace(TIME, unit=unit, timed=True)
    found = judged(study(metric), {"seconds": (FAST, SLOW)}, BUSY, recorded(f"seconds{CPU_TIME}"))
    assert only(found).verdict is Verdict.NO_COMPARISON


def test_the_recorded_cpu_time_is_that_of_the_series_behind_a_metric() -> None:
    """A metric may take its series under another name, and reduce it in its own way."""
    epochs = replace(TIME, source=MetricSource(selects=("epochs",)))
    with_cpu = recorded(f"epochs{CPU_TIME}")

    def change(one: TrialResult) -> TrialResult:
        found = with_cpu(one)
        return replace(found, values={}, series={**found.series, "epochs": (*one.values.values(),)})

    found = judged(study(epochs), {"seconds": (FAST, SLOW)}, BUSY, change)
    assert only(found).verdict is Verdict.HIGHER
    assert only(found).measured.stored_as == f"epochs{CPU_TIME}"


WALL = replace(TIME, source=MetricSource(origin=Origin.WALL_TIME))


def measured(one: TrialResult, cores: tuple[int, ...] = (0,)) -> TrialResult:
    """Return a result whose times were measured from outside."""
    seconds = one.values["seconds"]
    reading = replace(QUIET, wall_s=seconds, script_cpu_s=seconds / 2, cpus=cores)
    return replace(one, values={}, reading=reading)


def test_a_busy_host_judges_wall_time_by_the_cpu_time_of_the_command() -> None:
    """The launcher always measures both."""
    found = judged(study(WALL), {"seconds": (FAST, SLOW)}, BUSY, measured)
    assert only(found).verdict is Verdict.HIGHER
    assert only(found).measured.source == MetricSource(origin=Origin.CPU_TIME)
    assert found.decisions[0].advice is Advice.HOLD


def test_wall_time_is_not_judged_if_no_cpu_time_was_measured() -> None:
    """Older runs have none, and several cores would mix two things."""
    numbers = {"seconds": (FAST, SLOW)}
    old = judged(study(WALL), numbers, BUSY, lambda one: replace(measured(one), reading=QUIET))
    assert only(old).verdict is Verdict.NO_COMPARISON
    both = judged(study(WALL), numbers, BUSY, lambda one: measured(one, cores=(0, 1)))
    assert only(both).reason.endswith("CPU time does not show how well they are used")


@pytest.mark.parametrize("metric", [RATE, replace(RATE, cpu_time="cpu")])
def test_a_busy_host_never_judges_a_rate(metric: Metric) -> None:
    """A throughput is never inverted, whatever it names."""
    asked = study(metric, CPU, limit="rate")
    found = judged(asked, {"rate": (SLOW, FAST), "cpu": (FAST, SLOW)}, BUSY)
    assert only(found, "rate").verdict is Verdict.NO_COMPARISON
    assert "free the core" in only(found, "rate").reason or "not a time" in (
        only(found, "rate").reason
    )
    assert found.decisions[0].advice is Advice.CANNOT_TELL
    assert found.claims[0].verdict is ClaimVerdict.INCONCLUSIVE


@pytest.mark.parametrize("metric", [MEMORY, ACCURACY, replace(LOSS, timed=False)])
def test_a_busy_host_judges_what_does_not_depend_on_speed(metric: Metric) -> None:
    """Memory, shares, and what the matrix says is not timed."""
    numbers = (FAST, [2 * one for one in SLOW])
    found = judged(study(metric, limit=metric.name), {metric.name: numbers}, BUSY)
    assert only(found, metric.name).verdict is Verdict.HIGHER
    assert len(only(found, metric.name).changes) == 7


@pytest.mark.parametrize("metric", [LOSS, replace(MEMORY, timed=True)])
def test_a_metric_whose_unit_says_nothing_counts_as_timed(metric: Metric) -> None:
    """It could be a throughput, so a busy host does not judge it."""
    found = judged(study(metric, limit=metric.name), {metric.name: (FAST, SLOW)}, BUSY)
    assert only(found, metric.name).verdict is Verdict.NO_COMPARISON


def test_several_cores_have_no_cpu_time_that_shows_their_speed() -> None:
    """A version that starts to use the second core needs half the time, and the same CPU time."""

    def on_two(one: TrialResult) -> TrialResult:
        return replace(one, reading=replace(QUIET, cpus=(0, 1)))

    found = judged(study(PAIR, CPU), {"seconds": (FAST, FAST), "cpu": (FAST, FAST)}, BUSY, on_two)
    assert only(found).verdict is Verdict.NO_COMPARISON
    assert only(found).reason.endswith(
        "with several cores, CPU time does not show how well they are used"
    )


def test_cells_that_differ_in_threads_are_not_judged_by_cpu_time() -> None:
    """A script may report its threads, or get them as a parameter."""

    def threads(one: TrialResult) -> TrialResult:
        return replace(one, environment={"num_threads": 1 + ("b" in one.trial.cell)})

    found = judged(study(PAIR, CPU), {"seconds": (FAST, SLOW), "cpu": (FAST, SLOW)}, BUSY, threads)
    assert only(found).reason.endswith("the cells differ in num_threads")


def test_a_cpu_time_of_other_work_is_refused() -> None:
    """On one core, CPU time beyond the wall time belongs to other work."""
    found = judged(study(PAIR, CPU), {"seconds": (FAST, FAST), "cpu": (SLOW, SLOW)}, BUSY)
    assert only(found).verdict is Verdict.NO_COMPARISON
    assert "not the CPU time of the same work" in only(found).reason


def test_an_absolute_limit_bounds_the_difference() -> None:
    """It is checked against differences within blocks, and never against CPU time."""
    asked = study(PAIR, CPU)
    for change, advice in ((1.5, Advice.HOLD), (2.5, Advice.ADOPT)):
        limited = replace(
            asked, policy=(PolicyLimit(metric="seconds", change=change, relative=False),)
        )
        numbers = {"seconds": (FAST, SLOW), "cpu": (FAST, SLOW)}
        [limit] = judged(limited, numbers).decisions[0].limits
        assert limit.advice is advice
        assert limit.comparison is not None
        assert limit.comparison.scale is Scale.DIFFERENCE
        [limit] = judged(limited, numbers, BUSY).decisions[0].limits
        assert limit.advice is Advice.CANNOT_TELL


@pytest.mark.parametrize("unsupported", range(11))
@pytest.mark.parametrize("disturbed", [(), BUSY])
def test_trials_that_were_not_executed_are_neither_disturbed_nor_not(
    unsupported: int, disturbed: Sequence[int]
) -> None:
    """Up to ten cells without an environment change nothing about how busy the host was."""
    more = [f"u{number}" for number in range(unsupported)]
    asked = replace(matrix(["a", "b", *more]), metrics=(TIME,))
    plan = plan_of(asked)
    values = {"a": FAST, "b": SLOW, **dict.fromkeys(more, [None] * 7)}
    results = [
        replace(one, status=Status.UNSUPPORTED, reading=None, disturbed=None)
        if one.status is not Status.OK
        else one
        for one in results_of(plan, {"seconds": values}, disturbed)
    ]
    found = judge(asked, plan, results)
    assert found.disturbance.trials == 14
    assert found.disturbance.busy is bool(disturbed)
    [compared] = [one for one in found.comparisons if one.named and one.of == "v=b"]
    expected = Verdict.NO_COMPARISON if disturbed else Verdict.HIGHER
    assert compared.verdict is expected


@given(st.lists(st.booleans(), min_size=14, max_size=14), st.booleans(), st.booleans())
def test_every_verdict_is_about_the_metric_or_its_own_cpu_time(
    disturbed: list[bool], named: bool, slower: bool
) -> None:
    """Whichever trials were disturbed: nothing else is ever judged, and no answer is wrong."""
    asked = study(PAIR if named else TIME, RATE, CPU)
    marks = iter(disturbed)
    b = SLOW if slower else FAST[1:] + FAST[:1]

    def mark(one: TrialResult) -> TrialResult:
        values = dict(one.values)
        if next(marks):  # another process had half of the core, or nearly all of it
            share = 2 if "a" in one.trial.cell else 9
            values |= {"seconds": share * values["seconds"], "rate": values["rate"] / share}
            return replace(one, values=values, disturbed="others took the core")
        return one

    found = judged(
        asked,
        {
            "seconds": (FAST, b),
            "cpu": (FAST, b),
            "rate": ([1 / x for x in FAST], [1 / x for x in b]),
        },
        change=mark,
    )
    limits = [limit.comparison for limit in found.decisions[0].limits]
    for one in (*found.comparisons, *limits, found.claims[0].comparison):
        assert isinstance(one, Comparison)
        assert one.measured == one.metric or (one.metric == PAIR and one.measured == CPU)
        if not slower:
            assert one.verdict not in {Verdict.HIGHER, Verdict.LOWER}
    advice, verdict = found.decisions[0].advice, found.claims[0].verdict
    assert advice is not (Advice.ADOPT if slower else Advice.HOLD)
    assert verdict is not (ClaimVerdict.CONTRADICTED if slower else ClaimVerdict.REPRODUCED)


def test_a_cell_that_only_timed_out_on_a_busy_host_is_not_judged() -> None:
    """Neither the policy nor a claim about its end blames it; both say what happened."""
    claim = Claim(id="hangs", text="b hangs.", of="v=b", status=Status.TIMED_OUT)
    asked = replace(study(TIME), claims=(claim,))

    def late(one: TrialResult) -> TrialResult:
        if "b" not in one.trial.cell:
            return one
        return replace(one, status=Status.TIMED_OUT, values={}, disturbed="others took the core")

    found = judged(asked, {"seconds": (FAST, SLOW)}, change=late)
    assert found.decisions[0].advice is Advice.CANNOT_TELL
    assert found.claims[0].verdict is ClaimVerdict.INCONCLUSIVE
    assert found.claims[0].evidence == ("The machine disturbed every trial of v=b.",)
    quiet = judged(
        asked, {"seconds": (FAST, SLOW)}, change=lambda one: replace(late(one), disturbed=None)
    )
    assert quiet.decisions[0].advice is Advice.HOLD
    assert quiet.claims[0].verdict is ClaimVerdict.REPRODUCED
