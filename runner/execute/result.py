"""From outcome to result: what we conclude of a trial, and the reason in a sentence.

The launcher's document and the script's result inside it come out of a container: both are
untrusted. Whatever they hold, the answer here is a status and never an exception.
"""

import json
import math
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.engines.protocol import Launch, Outcome
from runner.records import Record, Scalar
from runner.records.run import Reading
from runner.records.study import Metric, Status
from runner.system import stored

FORMAT = 1
HEADER = b"MATRIX-DOCUMENT "
MAX_NAMES = 1000
MAX_NUMBERS = 1_000_000
MAX_TEXT = 1000
_NOT_SHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
FULL = 0.9  # of its limit, which memory reaches but for the pages that are counted late
EXACT = 2**53  # up to here every whole number is a float
KNOWN = {"format", "values", "series", "environment", "adapted"}


class BadDocumentError(ValueError):
    """Something from inside a container breaks its contract; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What an outcome says of its trial; numbers only where the status is ok."""

    status: Status
    reason: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    adapted: str | None = None
    reading: Reading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Record):
    """What the launcher sent."""

    format: int
    exit_code: int
    timed_out: bool
    result: str | None
    result_problem: str | None
    reading: Reading


def conclude(outcome: Outcome, launch: Launch, metrics: Sequence[Metric]) -> Concluded:
    """Return the result of an outcome: status, reason and, if all is well, the numbers."""
    trouble = _trouble(outcome)
    if trouble is not None:
        return _without_numbers(Status.ENGINE_LOST, trouble)
    try:
        document = read_document(outcome.document)
    except BadDocumentError as error:
        return _without_numbers(*_silent(outcome, launch, str(error)))
    if outcome.exit_code != 0:  # it goes after what it sends; a script can forge only that
        return _without_numbers(*_silent(outcome, launch, "the launcher did not end by itself"))
    failure = _failure(outcome, document, launch)
    if failure is not None:
        return _without_numbers(*failure, document.reading)
    try:
        return _read_result(document, metrics)
    except BadDocumentError as error:
        return _without_numbers(Status.BAD_OUTPUT, str(error), document.reading)


def _trouble(outcome: Outcome) -> str | None:
    """Say what the machine did wrong; None if nothing is known of it."""
    if outcome.document is None and outcome.exit_code == 0:  # the launcher sends before it ends
        return outcome.trouble or "what the container sent did not arrive"
    return outcome.trouble


def _silent(outcome: Outcome, launch: Launch, problem: str) -> tuple[Status, str]:
    """Say why a container ended without a document."""
    if outcome.out_of_memory:
        return Status.OUT_OF_MEMORY, "the kernel killed the container for its memory"
    if outcome.timed_out:
        return (
            Status.TIMED_OUT,
            f"stopped after {launch.longest_s:g} s; the launcher did not answer",
        )
    return Status.FAILED, f"{problem}; {_container_ended(outcome)}{_cause(outcome.log)}"


def _failure(outcome: Outcome, document: Document, launch: Launch) -> tuple[Status, str] | None:
    """Say how the script failed; None if it ended well."""
    if document.timed_out:
        return Status.TIMED_OUT, f"stopped at its time limit of {launch.timeout_s:g} s"
    if outcome.out_of_memory or document.reading.oom_kills:
        return _out_of_memory(document.reading.memory_peak_bytes, launch.limits.memory_bytes)
    if document.exit_code != 0:
        return Status.FAILED, _ended(document.exit_code) + _cause(outcome.log)
    return None


def _out_of_memory(peak_bytes: int | None, limit_bytes: int) -> tuple[Status, str]:
    """Tell a script that reached its limit from a machine that has less than the limit."""
    if peak_bytes is None or peak_bytes >= FULL * limit_bytes:
        return Status.OUT_OF_MEMORY, "the kernel killed a process of the script for its memory"
    return Status.ENGINE_LOST, (
        f"the machine ran out of memory: the trial had {peak_bytes / 2**20:.0f} MiB of its "
        f"{limit_bytes / 2**20:.0f} MiB when the kernel killed one of its processes"
    )


def _container_ended(outcome: Outcome) -> str:
    """Name the signal that an engine tells as 128 and its number."""
    code = outcome.exit_code
    if code is None:
        return "container ended without an exit code"
    return f"container {_ended(128 - code if code > 128 else code)}"  # noqa: PLR2004


def _ended(exit_code: int) -> str:
    if exit_code < 0:
        try:
            return f"killed by {signal.Signals(-exit_code).name}"
        except ValueError:
            return f"killed by signal {-exit_code}"
    return f"exit code {exit_code}"


def _cause(log: str) -> str:
    """Return the last line of the log, where Python and most programs name the error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f": {lines[-1][:MAX_TEXT]}" if lines else ", and the log is empty"


def _without_numbers(status: Status, reason: str, reading: Reading | None = None) -> Concluded:
    return Concluded(status=status, reason=reason, reading=reading)


# --- the launcher's document ---------------------------------------------------------------------


def read_document(content: bytes | None) -> Document:
    """Read the framed document; BadDocumentError if there is none or it is not whole."""
    if content is None:
        raise BadDocumentError("the launcher sent no document")
    header, _, body = content.partition(b"\n")
    if not header.startswith(HEADER) or header[len(HEADER) :] != str(len(body)).encode():
        raise BadDocumentError("the launcher's document is not whole")
    try:
        return stored.parse(Document, body, FORMAT)
    except ValueError as error:
        raise BadDocumentError("the launcher's document was tampered with") from error


# --- the script's result -------------------------------------------------------------------------


def _read_result(document: Document, metrics: Sequence[Metric]) -> Concluded:
    if document.result is None:
        raise BadDocumentError(document.result_problem or "the script wrote no result")
    content = _object(_parse(document.result, "the result"))
    unknown = sorted(set(content) - KNOWN)
    if unknown:
        raise BadDocumentError(f"the result has an unknown key `{unknown[0][:80]}`")
    if content.get("format") != FORMAT or content["format"] is True:
        raise BadDocumentError(f'the result must say `"format": {FORMAT}`')
    values = {
        name: _number(value, f"values.{name}") for name, value in _names(content, "values").items()
    }
    series = {
        name: _numbers(value, f"series.{name}") for name, value in _names(content, "series").items()
    }
    _check_metrics(metrics, values, series)
    return Concluded(
        status=Status.OK,
        values=values,
        series=series,
        environment={
            name: _scalar(value, f"environment.{name}")
            for name, value in _names(content, "environment").items()
        },
        adapted=_sentence(content.get("adapted")),
        reading=document.reading,
    )


def _check_metrics(
    metrics: Sequence[Metric],
    values: Mapping[str, float],
    series: Mapping[str, tuple[float, ...]],
) -> None:
    both = sorted(set(values) & set(series))
    if both:
        raise BadDocumentError(f"`{both[0]}` is both a value and a series; it must be one of them")
    missing = [
        metric.name
        for metric in metrics
        if metric.name not in values and not series.get(metric.name)
    ]
    if missing:
        raise BadDocumentError(f"the result lacks the promised metric `{missing[0]}`")


def _parse(text: str, what: str) -> object:
    """Parse JSON strictly: no NaN, no infinity, no repeated name, no endless depth."""

    def refuse(word: str) -> float:
        raise BadDocumentError(f"{what} holds {word}, which is not a number in JSON")

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = {_printable(name): value for name, value in items}
        if len(found) < len(items):
            raise BadDocumentError(f"{what} has the same name twice")
        return found

    try:
        # A whole number of any length becomes a float, if need be infinite.
        return json.loads(text, parse_int=float, parse_constant=refuse, object_pairs_hook=pairs)
    except BadDocumentError:
        raise
    except RecursionError as error:
        raise BadDocumentError(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise BadDocumentError(f"{what} is not JSON: {error}") from error


def _object(content: object) -> dict[str, object]:
    if not isinstance(content, dict):
        raise BadDocumentError(f"the result must be a JSON object, not {_kind(content)}")
    return content


def _names(content: Mapping[str, object], key: str) -> dict[str, object]:
    found = content.get(key, {})
    if not isinstance(found, dict):
        raise BadDocumentError(f"`{key}` must be a JSON object, not {_kind(found)}")
    if len(found) > MAX_NAMES or any(len(name) > MAX_TEXT for name in found):
        raise BadDocumentError(f"`{key}` has more than {MAX_NAMES} names, or a name is too long")
    return found


def _number(value: object, where: str) -> float:
    if not isinstance(value, float):
        raise BadDocumentError(f"{where[:MAX_TEXT]} must be a number, not {_kind(value)}")
    if not math.isfinite(value):
        raise BadDocumentError(f"{where[:MAX_TEXT]} is not a finite number")
    return value


def _numbers(value: object, where: str) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise BadDocumentError(f"{where[:MAX_TEXT]} must be a list of numbers, not {_kind(value)}")
    if len(value) > MAX_NUMBERS:
        raise BadDocumentError(f"{where[:MAX_TEXT]} has more than {MAX_NUMBERS} numbers")
    return tuple(_number(item, f"{where}[{index}]") for index, item in enumerate(value))


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _printable(value[:MAX_TEXT])
    if not isinstance(value, float):
        raise BadDocumentError(f"{where} must be text, a number, true or false, not {_kind(value)}")
    number = _number(value, where)
    return int(number) if number.is_integer() and abs(number) <= EXACT else number


def _sentence(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _printable(value[:MAX_TEXT])
    raise BadDocumentError(f"`adapted` must be a sentence or null, not {_kind(value)}")


def _printable(text: str) -> str:
    r"""Replace what JSON can name and no file or plot can show: ``\ud800``, ``\u0000``."""
    return _NOT_SHOWABLE.sub("?", text)


def _kind(value: object) -> str:
    """Return what a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a number"
