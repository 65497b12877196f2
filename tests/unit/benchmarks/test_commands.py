"""benchmarks/commands: the rows of a command with its peer, and without it."""

import sys
from pathlib import Path

import pytest

from benchmarks.commands import CLAIMS, PEER, REBENCH, SECOND, SNAKEMAKE, Claim, measured, row

CLAIM = Claim(what="second run", peer="ReBench", most=0.6, most_ratio=1)


@pytest.mark.parametrize(
    ("ours", "peers", "met"),
    [([0.5, 0.4], [0.8, 0.9], True), ([0.5, 0.4], [0.3, 0.2], False), ([0.7], [0.8], False)],
)
def test_a_command_must_cost_less_than_its_limit_and_its_peer(
    ours: list[float], peers: list[float], met: bool
) -> None:
    """Either alone is not enough."""
    found = row(CLAIM, {"second run": ours, "ReBench": peers})
    assert found.peer == "ReBench"
    assert found.met is met


@pytest.mark.parametrize(("most", "met"), [(0.6, True), (0.4, False), (None, None)])
def test_without_the_peer_the_limit_remains(most: float | None, met: bool | None) -> None:
    """The row says which peer is missing."""
    claim = Claim(what="second run", peer="ReBench", most=most, most_ratio=most and 1)
    found = row(claim, {"second run": [0.5]}, "a note")
    assert (found.met, found.peer, found.ratio) == (met, "", None)
    assert found.note == "without ReBench; a note"


def test_a_second_run_is_compared_with_both_peers() -> None:
    """It has to cost less than either."""
    peers = {one.peer: one.most_ratio for one in CLAIMS if one.what == SECOND}
    assert peers == {REBENCH: 1, SNAKEMAKE: 1}


def test_every_round_gives_figures(tmp_path: Path) -> None:
    """A program that is stopped keeps the rounds before."""
    command = [sys.executable, "-c", "open('ran', 'a').write('x')"]
    lengths = [len(costs[PEER]) for costs in measured({PEER: command}, tmp_path, 2)]
    assert lengths == [1, 2]
    assert (tmp_path / "ran").read_text() == "xxx"
