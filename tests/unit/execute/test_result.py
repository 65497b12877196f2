"""Any output of a container gives a status, and numbers only if the trial is ok."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner.engines.protocol import Outcome
from runner.execute.result import ParsedResult, parse_outcome
from runner.execute.script_result import MAX_NAMES, MAX_NUMBERS, MAX_TEXT
from runner.records.run import TrialResult
from runner.records.study import Better, Metric, MetricSource, Origin, Status
from tests.support.trials import launch, stored_as

LIMIT = launch().limits.memory_bytes
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
METRICS = (
    Metric(name="x", unit="s", better=Better.LOWER, title="x"),
    Metric(name="y", unit="s", better=Better.LOWER, title="y"),
)
GOOD: dict[str, Any] = {
    "format": 1,
    "values": {"x": 1.5},
    "series": {"y": [1, 2.5]},
    "environment": {"lib": "2.0", "eager": True, "threads": 1, "share": 0.5},
    "adapted": "one line",
}
READING: dict[str, Any] = {
    "wall_s": 1.0,
    "cpus": [0],
    "cgroup": 2,
    "cpu_s": 0.5,
    "user_s": 0.4,
    "system_s": 0.1,
    "core_busy_s": 0.6,
    "core_steal_s": 0.0,
    "throttled_s": None,
    "swapped_in_pages": 0,
    "major_faults": 0,
    "largest_process_bytes": 1000,
    "memory_peak_bytes": None,
    "oom_kills": 0,
    "log_left_out_bytes": 0,
}
STORED = TypeAdapter(TrialResult)


def framed(body: bytes) -> bytes:
    """Add the frame to a document."""
    return b"MATRIX-DOCUMENT %d\n" % len(body) + body


def document(result: str | None, **changes: object) -> bytes:
    """Return the launcher's document for a script that wrote this result."""
    sent = {
        "format": 1,
        "exit_code": 0,
        "timed_out": False,
        "result": result,
        "result_problem": None,
        "reading": READING,
    }
    return framed(json.dumps({**sent, **changes}).encode())


def outcome(
    sent: bytes | None,
    *,
    exit_code: int | None = 0,
    out_of_memory: bool = False,
    timed_out: bool = False,
    log: str = "",
    trouble: str | None = None,
    launcher_exposed: bool = False,
) -> Outcome:
    """Return the outcome that an engine saw."""
    return Outcome(
        exit_code=exit_code,
        out_of_memory=out_of_memory,
        timed_out=timed_out,
        document=sent,
        log=log,
        started_at=NOW,
        duration_s=1.0,
        trouble=trouble,
        launcher_exposed=launcher_exposed,
    )


def parsed(sent: bytes | None) -> ParsedResult:
    """Parse the outcome of a container that ended normally, and check it."""
    found = parse_outcome(outcome(sent), launch(), METRICS)
    check(found)
    return found


def check(found: ParsedResult) -> None:
    """Check that there are either numbers or a reason, and that both can be stored."""
    if found.status is Status.OK:
        assert found.reason is None
    else:
        assert found.reason
        assert not any((found.values, found.series, found.environment, found.adapted))
    result = stored_as(found, NOW)
    assert STORED.validate_json(STORED.dump_json(result)) == result


def test_a_valid_result_is_ok() -> None:
    """Values, series, environment and reading are kept as they were sent."""
    found = parsed(document(json.dumps(GOOD)))
    assert found.status is Status.OK
    assert found.values == {"x": 1.5}
    assert found.series == {"y": (1.0, 2.5)}
    assert found.environment == GOOD["environment"]
    assert found.adapted == "one line"
    assert found.reading
    assert found.reading.wall_s == 1.0


def test_whole_numbers_stay_whole_in_the_environment() -> None:
    """They are shown as they were written, while values are floats."""
    found = parsed(document(json.dumps({**GOOD, "values": {"x": 2}})))
    assert isinstance(found.environment["threads"], int)
    assert isinstance(found.values["x"], float)


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        (
            outcome(None, exit_code=3, log="one\nValueError: no\n\n"),
            Status.ENGINE_LOST,
            "the launcher sent no document; container exit code 3: ValueError: no",
        ),
        (
            outcome(None, exit_code=None, log="last words"),
            Status.ENGINE_LOST,
            "the launcher sent no document; the container ended without an exit code: last words",
        ),
        (
            outcome(None, exit_code=137, out_of_memory=True),
            Status.OUT_OF_MEMORY,
            "the kernel killed the container for its memory",
        ),
        (
            outcome(None, exit_code=137, timed_out=True),
            Status.TIMED_OUT,
            "stopped after 90 s; the launcher did not respond",
        ),
        (
            outcome(None, timed_out=True),
            Status.TIMED_OUT,
            "stopped after 90 s; the launcher did not respond",
        ),
        (
            outcome(None, exit_code=139),
            Status.ENGINE_LOST,
            "the launcher sent no document; container killed by SIGSEGV, and the log is empty",
        ),
        (
            outcome(None, exit_code=137, launcher_exposed=True),
            Status.FAILED,
            "the launcher sent no document; container killed by SIGKILL, and the log is empty",
        ),
        (
            outcome(None, exit_code=2, launcher_exposed=True),
            Status.ENGINE_LOST,
            "the launcher sent no document; container exit code 2, and the log is empty",
        ),
        (
            outcome(document(None, timed_out=True, exit_code=-9)),
            Status.TIMED_OUT,
            "stopped at its time limit of 60 s",
        ),
        (
            outcome(document(None, exit_code=-9, reading={**READING, "oom_kills": 1})),
            Status.OUT_OF_MEMORY,
            "the kernel killed a process of the script for its memory",
        ),
        (
            outcome(
                document(None, reading={**READING, "memory_peak_bytes": 2**20, "oom_kills": 1})
            ),
            Status.ENGINE_LOST,
            (
                "the machine ran out of memory: the trial used 1 MiB of its 4 GiB when the kernel "
                "killed one of its processes"
            ),
        ),
        (
            outcome(
                document(
                    None, reading={**READING, "memory_peak_bytes": 7 * LIMIT // 10, "oom_kills": 1}
                )
            ),
            Status.ENGINE_LOST,
            (
                "the machine ran out of memory: the trial used 2.8 GiB of its 4 GiB when the "
                "kernel killed one of its processes"
            ),
        ),
        (
            outcome(
                document(
                    None, reading={**READING, "memory_peak_bytes": 19 * LIMIT // 20, "oom_kills": 1}
                )
            ),
            Status.OUT_OF_MEMORY,
            "the kernel killed a process of the script for its memory",
        ),
        (
            outcome(document(None, exit_code=1), log="KeyError: 'x'"),
            Status.FAILED,
            "exit code 1: KeyError: 'x'",
        ),
        (
            outcome(document(json.dumps(GOOD), exit_code=-11)),
            Status.FAILED,
            "killed by SIGSEGV, and the log is empty",
        ),
        (
            outcome(document(None, exit_code=-99)),
            Status.FAILED,
            "killed by signal 99, and the log is empty",
        ),
        (
            outcome(document(json.dumps(GOOD)), trouble="the container was removed"),
            Status.ENGINE_LOST,
            "the container was removed",
        ),
        (
            outcome(None, log="it went well"),
            Status.ENGINE_LOST,
            "the container ended, but its document did not arrive",
        ),
        (
            outcome(document(None)),
            Status.BAD_OUTPUT,
            "the script wrote nothing to $RESULT_PATH",
        ),
        (
            outcome(document(None, result_problem="the result is not UTF-8 (byte 3)")),
            Status.BAD_OUTPUT,
            "the result is not UTF-8 (byte 3)",
        ),
    ],
)
def test_each_way_to_end_has_its_status(seen: Outcome, status: Status, reason: str) -> None:
    """The reason is one sentence, and there are no numbers."""
    found = parse_outcome(seen, launch(), METRICS)
    check(found)
    assert (found.status, found.reason) == (status, reason)


def test_a_forged_document_is_ignored() -> None:
    """A document does not count if the launcher did not end by itself."""
    seen = outcome(document(json.dumps(GOOD)), exit_code=137)
    found = parse_outcome(seen, launch(), METRICS)
    assert found.status is Status.FAILED
    assert found.values == {}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "the launcher's document is incomplete"),
        (b"MATRIX-DOCUMENT 5\n{}", "the launcher's document is incomplete"),
        (b"MATRIX-DOCUMENT -1\n", "the launcher's document is incomplete"),
        (document("{}") + b" ", "the launcher's document is incomplete"),
        (framed(b"{}"), "the launcher's document was tampered with"),
        (framed(b"\xff"), "the launcher's document was tampered with"),
        (framed(b"[" * 100_000), "the launcher's document was tampered with"),
        (document("{}", more=1), "the launcher's document was tampered with"),
        (document("{}", exit_code=True), "the launcher's document was tampered with"),
        (
            document("{}", reading={**READING, "wall_s": float("nan")}),
            "the launcher's document was tampered with",
        ),
    ],
)
def test_a_damaged_document_is_a_failure(sent: bytes, said: str) -> None:
    """The trial failed, and the reason says so."""
    found = parsed(sent)
    assert found.status is Status.FAILED
    assert found.reason
    assert found.reason.startswith(said)


def good(**changes: object) -> str:
    """Return a valid result with some keys changed."""
    return json.dumps({**GOOD, **changes})


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("", "the result is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("hello", "the result is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "the result must be a JSON object, not a list"),
        ("null", "the result must be a JSON object, not null"),
        ("3", "the result must be a JSON object, not a number"),
        ("[" * 100_000, "the result is nested too deeply"),
        (good(more=1), "the result has an unknown key `more`"),
        (good(format=2), 'the result must contain `"format": 1`'),
        (good(format=True), 'the result must contain `"format": 1`'),
        (good(format="1"), 'the result must contain `"format": 1`'),
        ("{}", 'the result must contain `"format": 1`'),
        (good(values=[1]), "`values` must be a JSON object, not a list"),
        (good(values=None), "`values` must be a JSON object, not null"),
        (good(values={"x": "1"}), "values.x must be a number, not text"),
        (good(values={"x": True}), "values.x must be a number, not true or false"),
        (good(values={"x": None}), "values.x must be a number, not null"),
        (good(values={"x": {}}), "values.x must be a number, not an object"),
        (
            good(values={"x": float("nan")}),
            "the result contains NaN, which is not a number in JSON",
        ),
        (
            good(values={"x": -float("inf")}),
            "the result contains -Infinity, which is not a number in JSON",
        ),
        ('{"format": 1, "values": {"x": 1e999}}', "values.x is not a finite number"),
        ('{"format": 1, "values": {"x": 1%s}}' % ("0" * 5000), "values.x is not a finite number"),
        (good(series={"y": 1}), "series.y must be a list of numbers, not a number"),
        (good(series={"y": [1, "2"]}), "series.y[1] must be a number, not text"),
        (good(series={"y": [1, [2]]}), "series.y[1] must be a number, not a list"),
        (good(series={"y": []}), "the result lacks the promised metric `y`"),
        (good(values={}), "the result lacks the promised metric `x`"),
        (
            good(series={"x": [1], "y": [1]}),
            "`x` is both a value and a series; it must be one of them",
        ),
        ('{"format": 1, "format": 1}', "the result contains the same name twice"),
        ('{"format": 1, "values": {"x": 1, "x": 2}}', "the result contains the same name twice"),
        (good(environment={"a": None}), "environment.a must be text, a number, true or false"),
        (good(environment={"a": ["b"]}), "environment.a must be text, a number, true or false"),
        (good(adapted=1), "`adapted` must be a sentence or null, not a number"),
        (
            good(values={f"n{index}": 1 for index in range(MAX_NAMES + 1)}),
            f"`values` has more than {MAX_NAMES} names, or too long a name",
        ),
        (
            good(environment={"n" * (MAX_TEXT + 1): 1}),
            f"`environment` has more than {MAX_NAMES} names, or too long a name",
        ),
        (
            '{"format": 1, "series": {"y": [%s1]}}' % ("1," * MAX_NUMBERS),
            f"series.y has more than {MAX_NUMBERS} numbers",
        ),
    ],
)
def test_an_invalid_result_is_refused(result: str, said: str) -> None:
    """The status is bad-output, and the reason names the place."""
    found = parsed(document(result))
    assert found.status is Status.BAD_OUTPUT
    assert found.reason
    assert found.reason.startswith(said)
    assert len(found.reason) < 3 * MAX_TEXT


def test_long_texts_are_cut() -> None:
    """No text of a script can fill the report."""
    long = "long " * MAX_TEXT
    found = parsed(document(good(environment={"a": long}, adapted=long)))
    assert found.environment["a"] == long[:MAX_TEXT]
    assert found.adapted == long[:MAX_TEXT]
    failed = parse_outcome(outcome(document(None, exit_code=1), log=long), launch(), METRICS)
    assert failed.reason == f"exit code 1: {long[:MAX_TEXT]}"


@pytest.mark.parametrize(
    "result",
    [
        good(environment={"a": "\ud800"}, adapted="b\udfff"),
        good(environment={"\ud800": 1}),
        good(values={"x": 1, "\udc00": 2}),
        json.dumps({**GOOD, "\ud800": 1}),
        good(values={"\ud800": "text"}),
    ],
)
def test_lone_surrogates_are_replaced(result: str) -> None:
    """JSON can contain them, but files cannot."""
    found = parsed(document(result))
    texts = [found.reason or "", found.adapted or "", *found.environment, *found.values]
    for text in (*texts, *map(str, found.environment.values())):
        text.encode()


def test_names_that_become_equal_are_refused() -> None:
    """Replacing a character must not merge two names."""
    halves = {chr(0xD800): 1, chr(0xD801): 2}
    found = parsed(document(good(values={"x": 1, **halves})))
    assert found.reason == "the result contains the same name twice"


PRINTED = replace(METRICS[0], source=MetricSource(origin=Origin.STDOUT, selects=(r"x=(\S+)",)))
IN_FILE = replace(
    METRICS[1],
    source=MetricSource(origin=Origin.CSV, file="y.csv", selects=("y",), series=True),
)
WALL = replace(METRICS[0], name="wall", source=MetricSource(origin=Origin.WALL_TIME))


def parsed_for(
    metrics: Sequence[Metric], result: str | None, out: str | None = None, file: str = "y\n1\n2\n"
) -> ParsedResult:
    """Parse the outcome of a script that printed a text and wrote a file."""
    sent = document(
        result,
        stdout=None if out is None else {"text": out, "problem": None},
        files={"y.csv": {"text": file, "problem": None}},
    )
    found = parse_outcome(outcome(sent), launch(), metrics)
    check(found)
    return found


def test_a_script_without_a_result_is_ok_if_no_metric_needs_one() -> None:
    """All numbers come from outside, and everything that was read is kept."""
    found = parsed_for([PRINTED, IN_FILE, WALL], None, "x=0.5")
    assert (found.status, found.values, found.series) == (
        Status.OK,
        {"x": 0.5},
        {"y": (1.0, 2.0)},
    )
    assert parsed_for([WALL], None).values == {}
    assert found.reading is not None


def test_what_the_matrix_takes_from_elsewhere_comes_before_the_result() -> None:
    """Other numbers of the result, and its facts, are kept."""
    recorded = good(values={"x": 9, "y": 9, "more": 3}, series={})
    found = parsed_for([PRINTED, IN_FILE], recorded, "x=0.5")
    assert found.values == {"x": 0.5, "more": 3.0}
    assert found.series == {"y": (1.0, 2.0)}
    assert found.environment == GOOD["environment"]
    turned = parsed_for([PRINTED], good(values={}, series={"x": [9], "z": [1]}), "x=0.5")
    assert (turned.values, turned.series) == ({"x": 0.5}, {"z": (1.0,)})


@pytest.mark.parametrize(
    ("metrics", "result", "out", "reason"),
    [
        ([PRINTED], None, "y=1", 'the output of the script does not match "x=(\\\\S+)"'),
        ([PRINTED], None, None, "the output of the script is missing"),
        ([PRINTED], "{", "x=1", "the result is not JSON"),
        ([PRINTED, METRICS[1]], None, "x=1", "the script wrote nothing to $RESULT_PATH"),
        ([PRINTED, METRICS[1]], good(series={}), "x=1", "the result lacks the promised metric `y`"),
        ([IN_FILE], None, None, '"y" in line 2 of y.csv is "a\\\\b?", not a number'),
    ],
)
def test_one_bad_number_makes_the_trial_bad(
    metrics: Sequence[Metric], result: str | None, out: str | None, reason: str
) -> None:
    """It has no numbers at all, and the reason names the place."""
    found = parsed_for(metrics, result, out, file="y\na\\b\x1b\n")
    assert found.status is Status.BAD_OUTPUT
    assert found.reason is not None
    assert found.reason.startswith(reason)


ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates, too
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.binary(), st.sampled_from([bytes, framed, lambda sent: document("{}")[:-9] + sent]))
def test_any_bytes_give_a_status(sent: bytes, within: Callable[[bytes], bytes]) -> None:
    """A trial with a meaningless document has failed."""
    assert parsed(within(sent)).status is Status.FAILED


@settings(deadline=None)
@given(st.text())
def test_any_text_gives_a_status(result: str) -> None:
    """Text that is not JSON is bad output."""
    assert parsed(document(result)).status is Status.BAD_OUTPUT


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from([*GOOD, "more"]), ANY_JSON))
def test_any_json_gives_a_status(changes: dict[str, object]) -> None:
    """The result can be stored for any content of the known keys."""
    assert parsed(document(good(**changes))).status in {Status.OK, Status.BAD_OUTPUT}


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from([*READING, "more"]), ANY_JSON))
def test_any_reading_gives_a_status(changes: dict[str, object]) -> None:
    """A forged reading is refused, or it can be stored."""
    parsed(document(good(), reading={**READING, **changes}))


ANY_OUTPUT = st.dictionaries(st.sampled_from(["text", "problem", "more"]), ANY_JSON)


@settings(deadline=None, max_examples=40)
@given(ANY_OUTPUT | ANY_JSON, st.dictionaries(st.just("y.csv"), ANY_OUTPUT) | ANY_JSON)
def test_any_outputs_give_a_status(stdout: object, files: object) -> None:
    """Forged outputs are refused, or the trial has numbers or a reason."""
    sent = document(good(), stdout=stdout, files=files)
    found = parse_outcome(outcome(sent), launch(), [PRINTED, IN_FILE])
    check(found)
    assert found.status in {Status.OK, Status.FAILED, Status.BAD_OUTPUT}
