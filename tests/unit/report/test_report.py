"""The content of a report at any time of a run, and untrusted text in it."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.records.environment import Images
from runner.records.run import Run, TrialResult
from runner.records.study import Axis, AxisKind, Cell, Matrix, Status
from runner.report import write
from runner.report.records import Excerpt, ReportView, Section, Table, rows
from runner.report.render import escape, markdown
from runner.report.sections.measured import error_line
from runner.runs.folder import RunFolder, occupied
from runner.text import one_line
from tests.support.fakes import QUIET
from tests.support.reports import view_of
from tests.support.samples import (
    AS_PUBLISHED,
    METRICS,
    failed_result,
    founding_images,
    founding_logs,
    founding_matrix,
    founding_plan,
    founding_result,
    founding_results,
    founding_run,
    founding_stored,
    request,
    stored_results,
)

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
DASH = "\N{EM DASH}"
CROSS = "\N{CROSS MARK}"
NO_BREAK = "\N{NO-BREAK SPACE}"


def report(
    results: tuple[TrialResult, ...] | None = None,
    matrix: Matrix | None = None,
    logs: dict[str, str] | None = None,
    run: Run | None = None,
) -> str:
    """The report of the founding study, with the changes of a test."""
    return markdown(view_of(founding_stored(results, matrix, logs, run)))


@cache
def founding_report() -> str:
    """The unchanged report of the founding study."""
    return report()


def section(text: str, title: str) -> str:
    """The part of a report under a heading."""
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def row(text: str, *beginning: str) -> list[str]:
    """The first row of a table that begins with these texts, as texts."""
    for line in text.splitlines():
        texts = [part.strip() for part in line.strip("|").split("|")]
        if texts[: len(beginning)] == list(beginning):
            return texts
    raise AssertionError(f"no row {beginning} in\n{text}")


def test_the_founding_report_equals_the_gold_file(gold: Callable[[str, str], None]) -> None:
    """The gold file is the report of a finished run."""
    gold("report.md", founding_report())


def test_a_report_is_made_from_a_folder_alone(tmp_path: Path) -> None:
    """The files of a run folder give the same report as the records stored in it."""
    folder = RunFolder(tmp_path / "run")
    with occupied(folder.path):
        folder.save(founding_run())
        folder.save(founding_plan())
        folder.save(Images(images=founding_images()))
        for result in stored_results():
            folder.save_result(result, founding_logs().get(result.trial.id, "epoch 1"))
    assert write(folder).read_text(encoding="utf-8") == report(stored_results())


def test_the_unfinished_report_equals_the_gold_file(gold: Callable[[str, str], None]) -> None:
    """The run has one and a half blocks and a failing cell."""
    results = list(founding_results(10))
    broken = results[8].trial
    results[8] = failed_result(broken, Status.TIMED_OUT, "stopped at its time limit of 900 s")
    logs = {**founding_logs(), broken.id: "epoch 1\nepoch 2"}
    gold("report-unfinished.md", report(tuple(results), logs=logs))


def test_an_unfinished_run_reports_its_progress() -> None:
    """While trials are missing, the report counts complete blocks and trials, and warns."""
    lead = report(founding_results(9)).split("## ")[0]
    assert "Not finished yet: 1 of 7 blocks complete, 9 of 50 trials done (7 of them" in lead


def test_a_run_without_results_has_no_numbers() -> None:
    """Before the first trial every cell is listed as not run yet, with dashes for numbers."""
    text = report(())
    assert "0 of 7 blocks complete, 0 of 50 trials done" in text
    assert row(text, "1.15.0", "sequential")[2:] == ["not run yet", "0 of 7", *[DASH] * 4]


def test_an_expected_failure_is_not_marked() -> None:
    """A cell that fails as the matrix expects has no number and is not counted as unexpected."""
    text = founding_report()
    assert "All cells ended as expected." in text
    assert CROSS not in text
    expected = ["failed, as expected", "0 of 1", *[f"{DASH} failed"] * 4]
    assert row(text, "1.15.0", "subclassed-as-published")[2:] == expected


def test_an_unexpected_failure_is_marked() -> None:
    """A cell that fails sometimes is marked, and counted in the first lines."""
    results = founding_results()
    text = report((failed_result(results[0].trial), *results[1:]))
    _, first, second, *_ = text.split("## ")
    assert first.startswith("Failures\n")
    assert "1 cell ended unexpectedly." in second
    texts = row(text, *(value for _, value in coordinates(results[0].trial.cell)))
    assert texts[2] == f"{CROSS} 1 of 7 failed, expected: ok"
    assert texts[3] == "6 of 7"


def test_an_unexpected_success_is_marked() -> None:
    """A cell that was expected to fail and did not is marked, too."""
    good = replace(founding_results()[0].trial, cell="tensorflow=1.15.0,model=subclassed")
    lucky = replace(founding_result(good), trial=replace(good, cell=AS_PUBLISHED))
    others = tuple(r for r in founding_results() if r.trial.cell != AS_PUBLISHED)
    texts = row(report((*others, lucky)), "1.15.0", "subclassed-as-published")
    assert texts[2] == f"{CROSS} ok, expected: failed"


def test_all_failed_gives_a_report_without_numbers() -> None:
    """If every trial fails, each cell has its reason and no metric has a number."""
    results = tuple(
        failed_result(trial, Status.NO_IMAGE, "pip gave up") for trial in founding_plan().trials
    )
    text = report(results, logs={})
    assert "2 more cells ended unexpectedly." in section(text, "Failures")
    expected = [f"{CROSS} no-image, expected: ok", "0 of 7", *[f"{DASH} no-image"] * 4]
    assert row(text, "2.0.0", "functional")[2:] == expected
    assert "pip gave up" in section(text, "Failures")


def test_a_lost_engine_is_reported_and_not_counted() -> None:
    """A trial that lost its engine is not done, and its cell has not failed."""
    lost = failed_result(founding_plan().trials[0], Status.ENGINE_LOST, "docker went away")
    text = report((lost,), logs={})
    assert "0 of 50 trials done" in text
    texts = row(text, *(value for _, value in coordinates(lost.trial.cell)))
    assert texts[2:4] == ["engine lost, will be repeated", "0 of 7"]
    table = section(text, "Lost attempts")
    assert f"| {lost.trial.id} " in table.replace("<!-- -->", "")
    assert "docker went away" in table


def test_an_attempt_that_was_lost_and_repeated_is_listed() -> None:
    """Even if the trial has succeeded since. Only the first of many attempts are shown."""
    results = founding_results()
    trial = results[0].trial
    again = replace(results[0], trial=replace(trial, attempt=99))
    lost = [
        failed_result(replace(trial, attempt=number), Status.ENGINE_LOST, "somebody killed it")
        for number in range(1, 26)
    ]
    text = section(report((*results[1:], *lost, again)), "Lost attempts")
    assert text.count("somebody killed it") == 20
    assert "5 more attempts not shown here" in text
    assert "Lost attempts" not in report(results)


def test_a_failure_shows_its_error_and_the_end_of_its_log() -> None:
    """A cell that is not ok shows its reason, its error line, and the end of its log."""
    lines = [f"line {number}" for number in range(60)] + ["ValueError: 3", "cleaning up"]
    trial = founding_results()[0].trial
    results = (failed_result(trial, reason="exit code 1: cleaning up"),)
    text = section(report(results, logs={trial.id: "\n".join(lines)}), "Logs of failed trials")
    assert "Reason: exit code 1: cleaning up" in text
    assert "Error in the log: ValueError: 3" in text
    assert "line 59\nValueError: 3\ncleaning up\n```" in text
    assert "line 22\n" in text
    assert "line 21\n" not in text
    assert f"](logs/{trial.id}.log)" in text


def test_many_failures_do_not_flood_the_report() -> None:
    """If many cells fail, only some logs are shown; the others are counted."""
    matrix = large_matrix(50)
    results = tuple(failed_result(trial) for trial in founding_plan(matrix).trials)
    text = report(results, matrix=matrix, logs={result.trial.id: "x" for result in results})
    assert text.count("Full log:") == 20
    assert "30 more cells not shown here" in text


def test_an_error_line_is_the_last_that_names_an_error() -> None:
    """Python's error line is found even if other lines follow; some logs have none."""
    assert error_line(("a.b.KeyError: 'x'", "done")) == "a.b.KeyError: 'x'"
    assert error_line(("epoch 1", "  TypeError: shown in a quoted line")) is None


def test_published_numbers_stand_beside_ours() -> None:
    """A published number keeps its digits, with our median and range beside it."""
    text = section(founding_report(), "Published numbers beside ours")
    beginning = ("2.0.0", "sequential", "best train accuracy (%)")
    assert row(text, *beginning)[3:] == ["93.4", "93.33<br>(93.31 to 93.35)".replace(" ", NO_BREAK)]
    texts = row(text, "1.15.0", "subclassed-as-published", "does it run?")
    assert texts[3:] == ["we would not be able to run it", "failed, as expected"]


def test_a_claim_is_judged_with_its_evidence() -> None:
    """A claim shows its verdict, the two published numbers, our interval, and the evidence."""
    text = section(founding_report(), "Published claims").replace(NO_BREAK, " ")
    assert "Newer TensorFlow trains faster.” Contradicted on this machine.**" in text
    assert (
        "Published: 65 against 80 \N{MICRO SIGN}s (\N{MINUS SIGN}19 %). Here: model=sequential, "
        "time per sample: 2.0.0 is 23 % slower than 1.15.0 (22 % to 23 %);" in text
    )
    assert "Here the change goes the opposite way." in text
    assert "cannot be run on TensorFlow 1.15.0.” Reproduced.**" in text


def test_a_selection_of_cells_lists_the_claims_that_it_cannot_judge() -> None:
    """A claim about a cell outside the run is inconclusive."""
    matrix = founding_matrix()
    few = replace(matrix, cells=matrix.cells[:3])
    results = tuple(one for one in founding_results() if "1.15.0" in one.trial.cell)
    text = section(report(results, matrix=few), "Published claims")
    assert "Inconclusive.**<br>\n  tensorflow=2.0.0,model=sequential is not part of this" in text


def test_cells_without_trials_are_left_out() -> None:
    """Cells outside the plan are counted and not listed."""
    plan = founding_plan()
    some = tuple(trial for trial in plan.trials if trial.cell != AS_PUBLISHED)
    text = markdown(view_of(replace(founding_stored((), logs={}), plan=replace(plan, trials=some))))
    assert "1 cell of the matrix had no trial planned." in text
    assert "subclassed-as-published |" not in section(text, "Cells")


def test_a_quick_look_is_announced() -> None:
    """Only ``--quick`` makes a quick look; it warns that published numbers cannot be compared."""
    matrix = founding_matrix()
    text = report(matrix=replace(matrix, is_quick=True))
    assert "This is a quick look (--quick), which repeats no trial" in text
    assert "It used epochs = 3. Numbers that depend on this cannot be compared" in text
    cells = tuple(replace(cell, parameters={"epochs": 3}) for cell in matrix.cells)
    assert "quick look" not in report(matrix=replace(matrix, cells=cells))


def test_environments_show_what_differs() -> None:
    """Packages that differ or are missing are listed; identical ones are only counted."""
    text = section(founding_report(), "Environments")
    differing = text.split("Packages that differ (3)", 1)[1]
    assert row(differing, "tensorflow-cpu")[1:] == ["1.15.0", DASH]
    assert "protobuf" not in text
    assert "Packages identical in all environments: 6." in text
    assert row(text, "eager")[1:] == ["false, true", "true"]


def test_any_matrix_has_a_report() -> None:
    """One cell without axes, published numbers, claims, policy, parameters or lock is enough."""
    cell = Cell(coordinates=(), request=request("9"), parameters={}, timeout_s=1.0)
    matrix = replace(
        founding_matrix(),
        title="",
        axes=(),
        cells=(cell,),
        metrics=METRICS[:1],
        published=(),
        claims=(),
        policy=(),
        quick={},
        baseline=(),
    )
    for results in ((), (failed_result(founding_plan(matrix).trials[0]),)):
        text = report(results, matrix=matrix, logs={})
        assert text.startswith("# founding\n\nHow does this cell perform?")
        assert "\n1 cell, compared on one host" in text
        assert "not locked" in text


def test_a_thousand_cells_are_reported_in_seconds() -> None:
    """A large matrix costs no more than a few seconds."""
    matrix = large_matrix(1000)
    plan = founding_plan(matrix)
    results = tuple(failed_result(trial) for trial in plan.trials)
    began = time.process_time()
    text = report(results, matrix=matrix, logs={})
    assert time.process_time() - began < 10
    assert row(text, "199", "m")[2] == f"{CROSS} failed, expected: ok"
    assert "800 more rows are in report.csv and results.csv." in text


def test_a_long_axis_is_shortened() -> None:
    """The first paragraph gives the number of values, the first and the last."""
    assert "number (36 values from 0 to 35)" in report((), matrix=large_matrix(36), logs={})


def _varied(**changes: object) -> str:
    """The report of the founding study, if its first axis were another one."""
    matrix = founding_matrix()
    first = replace(matrix.axes[0], **changes)  # type: ignore[arg-type]
    return report(matrix=replace(matrix, axes=(first, *matrix.axes[1:])))


def test_two_lock_files_are_compared_package_by_package() -> None:
    """What was changed, added and removed is listed, and the rest is counted."""
    text = _varied(kind=AxisKind.LOCK, meanings=("git:main:uv.lock", "uv.lock"))
    arrow = "\N{RIGHTWARDS ARROW}"
    assert f"Changed: numpy 1.17.3 {arrow} 1.17.2." in text
    assert "Added: tensorflow 2.0.0." in text
    assert "Removed: tensorflow-cpu 1.15.0." in text
    assert "Unchanged: 6 packages." in text
    assert "tensorflow: 1.15.0 is git:main:uv.lock, 2.0.0 is uv.lock." in text


def test_other_limits_and_variables_are_named() -> None:
    """Two cells with different cores or variables differ in more than their versions."""
    matrix = founding_matrix()
    changed = replace(
        matrix.cell("tensorflow=2.0.0,model=sequential"),
        limits=replace(matrix.limits, cpus=2),
        variables={"MODE": "fast"},
    )
    cells = tuple(changed if one.id == changed.id else one for one in matrix.cells)
    arrow = "\N{RIGHTWARDS ARROW}"
    text = report(matrix=replace(matrix, cells=cells))
    assert f"Also changed: cores 1 {arrow} 2, MODE not set {arrow} fast." in text


def test_an_interpreter_and_a_variable_are_called_by_their_name() -> None:
    """A number alone would not say of what it is."""
    text = section(_varied(kind=AxisKind.PYTHON), "Published claims")
    assert f"Python 2.0.0 is 23{NO_BREAK}% slower than Python 1.15.0" in text
    text = _varied(kind=AxisKind.VARIABLE, variable="MODE")
    assert f"tensorflow 2.0.0 is 23{NO_BREAK}% slower than tensorflow 1.15.0" in text
    assert "tensorflow sets the variable MODE." in text


def large_matrix(count: int) -> Matrix:
    """One block of many cells in one environment."""
    axes = (
        Axis(name="number", values=tuple(map(str, range(count)))),
        Axis(name="m", values=("m",)),
    )
    cells = tuple(
        Cell(
            coordinates=(("number", str(number)), ("m", "m")),
            request=request("1.15.0"),
            parameters={},
            timeout_s=1.0,
        )
        for number in range(count)
    )
    matrix = replace(founding_matrix(), axes=axes, cells=cells, blocks=1)
    return replace(matrix, published=(), claims=(), policy=())


def coordinates(cell_id: str) -> list[tuple[str, str]]:
    """The axes and values in an id of the founding study."""
    return [(pair.split("=")[0], pair.split("=")[1]) for pair in cell_id.split(",")]


# --- untrusted text ------------------------------------------------------------------------------

NASTY = st.lists(
    st.one_of(
        st.characters(),
        st.sampled_from("\\`*_{}[]()#+-.!|<>&~$@:=\n\r\t\x1b\x00\u202e 1w/\"'"),
        st.sampled_from(["abc1234", "GH-1"]),
    ),
    max_size=60,
).map("".join)


def flat(text: str) -> str:
    """The text on one line, as a reader should see it."""
    return re.sub(" +", " ", one_line(text)).strip()


def shown_by(source: str) -> str:
    """The text that a reader sees; an error if the Markdown contains more than text."""
    seen = []
    for block in GITHUB.parse(source):
        assert block.type in {"paragraph_open", "paragraph_close", "inline"}, block
        for token in block.children or ():
            if token.type != "html_inline" or token.content != "<!-- -->":
                is_hash = re.fullmatch("[0-9a-fA-F]{7,40}", token.content)
                assert token.type in {"text", "text_special", *(["code_inline"] if is_hash else [])}
                seen.append(token.content)
    return "".join(seen)


@given(NASTY)
@example("# heading")
@example("1. list")
@example("- list")
@example("![image](http://x)")
@example("<script>alert(1)</script>")
@example("a\\|b | c")
@example("\x1b[31mred\x1b[0m")
def test_escaped_text_is_only_text(text: str) -> None:
    """Escaped text is shown as it is: it never becomes a list, a link, HTML or a heading."""
    assert shown_by(escape(text)).strip() == flat(text)


@given(st.lists(NASTY, min_size=2, max_size=4), NASTY)
def test_escaped_text_stays_in_its_table_cell(texts: list[str], title: str) -> None:
    """No text adds a row or a column to a table, or ends it."""
    table = Table(
        caption="t",
        columns=(),
        numbers=tuple(f"c{title}" for _ in texts),
        rows=rows((texts, texts)),
    )
    tokens = GITHUB.parse(markdown(page(Section("t", "t", tables=(table,)))))
    assert sum(token.type == "tr_open" for token in tokens) == 3
    assert sum(token.type == "td_open" for token in tokens) == 2 * len(texts)
    assert tokens[-1].type == "table_close"


@given(st.lists(NASTY, max_size=5))
@example(["```", "````text", "~~~", "    "])
def test_a_log_cannot_leave_its_fence(lines: list[str]) -> None:
    """The lines of a log stay one block, even with backticks and control characters."""
    excerpt = Excerpt(title="t", sentences=(), lines=tuple(lines), path="logs/x.log")
    tokens = GITHUB.parse(markdown(page(Section("t", "t", excerpts=(excerpt,)))))
    fences = [token for token in tokens if token.type == "fence"]
    assert len(fences) == 1
    assert fences[0].content.splitlines() == [one_line(line).rstrip() for line in lines]


@given(NASTY)
def test_reports_have_no_invisible_characters(text: str) -> None:
    """Control characters and characters that change the text direction are replaced."""
    assert all(letter.isprintable() or letter == NO_BREAK for letter in one_line(text))


def test_nobody_is_notified() -> None:
    """Names with an at sign are not mentions, and addresses are not links."""
    assert escape("@someone a@b1.1") == "@<!-- -->someone a@<!-- -->b1.1"
    assert escape("see http://x www.x") == r"see http\://x www\.x"
    assert escape("#12 a/b#1 gh-7") == r"\#<!-- -->12 a/b#<!-- -->1 gh-<!-- -->7"
    assert escape("# #x 1#") == r"\# #x 1#"


def test_no_word_becomes_a_commit() -> None:
    """GitHub links 7 to 40 hexadecimal digits. Numbers and longer digests stay as they are."""
    assert escape("a@1234abc (12345ab)") == "a@<!-- -->`1234abc` (`12345ab`)"
    assert escape("0" * 39 + "a") == f"`{'0' * 39}a`"
    for text in ("12345678", "abc123", "a" * 41, "x1234abc", "20260101-000000-a"):
        assert escape(text) == text


def test_the_caption_of_a_folded_table_is_escaped() -> None:
    """A caption inside HTML is escaped as HTML."""
    folded = Table(caption="<b>", columns=("c",), rows=rows([("x",)]), folded=True)
    text = markdown(page(Section("t", "t", tables=(folded,))))
    assert "<summary>&lt;b&gt;</summary>" in text
    folded = replace(folded, caption="it's #1 @a abc1234")
    text = markdown(page(Section("t", "t", tables=(folded,))))
    expected = "it&#x27;s #<!-- -->1 @<!-- -->a <code>abc1234</code>"
    assert f"<summary>{expected}</summary>" in text


def page(section: Section) -> ReportView:
    """A report of one section."""
    return ReportView("t", "q", (), (section,))


def test_the_report_describes_the_measured_machine_and_not_the_runner_s() -> None:
    """If the engine is elsewhere, trials report the processor, and the engine reports the rest."""
    here = founding_run()
    far = replace(here.engine, machine="another", cpus=64, memory_bytes=2**38, kernel="6.9")
    run = replace(here, engine=replace(far, system="Far Linux 1"))
    reading = replace(QUIET, processor="Far CPU", cpu_flags=("avx", "avx2"))
    results = tuple(replace(one, reading=reading) for one in founding_results())
    text = report(results, run=run)
    assert "compared on one host: Far CPU, 64 cores, 256 GiB of memory, docker" in text
    table = section(text, "Host and engine")
    assert row(table, "CPU") == ["CPU", "Far CPU"]
    assert row(table, "vector instructions")[1] == "avx, avx2"
    assert row(table, "system")[1] == "Far Linux 1, kernel 6.9"
    [_, runner] = row(table, "runner's machine")
    assert runner.startswith(f"may be a different one: {here.host.cpu_model}, ")
    assert "unknown processor" in report((), run=run)
    assert "runner's machine" not in founding_report()
