"""What the trials gave: how the cells ended and what they measured, failures, adaptations."""

import re

from runner.records.run import TrialResult
from runner.records.study import Better, Cell, Metric, Status
from runner.report.evidence import Evidence, as_expected, places, standing
from runner.report.page import Excerpt, Section, Table, chunks, left, right
from runner.report.wording import heading, instant
from runner.runs.files import file_name
from runner.text import counted, shortened

METRICS_IN_A_TABLE = 4
EXCERPTS = 20
LINES_OF_A_LOG = 40
LOST_SHOWN = 20
LOST = (
    "These attempts were spoilt from outside, by the engine or by somebody. They say nothing about "
    "their cells, give no number, and are repeated."
)
LETTERS_OF_A_REASON = 1000

_ERROR_LINE = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Fault)\b.*")


def cells(evidence: Evidence) -> Section:
    """Show how every cell ended and what it measured."""
    matrix = evidence.run.matrix
    left_out = len(matrix.cells) - len(evidence.cells)
    notes = (f"{counted(left_out, 'cell')} of the matrix had no trial planned.",)
    return Section(
        title="Cells",
        lead=(
            "Each number is the median over the trials of a cell that were ok; below it the "
            f"smallest and the largest trial. {_directions(matrix.metrics)}".strip(),
        ),
        tables=(
            _endings(evidence),
            *(_numbers(evidence, some) for some in chunks(matrix.metrics, METRICS_IN_A_TABLE)),
        ),
        notes=notes if left_out else (),
    )


def failures(evidence: Evidence) -> Section | None:
    """Show why trials were not ok, with the ends of their logs."""
    ended = [
        (cell, not_ok)
        for cell in evidence.cells
        if (not_ok := [r for r in evidence.settled(cell.id) if r.status is not Status.OK])
    ]
    if not ended:
        return None
    beyond = len(ended) - EXCERPTS
    notes = (f"{counted(beyond, 'more cell')} not shown here; their logs are beside this report.",)
    return Section(
        title="Trials that were not ok",
        lead=("Of each such cell the latest trial.",),
        notes=notes if beyond > 0 else (),
        excerpts=tuple(_excerpt(evidence, cell, not_ok) for cell, not_ok in ended[:EXCERPTS]),
    )


def lost(evidence: Evidence) -> Section | None:
    """Show which attempts were lost to the machine, and why; nothing where none was."""
    if not evidence.lost:
        return None
    beyond = len(evidence.lost) - LOST_SHOWN
    return Section(
        title="Lost to the machine",
        lead=(LOST,),
        tables=(
            Table(
                caption="Lost attempts",
                columns=left("attempt", "when", "reason"),
                rows=tuple(
                    (one.trial.id, instant(one.started_at), shortened(one.reason or ""))
                    for one in evidence.lost[:LOST_SHOWN]
                ),
            ),
        ),
        notes=(f"{counted(beyond, 'more attempt')} not shown here.",) if beyond > 0 else (),
    )


def adapted(evidence: Evidence) -> Section | None:
    """Show in which cells the script could not do exactly what it does in the others."""
    axes = evidence.run.matrix.axes
    rows = dict.fromkeys(
        (*places(axes, cell), shortened(result.adapted))
        for cell in evidence.cells
        for result in evidence.settled(cell.id)
        if result.adapted is not None
    )
    if not rows:
        return None
    columns = left(*(axis.name for axis in axes), "what the script says")
    return Section(
        title="Adapted cells",
        lead=("Here the script did not do exactly what it does in the other cells.",),
        tables=(Table(caption="Adapted cells", columns=columns, rows=tuple(rows)),),
    )


def error_line(lines: tuple[str, ...]) -> str | None:
    """Return the last line that names an error as Python prints it; ``None`` if there is none."""
    return next((line for line in reversed(lines) if _ERROR_LINE.match(line)), None)


def _endings(evidence: Evidence) -> Table:
    axes = evidence.run.matrix.axes
    return Table(
        caption="How the cells ended",
        columns=(
            *left(*(axis.name for axis in axes), "status", "reason"),
            *right("trials ok", "image"),
        ),
        rows=tuple(
            (
                *places(axes, cell),
                standing(evidence, cell),
                _reason(evidence, cell),
                evidence.executed(cell.id),
                evidence.image_size(cell),
            )
            for cell in evidence.cells
        ),
    )


def _reason(evidence: Evidence, cell: Cell) -> str:
    reasons = [r.reason for r in evidence.results.get(cell.id, ()) if r.reason is not None]
    return shortened(reasons[-1]) if reasons else ""


def _numbers(evidence: Evidence, metrics: tuple[Metric, ...]) -> Table:
    axes = evidence.run.matrix.axes
    return Table(
        caption="Measured: " + ", ".join(metric.title or metric.name for metric in metrics),
        columns=(
            *left(*(axis.name for axis in axes)),
            *right(*(heading(metric) for metric in metrics)),
        ),
        rows=tuple(
            (*places(axes, cell), *(evidence.median_and_range(cell, metric) for metric in metrics))
            for cell in evidence.cells
        ),
    )


def _directions(metrics: tuple[Metric, ...]) -> str:
    sentences = []
    for better in (Better.LOWER, Better.HIGHER):
        titles = [metric.title or metric.name for metric in metrics if metric.better is better]
        if titles:
            sentences.append(f"{better.value.capitalize()} is better for {', '.join(titles)}.")
    return " ".join(sentences)


def _excerpt(evidence: Evidence, cell: Cell, not_ok: list[TrialResult]) -> Excerpt:
    last = not_ok[-1]
    lines = tuple(evidence.logs.get(last.trial.id, "").splitlines())
    trials = counted(len(evidence.settled(cell.id)), "trial")
    expected = ", as expected" if as_expected(evidence, cell) else ""
    reason = last.reason or "no reason was recorded"
    sentences = [
        f"{last.status.value}{expected}, in {len(not_ok)} of {trials}.",
        f"Reason: {shortened(reason, LETTERS_OF_A_REASON)}",
    ]
    error = error_line(lines)
    if error is not None and error.strip() not in reason:
        sentences.append(f"Its own error: {shortened(error, LETTERS_OF_A_REASON)}")
    return Excerpt(
        title=cell.id or "the only cell",
        sentences=tuple(sentences),
        lines=lines[-LINES_OF_A_LOG:],
        path=f"logs/{file_name(last.trial.id)}.log" if lines else None,
    )
