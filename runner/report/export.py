"""The report for programs: report.json, report.csv (changes), results.csv (trials), junit.xml."""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from xml.etree import ElementTree as ET

from runner.judge.estimate import quantiles
from runner.judge.records import Advice, Stratum
from runner.records import as_id, shown
from runner.records.attempts import Attempts
from runner.records.environment import EnvironmentRequest
from runner.records.run import TrialResult
from runner.records.study import Cell, Scale
from runner.report import words
from runner.report.changes import Change, asked, by_candidate, change
from runner.report.document import (
    AcrossFacts,
    AnswerFacts,
    CellFacts,
    ChangeFacts,
    EnvironmentFacts,
    ExploringFacts,
    HostFacts,
    LookFacts,
    MetricFacts,
    NumberFacts,
    ReportDocument,
    RunFacts,
    TrialFacts,
)
from runner.report.environments import names, reported
from runner.report.evidence import Evidence
from runner.report.records import ReportView
from runner.report.render import Download
from runner.runs.folder import StoredRun
from runner.summarise import metric_value
from runner.system.stored import dump
from runner.text import one_line

EXPLORING_LEVEL = 0.95
"""Of intervals that a reader asks for before the first look."""

_FORMULA = ("=", "+", "-", "@")
"""A text that begins so would be computed by a spreadsheet."""
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")


def files(evidence: Evidence, document: ReportDocument) -> dict[str, str]:
    """Return the files that are written beside the report."""
    return {
        "report.json": as_json(document),
        "report.csv": changes_csv(document),
        "results.csv": results_csv(document),
        "junit.xml": junit(evidence),
    }


def downloads(folder: StoredRun, files: Mapping[str, str]) -> tuple[Download, ...]:
    """Return the files inside the page."""
    run, text = folder.run, folder.matrix_text
    return (
        Download.of("report.json", "everything in this page, as data", files["report.json"]),
        Download.of("results.csv", "one line for each trial", files["results.csv"]),
        Download.of("matrix.yaml", "the matrix", text)
        if text is not None
        else Download.of("matrix.json", "the matrix, as it was read", dump(run.matrix).decode()),
        Download.of("lock.json", "the packages of every environment", dump(run.lock).decode()),
    )


def as_json(document: ReportDocument) -> str:
    """Return the content of report.json."""
    return dump(document, indent=None).decode()


def document(evidence: Evidence, view: ReportView) -> ReportDocument:
    """Return the whole report as data."""
    look, environments = evidence.judgement.look, names(evidence)
    answer = next(one for one in view.sections if one.name == "answer")
    decisions = {one.candidate: one.advice.value for one in evidence.judgement.decisions}
    changes = asked(evidence)
    return ReportDocument(
        title=view.title,
        question=view.question,
        run=_run(evidence),
        hosts=tuple(_host(evidence, one) for one in evidence.strata),
        look=None
        if look is None
        else LookFacts(number=look.number, of=look.of, blocks=look.blocks, level=look.level),
        exploring=_exploring(evidence),
        metrics=tuple(_metrics(evidence)),
        answers=tuple(
            AnswerFacts(
                candidate=some[0].candidate,
                against=as_id(some[0].going) or some[0].against.id,
                verdict=decisions[some[0].candidate] if any(one.judged for one in some) else None,
                text=said.head,
            )
            for some, said in zip(by_candidate(changes), answer.statements, strict=False)
        ),
        changes=tuple(_changes(evidence, changes)),
        across=tuple(_across(evidence)),
        cells=tuple(_cell(evidence, one, list(environments)) for one in evidence.cells),
        environments=tuple(_environments(evidence)),
        trials=tuple(_trials(evidence)),
    )


def _run(evidence: Evidence) -> RunFacts:
    run, plan, machine = evidence.run, evidence.plan, evidence.machine
    return RunFacts(
        id=run.id,
        started=run.created_at.isoformat(),
        runner=run.runner_version,
        commit=run.git_commit,
        engine=f"{run.engine.name} {run.engine.version}",
        cpu=machine.cpu_model,
        cores=machine.cores,
        memory_bytes=machine.memory_bytes,
        blocks=plan.blocks,
        complete_blocks=evidence.judgement.complete,
        trials=len(plan.trials),
        done=len(evidence.done),
        quick=run.matrix.is_quick,
    )


def _host(evidence: Evidence, stratum: Stratum) -> HostFacts:
    engine = stratum.machine.engine
    host = evidence.machine if len(evidence.strata) == 1 else stratum.machine.host
    return HostFacts(
        name=stratum.name,
        id=engine.machine or host.id,
        processor=stratum.processor or host.cpu_model,
        cores=host.cores,
        memory_bytes=host.memory_bytes,
        system=host.system,
        engine=f"{engine.name} {engine.version}",
        blocks=stratum.machine.blocks,
        parallel=stratum.machine.parallel,
    )


def _exploring(evidence: Evidence) -> ExploringFacts:
    look, most = evidence.judgement.look, 2 * evidence.plan.blocks  # Welch has the most
    level = look.level if look else EXPLORING_LEVEL
    return ExploringFacts(level=level, t=quantiles(level, most))


def _metrics(evidence: Evidence) -> Iterator[MetricFacts]:
    matrix = evidence.run.matrix
    for one in matrix.metrics:
        yield MetricFacts(
            name=one.name,
            title=one.title,
            unit=one.unit,
            better=one.better.value,
            scale=one.scale.value,
            paired=one.paired or one.scale is Scale.RATIO,
            margin=one.margin,
            timed=matrix.depends_on_speed(one),
            source=one.source.described,
            reduced=one.reduction,
        )


def _changes(evidence: Evidence, changes: Iterable[Change]) -> Iterator[ChangeFacts]:
    """Yield what the run was asked about, and then the screening."""
    for one in changes:
        yield _change(evidence, one, named=True)
    for compared in evidence.judgement.comparisons:
        if not compared.named:
            yield _change(evidence, change(evidence, compared), named=False)


def _change(evidence: Evidence, one: Change, *, named: bool) -> ChangeFacts:
    compared, metric = one.comparison, one.metric
    measured = compared.measured if compared else metric
    estimate = compared.usable if compared else None
    reason = compared.reason if compared else "not judged yet"
    scale = measured.scale if measured else Scale.RATIO
    share = partial(_share, scale)
    return ChangeFacts(
        cell=one.of.id,
        against=one.against.id,
        host=one.stratum or evidence.strata[0].name,
        metric=metric.name if metric else "",
        judged_by=measured.name if measured else "",
        named=named,
        scale=scale.value,
        old=one.old,
        new=one.new,
        change=share(estimate.mean) if estimate else None,
        low=share(estimate.low) if estimate else None,
        high=share(estimate.high) if estimate else None,
        level=estimate.level if estimate else None,
        n=estimate.n if estimate else None,
        limit=_limit(one, scale),
        verdict=words.verdict_of(evidence, one.judged, compared),
        reason=one.judged.reason if one.judged else reason,
        blocks={block: share(number) for block, number in compared.changes.items()}
        if compared and named
        else {},
    )


def _share(scale: Scale, number: float) -> float:
    """Return a change as report.json writes it."""
    if scale is Scale.DIFFERENCE:
        return number
    return math.expm1(min(number, 700.0))  # beyond, it is too large for a number


def _across(evidence: Evidence) -> Iterator[AcrossFacts]:
    for one in evidence.judgement.across:
        compared, estimate = one.comparison, one.comparison.estimate
        if estimate is None:
            continue
        share = partial(_share, compared.scale)
        yield AcrossFacts(
            cell=compared.of,
            against=compared.against,
            metric=compared.metric.name,
            scale=compared.scale.value,
            change=share(estimate.mean),
            low=share(estimate.low),
            high=share(estimate.high),
            level=estimate.level,
            n=estimate.n,
            verdict=words.verdict(evidence, compared),
            hosts={host: share(number) for host, number in compared.changes.items()},
        )


def _limit(one: Change, scale: Scale) -> float | None:
    """Return the limit on the scale of the change. A share of a difference depends on the old."""
    if one.limit is None:
        return None
    if one.limit.relative and scale is Scale.DIFFERENCE:
        return one.judged.bound if one.judged else None
    return one.limit.change


def _cell(evidence: Evidence, cell: Cell, requests: Sequence[EnvironmentRequest]) -> CellFacts:
    summaries = {
        metric.name: evidence.summaries[cell.id, metric.name]
        for metric in evidence.run.matrix.metrics
    }
    return CellFacts(
        id=cell.id,
        values={axis: shown(value) for axis, value in cell.coordinates},
        environment=requests.index(cell.request),
        expected=cell.expect.value,
        ending=words.ending(evidence, cell).removeprefix(words.UNEXPECTED).strip(),
        trials=evidence.planned[cell.id],
        ok=len(evidence.ok(cell)),
        numbers={
            name: NumberFacts(median=one.median, low=one.low, high=one.high, n=one.n)
            for name, one in summaries.items()
        },
    )


def _environments(evidence: Evidence) -> Iterator[EnvironmentFacts]:
    inside = reported(evidence)
    for request, name in names(evidence).items():
        entry = evidence.environment(request)
        yield EnvironmentFacts(
            name=name,
            python=entry.python if entry else None,
            as_of=entry.as_of.isoformat() if entry else None,
            packages={one.name: one.version for one in entry.packages} if entry else {},
            reported=inside[request],
        )


def _trials(evidence: Evidence) -> Iterator[TrialFacts]:
    planned = {trial.slot for trial in evidence.plan.trials}
    known = (one for one in evidence.every if one.trial.slot in planned)
    counting = {one.trial.id for one in Attempts(known).counting()}
    hosts = {block: one.name for one in evidence.strata for block in one.machine.blocks}
    # In the order of the plan, for trials side by side begin in no certain one.
    every = sorted(
        evidence.every, key=lambda one: (one.trial.block, one.trial.attempt, one.trial.position)
    )
    for one in every:
        counts = one.trial.id in counting and not one.is_lost
        yield _trial(evidence, one, hosts.get(one.trial.block, ""), counts=counts)


def _trial(evidence: Evidence, one: TrialResult, host: str, *, counts: bool) -> TrialFacts:
    numbers = {
        metric.name: number
        for metric in evidence.run.matrix.metrics
        if (number := metric_value(one, metric)) is not None
    }
    return TrialFacts(
        id=one.trial.id,
        cell=one.trial.cell,
        block=one.trial.block,
        host=host,
        attempt=one.trial.attempt,
        control=one.trial.control,
        counts=counts,
        status=one.status.value,
        reason=one.reason,
        disturbed=one.disturbed,
        started=one.started_at.isoformat(timespec="seconds"),
        seconds=one.duration_s,
        numbers=numbers,
    )


# --- tables for spreadsheets ---------------------------------------------------------------------


def changes_csv(document: ReportDocument) -> str:
    """Return report.csv: one line for each change."""
    columns = [
        *(
            "cell",
            "against",
            "host",
            "metric",
            "judged_by",
            "named",
            "scale",
            "old",
            "new",
            "change",
        ),
        *("low", "high", "level", "n", "limit", "verdict", "reason"),
    ]
    rows = ([getattr(one, column) for column in columns] for one in document.changes)
    return _csv(columns, rows)


def results_csv(document: ReportDocument) -> str:
    """Return results.csv: one line for each attempt, with the values of its cell.

    An axis or a metric whose name is taken is called ``axis NAME`` or ``metric NAME``.
    """
    axes = list(dict.fromkeys(axis for cell in document.cells for axis in cell.values))
    values = {cell.id: cell.values for cell in document.cells}
    metrics = [metric.name for metric in document.metrics]
    own = (
        "block",
        "host",
        "attempt",
        "control",
        "counts",
        "status",
        "reason",
        "disturbed",
        "started",
    )
    rows = (
        [
            *(values.get(one.cell, {}).get(axis) for axis in axes),
            *(getattr(one, column) for column in own),
            *(one.numbers.get(metric) for metric in metrics),
        ]
        for one in document.trials
    )
    taken = {*own, *metrics}
    named = [f"axis {axis}" if axis in taken else axis for axis in axes]
    measured = [f"metric {name}" if name in own else name for name in metrics]
    return _csv([*named, *own, *measured], rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_field, columns))
    writer.writerows([_field(value) for value in row] for row in rows)
    return text.getvalue()


def _field(value: object) -> object:
    """Return a value that no spreadsheet computes; a number in a text is no formula."""
    if isinstance(value, bool):
        return shown(value)
    if not isinstance(value, str):
        return value
    line = one_line(value)
    computed = line.startswith(_FORMULA) and not _NUMBER.fullmatch(line)
    return f"'{line}" if computed else line


# --- JUnit ---------------------------------------------------------------------------------------


def junit(evidence: Evidence) -> str:
    """Return junit.xml: a test for each cell, and one for each change that was asked about.

    A cell that ended unexpectedly and a change that the policy refuses are failures. What is not
    known yet is skipped.
    """
    suite = ET.Element("testsuite", name=_plain(evidence.run.matrix.name))
    for cell in evidence.cells:
        _ended(suite, evidence, cell)
    for one in asked(evidence):
        if one.metric is not None:
            _judged(suite, evidence, one)
    for count, tag in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))
    suite.set("errors", "0")
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, "unicode") + "\n"


def _ended(suite: ET.Element, evidence: Evidence, cell: Cell) -> None:
    seconds = sum(one.duration_s or 0.0 for one in evidence.results.get(cell.id, ()))
    name = _plain(cell.id) or "the only cell"
    case = ET.SubElement(suite, "testcase", classname="cells", name=name, time=f"{seconds:.3f}")
    ending = _plain(words.ending(evidence, cell).removeprefix(words.UNEXPECTED).strip())
    if not evidence.settled(cell):
        ET.SubElement(case, "skipped", message=ending)
    elif not evidence.as_expected(cell):
        reasons = [one.reason for one in evidence.settled(cell) if one.reason]
        failure = ET.SubElement(case, "failure", message=ending)
        failure.text = _plain(reasons[-1]) if reasons else ""


def _judged(suite: ET.Element, evidence: Evidence, one: Change) -> None:
    title = one.metric.title if one.metric else ""
    where = f" on {one.stratum}" if one.stratum else ""
    name = _plain(f"{title}: {one.of.id} against {one.against.id}{where}")
    case = ET.SubElement(suite, "testcase", classname="changes", name=name)
    verdict = words.verdict_of(evidence, one.judged, one.comparison)
    effect = (
        " ".join(filter(None, words.effect(evidence, one.comparison))) if one.comparison else ""
    )
    message = _plain(": ".join(filter(None, (verdict, effect))))
    if one.judged is not None and one.judged.advice is Advice.HOLD:
        ET.SubElement(case, "failure", message=message)
    elif not one.is_answered or (one.judged and one.judged.advice is Advice.CANNOT_TELL):
        ET.SubElement(case, "skipped", message=message or "not judged yet")
    else:
        ET.SubElement(case, "system-out").text = message


def _plain(text: str) -> str:
    """Return a text as one line that XML may contain."""
    return one_line(text)
