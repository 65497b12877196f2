"""Only files in the folder of the matrix become inputs of trials."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import ConfigError, Exit
from runner.execute import inputs
from runner.read import read
from runner.records.study import Experiment
from runner.runs.enter import digests_of_inputs
from tests.support.samples import founding_matrix
from tests.support.whole_runs import WatchedEngine, reachable, study

SECRET = "a private key"


class Staging(WatchedEngine):
    """Replaces an input just before it is staged, and remembers what was staged."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        Path("numbers.txt").unlink(missing_ok=True)
        Path("numbers.txt").symlink_to("../secret")
        self.found = {name: path.read_text() for name, path in inputs.items()}
        super().stage(run, image, inputs)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the folder of a study; return a file beside that folder."""
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    (tmp_path / "secret").write_text(SECRET)
    return tmp_path / "secret"


def test_inputs_have_the_paths_that_trials_expect(tmp_path: Path) -> None:
    """Ours have fixed paths, and the files of the study keep their folders."""
    for name in ("a/b.py", "c/d.npz", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    experiment = Experiment(script="a/b.py", data=("c/d.npz", "e.txt"))
    found = inputs(replace(founding_matrix(), experiment=experiment), tmp_path)
    assert set(found) == {
        *("launcher.py", "modules/trial.py"),
        *("study/a/b.py", "study/c/d.npz", "study/e.txt"),
    }
    assert found["study/c/d.npz"] == tmp_path / "c" / "d.npz"


@pytest.mark.parametrize("planted", ["link", "linked folder", "fifo", "folder"])
@pytest.mark.parametrize("name", ["script.py", "numbers.txt"])
def test_an_input_that_was_replaced_is_refused(outside: Path, planted: str, name: str) -> None:
    """Nothing of it is read, and nothing waits for it."""
    study(WatchedEngine())
    matrix = read(Path("matrix.yaml"))
    Path(name).unlink()
    if planted == "link":
        Path(name).symlink_to(outside)
    elif planted == "linked folder":
        Path(name).symlink_to("..")
    elif planted == "fifo":
        os.mkfifo(name)
    else:
        Path(name).mkdir()
    with pytest.raises(ConfigError, match=rf"cannot be read \(.*{name}"):
        digests_of_inputs(matrix, Path())
    with pytest.raises(OSError, match=r"regular file|leads out|directory"):
        inputs(matrix, Path())


def test_links_inside_the_folder_are_allowed(outside: Path) -> None:
    """A trial sees the name of the link and the content of its target."""
    study(WatchedEngine())
    Path("parts").mkdir()
    Path("script.py").rename("parts/other.py")
    Path("script.py").symlink_to("parts/other.py")
    found = inputs(read(Path("matrix.yaml")), Path())
    assert found["study/script.py"] == outside.with_name("study") / "parts" / "other.py"


def test_an_input_cannot_be_replaced_while_it_is_staged(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine gets copies of what was checked."""
    reachable(monkeypatch)
    engine = Staging()
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: engine)
    study(engine)
    assert outside.exists()
    assert main(["--blocks", "1"]) == Exit.OK
    assert engine.found["study/numbers.txt"] == "0.5"
    assert SECRET not in engine.found.values()
