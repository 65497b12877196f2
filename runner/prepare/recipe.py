"""The build recipe: which environments need an image, and the digest that finds an image again."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from runner.errors import RunnerError
from runner.records.environment import Base, Environment, Image, Lock, ReadyImage
from runner.records.study import Matrix
from runner.system import digest

INSTALLATION = 1
"""The version of how we install and pack packages; raise it when that changes."""


def to_build(
    matrix: Matrix,
    lock: Lock,
    images: Iterable[Image],
    bases: Mapping[str, Base] | None = None,
    bundle: str | None = None,
) -> tuple[Environment, ...]:
    """Return the environments that have no image (see ``find_image``), identical ones once."""
    known: dict[str, list[Image]] = {}
    for image in images:
        known.setdefault(image.environment, []).append(image)
    return tuple(
        one
        for (content, _), one in _distinct(matrix, lock).items()
        if _fitting(one, known.get(content, ()), matrix.base, bases, bundle) is None
    )


def find_image(
    environment: Environment,
    images: Iterable[Image],
    wanted: str,
    bases: Mapping[str, Base] | None = None,
    bundle: str | None = None,
) -> Image | None:
    """Return the image of an environment on its base in ``bases``.

    Without ``bases`` any base will do that ``wanted``, the matrix's ``base``, allows. An image from
    a bundle is only found with the digest of that bundle.
    """
    content = environment_digest(environment)
    same = [image for image in images if image.environment == content]
    return _fitting(environment, same, wanted, bases, bundle)


def _fitting(
    environment: Environment,
    images: Iterable[Image],
    wanted: str,
    bases: Mapping[str, Base] | None,
    bundle: str | None,
) -> Image | None:
    """Return the one of an environment's images that has the right base and bundle."""
    key, wanted = environment.base_key, environment.request.base or wanted
    for image in images:
        if image.bundle == bundle:
            if bases is None and _accepts(wanted, image.base, environment.python):
                return image
            if bases is not None and key in bases and bases[key].digest == image.base.digest:
                return image
    return None


def to_provide(matrix: Matrix, lock: Lock, images: Iterable[Image]) -> tuple[ReadyImage, ...]:
    """Return the images that nothing is installed into and that are not on the engine yet."""
    known = {one.environment for one in images}
    return tuple(one for one in ready(matrix, lock) if environment_digest(one) not in known)


def ready(matrix: Matrix, lock: Lock) -> tuple[ReadyImage, ...]:
    """Return the images that nothing is installed into, equal ones once."""
    entries = (lock.entry(request) for request in matrix.requests)
    found = {environment_digest(one): one for one in entries if isinstance(one, ReadyImage)}
    return tuple(found.values())


def used(matrix: Matrix, lock: Lock) -> Iterator[Environment]:
    """Yield the environment of each request that the matrix's cells make."""
    for request in matrix.requests:
        entry = lock.entry(request)
        if isinstance(entry, Environment):
            yield entry


def distinct(matrix: Matrix, lock: Lock) -> tuple[Environment, ...]:
    """Return the environments that the matrix's cells need, identical ones once."""
    return tuple(_distinct(matrix, lock).values())


def _distinct(matrix: Matrix, lock: Lock) -> Mapping[tuple[str, str], Environment]:
    found: dict[tuple[str, str], Environment] = {}
    for environment in used(matrix, lock):
        found.setdefault(image_key(environment), environment)
    return found


def image_key(environment: Environment) -> tuple[str, str]:
    """Return what two environments share that need the same image."""
    return environment_digest(environment), environment.base_key


def environment_digest(environment: Environment | ReadyImage) -> str:
    """Return the digest of what is installed and of the build recipe, whoever requests it."""
    if isinstance(environment, ReadyImage):
        return digest.of_content([environment.source.kind.value, environment.digest])
    index = environment.request.index  # no hash checks the tools of builds that it serves
    content = [
        environment.python,
        environment.platform,
        environment.as_of,
        environment.packages,
        environment.build_tools,
        environment.request.compile,
        *([environment.wheels] if environment.wheels else ()),
        *([index] if index and any(one.source for one in environment.packages) else ()),
    ]
    return digest.of_content([content, _recipe()])


def recipe_digest() -> str:
    """Return the digest of the build recipe, which is the same for all environments."""
    return digest.of_content(_recipe())


def _recipe() -> list[str | int]:
    return [dockerfile().read_text(encoding="utf-8"), INSTALLATION]


def dockerfile() -> Path:
    """Return the path of the environments' Dockerfile, in a checkout or an installed package."""
    package = Path(__file__).parents[1]
    for folder in (package.parent, package):
        path = folder / "Dockerfiles" / "environment.Dockerfile"
        if path.is_file():
            return path
    raise RunnerError("Dockerfiles/environment.Dockerfile is missing; reinstall matrix-runner.")


def _accepts(wanted: str, base: Base, python: str) -> bool:
    """Whether ``Matrix.base`` allows an image on this base."""
    match wanted:
        case "auto":
            return True
        case "host":
            return base.kind.made_here
        case "pull":
            return not base.kind.made_here
        case _:
            return base.name == wanted.replace("{python}", python)
