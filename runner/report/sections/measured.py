"""Results of the trials: how the cells ended and what they measured, failures, adaptations."""

import re
from collections.abc import Iterator, Sequence

from runner.records import shown
from runner.records.run import TrialResult
from runner.records.study import AxisKind, Better, Cell, Metric, Status
from runner.report import figures, words
from runner.report.evidence import Evidence
from runner.report.records import Excerpt, Figure, Row, Section, Statement, Table, rows
from runner.runs.files import file_name
from runner.summarise import metric_value
from runner.text import counted, duration, shortened

METRICS_IN_A_TABLE = 4
ORDERED = {AxisKind.VERSION, AxisKind.PYTHON}
FEWEST_VALUES = 3
MOST_PANELS = 12
MOST_EXCERPTS = 20
MOST_SURPRISES = 5
LINES_OF_A_LOG = 40
MOST_LOST = 20
CHARACTERS_OF_A_REASON = 1000
SHORTEST_WAIT_S = 1.0

_LOST = (
    "The engine, or a person, ended these attempts. They say nothing about their cells, give no "
    "numbers, and are repeated."
)
_DISTURBED = (
    "A trial is disturbed by what the machine does to it, never by its result: other processes or "
    "the hypervisor took its core, the core was throttled, or memory was swapped. {repeated} All "
    "attempts are kept. If a trial stays disturbed, its times and rates are not compared. A "
    "time-out while it is disturbed does not count against its cell."
)
_ERROR_LINE = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Fault)\b.*")


def surprises(evidence: Evidence) -> Section | None:
    """Name the cells that ended unexpectedly, before anything else."""
    found = [cell for cell in evidence.cells if not evidence.as_expected(cell)]
    if not found:
        return None
    beyond = len(found) - MOST_SURPRISES
    more = (f"{counted(beyond, 'more cell')} ended unexpectedly.",) if beyond > 0 else ()
    return Section(
        "failures",
        "Failures",
        statements=tuple(_surprise(evidence, cell) for cell in found[:MOST_SURPRISES]),
        notes=more,
        key=True,
    )


def _surprise(evidence: Evidence, cell: Cell) -> Statement:
    wrong = [one for one in evidence.settled(cell) if one.status is not cell.expect]
    ending = words.ending(evidence, cell).removeprefix(words.UNEXPECTED).strip()
    head = f"{cell.id or 'The only cell'}: {ending}"
    return Statement(head, shortened(wrong[-1].reason or "", CHARACTERS_OF_A_REASON), tone="bad")


def cells(evidence: Evidence) -> Section:
    """Show how every cell ended and what it measured."""
    matrix = evidence.run.matrix
    lead = (
        "Each number is the median over the ok trials of a cell; the range below it runs from the "
        f"smallest to the largest. {_directions(matrix.metrics)}"
    )
    if len(evidence.strata) > 1:
        lead += " The trials of all hosts are shown together here, but never judged together."
    if evidence.judgement.disturbance.stayed:
        lead += " The times and rates of disturbed trials are shown here, but never judged."
    some = [
        matrix.metrics[start : start + METRICS_IN_A_TABLE]
        for start in range(0, len(matrix.metrics), METRICS_IN_A_TABLE)
    ]
    left_out = len(matrix.cells) - len(evidence.cells)
    notes = (f"{counted(left_out, 'cell')} of the matrix had no trial planned.",)
    return Section(
        "cells",
        "Cells",
        (lead.strip(),),
        tables=tuple(_numbers(evidence, metrics, first=not at) for at, metrics in enumerate(some)),
        figures=tuple(_over_axes(evidence)),
        notes=notes if left_out else (),
        key=True,
    )


def _over_axes(evidence: Evidence) -> Iterator[Figure]:
    """Draw the first metric over each axis that has an order and three values or more."""
    matrix = evidence.run.matrix
    named = {name for pair in matrix.compare for name in pair.metrics}
    # The first metric that is compared, or else the first.
    metric = min(matrix.metrics, key=lambda one: one.name not in named, default=None)
    for axis in matrix.axes:
        values = [shown(value) for value in axis.values]
        if metric is None or axis.kind not in ORDERED or len(values) < FEWEST_VALUES:
            continue
        panels: dict[str, dict[str, dict[int, float]]] = {}
        for cell in evidence.cells:
            place = {name: shown(value) for name, value in cell.coordinates}
            value = place.pop(axis.name, None)
            if value in values and len(panels) < MOST_PANELS:
                label = ", ".join(f"{name}={other}" for name, other in place.items())
                panels.setdefault(label or metric.title, {})[value] = {
                    one.trial.block: number
                    for one in evidence.ok(cell)
                    if (number := metric_value(one, metric)) is not None
                }
        figure = figures.over_axis(f"over-{axis.name}", metric, values, panels)
        if figure is not None:
            yield figure


def _directions(metrics: Sequence[Metric]) -> str:
    sentences = []
    for better in (Better.LOWER, Better.HIGHER):
        titles = [metric.title for metric in metrics if metric.better is better]
        if titles:
            sentences.append(f"{better.value.capitalize()} is better for {', '.join(titles)}.")
    return " ".join(sentences)


def _numbers(evidence: Evidence, metrics: Sequence[Metric], *, first: bool) -> Table:
    """Return some metrics of every cell; the first table says how the cells ended."""
    titles = ", ".join(metric.title for metric in metrics)
    numbers = ((cell, _cell(evidence, cell, metrics, first=first)) for cell in evidence.cells)
    return words.cell_table(
        evidence,
        "Every cell" if first else f"Every cell: {titles}",
        ("status", "trials ok") if first else (),
        numbers,
        [*map(words.heading, metrics)],
        metrics=[metric.name for metric in metrics],
    )


def _cell(evidence: Evidence, cell: Cell, metrics: Sequence[Metric], *, first: bool) -> Row:
    texts = [words.measurement(evidence, cell, metric) for metric in metrics]
    medians = [evidence.summaries[cell.id, metric.name].median for metric in metrics]
    if first:
        ok = f"{len(evidence.ok(cell))} of {evidence.planned[cell.id]}"
        texts = [words.ending(evidence, cell), ok, *texts]
    before = len(texts) - len(medians)
    numbers = {at: one for at, one in enumerate(medians, before) if one is not None}
    return Row(texts, numbers, name=cell.id if first else "")


def failures(evidence: Evidence) -> Section | None:
    """Show why trials were not ok, with the ends of their logs."""
    failing = [
        (cell, not_ok)
        for cell in evidence.cells
        if (not_ok := [r for r in evidence.settled(cell) if r.status is not Status.OK])
    ]
    if not failing:
        return None
    beyond = len(failing) - MOST_EXCERPTS
    notes = (f"{counted(beyond, 'more cell')} not shown here. Their logs are beside this report.",)
    return Section(
        "logs",
        "Logs of failed trials",
        ("The latest failing trial of each cell.",),
        notes=notes if beyond > 0 else (),
        excerpts=tuple(_excerpt(evidence, *one) for one in failing[:MOST_EXCERPTS]),
    )


def _excerpt(evidence: Evidence, cell: Cell, not_ok: Sequence[TrialResult]) -> Excerpt:
    last, total = not_ok[-1], len(evidence.settled(cell))
    lines = tuple(evidence.logs.get(last.trial.id, "").splitlines())
    where = "the single trial" if total == 1 else f"{len(not_ok)} of {total} trials"
    expected = ", as expected" if evidence.as_expected(cell) else ""
    reason = last.reason or "no reason was recorded"
    sentences = [
        f"Status: {last.status.value} in {where}{expected}.",
        f"Reason: {shortened(reason, CHARACTERS_OF_A_REASON)}",
    ]
    error = error_line(lines)
    if error is not None and error.strip() not in reason:
        sentences.append(f"Error in the log: {shortened(error, CHARACTERS_OF_A_REASON)}")
    path = f"logs/{file_name(last.trial.id)}.log" if lines else None
    title = cell.id or "The only cell"
    return Excerpt(title, tuple(sentences), lines[-LINES_OF_A_LOG:], path, cell.id)


def error_line(lines: Sequence[str]) -> str | None:
    """Return the last line that names an error as Python prints it; ``None`` if there is none."""
    return next((line for line in reversed(lines) if _ERROR_LINE.match(line)), None)


def adapted(evidence: Evidence) -> Section | None:
    """Show in which cells the script could not do exactly the same as in the others."""
    sentences = [
        (cell, Row((sentence,)))
        for cell in evidence.cells
        for sentence in dict.fromkeys(
            shortened(one.adapted) for one in evidence.settled(cell) if one.adapted is not None
        )
    ]
    if not sentences:
        return None
    title = "Adapted cells"
    lead = "In these cells the script could not do exactly the same as in the others."
    columns = ("difference, as the script reports it",)
    table = words.cell_table(evidence, title, columns, sentences)
    return Section("adapted", title, (lead,), tables=(table,))


def lost(evidence: Evidence) -> Section | None:
    """Show which attempts were lost to the machine, and why."""
    if not evidence.lost:
        return None
    texts = (
        (one.trial.id, words.instant(one.started_at), shortened(one.reason or ""))
        for one in evidence.lost[:MOST_LOST]
    )
    title = "Lost attempts"
    table = Table(title, ("attempt", "started", "reason"), rows(texts))
    beyond = len(evidence.lost) - MOST_LOST
    notes = (f"{counted(beyond, 'more attempt')} not shown here.",) if beyond > 0 else ()
    return Section("lost", title, (_LOST,), tables=(table,), notes=notes)


def waited(evidence: Evidence) -> Section | None:
    """Say how long trials waited for other runs, and which did not get the cores to themselves."""
    results = [one for results in evidence.results.values() for one in results]
    seconds = sum(one.waited_s for one in results)
    notes = tuple(
        f"{one.trial.id} went ahead although {shortened(one.occupied_by)} held its cores."
        for one in results
        if one.occupied_by is not None
    )
    if seconds < SHORTEST_WAIT_S and not notes:
        return None
    longest = max(one.waited_s for one in results)
    lead = (
        f"Runs on one machine take turns on the measured cores. The trials of this run waited "
        f"{duration(seconds)} in total for other runs, the longest {duration(longest)}."
    )
    return Section("waiting", "Waiting for other runs", (lead,), notes=notes[:MOST_LOST])


def disturbed(evidence: Evidence) -> Section | None:
    """Show by cell how many attempts the machine disturbed."""
    state = evidence.judgement.disturbance
    if not any(state.disturbed.values()):
        return None
    texts = (
        (cell, str(attempts), str(state.disturbed.get(cell, 0)))
        for cell, attempts in sorted(state.attempts.items())
    )
    notes = (
        f"{cell} was disturbed far more often than the others. Check which processes it starts."
        for cell in state.uneven
    )
    title = "Disturbed trials"
    table = Table(title, ("cell",), rows(texts), ("attempts", "disturbed"))
    most = evidence.plan.guards.repeats
    times = counted(most, "time")
    repeated = f"A disturbed trial is repeated at the end of its block, {times} at most."
    lead = _DISTURBED.format(repeated=repeated if most else "This run repeats no disturbed trial.")
    return Section("disturbed", title, (lead,), tables=(table,), notes=tuple(notes))
