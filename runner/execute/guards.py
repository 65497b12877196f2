"""The guards: what the machine did to a trial. They never look at its measurements.

Two shares of a core show best whether a busy host disturbed a trial: the share that other processes
take, and the share that the hypervisor takes. No version of a framework can cause either. The
thresholds are fixed before the run and stored in its plan.
"""

from dataclasses import replace

from runner.records.run import Guards, Reading

TICK_S = 0.01
"""The steps in which the kernel counts how long a core was busy."""


def was_quiet(reading: Reading | None, guards: Guards) -> bool:
    """Whether a trial found its cores quiet, as far as the steps of the kernel's clock can tell.

    In a very short trial one step looks like a disturbance. That only matters for how long the next
    trial looks for other processes.
    """
    if reading is None:
        return False
    busy_s = reading.core_busy_s
    if busy_s is not None:
        reading = replace(reading, core_busy_s=busy_s - TICK_S * len(reading.cpus))
    return disturbance(reading, guards) is None


def disturbance(reading: Reading | None, guards: Guards) -> str | None:
    """Return what the machine did that makes a trial's times doubtful; None if it did nothing."""
    if reading is None or reading.wall_s <= 0:
        return None
    core_seconds = reading.wall_s * len(reading.cpus)
    if reading.core_busy_s is not None and reading.cpu_s is not None:
        foreign = (reading.core_busy_s - reading.cpu_s) / core_seconds
        if foreign > guards.foreign_share:
            return f"other processes took {foreign * 100:.0f} % of the measured core"
    if reading.core_steal_s is not None:
        stolen = reading.core_steal_s / core_seconds
        if stolen > guards.steal_share:
            return f"the hypervisor took {stolen * 100:.0f} % of the measured core"
    if reading.throttled_s:
        return f"the container was throttled for {reading.throttled_s:.1f} s"
    if reading.swapped_in_pages:
        return f"{reading.swapped_in_pages} pages were swapped in"
    return None
