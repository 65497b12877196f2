"""Only the machine can disturb a trial, never its own result."""

import inspect
from dataclasses import replace

import pytest

from runner.execute import guards
from runner.records.run import Guards, Reading

CALM = Reading(
    wall_s=100.0,
    cpus=(1,),
    cgroup=2,
    cpu_s=95.0,
    user_s=90.0,
    system_s=5.0,
    core_busy_s=97.0,
    core_steal_s=0.2,
    throttled_s=0.0,
    swapped_in_pages=0,
    major_faults=10,
    largest_process_bytes=1,
    memory_peak_bytes=1,
    oom_kills=0,
    log_left_out_bytes=0,
)
RULES = Guards()


def test_a_calm_machine_disturbs_nothing() -> None:
    """Two percent for other processes and 0.2 % steal are normal."""
    assert guards.disturbance(CALM, RULES) is None


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (replace(CALM, core_busy_s=101.0), "other processes took 6 % of the measured core"),
        (replace(CALM, core_steal_s=1.5), "the hypervisor took 2 % of the measured core"),
        (replace(CALM, throttled_s=0.2), "the container was throttled for 0.2 s"),
        (replace(CALM, swapped_in_pages=3), "3 pages were swapped in"),
        (replace(CALM, cpus=(0, 1), cpu_s=95.0, core_busy_s=106.0), "other processes took 6 % of"),
    ],
)
def test_the_reason_names_what_the_machine_did(reading: Reading, said: str) -> None:
    """It gives the kind and the amount."""
    found = guards.disturbance(reading, RULES)
    assert found is not None
    assert found.startswith(said)


@pytest.mark.parametrize("field", ["core_busy_s", "core_steal_s", "cpu_s", "throttled_s"])
def test_a_missing_figure_disturbs_nothing(field: str) -> None:
    """Missing is neither zero nor suspicious."""
    changes = {"core_busy_s": 200.0, "core_steal_s": 50.0, field: None}
    if field == "cpu_s":
        changes["core_steal_s"] = 0.0
    reading = replace(CALM, **changes)  # type: ignore[arg-type] # one of several fields
    found = guards.disturbance(reading, RULES)
    assert found is None or field not in {"core_busy_s", "cpu_s"} or "other" not in found


def test_a_trial_without_a_reading_is_not_disturbed() -> None:
    """Without a reading nothing is known about the machine."""
    assert guards.disturbance(None, RULES) is None


def test_the_guards_cannot_see_measurements() -> None:
    """They get a reading of the machine and thresholds, but no values, series or results."""
    parameters = inspect.signature(guards.disturbance).parameters
    assert list(parameters) == ["reading", "guards"]
    assert "values" not in Reading.__dataclass_fields__


@pytest.mark.parametrize(
    ("wall_s", "foreign_s", "expected"),
    [
        (0.04, 0.0, True),
        (0.04, 0.01, True),
        (0.04, 0.02, False),
        (10.0, 0.4, True),
        (10.0, 0.6, False),
    ],
)
def test_one_step_of_the_clock_is_no_sign_of_another_process(
    wall_s: float, foreign_s: float, expected: bool
) -> None:
    """At least for how long the next trial looks for others."""
    cpu_s = wall_s - foreign_s
    reading = replace(CALM, wall_s=wall_s, cpu_s=cpu_s, core_busy_s=wall_s, core_steal_s=0.0)
    assert guards.was_quiet(reading, RULES) is expected
    assert guards.was_quiet(None, RULES) is False
