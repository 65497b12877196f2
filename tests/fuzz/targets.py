"""What the program reads, each with a function that takes any bytes and says if a promise broke.

The promises: a reader returns what it read or raises a ``RunnerError`` whose message is made of
printable lines that name the file; what comes out of a container always gives a status; nothing
takes longer than its limit; and what was read can be stored and is the same when it is read again.
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

import yaml
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner import report
from runner.engines.protocol import Outcome
from runner.errors import RunnerError
from runner.execute.result import ParsedResult, parse_outcome
from runner.judge import judge
from runner.lock.file import read_lock
from runner.read import read
from runner.records.environment import Environment, Image, Images
from runner.records.run import Plan, Reading, Run, TrialResult
from runner.records.study import Better, Matrix, Metric, Status
from runner.runs.files import file_name
from runner.runs.folder import RunFolder, StoredRun
from tests.fuzz import edges
from tests.fuzz.strategies import (
    as_sections,
    as_yaml,
    json_inputs,
    near,
    run_inputs,
    sections,
)
from tests.support import samples
from tests.support.fakes import QUIET
from tests.support.matrices import FULL, SMALL
from tests.support.trials import launch, stored_as

ROOT = Path(__file__).parents[2]
READING_S, REPORT_S = 2.0, 10.0
"""How much of the processor one input may take."""

DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)
METRICS = tuple(
    Metric(name=name, unit="s", better=Better.LOWER, title=name) for name in ("seconds", "loss")
)
STUDIED = (
    "epoch_seconds",
    "us_per_sample",
    "epoch_cpu_seconds",
    "best_train_accuracy",
    "test_accuracy",
)
_STORED_FILE = re.compile(
    r"(run|plan|images)\.json|trials/[\w.=,@+-]{1,99}\.json|logs/[\w.-]{1,99}"
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]")

_MATRIX = TypeAdapter(Matrix)
_RESULT = TypeAdapter(TrialResult)


class BrokenPromiseError(AssertionError):
    """What the program promises of any input did not hold."""


class TooSlowError(BaseException):
    """An input took longer than its limit. No ``except Exception`` on the way may take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader: inputs for it, sound and odd ones among them, and the promise it keeps.

    ``share`` is the part of all inputs that it gets.
    """

    name: str
    promise: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    edges: tuple[bytes, ...]
    inputs: st.SearchStrategy[bytes]
    limit_s: float = READING_S
    share: float

    def check(self, content: bytes) -> None:
        """Raise what broke the promise, if anything did."""
        with limited(self.limit_s):
            self.promise(content)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooSlowError after so much time of the processor, which neighbours do not take away."""

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
    """Return the folder in which inputs become files, with the files that the matrices name."""
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


def is_told(error: RunnerError, path: Path) -> None:
    """Check that a message is made of printable lines, and that it names the file."""
    message = str(error)
    holds(str(path) in message, f"no file is named: {message!r}")
    holds(all(line.isprintable() for line in message.split("\n")), f"unprintable: {message!r}")
    holds("something else" not in message, f"nothing is said: {message!r}")


# --- the matrix and its lock ---------------------------------------------------------------------


def read_any_matrix(content: bytes) -> None:
    """Read a matrix; one that is accepted can be stored with a run."""
    path = folder() / "matrix.yaml"
    path.write_bytes(content)
    try:
        matrix = read(path)
    except RunnerError as error:
        is_told(error, path)
        return
    holds(matrix.cells, "there is no cell")
    again = _MATRIX.validate_json(_MATRIX.dump_json(matrix))
    holds(again == matrix, "the matrix is another one when it is stored")


def read_any_lock(content: bytes) -> None:
    """Read a lock."""
    path = folder() / "matrix.lock"
    path.write_bytes(content)
    try:
        lock = read_lock(path)
    except RunnerError as error:
        is_told(error, path)
        return
    for entry in lock.entries:
        holds(lock.entry(entry.request), "an entry is not found")
        if isinstance(entry, Environment):
            entry.as_of.astimezone(timezone.utc)  # as reports show it


# --- what comes out of a container ---------------------------------------------------------------


def framed(body: bytes) -> bytes:
    """Put a document into its frame."""
    return b"MATRIX-DOCUMENT %d\n" % len(body) + body


def document(result: str) -> bytes:
    """Return what the launcher sends when a script wrote this result."""
    reading = TypeAdapter(Reading).dump_python(QUIET, mode="json")
    sent = {"format": 1, "exit_code": 0, "timed_out": False, "result_problem": None}
    return json.dumps({**sent, "result": result, "reading": reading}).encode()


def parse_any_document(content: bytes) -> None:
    """Conclude of a container that sent these bytes, in a frame and without, and printed them."""
    log = content.decode(errors="replace")
    first = content[0] if content else 0
    for sent in (content, framed(content)):
        for exit_code in (0, first - 128, None):
            parsed(sent, log, exit_code, out_of_memory=first == 1, timed_out=first == 2)


def parse_any_result(content: bytes) -> None:
    """Conclude of a script that wrote these bytes as its result."""
    parsed(framed(document(content.decode(errors="replace"))))


def parsed(
    sent: bytes | None,
    log: str = "",
    exit_code: int | None = 0,
    *,
    out_of_memory: bool = False,
    timed_out: bool = False,
) -> ParsedResult:
    """Conclude of a container, and check that the result has a status and can be stored."""
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
    holds((found.status is Status.OK) is (found.reason is None), "a reason only where not ok")
    numbers = (found.values, found.series, found.environment, found.adapted)
    holds(found.status is Status.OK or not any(numbers), "numbers of what is not ok")
    result = stored_as(found, DAY)
    again = _RESULT.validate_json(_RESULT.dump_json(result))
    holds(again == result, "the result is another one when it is stored")
    return found


# --- stored runs ---------------------------------------------------------------------------------


def unfolded(content: bytes) -> RunFolder:
    """Write the files of a run folder; what has no header is its ``run.json``."""
    path = folder() / "run"
    shutil.rmtree(path, ignore_errors=True)
    (path / "trials").mkdir(parents=True)
    (path / "logs").mkdir()
    for name, body in (sections(content) or {b"run.json": content}).items():
        if _STORED_FILE.fullmatch(name.decode(errors="replace")):
            (path / name.decode()).write_bytes(body)
    return RunFolder(path)


def read_any_run(content: bytes) -> None:
    """Read a run, and judge it."""
    run = unfolded(content)
    try:
        stored = run.stored()
    except RunnerError as error:
        is_told(error, run.path)
        return
    judge(stored.run.matrix, stored.plan, stored.results)


def report_any_run(content: bytes) -> None:
    """Write the report of a run; nothing in it can take over a terminal."""
    run = unfolded(content)
    try:
        path = report.write(run)
    except RunnerError as error:
        is_told(error, run.path)
        return
    found = _CONTROL.search(path.read_text(encoding="utf-8"))
    holds(found is None, f"the report holds {found!r}")


def _folded(stored: StoredRun) -> bytes:
    """Write all that a run folder holds as one text."""
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
    """Return small runs: one that is finished, one that was disturbed, and one just begun."""
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
    return tuple(
        _folded(StoredRun(run=of, plan=plan, images=images, results=held, logs=logs))
        for of, held in ((run, results), (matched, disturbed), (run, results[:3]))
    )


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
    """Return a run with each of its files being each of the edges of JSON."""
    files = sections(run)
    names = ("run.json", "plan.json", "images.json", *sorted(map(bytes.decode, files))[-1:])
    return tuple(
        as_sections({**files, name.encode(): edge})
        for name in names
        for edge in _bytes(edges.ANY_JSON)
    )


@functools.cache
def targets() -> tuple[Target, ...]:
    """Return every reader."""
    matrices = (FULL.encode(), SMALL.encode(), (ROOT / "matrix.yaml").read_bytes())
    locks = ((ROOT / "matrix.lock").read_bytes(), b'{"format": 1, "entries": []}')
    documents = (document(json.dumps(GOOD)), document("x"))
    results = (json.dumps(GOOD).encode(), b'{"format": 1, "values": {"seconds": 1}}')
    runs = _stored_runs()
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
            inputs=json_inputs(locks),
            share=0.15,
        ),
        Target(
            name="document",
            promise=parse_any_document,
            seeds=documents,
            edges=_bytes(edges.ANY_JSON),
            inputs=json_inputs(documents),
            share=0.2175,
        ),
        Target(
            name="result",
            promise=parse_any_result,
            seeds=results,
            edges=_bytes(edges.RESULT),
            inputs=json_inputs(results),
            share=0.33,
        ),
        Target(
            name="run",
            promise=read_any_run,
            seeds=runs,
            edges=_damaged_runs(runs[0]),
            inputs=run_inputs(runs),
            share=0.05,
        ),
        Target(
            name="report",
            promise=report_any_run,
            seeds=runs,
            edges=(),
            inputs=run_inputs(runs),
            limit_s=REPORT_S,
            share=0.0025,
        ),
    )


def target(name: str) -> Target:
    """Return the target of a name."""
    return next(one for one in targets() if one.name == name)


def inputs_of(share: float, inputs: int) -> int:
    """Return how many of all inputs a target gets: never less than its share."""
    return math.ceil(share * inputs)
