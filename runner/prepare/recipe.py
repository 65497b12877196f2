"""The build recipe: which environments need an image, and the digest that finds an image again."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.errors import RunnerError
from runner.records.environment import Base, Environment, Image, Lock
from runner.records.study import Matrix
from runner.system import digest

INSTALLATION = 1
"""The version of how we install and pack packages; raise it when that changes."""


def to_build(matrix: Matrix, lock: Lock, images: Mapping[str, Image]) -> tuple[Environment, ...]:
    """Return the environments that have no image on a base that the matrix accepts."""

    def has_image(environment: Environment) -> bool:
        image = images.get(environment_digest(environment))
        return image is not None and _accepts(matrix.base, image.base, environment.python)

    return tuple(one for one in used(matrix, lock) if not has_image(one))


def used(matrix: Matrix, lock: Lock) -> Iterator[Environment]:
    """Yield each environment that the matrix's cells need once."""
    for request in matrix.requests:
        entry = lock.entry(request)
        if isinstance(entry, Environment):
            yield entry


def environment_digest(environment: Environment) -> str:
    """Return the digest of an environment's content and of its build recipe."""
    return digest.of_content([environment, _recipe()])


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
