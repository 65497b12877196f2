"""Warnings: studies that cannot give the answers that they ask for."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli.warnings import warnings
from runner.plan import make_plan, quick
from runner.records.study import Experiment, Limits, Matrix, PolicyLimit
from tests.support.judging import matrix

NOWHERE = Path("/nonexistent")


def warned(study: Matrix, blocks: int | None = None, cores: int = 64, root: Path = NOWHERE) -> str:
    """Return all warnings in one text."""
    return "\n".join(warnings(study, make_plan(study, 1, blocks), cores, root))


@pytest.mark.parametrize(
    ("blocks", "looks", "said"),
    [
        (7, 4, ""),
        (5, 1, ""),
        (3, 4, "so 3 give no verdict; write `blocks: 5` or more, or give --blocks 6"),
        (4, 1, "so 4 give no verdict; write `blocks: 5` or more"),
        (1, 4, "so 1 block gives no verdict; write `blocks: 5` or more"),
    ],
)
def test_too_few_blocks(blocks: int, looks: int, said: str) -> None:
    """A comparison needs five; more blocks of the same run may be enough, or may not."""
    found = warned(replace(matrix(blocks=blocks), looks=looks))
    assert found.endswith(said)
    assert bool(found) is bool(said)


def test_added_blocks_are_enough() -> None:
    """The second look after six blocks gives verdicts."""
    assert warned(matrix(blocks=3), blocks=6) == ""


def test_fewer_blocks_than_the_first_look_give_no_verdict() -> None:
    """Even if they would be enough: a matrix says when verdicts are read."""
    assert warned(matrix(blocks=7), blocks=5).startswith(
        "verdicts are first read after 7 blocks, so 5 give none; "
    )


def test_a_study_without_comparisons_needs_no_blocks() -> None:
    """Nothing is asked that blocks could answer."""
    assert warned(replace(matrix(blocks=1), compare=())) == ""


def test_a_quick_look_gives_no_verdicts() -> None:
    """The remedy is to run without it."""
    assert warned(quick(matrix())).endswith("run without --quick for verdicts")


@pytest.mark.parametrize(
    ("metric", "change", "relative", "said"),
    [
        ("accuracy", 0.5, False, "write `accuracy: -0.5`"),
        ("seconds", -0.03, True, "write `seconds: +3%`"),
        ("accuracy", -0.5, False, ""),
        ("seconds", 0.03, True, ""),
        ("seconds", 0.0, True, ""),
    ],
)
def test_a_limit_on_the_side_of_improvements(
    metric: str, change: float, relative: bool, said: str
) -> None:
    """Most people mean the loss that they accept."""
    limit = PolicyLimit(metric=metric, change=change, relative=relative)
    found = warned(replace(matrix(), policy=(limit,)))
    assert found.endswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(2, "the runner itself disturbs it"), (3, "this machine has only 2"), (1, "")],
)
def test_more_cores_than_there_are(wanted: int, said: str) -> None:
    """Nor can a trial have every core without being disturbed."""
    found = warned(replace(matrix(), limits=Limits(cpus=wanted)), cores=2)
    assert said in found
    assert bool(found) is bool(said)


def test_local_modules_that_a_trial_would_lack(tmp_path: Path) -> None:
    """They are named before anything is built, with the line that adds them."""
    for name in ("parts/a.py", "parts/b/__init__.py", "parts/c.py", "parts/trial.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "parts/run.py").write_text("import a, json, trial\nfrom b.d import c\nimport c\n")
    study = replace(matrix(), experiment=Experiment(script="parts/run.py", files=("parts/c.py",)))
    assert warned(study, root=tmp_path) == (
        "parts/run.py imports a, which a trial does not get; write `files: [parts/a.py]` under "
        "`experiment`\nparts/run.py imports b, which a trial does not get; write `files: "
        "[parts/b/**]` under `experiment`"
    )


@pytest.mark.parametrize("script", ["def", "(" * 100_000, "\0", "import a" + ".b" * 1000])
def test_a_script_that_is_not_valid_is_not_judged(tmp_path: Path, script: str) -> None:
    """It fails in its trial, where its error belongs."""
    (tmp_path / "run.py").write_text(script)
    assert warned(replace(matrix(), experiment=Experiment(script="run.py")), root=tmp_path) == ""
