"""prepare: every environment of a matrix becomes an image, and nothing is built twice.

An image is found again by its environment's digest: the lock entry and the recipe. Editing the
experiment changes neither, so it builds nothing.
"""

import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runner.engines.protocol import DOCKERFILE, PACKED, BuildContext, Engine
from runner.errors import ImageBuildError, PackagesError, RunnerError
from runner.observer import Observer
from runner.prepare.recipe import dockerfile, environment_digest, to_build, used
from runner.python import interpreters, packages
from runner.records.environment import Environment, EnvironmentRequest, Image, Lock
from runner.records.study import Matrix
from runner.system import child, tempdir
from runner.system.retry import retry

AT_ONCE = 2
NO_ROOM = "no space left on device"
"""What kernel, engines and uv say of a full disk, each with its own capitals."""
SAVE_LOG = Callable[[str, str], Path]
"""Takes an environment's label and the log of its failed build; returns where it was saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The image of each request, or the reason why there is none."""

    images: Mapping[EnvironmentRequest, Image]
    missing: Mapping[EnvironmentRequest, str]


def prepare(
    matrix: Matrix, lock: Lock, engine: Engine, observer: Observer, save_log: SAVE_LOG
) -> Prepared:
    """Build what is missing; an image that cannot be built costs its own cells and no others."""
    images = dict(engine.images())
    missing: dict[EnvironmentRequest, str] = {}

    def build(waiting: tuple[Environment, str]) -> None:
        environment, key = waiting
        try:
            images[key] = retry(
                partial(_build, environment, key, matrix.base, engine, observer),
                (ImageBuildError, PackagesError),
                observer.note,
                _lacks_room,
            )
        except ImageBuildError as error:
            path = save_log(environment.request.label, error.log)
            missing[environment.request] = f"{error} (log: {path})"
        except PackagesError as error:
            missing[environment.request] = str(error)

    _some_at_once(build, to_build(matrix, lock, images))
    return Prepared(
        images={
            environment.request: images[environment_digest(environment)]
            for environment in used(matrix, lock)
            if environment.request not in missing
        },
        missing=missing,
    )


def _some_at_once(
    build: Callable[[tuple[Environment, str]], None], waiting: Iterable[tuple[Environment, str]]
) -> None:
    """Build each; installing keeps a core busy while the engine is busy with another image.

    Where one raises, those that have not begun never do. Who interrupts need not wait for those
    that have: they end with the program.
    """
    rest = iter(tuple(waiting))
    turn = threading.Lock()
    failures: list[BaseException] = []

    def work() -> None:
        while not failures:
            with turn:
                one = next(rest, None)
            if one is None:
                return
            try:
                build(one)
            except BaseException as error:  # noqa: BLE001 (raised below)
                failures.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(AT_ONCE)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except BaseException as error:
        failures.append(error)
        child.kill_all()
        raise
    if failures:
        raise failures[0]


def _lacks_room(error: RunnerError) -> bool:
    """Whether a disk is full, here or where the engine is, and not the environment wrong."""
    return NO_ROOM in str(error).lower()


def _build(
    environment: Environment, key: str, wanted: str, engine: Engine, observer: Observer
) -> Image:
    def build() -> Image:
        with tempdir.folder() as folder:
            return engine.build(write_context(environment, key, wanted, engine, folder))

    return observed(environment.request.label, observer, build)


def observed(label: str, observer: Observer, build: Callable[[], Image]) -> Image:
    """Build an image, and let the observer know of its beginning and its end."""
    began = time.monotonic()
    observer.image_started(label)
    image = build()
    observer.image_ready(image, time.monotonic() - began)
    return image


def write_contexts(matrix: Matrix, lock: Lock, engine: Engine, folder: Path) -> tuple[str, ...]:
    """Write the context of every environment; return the commands that build their images."""
    commands = []
    for environment in used(matrix, lock):
        key = environment_digest(environment)
        place = folder / f"{environment.request.label}-{key[:8]}"
        context = write_context(environment, key, matrix.base, engine, place)
        commands.append(engine.command(context))
    return tuple(commands)


def write_context(
    environment: Environment, key: str, wanted: str, engine: Engine, folder: Path
) -> BuildContext:
    """Write into ``folder`` all that an image is built from; PackagesError if that fails."""
    interpreter = interpreters.find(environment.python)
    base = engine.base(wanted, interpreter)
    tree = folder / "tree"
    try:
        packages.install(environment, interpreter, tree)
        _pack(tree, environment.python, folder / PACKED)
        shutil.rmtree(tree)
        shutil.copyfile(dockerfile(), folder / DOCKERFILE)
    except OSError as error:
        raise PackagesError(
            f"the files of {environment.request.label} cannot be written ({error}); make room, or "
            "name another folder in TMPDIR or --context."
        ) from error
    return BuildContext(
        folder=folder,
        environment=key,
        label=environment.request.label,
        base=base,
    )


def _pack(tree: Path, python: str, target: Path) -> None:
    """Pack an installed tree as a virtual environment of the base's interpreter.

    Order, owner and date of all entries are fixed: equal packages are equal bytes.
    """
    settings = b"home = /usr/local/bin\ninclude-system-site-packages = false\n"
    (tree / "pyvenv.cfg").write_bytes(settings)
    (tree / "bin").mkdir(exist_ok=True)
    (tree / "bin" / "python").symlink_to(f"/usr/local/bin/python{python}")
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(tree.rglob("*")):
            tar.add(path, path.relative_to(tree).as_posix(), recursive=False, filter=_neutral)


def _neutral(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
