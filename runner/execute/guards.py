"""The guards: what the machine did to a trial. They never look at what the trial measured.

The share of a core that strangers take, and the share that the hypervisor steals, tell best which
trials a busy host disturbed; a version of a framework can cause neither. Thresholds are fixed
before the run and stored in its plan.
"""

from runner.records.run import Guards, Reading


def disturbance(reading: Reading | None, guards: Guards) -> str | None:
    """Return what the machine did that makes a trial's times doubtful; ``None`` if nothing did."""
    if reading is None or reading.wall_s <= 0:
        return None
    core_seconds = reading.wall_s * len(reading.cpus)
    if reading.core_busy_s is not None and reading.cpu_s is not None:
        foreign = (reading.core_busy_s - reading.cpu_s) / core_seconds
        if foreign > guards.foreign_share:
            return f"other processes took {foreign:.0%} of the measured core"
    if (
        reading.core_steal_s is not None
        and reading.core_steal_s / core_seconds > guards.steal_share
    ):
        return f"the hypervisor took {reading.core_steal_s / core_seconds:.0%} of the measured core"
    if reading.throttled_s:
        return f"the container was throttled for {reading.throttled_s:.1f} s"
    if reading.swapped_in_pages:
        return f"{reading.swapped_in_pages} pages were swapped in"
    return None
