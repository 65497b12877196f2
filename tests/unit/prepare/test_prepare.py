"""Preparing: what must be built, what is found again, and what a context holds."""

import io
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli.progress import observer_for
from runner.engines.protocol import BuildContext
from runner.errors import EngineLostError, ImageBuildError, PackagesError
from runner.execute import inputs
from runner.prepare import prepare, write_context, write_contexts
from runner.prepare.recipe import environment_digest, to_build
from runner.records.environment import Base, BaseKind, Environment, Image, Lock
from runner.records.study import Experiment, Matrix, Status
from runner.system import retry
from tests.support.fakes import FakeEngine
from tests.support.samples import founding_lock, founding_matrix
from tests.support.trials import plain_environment

ASSEMBLED = Base(kind=BaseKind.ASSEMBLED, name="matrix-runner/base:3.7-1", digest="sha256:1")
PULLED = Base(kind=BaseKind.PULLED, name="python:3.7-slim", digest="sha256:2")
GIVEN = Base(kind=BaseKind.LOCAL, name="mine:3.7", digest="sha256:3")


def image(environment: Environment, base: Base) -> Image:
    """The image of an environment on a base."""
    key = environment_digest(environment)
    return Image(environment=key, label=key, id=key, size_bytes=1, base=base)


def plain() -> tuple[Matrix, Lock, Environment]:
    """A matrix of one cell on an environment without packages."""
    environment = plain_environment()
    matrix = founding_matrix()
    cell = replace(matrix.cells[0], request=environment.request, expect=Status.OK)
    return replace(matrix, cells=(cell,)), Lock(entries=(environment,)), environment


def test_an_interruption_does_not_wait_for_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has begun ends with the program, what has not never begins."""
    matrix, lock, _ = plain()
    released, begun = threading.Event(), threading.Event()

    def build(*_: object) -> Image:
        begun.set()
        released.wait(30)
        raise EngineLostError("the program has ended")

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        assert begun.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.prepare._build", build)
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt), observer_for(io.StringIO()) as observer:
        prepare(matrix, lock, FakeEngine(), observer, lambda *_: Path("log"))
    released.set()


@pytest.mark.parametrize(
    ("wanted", "base", "found"),
    [
        ("auto", ASSEMBLED, True),
        ("auto", PULLED, True),
        ("host", ASSEMBLED, True),
        ("host", PULLED, False),
        ("pull", PULLED, True),
        ("pull", ASSEMBLED, False),
        ("mine:3.7", GIVEN, True),
        ("mine:{python}", GIVEN, True),
        ("other:{python}", GIVEN, False),
        ("mine:3.7", PULLED, False),
    ],
)
def test_an_image_is_found_again_on_the_base_that_is_wanted(
    wanted: str, base: Base, found: bool
) -> None:
    """An image on another base than the matrix wants is built again; on its base it is not."""
    matrix, lock = replace(founding_matrix(), base=wanted), founding_lock()
    entries = [entry for entry in lock.entries if isinstance(entry, Environment)]
    images = {environment_digest(entry): image(entry, base) for entry in entries}
    assert len(to_build(matrix, lock, images)) == (0 if found else 2)


def test_each_environment_is_built_once() -> None:
    """Cells share environments: seven cells on two of them need two images."""
    waiting = to_build(founding_matrix(), founding_lock(), {})
    assert [environment.request.label for environment, _ in waiting] == [
        "tensorflow=1.15.0",
        "tensorflow=2.0.0",
    ]


def test_the_key_of_an_environment_is_its_content() -> None:
    """Equal environments have equal keys, another date is another environment."""
    assert environment_digest(plain_environment()) == environment_digest(plain_environment())
    assert environment_digest(plain_environment(2025)) != environment_digest(plain_environment())


def test_a_context_holds_all_that_an_image_is_made_of(tmp_path: Path) -> None:
    """The tar is a virtual environment of the base's interpreter; the command builds it."""
    matrix, lock, environment = plain()
    commands = write_contexts(matrix, lock, FakeEngine(), tmp_path / "contexts")
    [folder] = (tmp_path / "contexts").iterdir()
    assert commands == (f"build {folder}",)
    assert sorted(path.name for path in folder.iterdir()) == ["Dockerfile", "environment.tar"]
    with tarfile.open(folder / "environment.tar") as tar:
        entries = {entry.name: entry for entry in tar}
    python = environment.python
    assert entries["bin/python"].linkname == f"/usr/local/bin/python{python}"
    assert f"lib/python{python}/site-packages" in entries
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries.values()} == {(0, 0, 0)}


def test_equal_environments_make_equal_bytes(tmp_path: Path) -> None:
    """A context that is written twice is the same twice, so that an engine's cache can serve."""
    matrix, lock, _ = plain()
    tars = []
    for name in ("one", "two"):
        write_contexts(matrix, lock, FakeEngine(), tmp_path / name)
        [tar] = (tmp_path / name).glob("*/environment.tar")
        tars.append(tar.read_bytes())
    assert tars[0] == tars[1]


def test_a_disk_that_is_full_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that cannot be written names its environment and what to do."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    environment = plain_environment()
    with pytest.raises(PackagesError, match=r"No space left on device.*make room"):
        write_context(environment, "0" * 64, "host", FakeEngine(), tmp_path)


@pytest.mark.parametrize(("full", "missing"), [(2, 0), (99, 1)])
def test_a_full_disk_of_the_engine_is_waited_for(full: int, missing: int) -> None:
    """The image is built once there is room; where there is none for long, it is missing."""
    refusals = iter(range(full))

    class Full(FakeEngine):
        def build(self, context: BuildContext) -> Image:
            if next(refusals, None) is not None:
                raise ImageBuildError("it could not be built: No space left on device", "a log")
            return super().build(context)

    matrix, lock, _ = plain()
    shown = io.StringIO()
    with observer_for(shown) as observer:
        prepared = prepare(matrix, lock, Full(), observer, lambda *_: Path("a.log"))
    assert len(prepared.missing) == missing
    waits = min(full, len(retry.WAITS_S))
    assert shown.getvalue().count("No space left on device Trying again in") == waits


def test_a_lost_engine_ends_the_preparation() -> None:
    """An engine that goes away while it builds is no image's fault."""

    class Dying(FakeEngine):
        def build(self, context: object) -> Image:
            raise EngineLostError("the engine went away")

    matrix, lock, _ = plain()
    with observer_for(io.StringIO()) as observer, pytest.raises(EngineLostError):
        prepare(matrix, lock, Dying(), observer, lambda *_: Path())


def test_inputs_lie_where_trials_look_for_them() -> None:
    """The launcher, the script and the data files each have their place."""
    matrix = replace(
        founding_matrix(), experiment=Experiment(script="a/b.py", data=("c/d.npz", "e.txt"))
    )
    found = inputs(matrix, Path("root"))
    assert set(found) == {"launcher.py", "script/b.py", "data/d.npz", "data/e.txt"}
    assert found["data/d.npz"] == Path("root/c/d.npz")
