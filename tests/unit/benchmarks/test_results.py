"""benchmarks/results: which programs ``make bench`` runs, and the page that it writes."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.results import LEFT_OUT, LONGEST_S, PROGRAMS, Ended, Program, page, run
from benchmarks.rows import compared

ROOT = Path(__file__).parents[3]
SILENT = Program(name="one", limit_s=30)
WITH_ROWS = replace(SILENT, rows=True)
MISSED = compared("trials", "xargs", "s", [(1.0, 2.0), (3.0, 2.0), (1.2, 2.0)], most_ratio=0.5)


def test_every_program_runs_or_has_a_reason() -> None:
    """Whoever adds a program says whether ``make bench`` runs it."""
    programs = {
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    }
    listed = {one.name for one in PROGRAMS}
    assert listed | LEFT_OUT.keys() == programs - {"results"}
    assert not listed & LEFT_OUT.keys()


def test_the_target_runs_them_all_in_time() -> None:
    """``make bench`` calls the program that has the list, and no limits allow more than that."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    _, _, target = makefile.partition("\nbench:")
    assert target.split("\n")[1].split() == ["$(VENV)/bin/python", "-m", "benchmarks.results"]
    assert sum(one.limit_s for one in PROGRAMS) <= LONGEST_S


@pytest.mark.parametrize(
    ("body", "program", "outcome"),
    [
        ("pass", SILENT, "all goals met"),
        ("raise SystemExit(1)", SILENT, "failed, or a goal was missed"),
        ("raise SystemExit('no Docker')", WITH_ROWS, "failed"),
        (
            "import sys; open(sys.argv[2], 'w').write(ROWS); sys.exit(1)",
            WITH_ROWS,
            "a goal was missed",
        ),
        ("import time; time.sleep(60)", replace(SILENT, limit_s=0.2), "stopped after 0 s"),
    ],
)
def test_how_a_program_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    program: Program,
    outcome: str,
) -> None:
    """A failure is not the same as a missed goal, and a program that hangs is stopped."""
    (tmp_path / "benchmarks").mkdir()
    text = f"ROWS = {json.dumps([asdict(MISSED)])!r}\n{body}\n"
    (tmp_path / "benchmarks" / "one.py").write_text(text)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    ended = run(program)
    assert ended.outcome == outcome
    assert ended.is_good == (outcome == "all goals met")


def test_the_page_shows_rows_and_outcomes() -> None:
    """A program with rows has a line for each, another one a single line."""
    ended = [
        Ended(program=PROGRAMS[0], code=1, seconds=2, rows=[MISSED], output="printed"),
        Ended(
            program=Program(name="page", limit_s=5, claim="the page"),
            code=None,
            seconds=5,
            rows=[],
            output="",
        ),
    ]
    lines = [line.replace(" ", "") for line in page(ended, ["two cores"])]
    table = "\n".join(lines)
    assert "|trials|xargs|1.2(1to3)s|2s|0.6(0.5to1.5)|<=0.5x|missed|" in table
    assert "|thepage||||||stoppedafter5s|" in table
    assert "printed" in lines
    assert "-twocores" in lines


def lines_of_table(ended: Ended) -> list[str]:
    """Return the lines of the table for one program, without spaces."""
    lines = "\n".join(page([ended], [])).splitlines()
    return [line.replace(" ", "") for line in lines if line.startswith("|")][2:]


def test_a_stopped_program_keeps_its_finished_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table has them, and says that the rest is missing."""
    (tmp_path / "benchmarks").mkdir()
    text = (
        "import sys, time\n"
        f"open(sys.argv[2], 'w').write({json.dumps([asdict(MISSED)])!r})\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "benchmarks" / "one.py").write_text(text)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    ended = run(replace(WITH_ROWS, limit_s=1))
    assert lines_of_table(ended) == [
        "|trials|xargs|1.2(1to3)s|2s|0.6(0.5to1.5)|<=0.5x|missed|",
        "|one||||||stoppedafter1s|",
    ]


@pytest.mark.parametrize(
    ("code", "met", "outcome", "lines"),
    [
        (0, True, "all goals met", 1),
        (1, False, "a goal was missed", 1),
        (1, True, "failed", 2),
    ],
)
def test_a_failure_after_some_rows_is_no_missed_goal(
    code: int, met: bool, outcome: str, lines: int
) -> None:
    """Its rows stay, with a line that says that it failed."""
    rows = [replace(MISSED, met=met)]
    ended = Ended(program=WITH_ROWS, code=code, seconds=2, rows=rows, output="")
    assert ended.outcome == outcome
    assert len(lines_of_table(ended)) == lines
