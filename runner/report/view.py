"""The content of a report: its title, its first paragraph, and its sections."""

from collections.abc import Iterator

from runner import __version__
from runner.records import shown
from runner.report.changes import asked
from runner.report.evidence import Evidence
from runner.report.records import ReportView
from runner.report.sections import SECTIONS
from runner.report.words import doubts
from runner.text import counted, listed, memory, shortened

MOST_VALUES = 6


def view(evidence: Evidence) -> ReportView:
    """Say what is known of a run at any time, also before its first trial."""
    matrix = evidence.run.matrix
    return ReportView(
        matrix.title or matrix.name,
        _question(evidence),
        (
            *(*doubts(evidence), _progress(evidence), *_quick(evidence)),
            *(_compared(evidence), *_meanings(evidence)),
        ),
        tuple(section for make in SECTIONS if (section := make(evidence)) is not None),
        tuple(cell.id for cell in evidence.cells),
        __version__,
    )


def _question(evidence: Evidence) -> str:
    """Return what the run was asked."""
    matrix = evidence.run.matrix
    changes = (one for one in asked(evidence) if one.replaces(matrix.baseline))
    candidates = dict.fromkeys(one.named for one in changes)
    baseline = " and ".join(f"{axis} {shown(value)}" for axis, value in matrix.baseline)
    if not candidates or not baseline:
        cells = len(evidence.cells)
        return (
            f"How do the {cells:,} cells compare?" if cells > 1 else "How does this cell perform?"
        )
    named = listed(list(candidates), "or")
    if len(candidates) > MOST_VALUES:
        named = f"one of {len(candidates)} others"
    if matrix.policy:
        return f"Can {baseline} be replaced by {named}?"
    return f"What changes if {baseline} is replaced by {named}?"


def _compared(evidence: Evidence) -> str:
    run, machine = evidence.run, evidence.machine
    cells = [dict(cell.coordinates) for cell in evidence.cells]
    axes = []
    for axis in run.matrix.axes:
        found = [shown(cell[axis.name]) for cell in cells if axis.name in cell]
        values = list(dict.fromkeys(found))
        listed = ", ".join(values)
        if len(values) > MOST_VALUES:
            listed = f"{len(values)} values from {values[0]} to {values[-1]}"
        axes.append(f"{axis.name} ({listed})")
    of = f" of {' and '.join(axes)}" if axes else ""
    if len(evidence.strata) > 1:
        hosts = counted(len({one.host for one in evidence.strata}), "host")
        return f"{counted(len(cells), 'cell')}{of}, compared on {hosts}, each judged by itself."
    return (
        f"{counted(len(cells), 'cell')}{of}, compared on one host: {machine.cpu_model}, "
        f"{counted(machine.cores, 'core')}, {memory(machine.memory_bytes)} of memory, "
        f"{run.engine.name} {run.engine.version}."
    )


def _meanings(evidence: Evidence) -> Iterator[str]:
    """Say what the values of an axis stand for, and which variable one sets."""
    for axis in evidence.run.matrix.axes:
        named = zip(axis.values, axis.meanings, strict=False)
        pairs = [f"{shown(value)} is {shortened(meaning)}" for value, meaning in named]
        if pairs[MOST_VALUES:]:
            pairs[MOST_VALUES:] = [f"and {len(pairs) - MOST_VALUES} more"]
        sets = f" sets the variable {axis.variable}" if axis.variable else ""
        if sets or pairs:
            yield f"{axis.name}{sets}{': ' if pairs else ''}{', '.join(pairs)}."


def _progress(evidence: Evidence) -> str:
    """Say how far the run is."""
    plan = evidence.plan
    planned, done = {trial.slot for trial in plan.own}, evidence.done
    share = ""
    if plan.shard is not None:
        some = f"{len(plan.own_blocks)} of the {counted(plan.blocks, 'block')}"
        share = f"This is shard {plan.shard}, which holds {some} of the study. "
    blocks = {block for _, block, _ in planned}
    unfinished = {block for _, block, _ in planned - done}
    trials = f"{len(done):,} of {counted(len(planned), 'trial')} done"
    controls = sum(control for _, _, control in planned)
    trials += f" ({controls} of them of the A/A control)." if controls else "."
    if unfinished:
        progress = (
            f"Not finished yet: {len(blocks - unfinished)} of {counted(len(blocks), 'block')} "
            f"complete, {trials} The numbers below may still change."
        )
    else:
        progress = f"Finished: {counted(len(blocks), 'block')}, {trials}"
    return share + progress


def _quick(evidence: Evidence) -> Iterator[str]:
    """Warn if the run is a quick look."""
    matrix = evidence.run.matrix
    if not matrix.is_quick:
        return
    yield "This is a quick look (--quick), which repeats no trial and promises no verdicts."
    if matrix.quick:
        replaced = ", ".join(f"{name} = {shown(value)}" for name, value in matrix.quick.items())
        yield (
            f"It used {replaced}. Numbers that depend on this cannot be compared with published "
            "numbers."
        )
