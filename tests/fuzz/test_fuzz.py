"""A short run of the fuzzing, and a test for each defect that the long run found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from runner.errors import ConfigError, RunFolderError
from runner.lock.file import read_lock
from runner.records.study import Status
from runner.report import write as write_report
from tests.fuzz import edges
from tests.fuzz.strategies import as_sections, sections
from tests.fuzz.targets import (
    METRICS,
    TooSlowError,
    document,
    framed,
    limited,
    parsed,
    run_folder,
    target,
)
from tests.support.matrices import SMALL, problems_of, study

EXAMPLES = {
    "matrix": 120,
    "lock": 100,
    "document": 150,
    "result": 220,
    "output": 60,
    "run": 50,
    "report": 2,
}
"""The number of generated inputs for each reader."""

RUN = target("run").seeds[0]
Change = Callable[[Any], object]


def encoded(content: str | bytes) -> bytes:
    """Return an input as bytes."""
    return content.encode() if isinstance(content, str) else content


@pytest.mark.parametrize("name", EXAMPLES)
def test_readers_keep_their_promises(name: str) -> None:
    """They accept or refuse sound and generated inputs properly."""
    fuzzed = target(name)
    for content in fuzzed.seeds:
        fuzzed.check(content)

    @settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=EXAMPLES[name],
        suppress_health_check=list(HealthCheck),
    )
    @given(fuzzed.inputs)
    def keeps_its_promise(content: bytes) -> None:
        fuzzed.check(content)

    keeps_its_promise()


@pytest.mark.parametrize("name", edges.MATRIX)
def test_no_matrix_takes_long(name: str) -> None:
    """Every odd matrix is read or refused in time."""
    target("matrix").check(encoded(edges.MATRIX[name]))


@pytest.mark.parametrize("name", edges.LOCK)
def test_no_lock_takes_long(name: str) -> None:
    """Every odd lock is read or refused in time."""
    target("lock").check(encoded(edges.LOCK[name]))


@pytest.mark.parametrize("name", edges.RESULT)
def test_no_result_takes_long(name: str) -> None:
    """Every odd output of a container is parsed in time."""
    target("result").check(encoded(edges.RESULT[name]))
    target("document").check(encoded(edges.RESULT[name]))


def test_no_stored_file_takes_long() -> None:
    """Every odd file in a run folder is refused in time."""
    for content in target("run").edges:
        target("run").check(content)


def test_hostile_texts_stay_texts() -> None:
    """A report shows them, but they control neither a terminal nor a page."""
    target("report").check(target("report").edges[0])


def test_an_input_that_takes_long_is_stopped() -> None:
    """The time limit of these tests works."""

    def endless() -> None:
        while True:
            pass

    with pytest.raises(TooSlowError, match="more than 0"), limited(0.01):
        endless()


# --- defects found in the matrix -----------------------------------------------------------------


@pytest.mark.parametrize("many", ["*a," * 90_000, "{*a : 1}," * 30_000])
def test_aliases_of_long_texts_count_with_their_length(tmp_path: Path, many: str) -> None:
    """The characters of a repeated text are counted at every repetition."""
    [line] = problems_of(tmp_path, f"a: &a {'x' * 400_000}\nb: [{many}]\n")
    assert line.endswith("the aliases expand to too many values; write the values")


def test_a_long_invalid_number_is_refused_in_time(tmp_path: Path) -> None:
    """Rejecting digits that are followed by ``e`` takes linear time."""
    with limited(1.0):
        assert problems_of(tmp_path, f"{SMALL}blocks: {'1' * 900_000}e\n")


def test_too_many_cells_times_entries_are_refused(tmp_path: Path) -> None:
    """The work grows with the product of both."""
    lines = problems_of(tmp_path, encoded(edges.MATRIX["includes of all"]))
    assert lines[0].endswith("too many for 9,012 other values; split the study")


def test_a_policy_cannot_limit_a_fall_by_100_percent(tmp_path: Path) -> None:
    """No ratio corresponds to it."""
    [line] = problems_of(tmp_path, SMALL + "policy: {seconds: -100%}\n")
    assert line.endswith("nothing falls by 100% or more; write a smaller percentage")


def test_only_the_first_problems_are_shown(tmp_path: Path) -> None:
    """A message with 90,000 lines helps nobody."""
    assert len(problems_of(tmp_path, encoded(edges.MATRIX["wrong values"]))) == 100


# --- defects found in the lock -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"format": 1, "entries": ' + b"[" * 5000, "recursion limit exceeded"),
        (edges.locked(**{"\x1b[2J\n": 1}), "Unexpected keyword argument"),
        (edges.locked(as_of="2019-10-17T17:35:52"), "as_of: Date needs a time zone"),
        (edges.locked(as_of="9999-12-31T23:59:59-14:00"), "as_of: Date needs a time zone"),
    ],
)
def test_an_odd_lock_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Deep nesting, odd keys and dates without a time zone give one printable line."""
    path = tmp_path / "matrix.lock"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        read_lock(path)
    assert said in str(raised.value)
    assert str(raised.value).isprintable()


# --- defects found in results --------------------------------------------------------------------


def test_characters_that_no_figure_can_contain_are_replaced() -> None:
    """The names of a result may have any characters, but XML has no way to write some."""
    names = {"a\x00\x1b": 1, "seconds": 1}
    text = json.dumps({**sound_result(), "values": names, "adapted": "b\n\uffff"})
    found = parsed(framed(document(text)))
    assert found.status is Status.OK
    assert set(found.values) == {"a??", "seconds"}
    assert found.adapted == "b??"


def sound_result() -> dict[str, Any]:
    """Return a result that follows the contract."""
    return {"format": 1, "values": {"seconds": 1}, "series": {METRICS[1].name: [1]}}


# --- defects found in stored runs ----------------------------------------------------------------


def changed(name: str, change: Change) -> bytes:
    """Return a sound run with a change to the first file whose name begins with ``name``."""
    files = sections(RUN)
    found = min(one for one in files if one.decode().startswith(name))
    content = json.loads(files[found])
    change(content)
    return as_sections({**files, found: json.dumps(content).encode()})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("run.json", lambda run: run["host"].update(memory_bytes=10**400)),
        ("run.json", lambda run: run["matrix"].update(metrics=[])),
        ("run.json", lambda run: run["matrix"].update(axes=[])),
        ("run.json", lambda run: run["matrix"]["policy"][0].update(metric="x")),
        ("run.json", lambda run: run["matrix"]["policy"][0].update(change=-1.0)),
        ("run.json", lambda run: run["matrix"]["claims"][0].update(metric="x")),
        ("run.json", lambda run: run["matrix"]["claims"][0].update(of="")),
        ("run.json", lambda run: run["matrix"]["claims"][0].update(against="")),
        ("run.json", lambda run: run["lock"]["entries"][0].update(as_of="0001-01-01T00:00+14:00")),
        ("plan.json", lambda plan: plan.update({"\x1b[2J\n": 1})),
        ("trials/", lambda trial: trial.update(started_at="2026-01-01T00:00:00")),
        ("trials/", lambda trial: trial.update({"\x1b[2J\n": 1})),
    ],
)
def test_an_odd_run_is_damaged(name: str, change: Change) -> None:
    """A stored run that contradicts itself, or cannot be shown, is refused like invalid JSON."""
    with pytest.raises(RunFolderError, match="is damaged") as raised:
        write_report(run_folder(changed(name, change)))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("title", ["a\nb", 'a\\"+b', "a\u2028b", "\uffff"])
def test_any_title_can_be_drawn(title: str) -> None:
    """The title of a metric may contain any text."""

    def rename(run: Any) -> None:
        for metric in run["matrix"]["metrics"]:
            metric["title"] = title

    target("report").check(changed("run.json", rename))
    assert write_report(run_folder(changed("run.json", rename))).exists()


def test_any_cell_can_be_drawn() -> None:
    """Its name may have characters that XML cannot contain."""
    files = sections(RUN)
    renamed = {name: body.replace(b"sequential", b"a\\u0000b") for name, body in files.items()}
    target("report").check(as_sections(renamed))


def test_a_run_without_metrics_and_cells_has_a_report() -> None:
    """A stored matrix may have lost them, and its axis has three versions."""

    def strip(run: Any) -> None:
        matrix = run["matrix"]
        matrix.update(metrics=[], compare=[], policy=[], claims=[], cells=[])
        matrix["axes"][0]["values"] = ["1", "2", "3"]

    assert write_report(run_folder(changed("run.json", strip))).exists()


def test_a_title_of_two_lines_is_accepted(tmp_path: Path) -> None:
    """A matrix may break the lines of a title."""
    found = study(tmp_path, SMALL.replace("lower}", 'lower, title: "a\\nb"}'))
    assert found.metrics[0].title == "a\nb"
