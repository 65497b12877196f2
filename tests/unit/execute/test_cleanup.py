"""What dead runs left is removed; what lives, or is not ours to judge, stays."""

from pathlib import Path

import pytest

from runner.engines.protocol import Owned
from runner.execute.cleanup import reap, removable
from runner.runs import registry
from runner.runs.folder import RunFolder
from runner.system import tempdir
from tests.support.fakes import Holding


def left_by(path: Path) -> list[Owned]:
    """Return what a run that was killed leaves."""
    mark = registry.remember(path)
    return [
        Owned(kind=kind, id=f"{kind} of {path}", label=kind, run=mark)
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
    kept = {registry.remember(path) for path in (living, gone)}
    assert {thing.run for thing in engine.things} == {None, *kept}
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


@pytest.mark.parametrize("label", ["never-heard-of", "", ".", "..", "../runs", "/dev/null"])
def test_a_label_that_no_run_of_ours_has_is_left_alone(tmp_path: Path, label: str) -> None:
    """Whoever wrote such a label, nothing of it is touched unless a person wants all gone."""
    left_by(tmp_path)
    thing = Owned(kind="volume", id="v", label="a volume", run=label)
    engine = Holding(thing)
    reap(engine, lambda _: None)
    assert engine.things == [thing]
    assert removable(engine.things, tmp_path.parent, everything=False) == []
    assert removable(engine.things, tmp_path.parent, everything=True) == [thing]
    with tempdir.folder():  # another process is at work, and this may be its run
        assert removable(engine.things, tmp_path.parent, everything=True) == []


def test_a_mark_is_no_path_and_leads_to_the_folder(tmp_path: Path) -> None:
    """Runs of one name in two places are two; what is gone is forgotten when all is cleaned."""
    folders = [tmp_path / place / "a-run" for place in ("here", "there")]
    marks = [registry.remember(folder) for folder in folders]
    assert len(set(marks)) == 2
    assert not any("/" in mark for mark in marks)
    assert marks == [registry.remember(folder) for folder in folders]
    assert [registry.folders()[mark] for mark in marks] == folders
    folders[0].mkdir(parents=True)
    registry.sweep()
    assert set(marks) & registry.folders().keys() == {marks[0]}


def test_where_nothing_can_be_remembered_a_run_has_its_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own next start removes by the mark; others cannot judge it."""
    (tmp_path / "file").touch()
    mark = registry.remember(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert registry.remember(tmp_path) == mark
    assert registry.folders() == {}
    registry.sweep()
