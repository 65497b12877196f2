"""prepare: turn every environment of a matrix into an image, and build nothing twice.

An image is found by its environment's digest, which covers the lock entry and the build recipe.
Editing the experiment changes neither, so it builds nothing.
"""

import shutil
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runner.engines.protocol import DOCKERFILE, PACKED, BuildContext, Engine
from runner.errors import ImageBuildError, PackagesError
from runner.observer import Observer
from runner.prepare.recipe import dockerfile, environment_digest, to_build, used
from runner.python import interpreters, packages
from runner.records.environment import Environment, EnvironmentRequest, Image, Lock
from runner.records.study import Matrix
from runner.system import tempdir
from runner.system.parallel import in_parallel
from runner.system.retry import retry

SaveLog = Callable[[str, str], Path]
"""Saves the log of a failed build under the environment's label and returns its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The image of each request, or the reason why it could not be built."""

    images: Mapping[EnvironmentRequest, Image]
    missing: Mapping[EnvironmentRequest, str]


def prepare(
    matrix: Matrix, lock: Lock, engine: Engine, observer: Observer, save_log: SaveLog
) -> Prepared:
    """Build the missing images. A failed build affects only the cells that need its image."""
    images = engine.images()
    waiting = to_build(matrix, lock, images)
    build = partial(
        _image_or_reason, wanted=matrix.base, engine=engine, observer=observer, save_log=save_log
    )
    built = dict(zip(waiting, in_parallel(build, waiting), strict=True))
    found = {
        environment.request: built.get(environment) or images[environment_digest(environment)]
        for environment in used(matrix, lock)
    }
    return Prepared(
        images={request: one for request, one in found.items() if isinstance(one, Image)},
        missing={request: one for request, one in found.items() if isinstance(one, str)},
    )


def _image_or_reason(
    environment: Environment, wanted: str, engine: Engine, observer: Observer, save_log: SaveLog
) -> Image | str:
    label = environment.request.label

    def build() -> Image:
        with tempdir.folder() as folder:
            return engine.build(write_context(environment, wanted, engine, folder))

    try:
        return retry(
            partial(observed, label, observer, build),
            (ImageBuildError, PackagesError),
            observer.note,
            # The kernel, engines and uv describe a full disk, here or on the engine, like this.
            lambda error: "no space left on device" in str(error).lower(),
        )
    except ImageBuildError as error:
        return f"{error} (log: {save_log(label, error.log)})"
    except PackagesError as error:
        return str(error)


def observed(label: str, observer: Observer, build: Callable[[], Image]) -> Image:
    """Build an image and report its start and end to the observer."""
    began = time.monotonic()
    observer.image_started(label)
    image = build()
    observer.image_ready(image, time.monotonic() - began)
    return image


def write_contexts(matrix: Matrix, lock: Lock, engine: Engine, folder: Path) -> tuple[str, ...]:
    """Write the build context of every environment; return the commands that build them."""
    commands = []
    for environment in used(matrix, lock):
        name = f"{environment.request.label}-{environment_digest(environment)[:8]}"
        context = write_context(environment, matrix.base, engine, folder / name)
        commands.append(engine.command(context))
    return tuple(commands)


def write_context(
    environment: Environment, wanted: str, engine: Engine, folder: Path
) -> BuildContext:
    """Write the build context of an image into ``folder``; PackagesError if that fails."""
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
            f"the build context of {environment.request.label} cannot be written ({error}); free "
            "disk space, or name another folder with TMPDIR or --context."
        ) from error
    return BuildContext(
        folder=folder,
        environment=environment_digest(environment),
        label=environment.request.label,
        base=base,
    )


def _pack(tree: Path, python: str, target: Path) -> None:
    """Pack installed packages as a virtual environment for the base's interpreter.

    Order, owner and date of the entries are fixed, so equal packages give equal bytes.
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
