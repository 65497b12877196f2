"""Which images are built, which are found again, and the content of a build context."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli.progress import Progress
from runner.engines.protocol import BuildContext
from runner.errors import EngineError, EngineLostError, ImageBuildError, PackagesError
from runner.prepare import find_bases, prepare, write_contexts
from runner.prepare.context import write_context
from runner.prepare.recipe import environment_digest, to_build
from runner.python.interpreters import Interpreter
from runner.records.environment import (
    Base,
    BaseKind,
    Environment,
    Image,
    IndexSettings,
    Lock,
    Package,
)
from runner.records.study import Matrix, Status
from runner.system import retry
from runner.system.packing import Tar
from tests.support.fakes import FakeEngine
from tests.support.samples import founding_lock, founding_matrix
from tests.support.trials import plain_environment

PYTHON37 = Interpreter(path=Path("python3.7"), version="3.7.16")
ASSEMBLED = Base(kind=BaseKind.ASSEMBLED, name="matrix-runner/base:3.7-1", digest="sha256:1")
PULLED = Base(kind=BaseKind.PULLED, name="python:3.7-slim", digest="sha256:2")
GIVEN = Base(kind=BaseKind.LOCAL, name="mine:3.7", digest="sha256:3")


def image(environment: Environment, base: Base) -> Image:
    """Return the image of an environment on a base."""
    key = environment_digest(environment)
    return Image(environment=key, label=key, id=key, size_bytes=1, base=base)


def plain() -> tuple[Matrix, Lock, Environment]:
    """Return a matrix of one cell with an environment without packages."""
    environment = plain_environment()
    matrix = founding_matrix()
    cell = replace(matrix.cells[0], request=environment.request, expect=Status.OK)
    return replace(matrix, cells=(cell,)), Lock(entries=(environment,)), environment


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
def test_an_image_is_built_again_for_another_base(wanted: str, base: Base, found: bool) -> None:
    """An image is used only if the matrix accepts its base."""
    matrix, lock = replace(founding_matrix(), base=wanted), founding_lock()
    entries = [entry for entry in lock.entries if isinstance(entry, Environment)]
    images = [image(entry, base) for entry in entries]
    assert len(to_build(matrix, lock, images)) == (0 if found else 2)


def test_each_environment_is_built_once() -> None:
    """Seven cells with two environments need two images."""
    waiting = to_build(founding_matrix(), founding_lock(), ())
    assert [environment.request.label for environment in waiting] == [
        "tensorflow=1.15.0",
        "tensorflow=2.0.0",
    ]


def test_the_digest_of_an_environment_covers_its_content() -> None:
    """Packages and the day count, but not who requests them."""
    plain, later = plain_environment(), plain_environment(2025)
    package = Package(name="six", version="1.12.0", hashes=("sha256:" + "0" * 64,))
    other = replace(plain, request=replace(plain.request, python="auto"))
    assert environment_digest(other) == environment_digest(plain)
    different = (plain, later, replace(plain, packages=(package,)))
    assert len({environment_digest(one) for one in different}) == len(different)


def test_an_index_of_a_matrix_decides_on_source_builds() -> None:
    """It serves the tools of builds, so no other study may get the image. Wheels have hashes."""
    plain, named = plain_environment(), IndexSettings(extra=("https://index.example/simple",))
    package = Package(name="six", version="1.12.0", hashes=("sha256:" + "0" * 64,))
    for is_source in (True, False):
        one = replace(plain, packages=(replace(package, source=is_source),))
        other = replace(one, request=replace(one.request, index=named))
        assert (environment_digest(other) != environment_digest(one)) == is_source


def test_identical_environments_are_built_once(tmp_path: Path) -> None:
    """Two versions may turn out to need the same packages, or two cells differ in their label."""
    matrix, first = founding_matrix(), founding_lock().entries[0]
    assert isinstance(first, Environment)
    lock = Lock(entries=tuple(replace(first, request=one) for one in matrix.requests))
    assert to_build(matrix, lock, ()) == (lock.entries[0],)
    engine = FakeEngine()
    engine.add_image(first)
    prepared = prepare(
        matrix,
        lock,
        engine,
        Progress(io.StringIO()),
        lambda *_: tmp_path,
        bases={"3.7": engine.base("auto", PYTHON37)},
    )
    assert {image.id for image in prepared.images.values()} == {engine.images()[0].id}
    assert prepared.images.keys() == set(matrix.requests)


def test_a_context_contains_everything_for_the_image(tmp_path: Path) -> None:
    """The tar is a virtual environment for the base's interpreter; a command builds the image."""
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


def test_equal_environments_give_equal_bytes(tmp_path: Path) -> None:
    """Writing a context twice gives the same tar, so an engine's cache can be used."""
    matrix, lock, _ = plain()
    tars = []
    for name in ("one", "two"):
        write_contexts(matrix, lock, FakeEngine(), tmp_path / name)
        [tar] = (tmp_path / name).glob("*/environment.tar")
        tars.append(tar.read_bytes())
    assert tars[0] == tars[1]


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the environment and what to do."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Tar, "pieces", full)
    environment = plain_environment()
    with pytest.raises(PackagesError, match=r"No space left on device.*free disk space"):
        write_context(environment, "host", FakeEngine(), tmp_path)


@pytest.mark.parametrize(("full", "missing"), [(2, 0), (99, 1)])
def test_a_full_disk_of_the_engine_is_retried(full: int, missing: int) -> None:
    """The image is built once there is space; after the last retry it is missing."""
    refusals = iter(range(full))

    class Full(FakeEngine):
        def build(self, context: BuildContext) -> Image:
            if next(refusals, None) is not None:
                raise ImageBuildError("it could not be built: No space left on device", "a log")
            return super().build(context)

    matrix, lock, _ = plain()
    engine, shown = Full(), io.StringIO()
    bases = find_bases(matrix, lock, engine)
    with Progress(shown) as observer:
        prepared = prepare(matrix, lock, engine, observer, lambda *_: Path("a.log"), bases=bases)
    assert len(prepared.missing) == missing
    waits = min(full, len(retry.WAITS_S))
    assert shown.getvalue().count("No space left on device Trying again in") == waits


def test_a_lost_engine_ends_the_preparation() -> None:
    """A lost engine is not the fault of an image."""

    class Dying(FakeEngine):
        def build(self, context: object) -> Image:
            raise EngineLostError("the engine went away")

    matrix, lock, _ = plain()
    engine = Dying()
    bases = find_bases(matrix, lock, engine)
    with Progress(io.StringIO()) as observer, pytest.raises(EngineLostError):
        prepare(matrix, lock, engine, observer, lambda *_: Path(), bases=bases)


def prepared(engine: FakeEngine, bases: Mapping[str, Base], bundle: str | None = None) -> set[str]:
    """Prepare the plain study; return the digests of the bases of its images."""
    matrix, lock, _ = plain()
    with Progress(io.StringIO()) as observer:
        found = prepare(
            matrix, lock, engine, observer, lambda *_: Path(), bases=bases, bundle=bundle
        )
    return {one.base.digest for one in found.images.values()}


def test_an_image_on_another_base_is_not_used() -> None:
    """A study whose base was rebuilt under the same name builds its image again."""
    engine = FakeEngine()
    matrix, lock, environment = plain()
    before = find_bases(matrix, lock, engine)
    assert prepared(engine, before) == {before[environment.python].digest}
    engine.base_digest = "sha256:another"
    assert to_build(matrix, lock, engine.images(), before) == ()
    assert prepared(engine, find_bases(matrix, lock, engine)) == {"sha256:another"}
    assert len(engine.built) == len(engine.images()) == 2


def test_a_base_that_changes_during_a_run_ends_the_preparation() -> None:
    """No image of the run is built on a base that is not the one of the run."""
    engine = FakeEngine()
    matrix, lock, _ = plain()
    bases = find_bases(matrix, lock, engine)
    engine.base_digest = "sha256:another"
    with pytest.raises(EngineError, match="is not the one that this command began with; repeat"):
        prepared(engine, bases)
    assert engine.built == []


def test_an_image_from_a_bundle_is_used_by_its_replay_alone() -> None:
    """Neither a study nor the replay of another bundle finds it."""
    engine = FakeEngine()
    matrix, lock, environment = plain()
    bases = find_bases(matrix, lock, engine)
    base = bases[environment.python]
    bundled = replace(image(environment, base), bundle="b" * 64)
    assert to_build(matrix, lock, [bundled]) == (environment,)
    assert to_build(matrix, lock, [bundled], bases) == (environment,)
    assert to_build(matrix, lock, [bundled], bases, "c" * 64) == (environment,)
    assert to_build(matrix, lock, [bundled], bases, "b" * 64) == ()
    with pytest.raises(EngineError, match="was removed during the replay; run the same command"):
        prepared(engine, bases, "b" * 64)


def test_a_missing_interpreter_gives_no_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image can be built for it then, but other cells can run."""

    def find(_: str) -> None:
        raise PackagesError("this machine has no such Python")

    monkeypatch.setattr("runner.python.interpreters.find", find)
    matrix, lock, _ = plain()
    assert find_bases(matrix, lock, FakeEngine()) == {}
