"""Most kinds of fault once, at a random instant; ``make test-faults`` injects all and many more."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.__main__ import Lane
from tests.faults.kinds import KINDS, Kind
from tests.faults.thousand import main as thousand
from tests.support.daemons import POSSIBLE, REASON

pytestmark = [pytest.mark.engine, pytest.mark.skipif(not POSSIBLE, reason=REASON)]
LEFT_OUT = {"SIGTERM", "daemon SIGTERM, live", "image removed", "networks pruned"}
"""Kinds that resemble another one; leaving them out saves some minutes."""


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """Return daemons that faults may kill."""
    lane = Lane(tmp_path_factory.mktemp("lane"))
    yield lane
    lane.close()


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.name not in LEFT_OUT], ids=lambda kind: kind.name
)
def test_nothing_is_lost_and_nothing_is_left(lane: Lane, kind: Kind) -> None:
    """The resumed run is complete: nothing is lost, doubled, wrong or left behind."""
    seed = os.urandom(4).hex()
    injected = lane.strike(kind, seed)
    assert injected.sound, f"{seed}: {injected}"


def test_many_trials_and_many_faults(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With a fault every few seconds, each trial still has exactly one correct result."""
    assert thousand(["--blocks", "2", "--seed", str(os.getpid())]) == 0, capfd.readouterr().out
