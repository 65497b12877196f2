"""benchmarks/rows: whether a goal is met, and the way through a file."""

from pathlib import Path

import pytest

from benchmarks.rows import Row, compared, finished, in_turns, limited, written


@pytest.mark.parametrize(
    ("most", "most_ratio", "met"),
    [
        (2.0, None, True),
        (1.9, None, False),
        (None, 0.5, True),
        (2.0, 0.4, False),
        (None, None, None),
    ],
)
def test_every_goal_counts(most: float | None, most_ratio: float | None, met: bool | None) -> None:
    """The medians decide; without a goal there is nothing to meet."""
    pairs = [(1.0, 4.0), (2.0, 4.0), (9.0, 4.0)]
    assert compared("time", "peer", "s", pairs, most=most, most_ratio=most_ratio).met is met


def test_rows_survive_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a program writes is what the page shows; a missed goal is exit code 1."""
    rows = [
        compared("time", "peer", "s", [(1.0, 4.0)], most_ratio=0.5),
        limited("memory", "MB", [30.0], most=20.0, note="grows"),
        Row(what="nothing", unit="", ours=None, goal="fast"),
    ]
    assert finished(rows, tmp_path / "rows.json") == 1
    assert finished(rows[:1], None) == 0
    assert written(tmp_path / "rows.json") == rows
    assert written(tmp_path / "none.json") == []
    printed = capsys.readouterr().out
    assert "memory: grows" in printed
    assert "not measured" in printed


def test_every_second_round_begins_with_the_peer() -> None:
    """What the machine does meanwhile favours neither."""
    called: list[str] = []
    turns = in_turns(lambda: called.append("ours"), lambda: called.append("peer"), rounds=2)
    pairs = list(turns)
    assert called == ["ours", "peer", "peer", "ours"]
    assert len(pairs) == 2
