"""What was found: the title, the first paragraphs, the failure, and the numbers."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from runner.records import shown
from runner.records.run import TrialResult
from runner.records.study import Cell, Metric, Status
from runner.report import words
from runner.report.evidence import Evidence
from runner.report.issue.records import Code, Part
from runner.report.issue.subject import Subject, name, named_metrics, sides, verdict
from runner.report.records import Table, rows
from runner.report.sections.measured import error_line
from runner.text import counted, listed, shortened

LINES_OF_A_LOG = 40
CHARACTERS_OF_A_LINE = 300
CHARACTERS_OF_A_TITLE = 240
CHARACTERS_OF_A_REASON = 1000

_ENDINGS = {
    Status.FAILED: "fails",
    Status.BAD_OUTPUT: "gives no usable result",
    Status.TIMED_OUT: "reaches its time limit",
    Status.OUT_OF_MEMORY: "runs out of memory",
    Status.NO_IMAGE: "cannot be built",
    Status.UNSUPPORTED: "cannot be installed",
}
_SCREENED = (
    "The other metrics were not chosen before the run. They are a screening, with wider intervals "
    "and no verdicts."
)


def title(evidence: Evidence, subject: Subject) -> str:
    """Say in one line what the issue is."""
    return shortened(
        f"{name(evidence, subject.cell)}: {_in_short(evidence, subject)}", CHARACTERS_OF_A_TITLE
    )


def _in_short(evidence: Evidence, subject: Subject) -> str:
    worst = subject.worst
    if subject.failing:
        last, count = subject.failing[-1], len(subject.failing)
        total = counted(len(evidence.settled(subject.cell)), "trial")
        often = "" if subject.always_fails else f" in {count} of {total}"
        ending = _ENDINGS.get(last.status, last.status.value)
        return f"{ending}{often}: {_error(evidence, last)}"
    if worst is None:
        return f"no verdict yet against {sides(evidence, subject)[0]}"
    found = words.finding(evidence, worst)
    short = found.removeprefix(f"{words.sides(evidence, worst)[0]} is ")
    screened = "" if worst.named else " in a screening"
    return f"{worst.measured.title}{': ' if short == found else ' '}{short}{screened}"


def _error(evidence: Evidence, result: TrialResult) -> str:
    """Return the error in the log of a trial, or else the reason that the runner gives."""
    error = error_line(evidence.logs.get(result.trial.id, "").splitlines())
    return shortened(error or result.reason or "no reason was recorded", CHARACTERS_OF_A_REASON)


def lead(evidence: Evidence, subject: Subject) -> Iterator[Part]:
    """Yield what was found, what was run, and each reason for doubt."""
    yield from _ended(evidence, subject)
    if not subject.always_fails:
        yield _found(evidence, subject)
    yield from words.doubts(evidence)
    yield from _unfinished(evidence)
    yield from _experiment(evidence, subject)


def _ended(evidence: Evidence, subject: Subject) -> Iterator[str]:
    if not subject.failing:
        return
    status, total = subject.failing[-1].status.value, len(evidence.settled(subject.cell))
    where = "its single trial" if total == 1 else f"{len(subject.failing)} of {total} trials"
    sentences = [f"{subject.cell.id}: {status} in {where}."]
    if evidence.as_expected(subject.cell):
        sentences.append("The study expects this.")
    if subject.other is not None:
        ok, of = len(evidence.ok(subject.other)), len(evidence.settled(subject.other))
        sentences.append(f"For comparison, {subject.other.id}: ok in {ok} of {of} trials.")
    yield " ".join(sentences)


def _found(evidence: Evidence, subject: Subject) -> str:
    """Say what the title says, with the numbers behind it; claim nothing without a verdict."""
    worst, judgement = subject.worst, evidence.judgement
    if worst is None and judgement.look is None:
        complete, planned = judgement.complete, counted(evidence.plan.blocks, "block")
        return f"No verdict yet: {complete} of {planned} complete. No change is claimed here."
    if worst is None:
        return "These two cells are not compared in this run. No change is claimed here."
    old, new = sides(evidence, subject)
    before, after = (words.with_unit(one, worst.measured) for one in (worst.old, worst.new))
    numbers = f"{worst.measured.title}: {before} with {old}, {after} with {new}"
    where = f" on {worst.stratum}" if worst.stratum else ""
    found = f"{words.finding(evidence, worst)}{where}. {words.basis(evidence, worst)}"
    screened = "" if worst.named else " This is a screening, and no verdict."
    return f"{numbers[0].upper()}{numbers[1:]}. {found[0].upper()}{found[1:]}{screened}"


def _unfinished(evidence: Evidence) -> Iterator[str]:
    planned = {trial.slot for trial in evidence.plan.trials}
    if missing := len(planned - evidence.done):
        yield f"The run is not finished: {missing:,} of {counted(len(planned), 'trial')} to go."
    if evidence.run.matrix.is_quick:
        yield "This was a quick look (--quick), which repeats no trial and promises no verdicts."


def _experiment(evidence: Evidence, subject: Subject) -> Iterator[Part]:
    run = evidence.run
    place = "process" if run.engine.name == "venv" else "container"
    cores = counted(run.matrix.limits_of(subject.cell).cpus, "core")
    sentences = [f"Each trial ran this command in a fresh {place} on {cores}."]
    if subject.other is not None and not subject.always_fails:
        sentences.append("Each block had a trial of both cells, in random order, with one seed.")
    yield " ".join(sentences)
    values = {**dict(subject.cell.coordinates), **subject.cell.parameters}
    lines = [("command", shlex.join(run.matrix.experiment.command))]
    for title_, pairs in (
        ("parameters", {one: values[one] for one in subject.cell.parameters}),
        ("variables", subject.cell.variables),
    ):
        if pairs:
            lines.append((title_, ", ".join(f"{key}={shown(one)}" for key, one in pairs.items())))
    yield Code(
        tuple(f"{head + ':':12}{shortened(text, CHARACTERS_OF_A_REASON)}" for head, text in lines)
    )


def failure(evidence: Evidence, subject: Subject) -> Iterator[Part]:
    """Yield the reason of the latest failure, and the end of its log."""
    if not subject.failing:
        return
    last = subject.failing[-1]
    yield f"Reason: {shortened(last.reason or 'not recorded', CHARACTERS_OF_A_REASON)}"
    lines = evidence.logs.get(last.trial.id, "").splitlines()[-LINES_OF_A_LOG:]
    if lines:
        yield "The end of the log:"
        yield Code(tuple(line[:CHARACTERS_OF_A_LINE] for line in lines))


def numbers(evidence: Evidence, subject: Subject) -> Iterator[Part]:
    """Yield the metrics that were chosen before the run, and the others folded."""
    other = subject.other
    if other is None or not evidence.ok(subject.cell):
        return
    chosen = named_metrics(evidence, subject)
    metrics = evidence.run.matrix.metrics
    named = [one for one in metrics if one.name in chosen]
    yield _table(evidence, subject, other, named, "verdict")
    yield _explained(evidence, subject, named)
    if rest := [one for one in metrics if one not in named]:
        yield _SCREENED
        table = _table(evidence, subject, other, rest, "screening")
        yield replace(table, folded=True)


def _table(
    evidence: Evidence, subject: Subject, other: Cell, metrics: Sequence[Metric], last: str
) -> Table:
    texts = (
        (
            words.heading(metric),
            words.measurement(evidence, other, metric),
            words.measurement(evidence, subject.cell, metric),
            *_compared(evidence, subject, metric),
        )
        for metric in metrics
    )
    columns = ("metric", *sides(evidence, subject), "change", "blocks", last)
    return Table(counted(len(metrics), "other metric"), columns, rows(texts))


def _compared(evidence: Evidence, subject: Subject, metric: Metric) -> tuple[str, str, str]:
    """Return the change with its interval, the number of blocks, and the verdict."""
    comparison = subject.comparisons.get(metric.name)
    if comparison is None:
        return words.NOTHING, words.NOTHING, "none yet"
    estimate, measured = comparison.usable, comparison.measured
    if estimate is None:
        return words.NOTHING, words.NOTHING, verdict(comparison)
    change = words.signed(estimate.mean, measured)
    if not comparison.identical:
        change += f"\n({words.interval(evidence.run.matrix, estimate, measured)})"
    return change, str(estimate.n), verdict(comparison)


def _explained(evidence: Evidence, subject: Subject, metrics: Sequence[Metric]) -> str:
    found = [subject.comparisons[one.name] for one in metrics if one.name in subject.comparisons]
    estimates = [one.usable for one in found if one.usable is not None]
    sentences = ["Each number is a median over trials, with the smallest and the largest."]
    if estimates:
        interval = words.interval_name(estimates[0])
        sentences.append(f"Each change is formed within blocks; its {interval} is in parentheses.")
    sentences += [sentence for one in found if (sentence := words.replaced(evidence, one))]
    if sensitive := [one.measured.title for one in found if one.outlier_sensitive]:
        sentences.append(f"Outlying blocks decide the verdict on {listed(sensitive)}.")
    return " ".join(sentences)
