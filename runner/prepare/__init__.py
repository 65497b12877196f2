"""prepare: turn every environment of a matrix into an image, and build nothing twice.

An image is found by the digests of its environment, of its base, and of the bundle that it came
from. The environment's digest covers the lock entry and the build recipe. Editing the experiment
changes none of them, so it builds nothing. Commands that never build load this, too, so the parts
that only a build needs are imported where they are used.
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import EngineError, ImageBuildError, PackagesError
from runner.prepare.recipe import (
    distinct,
    environment_digest,
    find_image,
    image_key,
    ready,
    to_build,
    used,
)
from runner.records.environment import (
    Base,
    Environment,
    EnvironmentRequest,
    Image,
    Lock,
    ReadyImage,
    SourceKind,
)
from runner.records.study import Matrix
from runner.system import tempdir
from runner.system.retry import retry

if TYPE_CHECKING:
    from runner.engines.protocol import Engine
    from runner.observer import Observer

# ruff: noqa: PLC0415 (see above)

SaveLog = Callable[[str, str], Path]
"""Saves the log of a failed build under the environment's label and returns its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The image of each request, or the reason why it could not be built."""

    images: Mapping[EnvironmentRequest, Image]
    missing: Mapping[EnvironmentRequest, str]


def find_bases(matrix: Matrix, lock: Lock, engine: "Engine") -> Mapping[str, Base]:
    """Return the base of each environment of the matrix's cells, by ``Environment.base_key``.

    A base is left out if its interpreter is not available; no image can be built for it then.
    """
    from runner.python import interpreters

    bases: dict[str, Base] = {}
    for environment in used(matrix, lock):
        if environment.base_key not in bases:
            with suppress(PackagesError):  # the build reports it, for the cells that need it
                interpreter = interpreters.find(environment.python)
                base = engine.base(environment.request.base or matrix.base, interpreter)
                bases[environment.base_key] = base
    return bases


def prepare(
    matrix: Matrix,
    lock: Lock,
    engine: "Engine",
    observer: "Observer",
    save_log: SaveLog,
    *,
    bases: Mapping[str, Base],
    root: Path = Path(),
    bundle: str | None = None,
) -> Prepared:
    """Build the missing images. A failed build affects only the cells that need its image.

    ``root`` is the folder of the matrix, which contains its Dockerfiles.
    EngineError if one of the ``bases`` changed since ``find_bases`` returned it, or if an image
    from a bundle is missing.
    """
    from runner.system.parallel import in_parallel

    images = engine.images()
    waiting = to_build(matrix, lock, images, bases, bundle)
    if waiting and bundle is not None:
        raise EngineError(
            f"the image of {waiting[0].request.label} was removed during the replay; run the same "
            "command to build it again from the bundle and to resume."
        )
    build = partial(
        _image_or_reason,
        matrix=matrix,
        bases=bases,
        engine=engine,
        observer=observer,
        save_log=save_log,
    )
    built = dict(zip(map(image_key, waiting), in_parallel(build, waiting), strict=True))
    found = {
        one.request: built.get(image_key(one))
        or find_image(one, images, matrix.base, bases, bundle)
        for one in used(matrix, lock)
    }
    provide = partial(_provided, engine=engine, observer=observer, save_log=save_log, root=root)
    known = {one.environment: one for one in images}
    here = {
        environment_digest(one): known.get(environment_digest(one)) or provide(one)
        for one in ready(matrix, lock)
    }
    for request in matrix.requests:
        entry = lock.entry(request)
        if isinstance(entry, ReadyImage):
            found[request] = here[environment_digest(entry)]
    return Prepared(
        images={request: one for request, one in found.items() if isinstance(one, Image)},
        missing={request: reason for request, reason in found.items() if isinstance(reason, str)},
    )


def _provided(
    entry: ReadyImage, *, engine: "Engine", observer: "Observer", save_log: SaveLog, root: Path
) -> Image | str:
    """Pull an image, or build the user's Dockerfile, or return why that is not possible."""
    from runner.engines.protocol import ImageRequest

    label, source = entry.request.label, entry.source
    request = ImageRequest(
        environment=environment_digest(entry), label=label, name=source.written, digest=entry.digest
    )

    def provide() -> Image:
        if source.kind is SourceKind.IMAGE:
            return engine.pull(request)
        return engine.build_own(request, root / source.written)

    try:
        return observed(label, observer, provide)
    except ImageBuildError as error:
        return f"{error} (log: {save_log(label, error.log)})" if error.log else str(error)


def _image_or_reason(
    environment: Environment,
    *,
    matrix: Matrix,
    bases: Mapping[str, Base],
    engine: "Engine",
    observer: "Observer",
    save_log: SaveLog,
) -> Image | str:
    from runner.prepare.context import installed

    label = environment.request.label

    def build() -> Image:
        with tempdir.folder() as folder:
            context = installed(environment, matrix.base, engine, folder)
            expected = bases.get(environment.base_key)
            if expected is None or expected.digest != context.base.digest:
                raise EngineError(
                    f"the base {context.base.name} is not the one that this command began with; "
                    "repeat the command to use it."
                )
            return engine.build(context)

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


def observed(label: str, observer: "Observer", build: Callable[[], Image]) -> Image:
    """Build an image and report its start and end to the observer."""
    began = time.monotonic()
    observer.image_started(label)
    image = build()
    observer.image_ready(image, time.monotonic() - began)
    return image


def write_contexts(matrix: Matrix, lock: Lock, engine: "Engine", folder: Path) -> tuple[str, ...]:
    """Write the build context of every environment; return the commands that build them."""
    from runner.prepare.context import write_context

    commands = []
    for environment in distinct(matrix, lock):
        label = re.sub(r"[^\w.=,@+-]", "_", environment.request.label, flags=re.ASCII)
        name = f"{label[:100]}-{environment_digest(environment)[:8]}"
        context = write_context(environment, matrix.base, engine, folder / name)
        commands.append(engine.command(context))
    return tuple(commands)
