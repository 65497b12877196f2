"""Everything that reads untrusted files, each with a check that any bytes keep its promises.

The promises: a reader returns a record or raises a ``RunnerError`` whose message is made of
printable lines and names the file. Any output of a container gives a status. Nothing takes
longer than its limit. A record that was read can be stored, is the same when it is read again, and
can be used by the next verb.
"""

import atexit
import functools
import json
import math
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner import report
from runner.engines.protocol import Outcome
from runner.errors import RunnerError
from runner.execute.outputs import Output, read_outputs
from runner.execute.result import Document, ParsedResult, parse_outcome
from runner.execute.script_result import BadOutputError, ScriptResult
from runner.judge import judge
from runner.lock.file import read_lock
from runner.plan import make_plan
from runner.read import read
from runner.records import FORMAT
from runner.records.environment import Environment, Image, Images, Lock
from runner.records.run import Plan, Reading, Run, TrialResult
from runner.records.study import Better, Matrix, Metric, MetricSource, Origin, Status
from runner.report.render import markdown
from runner.runs.files import file_name
from runner.runs.folder import RunFolder, StoredRun
from tests.fuzz import edges
from tests.fuzz.strategies import (
    Schema,
    as_json,
    as_sections,
    as_yaml,
    near,
    run_inputs,
    sections,
    texts_in,
)
from tests.support import samples
from tests.support.fakes import QUIET
from tests.support.matrices import FULL, SMALL
from tests.support.reports import view_of
from tests.support.trials import launch, stored_as

ROOT = Path(__file__).parents[2]
READING_S, REPORT_S = 5.0, 20.0
"""How much CPU time one input may take; a slow machine needs more than two seconds for some."""

MOST_JUDGED = 20
"""Matrices with more cells are not judged, because that takes too long."""

DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)
METRICS = tuple(
    Metric(name=name, unit="s", better=Better.LOWER, title=name) for name in ("seconds", "loss")
)
IN_FILES = (
    MetricSource(origin=Origin.JSON, file="x", selects=("values", "seconds")),
    MetricSource(origin=Origin.JSON, file="x", selects=("series", "loss"), series=True),
    MetricSource(origin=Origin.CSV, file="x", selects=("loss",)),
    MetricSource(origin=Origin.CSV, file="x", selects=("loss",), series=True),
    MetricSource(origin=Origin.BENCHMARK, file="x", selects=("test_fit",)),
)
STUDIED = (
    "epoch_seconds",
    "us_per_sample",
    "epoch_cpu_seconds",
    "best_train_accuracy",
    "test_accuracy",
)
_STORED_FILE = re.compile(r"(run|plan|images)\.json|(trials|logs)/[\w=,@+-][\w.=,@+-]{1,120}")
_LOG = re.compile(r"^(`{3,})text$.*?^\1$", re.DOTALL | re.MULTILINE)
"""A log in a Markdown report: in its fence, any text is only text."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")
"""Characters that no report may contain."""
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no record may contain: reports replace the others when they are written."""

BENCHMARK = b'{"benchmarks": [{"name": "test_fit", "stats": {"median": 0.5, "min": 0.25}}]}'

_MATRIX = TypeAdapter(Matrix)
_RESULT = TypeAdapter(TrialResult)


class BrokenPromiseError(AssertionError):
    """The program broke a promise that must hold for any input."""


class TooSlowError(BaseException):
    """An input took longer than its limit. ``except Exception`` does not catch this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader, its promise, and inputs: sound ones, hand-made odd ones, and generated ones.

    ``promise`` raises if an input breaks it. ``share`` is the reader's share of all inputs.
    """

    name: str
    promise: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    edges: tuple[bytes, ...]
    inputs: st.SearchStrategy[bytes]
    limit_s: float = READING_S
    share: float

    def check(self, content: bytes) -> None:
        """Raise an exception if the input breaks the promise."""
        with limited(self.limit_s):
            self.promise(content)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooSlowError after this much CPU time of the process."""

    def stop(_: int, frame: FrameType | None) -> None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "nowhere"
        raise TooSlowError(f"more than {seconds:g} s, now at {where}")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@functools.cache
def folder() -> Path:
    """Return a folder for the inputs, with the files that the matrices name."""
    path = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    for name in ("run.py", "experiments/mnist_softmax.py", "experiments/data/mnist.npz"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")
    return path


def holds(condition: object, sentence: str) -> None:
    """Raise BrokenPromiseError if a condition does not hold."""
    if not condition:
        raise BrokenPromiseError(sentence)


def check_message(error: RunnerError, path: Path) -> None:
    """Check that a message is made of printable lines and names the file."""
    message = str(error)
    holds(str(path) in message, f"the message does not name the file: {message!r}")
    holds(all(line.isprintable() for line in message.split("\n")), f"unprintable: {message!r}")
    holds("something else" not in message, f"the message says nothing: {message!r}")


def check_texts(tree: object) -> None:
    """Check that a record as JSON contains no control character except tabs and line breaks."""
    for text in texts_in(tree):
        found = _UNSTORABLE.search(text)
        holds(found is None, f"a text contains {found and found.group()!r}")


# --- the matrix and its lock ---------------------------------------------------------------------


def read_any_matrix(content: bytes) -> None:
    """Read a matrix. An accepted one can be stored, planned and judged."""
    path = folder() / "matrix.yaml"
    path.write_bytes(content)
    try:
        matrix = read(path)
    except RunnerError as error:
        check_message(error, path)
        return
    holds(matrix.cells, "a matrix without cells is accepted")
    check_keys(yaml.compose(content.decode("utf-8-sig"), yaml.CSafeLoader))
    written = _MATRIX.dump_json(matrix)
    check_texts(json.loads(written))
    holds(_MATRIX.validate_json(written) == matrix, "the stored matrix differs")
    if len(matrix.cells) <= MOST_JUDGED:
        judge_any_numbers(matrix)


def check_keys(node: yaml.Node | None) -> None:
    """Check that the keys of each mapping in a YAML document are distinct."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        holds(len(keys) == len(set(keys)), "the same key is accepted twice")
    if isinstance(node, yaml.CollectionNode):
        for inner in node.value:
            check_keys(inner[1] if isinstance(node, yaml.MappingNode) else inner)


def judge_any_numbers(matrix: Matrix) -> None:
    """Judge a run of two blocks in which every metric of every trial has a value."""
    plan = replace(make_plan(matrix, seed=1, blocks=2), looks=(2,))
    values = {metric.name: 1.5 for metric in matrix.metrics}
    judgement = judge(matrix, plan, [samples.ok_result(one, values, {}) for one in plan.trials])
    cells = {cell.id for cell in matrix.cells}
    compared = {cell for one in judgement.comparisons for cell in (one.of, one.against)}
    holds(compared <= cells, "a comparison names an unknown cell")
    claimed = {cell for one in matrix.claims for cell in (one.of, one.against or one.of)}
    holds(claimed <= cells, "a claim names an unknown cell")
    holds({one.cell for one in matrix.published} <= cells, "an unknown cell is published")


def read_any_lock(content: bytes) -> None:
    """Read a lock."""
    path = folder() / "matrix.lock"
    path.write_bytes(content)
    try:
        lock = read_lock(path)
    except RunnerError as error:
        check_message(error, path)
        return
    for entry in lock.entries:
        holds(lock.entry(entry.request), "the lock does not find its own entry")
        if isinstance(entry, Environment):
            holds(entry.as_of.tzinfo, "a date without a time zone is accepted")
            entry.as_of.astimezone(timezone.utc)  # reports show it in UTC


# --- the output of a container -------------------------------------------------------------------


def framed(body: bytes) -> bytes:
    """Return a document in its frame."""
    return b"MATRIX-DOCUMENT %d\n" % len(body) + body


def document(result: str) -> bytes:
    """Return the launcher's document for a script that wrote this result."""
    reading = TypeAdapter(Reading).dump_python(QUIET, mode="json")
    sent = {"format": 1, "exit_code": 0, "timed_out": False, "result_problem": None}
    return json.dumps({**sent, "result": result, "reading": reading}).encode()


def parse_any_document(content: bytes) -> None:
    """Parse what a container sent and printed: these bytes, in a frame, and in a wrong frame."""
    log = content.decode(errors="replace")
    first = content[0] if content else 0
    for sent in (content, framed(content)):
        for exit_code in (0, first - 128, None):
            parsed(sent, log, exit_code, out_of_memory=first == 1, timed_out=first == 2)
    holds(parsed(framed(content) + b" ").reading is None, "a document of a wrong length is read")


def parse_any_result(content: bytes) -> None:
    """Parse a result that a script wrote. An accepted one keeps the whole contract."""
    text = content.decode(errors="replace")
    found = parsed(framed(document(text)))
    if found.status is Status.OK:
        written = json.loads(text, object_pairs_hook=distinct)
        holds(written.keys() <= ScriptResult.model_fields.keys(), "an unknown key is accepted")
        holds(not set(found.values) & set(found.series), "a name is both a value and a series")
        measured = {*found.values, *found.series}
        holds({metric.name for metric in METRICS} <= measured, "a promised metric is missing")


def read_any_output(content: bytes) -> None:
    """Read a file that a script wrote, as each kind of file that a metric may come from."""
    files = {"x": Output(text=content.decode(errors="replace"), problem=None)}
    for source in IN_FILES:
        metric = replace(METRICS[0], source=source)
        try:
            values, series = read_outputs(None, files, [metric])
        except BadOutputError as error:
            check_texts(str(error))
            holds("\n" not in str(error), "a reason has several lines")
            continue
        numbers = (*values.values(), *(one for found in series.values() for one in found))
        holds(numbers and all(map(math.isfinite, numbers)), "there is no finite number")


def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object whose names must be distinct."""
    found = dict(pairs)
    holds(len(found) == len(pairs), "the same name is accepted twice")
    return found


def parsed(
    sent: bytes | None,
    log: str = "",
    exit_code: int | None = 0,
    *,
    out_of_memory: bool = False,
    timed_out: bool = False,
) -> ParsedResult:
    """Parse the outcome of a container, and check that the result is sound and can be stored."""
    seen = Outcome(
        exit_code=exit_code,
        out_of_memory=out_of_memory,
        timed_out=timed_out,
        document=sent,
        log=log,
        started_at=DAY,
        duration_s=1.0,
        trouble=None,
    )
    found = parse_outcome(seen, launch(), METRICS)
    holds(isinstance(found.status, Status), "there is no status")
    holds((found.status is Status.OK) is (found.reason is None), "a reason, if and only if not ok")
    content = (found.values, found.series, found.environment, found.adapted)
    holds(found.status is Status.OK or not any(content), "a failed trial has numbers")
    result = stored_as(found, DAY)
    written = _RESULT.dump_json(result)
    holds(_RESULT.validate_json(written) == result, "the stored result differs")
    check_texts([json.loads(written)[part] for part in ("values", "series", "environment")])
    return found


# --- stored runs ---------------------------------------------------------------------------------


def run_folder(content: bytes) -> RunFolder:
    """Write the files of a run folder. Bytes without a header become its ``run.json``."""
    path = folder() / "run"
    shutil.rmtree(path, ignore_errors=True)
    (path / "trials").mkdir(parents=True)
    (path / "logs").mkdir()
    for name, body in (sections(content) or {b"run.json": content}).items():
        if _STORED_FILE.fullmatch(name.decode(errors="replace")):
            (path / name.decode()).write_bytes(body)
    return RunFolder(path)


def read_any_run(content: bytes) -> None:
    """Read a run and write its report as Markdown, without figures."""
    run = run_folder(content)
    try:
        stored = run.stored()
    except RunnerError as error:
        check_message(error, run.path)
        return
    check_report(markdown(view_of(stored)))


def report_any_run(content: bytes) -> None:
    """Write all files of a run's report."""
    run = run_folder(content)
    try:
        path = report.write(run)
    except RunnerError as error:
        check_message(error, run.path)
        return
    check_report(path.read_text(encoding="utf-8"))
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    check_report(page)


def check_report(text: str) -> None:
    """Check that nothing in a report can control a terminal or run a script."""
    found = _CONTROL.search(text)
    holds(found is None, f"the report contains {found and found.group()!r}")
    holds("<script>alert" not in _LOG.sub("", text), "the report contains a script from outside")


def _as_text(stored: StoredRun) -> bytes:
    """Return all files of a run folder as one text."""
    files = {
        "run.json": TypeAdapter(Run).dump_json(stored.run),
        "plan.json": TypeAdapter(Plan).dump_json(stored.plan),
        "images.json": TypeAdapter(Images).dump_json(Images(images=stored.images)),
    }
    for one in stored.results:
        files[f"trials/{file_name(one.trial.id)}.json"] = _RESULT.dump_json(one)
    for trial, log in stored.logs.items():
        files[f"logs/{file_name(trial)}.log"] = log.encode()
    return as_sections({name.encode(): body for name, body in files.items()})


def _stored_runs() -> tuple[bytes, ...]:
    """Return small runs: a finished one, the same in an old format, a disturbed one, a new one."""
    study = samples.founding_matrix()
    models = {"sequential", "subclassed-as-published"}
    cells = tuple(one for one in study.cells if dict(one.coordinates)["model"] in models)
    kept = {cell.id for cell in cells}
    study = replace(
        study,
        cells=cells,
        blocks=5,
        metrics=tuple(one for one in study.metrics if one.name in STUDIED),
        compare=study.compare[:1],
        published=tuple(one for one in study.published if one.cell in kept),
    )
    run, plan = samples.founding_run(study), samples.founding_plan(study)
    results = tuple(samples.founding_result(trial) for trial in plan.trials)
    images: tuple[Image, ...] = samples.founding_images()
    logs = samples.founding_logs()
    disturbed = tuple(
        replace(one, disturbed="other processes took 50%", reading=QUIET)
        if number % 3
        else replace(one, status=Status.ENGINE_LOST, reason="gone", values={}, series={})
        for number, one in enumerate(results)
    )
    matched = replace(run, matrix=replace(study, matched=True))
    finished, *others = (
        _as_text(StoredRun(run=of, plan=plan, images=images, results=held, logs=logs))
        for of, held in ((run, results), (matched, disturbed), (run, results[:3]))
    )
    return (finished, _in_old_format(finished), *others)


def _in_old_format(run: bytes) -> bytes:
    """Return a run as matrix-runner wrote it before format 5."""
    names = {b"disturbed": b"tainted", b"most_disturbed": b"most_tainted", b"control": b"twin"}
    for name, old in names.items():
        run = run.replace(b'"%s":' % name, b'"%s":' % old)
    return run.replace(b'"format":%d' % FORMAT, b'"format":4')


# --- all of them ---------------------------------------------------------------------------------

GOOD = {
    "format": 1,
    "values": {"seconds": 1.5},
    "series": {"loss": [1, 2.5]},
    "environment": {"lib": "2.0", "eager": True, "threads": 1, "share": 0.5},
    "adapted": "one line",
}


def _bytes(inputs: Mapping[str, str | bytes]) -> tuple[bytes, ...]:
    return tuple(one.encode() if isinstance(one, str) else one for one in inputs.values())


def _damaged_runs(run: bytes) -> tuple[bytes, ...]:
    """Return a run in which each file in turn is replaced by each odd piece of JSON."""
    files = sections(run)
    names = ("run.json", "plan.json", "images.json", *sorted(map(bytes.decode, files))[-1:])
    return tuple(
        as_sections({**files, name.encode(): edge})
        for name in names
        for edge in _bytes(edges.ANY_JSON)
    )


def lock_schema() -> Schema:
    """Return the schema of lock files: that of the record, with each package as a line."""
    schema = TypeAdapter(Lock).json_schema()
    kinds = schema["$defs"]
    kinds["Package"] = {"type": "string", "pattern": r"^[\w.-]+==[\w.]+( sha256:[0-9a-f]{64})+$"}
    reasons = kinds["Unsupported"]
    reasons["properties"]["unsupported"] = reasons["properties"].pop("reason")
    reasons["required"] = list(reasons["properties"])
    schema["properties"]["format"] = {"const": 1}
    return {**schema, "required": ["format", "entries"]}


def _hostile_run(run: bytes) -> bytes:
    """Return a run in which every log and free text tries to control a terminal or a page."""

    def hostile(tree: Any) -> Any:
        match tree:
            case dict():
                return {name: hostile(inner) for name, inner in tree.items()}
            case list():
                return [hostile(inner) for inner in tree]
            case str() if " " in tree:  # names, ids and dates contain no space
                return tree + edges.HOSTILE
            case _:
                return tree

    return as_sections(
        {
            name: as_json(hostile(json.loads(body)))
            if name.endswith(b".json")
            else body + edges.HOSTILE.encode()
            for name, body in sections(run).items()
        }
    )


@functools.cache
def targets() -> tuple[Target, ...]:
    """Return all readers."""
    matrices = (FULL.encode(), SMALL.encode(), (ROOT / "matrix.yaml").read_bytes())
    locks = ((ROOT / "matrix.lock").read_bytes(), b'{"format": 1, "entries": []}')
    documents = (document(json.dumps(GOOD)), document("x"))
    results = (json.dumps(GOOD).encode(), b'{"format": 1, "values": {"seconds": 1, "loss": 2}}')
    runs = _stored_runs()
    hostile = tuple(map(_hostile_run, runs))
    schema = json.loads((ROOT / "matrix.schema.json").read_bytes())
    return (
        Target(
            name="matrix",
            promise=read_any_matrix,
            seeds=matrices,
            edges=_bytes(edges.MATRIX),
            inputs=near(matrices, schema, yaml.safe_load, as_yaml),
            share=0.25,
        ),
        Target(
            name="lock",
            promise=read_any_lock,
            seeds=locks,
            edges=_bytes(edges.LOCK),
            inputs=near(locks, lock_schema()),
            share=0.15,
        ),
        Target(
            name="document",
            promise=parse_any_document,
            seeds=documents,
            edges=_bytes(edges.ANY_JSON),
            inputs=near(documents, TypeAdapter(Document).json_schema()),
            share=0.2175,
        ),
        Target(
            name="result",
            promise=parse_any_result,
            seeds=results,
            edges=_bytes(edges.RESULT),
            inputs=near(results, ScriptResult.model_json_schema()),
            share=0.28,
        ),
        Target(
            name="output",
            promise=read_any_output,
            seeds=(*results, b"step,loss\n1,0.5\n2,\n", BENCHMARK),
            edges=_bytes({**edges.RESULT, **edges.TABLE}),
            inputs=near((results[0], BENCHMARK), ScriptResult.model_json_schema()),
            share=0.05,
        ),
        Target(
            name="run",
            promise=read_any_run,
            seeds=runs,
            edges=(*hostile, *_damaged_runs(runs[0])),
            inputs=run_inputs(runs),
            share=0.05,
        ),
        Target(
            name="report",
            promise=report_any_run,
            seeds=runs[:2],
            edges=hostile,
            inputs=run_inputs(runs),
            limit_s=REPORT_S,
            share=0.0025,
        ),
    )


def target(name: str) -> Target:
    """Return the target with this name."""
    return next(one for one in targets() if one.name == name)


def inputs_of(share: float, inputs: int) -> int:
    """Return how many of all inputs a target gets: its share, rounded up."""
    return math.ceil(share * inputs)
