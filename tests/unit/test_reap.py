"""What dead runs left is removed; what lives, or is not ours to judge, stays."""

from pathlib import Path

import pytest

from runner.engine import Owned
from runner.reap import reap
from runner.store import RunFolder
from tests.fakes import FakeEngine


class Holding(FakeEngine):
    """Holds what earlier runs left."""

    def __init__(self, *things: Owned) -> None:
        super().__init__()
        self.things = list(things)

    def owned(self) -> tuple[Owned, ...]:
        return tuple(self.things)

    def discard(self, thing: Owned) -> None:
        self.things.remove(thing)


def left_by(path: Path) -> list[Owned]:
    """Return what a run that was killed leaves."""
    return [
        Owned(kind=kind, id=f"{kind} of {path}", label=kind, run=str(path))
        for kind in ("volume", "container")
    ]


def test_only_what_dead_runs_left_is_removed(tmp_path: Path) -> None:
    """A run is dead when its lock can be taken; where its folder is gone nobody can tell."""
    dead, living, gone = (tmp_path / name for name in ("dead", "living", "gone"))
    for path in (dead, living):
        path.mkdir()
    occupied = RunFolder(living)
    assert occupied.occupy()
    image = Owned(kind="image", id="i", label="an image")
    engine = Holding(image, *left_by(dead), *left_by(living), *left_by(gone))
    told: list[str] = []
    reap(engine, told.append)
    assert {thing.run for thing in engine.things} == {None, str(living), str(gone)}
    assert told == [
        f"removed what a killed run left on the engine: 1 volume, 1 container of {dead}"
    ]
    assert not gone.exists()
    occupied.leave()


def test_the_lock_is_held_while_a_run_is_reaped(tmp_path: Path) -> None:
    """Nobody can begin to use what is being removed."""
    seen: list[bool] = []

    class Looking(Holding):
        def discard(self, thing: Owned) -> None:
            seen.append(RunFolder(tmp_path).is_occupied())
            super().discard(thing)

    reap(Looking(*left_by(tmp_path)), lambda _: None)
    assert seen == [True, True]
    assert not RunFolder(tmp_path).is_occupied()


@pytest.mark.parametrize("run", ["relative", "/dev/null"])
def test_a_label_that_is_no_folder_is_left_alone(run: str) -> None:
    """Whoever wrote such a label, nothing of it is touched."""
    engine = Holding(*left_by(Path(run)))
    reap(engine, lambda _: None)
    assert len(engine.things) == 2
