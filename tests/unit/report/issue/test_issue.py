"""Issues: what they say about a cell, what they do not claim, and untrusted text in them."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from runner.cli import main
from runner.errors import ConfigError, Exit
from runner.plan import quick
from runner.read import read
from runner.records.run import TrialResult
from runner.records.study import Matrix, Status
from runner.report.issue import issue_text
from runner.runs.checks import Refused
from runner.runs.folder import RunFolder, StoredRun
from tests.support import judging
from tests.support.samples import (
    AS_PUBLISHED,
    failed_result,
    founding_logs,
    founding_matrix,
    founding_stored,
)

ROOT = Path(__file__).parents[4]
REFERENCE = ROOT / "reports" / "reference"
GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OLD, NEW = (f"tensorflow={one},model=sequential" for one in ("1.15.0", "2.0.0"))
NO_BREAK = "\N{NO-BREAK SPACE}"
HOSTILE = (
    "@user #12 GH-7 deadbeef1 <script>alert(1)</script> [a](b) `c` | d\x1b[31m\u202e www.e.f "
    "```\n# g"
)


@cache
def stored() -> StoredRun:
    """A finished run of the founding study, with the text of its matrix."""
    path = ROOT / "matrix.yaml"
    run = founding_stored(matrix=read(path))
    return replace(run, matrix_text=path.read_text(encoding="utf-8"))


def issue(run: StoredRun, cell: str = NEW) -> str:
    """An issue with ordinary spaces."""
    return issue_text(run, cell).replace(NO_BREAK, " ")


@cache
def founding_issue(cell: str = NEW) -> str:
    """An issue about the unchanged run."""
    return issue(stored(), cell)


def title(text: str) -> str:
    """The first line of an issue."""
    return text.partition("\n")[0]


def section(text: str, name: str) -> str:
    """The part of an issue under a heading."""
    return text.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


def blocks(text: str, language: str) -> list[str]:
    """The contents of all blocks of code in a language."""
    return [token.content for token in GITHUB.parse(text) if token.info == language]


def slower(results: tuple[TrialResult, ...], by: Mapping[str, float]) -> tuple[TrialResult, ...]:
    """Make all times per epoch of some cells longer."""
    return tuple(
        replace(
            one,
            series={
                **one.series,
                "epoch_seconds": tuple(
                    by.get(one.trial.cell, 1.0) * s for s in one.series["epoch_seconds"]
                ),
            },
        )
        if one.series
        else one
        for one in results
    )


def test_an_issue_equals_the_gold_file(gold: Callable[[str, str], None]) -> None:
    """The gold file is about a slower cell of a finished run."""
    gold("issue.md", issue_text(stored(), NEW))


def test_an_issue_about_a_failure_equals_the_gold_file(gold: Callable[[str, str], None]) -> None:
    """The gold file is about the article's own script."""
    gold("issue-failing.md", issue_text(stored(), AS_PUBLISHED))


def test_the_title_names_the_worst_change() -> None:
    """It has the cell, the metric, the change and its interval."""
    found = title(founding_issue())
    pattern = r"# tensorflow 2\.0\.0 \(model=sequential\): time per epoch 23 % slower than 1\.15\.0"
    assert re.fullmatch(pattern + r" \(\d+ % to \d+ %\)", found)


def test_a_better_cell_is_not_called_worse() -> None:
    """The title says what was found, whatever that is."""
    run = stored()
    text = issue(replace(run, results=slower(run.results, {NEW: 0.5})))
    assert "time per epoch 39 % faster than 1.15.0" in title(text)
    assert "| better" in section(text, "Numbers")
    assert "| worse" not in section(text, "Numbers").partition("<details>")[0]


def test_no_difference_is_not_called_a_change() -> None:
    """An interval that is too wide is no verdict."""
    run = stored()
    noisy = tuple(slower((one,), {NEW: 0.3 + 0.2 * one.trial.block})[0] for one in run.results)
    text = issue(replace(run, results=noisy))
    assert "time per epoch: no clear difference yet between 2.0.0 and 1.15.0" in title(text)
    assert "| worse" not in section(text, "Numbers").partition("<details>")[0]


@pytest.mark.parametrize("count", [0, 20])
def test_nothing_is_claimed_before_the_first_look(count: int) -> None:
    """Numbers are shown as far as there are any, and no change."""
    run = stored()
    text = issue(replace(run, results=run.results[:count]))
    name = "tensorflow 2.0.0 (model=sequential)"
    assert title(text) == f"# {name}: no verdict yet against tensorflow 1.15.0"
    assert "No change is claimed here." in text
    assert "The run is not finished" in text
    assert "slower" not in text
    assert "worse" not in text
    assert ("## Numbers" in text) is (count > 0)
    assert "  metrics: [epoch_seconds, test_accuracy]" in text


def test_a_cell_that_fails_sometimes_is_said_to() -> None:
    """The verdict, if there is one, is still shown."""
    run = stored()
    results = tuple(
        failed_result(one.trial, Status.TIMED_OUT, "stopped at its time limit of 900 s")
        if (one.trial.cell, one.trial.block) == (NEW, 3)
        else one
        for one in run.results
    )
    text = issue(replace(run, results=results))
    reason = "stopped at its time limit of 900 s"
    assert title(text).endswith(f": reaches its time limit in 1 of 7 trials: {reason}")
    assert "ok in 7 of 7 trials" in text
    assert "slower" in section(text, "Numbers")
    assert "blocks: 7" in blocks(text, "yaml")[0]


def test_a_failing_baseline_needs_no_other_cell() -> None:
    """Only a baseline that is fine is no subject."""
    run = stored()
    with pytest.raises(ConfigError, match="is the baseline, and it does not fail"):
        issue(run, OLD)
    results = tuple(
        failed_result(one.trial) if one.trial.cell == OLD else one for one in run.results
    )
    text = issue(replace(run, results=results), OLD)
    assert title(text).startswith("# tensorflow 1.15.0 (model=sequential): fails: exit code 1")
    assert "It declares only this cell:" in text


def test_the_lock_difference_is_shown_package_by_package() -> None:
    """Compared packages come first, and unchanged ones are folded."""
    text = section(founding_issue(), "Environments")
    assert "Packages: 1 changed, 1 added, 1 removed, 6 unchanged." in text
    rows = [
        [part.strip() for part in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert rows[2:7] == [
        ["Python", "3.7", "3.7"],
        ["package index as of", "2019-10-15", "2019-10-01"],
        ["tensorflow", "\N{EM DASH}", "2.0.0"],
        ["tensorflow-cpu", "1.15.0", "\N{EM DASH}"],
        ["numpy", "1.17.3", "1.17.2"],
    ]
    assert "<summary>Unchanged: 6 packages</summary>" in text


@pytest.mark.parametrize("cell", [NEW, AS_PUBLISHED, "tensorflow=2.0.0,model=subclassed"])
def test_the_matrix_of_an_issue_declares_only_its_cells(cell: str, tmp_path: Path) -> None:
    """Whoever saves it beside the files of the study can read it."""
    run = stored()
    [text] = blocks(founding_issue(cell), "yaml")
    for name in ("experiments/mnist_softmax.py", "experiments/data/mnist.npz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "matrix.yaml").write_text(text, encoding="utf-8")
    found = read(tmp_path / "matrix.yaml")
    assert cell in {one.id for one in found.cells}
    assert len(found.cells) == 2
    for one in found.cells:
        measured = run.run.matrix.cell(one.id)
        assert (one.request, one.parameters) == (measured.request, measured.parameters)


def test_an_older_run_has_the_options_that_select_the_cells() -> None:
    """Without the text of the matrix, nothing can be pruned."""
    text = section(issue(replace(stored(), matrix_text=None)), "Reproduce")
    assert "This run is older, and its folder does not contain the matrix." in text
    command = "python -m runner --matrix matrix.yaml -s tensorflow=1.15.0,2.0.0 -s model=sequential"
    assert command in blocks(text, "sh")[0].splitlines()
    assert blocks(text, "yaml") == []


def test_an_edited_matrix_is_not_shown() -> None:
    """It would not be what was measured."""
    run = stored()
    edited = str(run.matrix_text).replace("epochs: 50", "epochs: 1")
    text = section(issue(replace(run, matrix_text=edited)), "Reproduce")
    assert "cannot be used: its text declares other cells than those of the run." in text
    assert blocks(text, "yaml") == []


def test_a_quick_run_is_repeated_with_quick() -> None:
    """Its matrix keeps the parameters that replace others."""
    run = stored()
    hasty = replace(run, run=replace(run.run, matrix=quick(run.run.matrix)))
    text = issue(hasty)
    assert "python -m runner --matrix matrix.yaml --quick" in text
    assert "quick: {epochs: 3}" in blocks(text, "yaml")[0]
    assert "promises no verdicts" in text


def test_doubts_about_the_stored_files_come_first() -> None:
    """A maintainer must know that somebody edited the results."""
    refused = (Refused("a.json", "it was edited after it was saved", edited=True),)
    text = issue(replace(stored(), refused=refused, edited=("run.json",)))
    lead = text.partition("\n## ")[0]
    assert "Edited results: a." in lead
    assert "Edited files: run.json." in lead


def hostile(matrix: Matrix) -> StoredRun:
    """A run in which each text that a stranger can choose is hostile."""
    metrics = tuple(replace(one, title=HOSTILE, unit=HOSTILE) for one in matrix.metrics)
    experiment = replace(matrix.experiment, script=HOSTILE, data=(HOSTILE,))
    cells = tuple(
        replace(one, variables={"A": HOSTILE}, parameters={HOSTILE: HOSTILE})
        for one in matrix.cells
    )
    evil = replace(matrix, metrics=metrics, experiment=experiment, cells=cells, title=HOSTILE)
    run = founding_stored(matrix=evil, logs=dict.fromkeys(founding_logs(), f"{HOSTILE}\n" * 99))
    host = replace(run.run.host, cpu_model=HOSTILE, system=HOSTILE, kernel=HOSTILE)
    results = tuple(
        replace(one, reason=HOSTILE if one.status is Status.FAILED else None, adapted=HOSTILE)
        for one in run.results
    )
    digests = {HOSTILE: HOSTILE}
    lived = replace(run.run, host=host, id=HOSTILE, git_commit=HOSTILE, data_digests=digests)
    return replace(run, run=lived, results=results, matrix_text=HOSTILE)


@pytest.mark.parametrize("cell", [NEW, AS_PUBLISHED])
def test_hostile_texts_are_only_texts(cell: str) -> None:
    """They mention nobody, link nothing, hide nothing, and leave neither their row nor fence."""
    text = issue_text(hostile(founding_matrix()), cell)
    assert "deadbeef1" in text
    assert all(letter.isprintable() or letter in {"\n", NO_BREAK} for letter in text)
    tokens = GITHUB.parse(text)
    children = [child for token in tokens for child in token.children or ()]
    shown = "".join(one.content if one.type == "text" else "\0" for one in children)
    assert not re.search(r"@\w|#\d|GH-\d|deadbeef1", shown)
    assert {one.type for one in children} <= {"text", "code_inline", "html_inline", "softbreak"}
    html = {one.content for one in children if one.type == "html_inline"}
    assert html <= {"<br>", "<!-- -->"}
    headings = [tokens[n + 1].content for n, one in enumerate(tokens) if one.tag == "h2"]
    wanted = {"Failure", "Numbers", "Environments", "Reproduce", "Machine"}
    assert {one for one in headings if one} <= wanted


def test_an_issue_is_never_too_large_for_github() -> None:
    """Its largest parts are left out first."""
    run = hostile(founding_matrix())
    logs = dict.fromkeys(founding_logs(), "\N{SNOWMAN}" * 10**6 + "\n" + f"{'<@>' * 200}\n" * 99)
    names = {f"{HOSTILE}{number}" * 99: HOSTILE * 99 for number in range(999)}
    huge = replace(run, logs=logs, run=replace(run.run, data_digests=names))
    text = issue_text(huge, AS_PUBLISHED)
    assert len(text.encode()) <= 60_000
    assert "This part is left out" in text


@pytest.mark.parametrize("name", ["founding", "digits", "pure_python"])
def test_the_published_runs_give_issues(name: str) -> None:
    """Each cell has one, except the baseline."""
    run = RunFolder(REFERENCE / name).stored()
    baseline = run.run.matrix.baseline_cell()
    for cell in run.run.matrix.cells:
        if cell != baseline:
            text = issue_text(run, cell.id)
            assert len(blocks(text, "yaml")) == (name != "founding")


def test_the_command_prints_an_issue_and_rewrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text goes to standard output, so that it can be piped."""
    folder = shutil.copytree(REFERENCE / "digits", tmp_path / "run")
    (folder / "report.md").unlink()
    before = sorted(folder.rglob("*"))
    run = ["report", str(folder)]
    assert main([*run, "--issue", "scikit-learn=1.5.2,model=forest"]) == Exit.OK
    said = capsys.readouterr().out
    assert said.startswith("# scikit-learn 1.5.2 (model=forest): peak memory 33")
    assert sorted(folder.rglob("*")) == before
    assert main([*run, "--issue", "scikit-learn=1.5.2,model=fores"]) == Exit.CONFIG
    assert "did you mean `scikit-learn=1.5.2,model=forest`?" in capsys.readouterr().err


def test_equal_numbers_of_too_few_blocks_are_no_verdict() -> None:
    """Three equal blocks are not called identical: a comparison needs five."""
    few = [1.0, 1.1, 1.2, *[None] * 4]
    text = issue(judging.stored({"a": few, "b": few}), "v=b")
    assert "none: 3 of the 5 blocks that a comparison needs" in text
    assert "identical" not in text
