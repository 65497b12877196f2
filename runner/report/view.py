"""What a report says: its title, its first paragraph, and which sections follow."""

from collections.abc import Mapping

from runner.records import shown
from runner.records.environment import Image
from runner.records.run import Plan, Run, TrialResult
from runner.report import measured, published, surroundings, verdicts
from runner.report.evidence import Evidence, as_expected, gather
from runner.report.page import ReportView
from runner.report.wording import listed
from runner.text import counted, memory

SECTIONS = (
    verdicts.decision,
    verdicts.verdicts,
    published.claims,
    verdicts.what_could_be_seen,
    measured.cells,
    published.published,
    verdicts.learning,
    verdicts.screening,
    measured.failures,
    measured.adapted,
    measured.lost,
    verdicts.disturbance,
    surroundings.environments,
    surroundings.host,
    surroundings.method,
)
"""Each returns its section, or ``None`` if there is nothing to say."""


def view(
    run: Run,
    plan: Plan,
    images: tuple[Image, ...],
    results: tuple[TrialResult, ...],
    logs: Mapping[str, str],
) -> ReportView:
    """Say what is known of a run at any time, also before its first trial.

    ``logs`` holds the last lines of the log of each trial that is not ok, by trial id.
    """
    evidence = gather(run, plan, images, results, logs)
    return ReportView(
        title=run.matrix.title or run.matrix.name,
        lead=(_compared(evidence), _progress(evidence), *_quick(evidence)),
        sections=tuple(section for make in SECTIONS if (section := make(evidence)) is not None),
    )


def _compared(evidence: Evidence) -> str:
    run, measured = evidence.run, evidence.measured
    axes = []
    for axis in run.matrix.axes:
        held = [dict(cell.coordinates) for cell in evidence.cells]
        values = dict.fromkeys(shown(place[axis.name]) for place in held if axis.name in place)
        axes.append(f"{axis.name} ({listed(tuple(values))})")
    of = f" of {' and '.join(axes)}" if axes else ""
    return (
        f"{counted(len(evidence.cells), 'cell')}{of}, compared on one host: "
        f"{measured.cpu_model}, {counted(measured.cores, 'core')}, "
        f"{memory(measured.memory_bytes)}, {run.engine.name} {run.engine.version}."
    )


def _progress(evidence: Evidence) -> str:
    """How far the run is, and whether anything ended otherwise than expected."""
    planned = {(trial.cell, trial.block) for trial in evidence.plan.trials if not trial.control}
    done = {
        (result.trial.cell, result.trial.block)
        for cell in evidence.cells
        for result in evidence.settled(cell.id)
    } & planned
    open_blocks = {block for _, block in planned - done}
    blocks = {block for _, block in planned}
    trials = f"{len(done):,} of {counted(len(planned), 'trial')}"
    if open_blocks:
        far = (
            f"Not finished yet: {len(blocks - open_blocks)} of {counted(len(blocks), 'block')} "
            f"complete, {trials} done. The numbers below may still change."
        )
    else:
        far = f"Finished: {counted(len(blocks), 'block')}, {trials} done."
    surprises = sum(not as_expected(evidence, cell) for cell in evidence.cells)
    if surprises:
        return f"{far} {counted(surprises, 'cell')} ended otherwise than expected."
    return f"{far} No cell ended otherwise than expected." if done else far


def _quick(evidence: Evidence) -> tuple[str, ...]:
    """Warn where the parameters of a quick look were used."""
    quick = evidence.run.matrix.quick
    if not quick or not all(
        cell.parameters.get(name) == value
        for cell in evidence.cells
        for name, value in quick.items()
    ):
        return ()
    replaced = ", ".join(f"{name} = {shown(value)}" for name, value in quick.items())
    sentence = (
        f"This is a quick look, with {replaced}: numbers that depend on it cannot be set beside "
        "published ones."
    )
    return (sentence,)
