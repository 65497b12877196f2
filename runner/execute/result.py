"""From the outcome of a trial to its result: a status, the reason, and the numbers.

The launcher's document and the script's result inside it come out of a container, so both are
untrusted. Whatever they contain, parsing them gives a status and never an exception.
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from runner.engines.protocol import Launch, Outcome
from runner.execute.outputs import Output, read_outputs
from runner.execute.script_result import FORMAT as SCRIPT_FORMAT
from runner.execute.script_result import (
    MAX_TEXT,
    BadOutputError,
    ScriptResult,
    promised,
    read_result,
)
from runner.records import Record, Scalar
from runner.records.run import Reading, Trial, TrialResult
from runner.records.study import Metric, Status
from runner.system import stored
from runner.text import memory

FORMAT = 2
HEADER = b"MATRIX-DOCUMENT "
FULL = 0.9
"""The share of its memory limit from which a trial has used it up; some pages are counted late."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Record):
    """The document that the launcher sends."""

    format: int
    exit_code: int
    timed_out: bool
    result: str | None
    result_problem: str | None
    reading: Reading
    stdout: Output | None = None
    files: Mapping[str, Output] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ParsedResult:
    """What an outcome says about its trial. It has numbers only if the status is ok."""

    status: Status
    reason: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    adapted: str | None = None
    reading: Reading | None = None

    def of(self, trial: Trial, started_at: datetime) -> TrialResult:
        """Return this as the result of a trial."""
        return TrialResult(trial=trial, started_at=started_at, duration_s=None, **vars(self))


def parse_outcome(outcome: Outcome, launch: Launch, metrics: Sequence[Metric]) -> ParsedResult:
    """Return what an outcome says: its status with the reason, or the numbers of the script."""
    if outcome.trouble is not None:
        return ParsedResult(status=Status.ENGINE_LOST, reason=outcome.trouble)
    try:
        document = read_document(outcome.document)
    except BadOutputError as error:
        return _without_document(outcome, launch, str(error))
    if outcome.exit_code != 0:  # a script that kills the launcher could forge the document
        return _without_document(outcome, launch, "the launcher did not end by itself")
    failure = _failure(outcome, document, launch)
    if failure is None:
        try:
            return _numbers(document, metrics)
        except BadOutputError as error:
            failure = Status.BAD_OUTPUT, str(error)
    status, reason = failure
    return ParsedResult(status=status, reason=reason, reading=document.reading)


def read_document(content: bytes | None) -> Document:
    """Read the launcher's framed document."""
    if content is None:
        raise BadOutputError("the launcher sent no document")
    header, _, body = content.partition(b"\n")
    if not header.startswith(HEADER) or header[len(HEADER) :] != str(len(body)).encode():
        raise BadOutputError("the launcher's document is incomplete")
    try:
        return stored.parse(Document, body, FORMAT)
    except ValueError as error:
        raise BadOutputError("the launcher's document was tampered with") from error


def _without_document(outcome: Outcome, launch: Launch, problem: str) -> ParsedResult:
    """Return the reason why a container ended without a credible document."""
    if outcome.out_of_memory:
        status, reason = Status.OUT_OF_MEMORY, "the kernel killed the container for its memory"
    elif outcome.timed_out:
        reason = f"stopped after {launch.longest_s:g} s; the launcher did not respond"
        status = Status.TIMED_OUT
    elif outcome.document is None and outcome.exit_code == 0:  # it sends before it ends
        reason = "the container ended, but its document did not arrive"
        status = Status.ENGINE_LOST
    else:
        code = outcome.exit_code
        if code is None:
            ended = "the container ended without an exit code"
        else:  # an engine reports a signal as 128 plus its number
            ended = f"container {_ended(128 - code if _is_signal(code) else code)}"
        status, reason = Status.FAILED, f"{problem}; {ended}{_cause(outcome.log)}"
        if outcome.document is None and not _may_be_killed_by_script(outcome):
            status = Status.ENGINE_LOST  # nothing that a script does silences its launcher
    return ParsedResult(status=status, reason=reason)


def _may_be_killed_by_script(outcome: Outcome) -> bool:
    code = outcome.exit_code
    return outcome.launcher_exposed and code is not None and _is_signal(code)


def _is_signal(code: int) -> bool:
    return code > 128  # noqa: PLR2004


def _failure(outcome: Outcome, document: Document, launch: Launch) -> tuple[Status, str] | None:
    """Return how the script failed; None if it ended normally."""
    if document.timed_out:
        return Status.TIMED_OUT, f"stopped at its time limit of {launch.timeout_s:g} s"
    if outcome.out_of_memory or document.reading.oom_kills:
        return _out_of_memory(document.reading.memory_peak_bytes, launch.limits.memory_bytes)
    if document.exit_code != 0:
        return Status.FAILED, _ended(document.exit_code) + _cause(outcome.log)
    return None


def _out_of_memory(peak_bytes: int | None, limit_bytes: int) -> tuple[Status, str]:
    """Distinguish a script that reached its limit from a machine with less memory than that."""
    if peak_bytes is None or peak_bytes >= FULL * limit_bytes:
        return Status.OUT_OF_MEMORY, "the kernel killed a process of the script for its memory"
    return Status.ENGINE_LOST, (
        f"the machine ran out of memory: the trial used {memory(peak_bytes)} of its "
        f"{memory(limit_bytes)} when the kernel killed one of its processes"
    )


def _ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"


def _cause(log: str) -> str:
    """Return the last line of the log, where Python and most programs name the error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f": {lines[-1][:MAX_TEXT]}" if lines else ", and the log is empty"


def _numbers(document: Document, metrics: Sequence[Metric]) -> ParsedResult:
    if document.result is not None:
        result = read_result(document.result, metrics)
    elif promised(metrics) or document.result_problem:
        raise BadOutputError(document.result_problem or "the script wrote nothing to $RESULT_PATH")
    else:
        result = ScriptResult(format=SCRIPT_FORMAT)
    values, series = read_outputs(document.stdout, document.files, metrics)
    return ParsedResult(
        status=Status.OK,
        values={**_without(result.values, series), **values},
        series={**_without(result.series, values), **series},
        environment=result.environment,
        adapted=result.adapted,
        reading=document.reading,
    )


def _without(found: Mapping[str, _T], others: Mapping[str, object]) -> Mapping[str, _T]:
    """Leave out what the matrix takes from elsewhere."""
    return {name: value for name, value in found.items() if name not in others}
