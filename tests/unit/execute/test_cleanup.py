"""Cleanup removes what dead runs left, and nothing else."""

from pathlib import Path

import pytest

from runner.engines.protocol import Owned
from runner.execute.cleanup import Kept, Review, clean_up, review
from runner.runs import registry
from runner.runs.folder import RunFolder, occupied
from runner.system import tempdir
from tests.support.fakes import Holding
from tests.support.living import living


def left_by(path: Path) -> list[Owned]:
    """Return what a killed run leaves on an engine."""
    label = registry.remember(path)
    return [
        Owned(kind=kind, id=f"{kind} of {path}", label=kind, run=label)
        for kind in ("container", "volume")
    ]


def test_only_what_dead_runs_left_is_removed(tmp_path: Path) -> None:
    """A run is dead if its lock is free. Without its folder this is unknown."""
    dead, living, gone = (tmp_path / name for name in ("dead", "living", "gone"))
    for path in (dead, living):
        path.mkdir()
    image = Owned(kind="image", id="i", label="an image")
    engine = Holding(image, *left_by(dead), *left_by(living), *left_by(gone))
    notes: list[str] = []
    with occupied(living) as ours:
        assert ours
        clean_up(engine, notes.append)
    kept = {registry.remember(path) for path in (living, gone)}
    assert {thing.run for thing in engine.things} == {None, *kept}
    assert notes == [f"removed 1 container and 1 volume that a dead run left on the engine: {dead}"]
    assert not gone.exists()


def test_a_dead_run_is_locked_during_cleanup(tmp_path: Path) -> None:
    """No process can start to use it while it is being removed."""
    seen: list[bool] = []

    class Looking(Holding):
        def discard(self, thing: Owned) -> None:
            seen.append(RunFolder(tmp_path).is_occupied())
            super().discard(thing)

    clean_up(Looking(*left_by(tmp_path)), lambda _: None)
    assert seen == [True, True]
    assert not RunFolder(tmp_path).is_occupied()


@pytest.mark.parametrize("label", ["never-heard-of", "", ".", "..", "../runs", "/dev/null"])
def test_unknown_labels_are_left_alone(tmp_path: Path, label: str) -> None:
    """Only ``clean --all`` removes things with an unknown label."""
    left_by(tmp_path)
    thing = Owned(kind="volume", id="v", label="a volume", run=label)
    engine = Holding(thing)
    clean_up(engine, lambda _: None)
    assert engine.things == [thing]
    assert review([thing], [], tmp_path.parent, everything=False).removable == ()
    assert review([thing], [], tmp_path.parent, everything=True).removable == (thing,)
    with living(label):
        assert review([thing], [], tmp_path.parent, everything=True).removable == ()


def test_a_run_whose_folder_is_gone_may_be_alive(tmp_path: Path) -> None:
    """Only --all removes what it left, and only once no process shows its label."""
    folder = tmp_path / "reports" / "a-run"
    things = left_by(folder)
    with living(registry.label_of(folder)):
        for everything in (False, True):
            found = review(things, [], folder.parent, everything)
            assert found == Review(removable=(), kept={Kept.LIVE: 2})
    assert review(things, [], folder.parent, everything=False).kept == {Kept.ELSEWHERE: 2}
    assert review(things, [], folder.parent, everything=True).removable == tuple(things)


def test_a_killed_try_is_cleaned_up_after(tmp_path: Path) -> None:
    """Its folder is temporary: it is gone because its process has ended."""
    with tempdir.folder(tmp_path) as temporary:
        folder = temporary / "try"
    engine = Holding(*left_by(folder))
    with living(registry.label_of(folder)):
        clean_up(engine, print)
        assert review(engine.things, [], tmp_path, everything=False).kept == {Kept.LIVE: 2}
    assert len(review(engine.things, [], tmp_path, everything=False).removable) == 2
    clean_up(engine, lambda _: None)
    assert engine.things == []


def test_a_living_run_is_not_cleaned_up_after(tmp_path: Path) -> None:
    """Even if somebody replaced its folder, so that the lock of the new one is free."""
    folder = tmp_path / "a-run"
    folder.mkdir()
    engine = Holding(*left_by(folder))
    with living(registry.label_of(folder)):
        clean_up(engine, print)
        assert len(engine.things) == 2
    clean_up(engine, lambda _: None)
    assert engine.things == []


def test_a_run_out_of_sight_may_be_alive(tmp_path: Path) -> None:
    """It hinders no other run, and what it left is kept. Here its path is too long to be found."""
    things = left_by(tmp_path / ("closed" * 100) / "a-run")
    engine = Holding(*things)
    clean_up(engine, print)
    assert engine.things == things
    assert review(things, [], tmp_path, everything=True).kept == {Kept.LIVE: 2}


def test_what_others_own_is_only_counted(tmp_path: Path) -> None:
    """Whoever calls, and whatever it is."""
    image = Owned(kind="image", id="i", label="an image")
    found = review([], [image, *left_by(tmp_path)], tmp_path.parent, everything=True)
    assert found == Review(removable=(), kept={Kept.OTHERS: 3})


def test_reasons_are_plain_words() -> None:
    """They agree with their number."""
    assert [reason.told(2) for reason in Kept] == [
        "kept 2: a live run may use them",
        "kept 2: they belong to another user or machine, or to nobody known",
        "kept 2: something else on the engine uses them",
        "kept 2: their run folder is gone or elsewhere (removed with --all)",
    ]
    assert Kept.ELSEWHERE.told(1) == (
        "kept 1: its run folder is gone or elsewhere (removed with --all)"
    )


def test_a_label_is_no_path_and_leads_to_the_folder(tmp_path: Path) -> None:
    """Runs with one name in two folders have two labels; missing folders are forgotten."""
    folders = [tmp_path / place / "a-run" for place in ("here", "there")]
    labels = [registry.remember(folder) for folder in folders]
    assert len(set(labels)) == 2
    assert not any("/" in label for label in labels)
    assert labels == [registry.remember(folder) for folder in folders]
    assert [registry.folders()[label] for label in labels] == folders
    folders[0].mkdir(parents=True)
    registry.sweep()
    assert set(labels) & registry.folders().keys() == {labels[0]}


def test_a_run_has_its_label_without_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next start cleans up by the label; other runs cannot."""
    (tmp_path / "file").touch()
    label = registry.remember(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert registry.remember(tmp_path) == label
    assert registry.folders() == {}
    registry.sweep()
