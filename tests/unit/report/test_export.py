"""The report for programs, and the same numbers wherever a report is read."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.records import Value
from runner.records.study import PolicyLimit, Status
from runner.report import contents, json_schema
from runner.report.render import LARGEST_SUMMARY, escape
from runner.runs.folder import RunFolder, StoredRun
from tests.support.grids import grid
from tests.support.judging import SECONDS, stored
from tests.support.large import large_run
from tests.support.samples import AS_PUBLISHED, failed_result, founding_results, founding_stored

ROOT = Path(__file__).parents[3]
SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
COLUMNS = ("cell", "metric", "old", "new", "change", "limit", "verdict")
LARGEST_SCRIPT = 16_000
PARTS = {"s": 1.0, "ms": 1e-3, "\N{MICRO SIGN}s": 1e-6, "ns": 1e-9, "%": 1.0}


# --- the same numbers everywhere -----------------------------------------------------------------


class AnswerTable(HTMLParser):
    """The rows of the first table in the answer of a page, as texts without what is folded."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._folded = 0
        answer = page.split('<section id="answer">', maxsplit=1)[1].split("</table>", maxsplit=1)[0]
        self.feed(answer.split("<tbody>")[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._folded += tag in {"details", "a"}
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        elif tag == "br":
            self.rows[-1][-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        self._folded -= tag in {"details", "a"}

    def handle_data(self, data: str) -> None:
        if not self._folded and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


NO_POLICY = ()
FASTER = (PolicyLimit(metric="seconds", change=0.03, relative=True),)
BOTH = (
    PolicyLimit(metric="seconds", change=0.3, relative=True),
    PolicyLimit(metric="accuracy", change=-0.5, relative=False),
)
NOISE = st.lists(st.one_of(st.floats(0.9, 1.1), st.just(1.0), st.none()), min_size=7, max_size=7)


@settings(max_examples=200, deadline=None)
@given(
    usual=st.sampled_from([1e-5, 0.02, 1.0, 300.0]),
    factors=st.lists(st.sampled_from([0.001, 0.8, 1.0, 1.02, 1.5, 40.0]), min_size=2, max_size=2),
    noise=st.lists(NOISE, min_size=3, max_size=3),
    disturbed=st.sets(st.integers(1, 7), max_size=3),
    policy=st.sampled_from([NO_POLICY, FASTER, BOTH]),
)
def test_the_same_question_gives_the_same_numbers_everywhere(
    usual: float,
    factors: list[float],
    noise: list[list[float | None]],
    disturbed: set[int],
    policy: tuple[PolicyLimit, ...],
) -> None:
    """In the page, in Markdown, in the summary, on the terminal, in JSON and in CSV."""
    seconds = {
        cell: [None if one is None else one * factor * usual for one in numbers]
        for cell, factor, numbers in zip("abc", (1.0, *factors), noise, strict=True)
    }
    shares = {
        cell: [None if one is None else 89 + one for one in numbers]
        for cell, numbers in zip("abc", noise, strict=True)
    }
    run = stored(seconds, accuracies=shares, disturbed=sorted(disturbed))
    check_report(replace(run, run=replace(run.run, matrix=replace(run.run.matrix, policy=policy))))


def check_report(run: StoredRun) -> None:
    """Check every change that a report shows."""
    files = contents(run)
    shown = AnswerTable(files["report.html"]).rows
    document = json.loads(files["report.json"])
    named = [one for one in document["changes"] if one["named"]]
    lines = [
        one for one in csv.DictReader(io.StringIO(files["report.csv"])) if one["named"] == "true"
    ]
    units = {one["name"]: one["unit"] for one in document["metrics"]}
    assert len(shown) == len(named) == len(lines)
    for row, fact, line in zip(shown, named, lines, strict=True):
        for column in ("old", "new", "change", "low", "high"):
            assert line[column] == ("" if fact[column] is None else repr(fact[column]))
        if fact["metric"]:
            check_row([text.strip() for text in row], fact, units[fact["metric"]], files)


def check_row(row: list[str], fact: Mapping[str, Any], unit: str, files: dict[str, str]) -> None:
    """Check one row of the page against the number behind it, and against the other files."""
    texts = dict(zip(COLUMNS, row, strict=True))
    for column in ("old", "new"):
        assert reads_as(texts[column], fact[column], unit)
    check_change(texts["change"], fact)
    assert texts["verdict"] == fact["verdict"]
    in_markdown = "| " + " | ".join(padded(row)) + " |"
    for name in ("report.md", "summary.md"):
        assert in_markdown in unpadded(files[name]), f"{name}: {in_markdown}"
    said = f"{texts['metric']}, {texts['cell']}: {' '.join(texts['change'].split())}"
    if {texts["old"], texts["new"]} != {"\N{EM DASH}"}:
        said += f", {texts['old']} \N{RIGHTWARDS ARROW} {texts['new']}"
    assert said.replace(SPACE, " ") in " ".join(files["answer.txt"].split()).replace(SPACE, " ")


def padded(row: list[str]) -> list[str]:
    """Return the texts of a row as Markdown writes them."""
    return ["<br>".join(escape(part) for part in text.split("\n")) for text in row]


def unpadded(text: str) -> str:
    """Return Markdown whose tables have one space around each text."""
    return re.sub(r" *\| *", " | ", text).replace("\n | ", "\n| ")


def reads_as(text: str, number: float | None, unit: str) -> bool:
    """Whether a text shows a number to three digits, or two decimals for per cent."""
    if number is None:
        return text == "\N{EM DASH}"
    amount, shown_unit = text.replace(MINUS, "-").replace(",", "").split(SPACE)
    assert unit in {shown_unit, "s"}
    return math.isclose(float(amount) * PARTS[shown_unit], number, rel_tol=0.006, abs_tol=0.0051)


def check_change(text: str, fact: Mapping[str, Any]) -> None:
    """Check that a text shows the interval of a change, rounded."""
    if fact["change"] is None:
        assert text in {"not judged", "\N{EM DASH}"}
        return
    if text == "identical in every block":
        assert fact["low"] == fact["high"] == 0
        return
    ends = [fact["low"], fact["high"]]
    inside = text.replace(SPACE, " ").rsplit("(", maxsplit=1)[-1].rstrip(")")
    found = [to_number(part, fact["scale"]) for part in inside.split(" to ")]
    default = re.search("faster|slower|higher|lower", text)
    signs = [re.search("faster|slower", part) for part in inside.split(" to ")]
    for at, (end, sign) in enumerate(zip(found, signs, strict=True)):
        word = sign or default
        if word and word[0] == "faster":
            found[at] = 1 / (1 + end) - 1 if "x" in inside else -end
    if len(found) == 1:
        found *= 2
    for shown, real in zip(sorted(found), sorted(ends), strict=True):
        assert math.isclose(
            shown, real, rel_tol=0.06, abs_tol=0.0006 if fact["scale"] == "ratio" else 0.006
        )


def to_number(text: str, scale: str) -> float:
    """Return a share or a difference from its text."""
    found = re.match(rf"([+{MINUS}]?)([\d.,e+]+?)(x| |$)", text.strip())
    assert found, text
    number = float(found[2].replace(",", "")) * (-1 if found[1] == MINUS else 1)
    if found[3] == "x":
        return number - 1
    return number / 100 if scale == "ratio" else number


# --- each file -----------------------------------------------------------------------------------


def test_the_committed_schema_is_up_to_date() -> None:
    """The file report.schema.json equals the output of ``schema report``."""
    assert json.loads((ROOT / "report.schema.json").read_text()) == json_schema()


def test_report_json_has_exactly_the_fields_of_its_schema() -> None:
    """Every required field is there, and no other."""
    document, schema = json.loads(contents(founding_stored())["report.json"]), json_schema()

    def check(value: Any, kind: Any) -> None:
        kind = schema["$defs"][kind["$ref"].rsplit("/")[-1]] if "$ref" in kind else kind  # type: ignore[index]
        kinds = [one for one in kind.get("anyOf", [kind]) if one.get("type") != "null"]
        if value is None or not kinds:
            assert value is not None or len(kinds) < len(kind.get("anyOf", ()))
            return
        if "properties" in kinds[0]:
            assert set(value) == set(kinds[0]["properties"]) >= set(kinds[0]["required"])
            for name, field in kinds[0]["properties"].items():
                check(value[name], field)
        elif kinds[0].get("type") == "array" and "items" in kinds[0]:
            for one in value:
                check(one, kinds[0]["items"])

    check(document, schema)
    assert document["format"] == 1
    assert [one["candidate"] for one in document["answers"]] == ["tensorflow=2.0.0"]
    assert document["answers"][0]["verdict"] == "hold"


def test_a_text_that_a_spreadsheet_would_compute_stays_a_text() -> None:
    """A reason that begins with an equals sign gets an apostrophe."""
    results = founding_results()
    bad = failed_result(results[0].trial, reason="=cmd|' /C calc'!A1")
    text = contents(founding_stored((bad, *results[1:])))["results.csv"]
    [row] = [one for one in csv.DictReader(io.StringIO(text)) if one["status"] == "failed"][:1]
    assert row["reason"].startswith("'=cmd")


def test_results_csv_has_a_line_for_each_attempt() -> None:
    """With the values of its cell, its status and its numbers."""
    rows = list(csv.DictReader(io.StringIO(contents(founding_stored())["results.csv"])))
    assert len(rows) == len(founding_results())
    assert rows[0]["tensorflow"] in {"1.15.0", "2.0.0"}
    assert float(next(one for one in rows if one["status"] == "ok")["epoch_seconds"]) > 0
    assert sum(one["control"] == "true" for one in rows) == 7


def test_each_column_of_results_csv_has_its_own_name() -> None:
    """Also if an axis or a metric is called like a column; numbers on an axis stay numbers."""
    axes: dict[str, list[Value]] = {"lib": ["1", "2"], "block": [-1], "status": ["x"]}
    metrics = [replace(SECONDS, name=name) for name in ("status", "seconds")]
    text = contents(grid(axes, lambda *_: 1.0, metrics=metrics))["results.csv"]
    header, first = list(csv.reader(io.StringIO(text)))[:2]
    assert len(set(header)) == len(header)
    assert {"axis block", "block", "axis status", "status", "metric status"} < set(header)
    assert first[header.index("axis block")] == "-1"


def test_junit_has_failures_for_what_a_pipeline_should_stop_at() -> None:
    """A cell that fails unexpectedly, and a change that the policy refuses."""
    results = founding_results()
    bad = failed_result(results[0].trial, Status.TIMED_OUT, "too \x00 slow")
    suite = parsed(contents(founding_stored((bad, *results[1:])))["junit.xml"])
    failed = {case.get("name"): case.find("failure") for case in suite}
    names = [name for name, failure in failed.items() if failure is not None]
    assert bad.trial.cell in names
    assert AS_PUBLISHED not in names
    assert any(name.startswith("time per epoch: tensorflow=2.0.0") for name in names if name)
    assert suite.get("failures") == str(len(names))
    assert suite.get("tests") == str(len(suite))


def parsed(text: str) -> ET.Element:
    """Return our own XML as elements."""
    return ET.fromstring(text)  # noqa: S314 (it is ours)


def test_nothing_has_failed_before_the_first_trial() -> None:
    """All is skipped, because it is not known yet."""
    suite = parsed(contents(founding_stored((), logs={}))["junit.xml"])
    assert suite.get("failures") == "0"
    assert suite.get("skipped") == suite.get("tests") != "0"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of the report of a run with many cells."""
    folder: RunFolder = large_run(tmp_path_factory.mktemp("large") / "run", cells=300, blocks=5)
    return contents(folder.stored())


def test_a_summary_fits_into_a_comment(large: dict[str, str]) -> None:
    """Also that of a large run; it has no picture, and begins with what matters."""
    text = large["summary.md"]
    assert len(text.encode()) <= LARGEST_SUMMARY
    assert "](" not in text
    assert (
        text.index("## Failures") < text.index("Do not upgrade to") < text.index("**Old and new**")
    )
    assert "more rows are in report.md" in text


def test_the_page_has_little_javascript(large: dict[str, str]) -> None:
    """Less than 16 kB, however large the run is, and a large page stays small enough."""
    page = large["report.html"]
    script = page.split("<script>")[1].split("</script>")[0]
    assert len(script.encode()) < LARGEST_SCRIPT
    assert len(page.encode()) < 3_000_000
