"""The recipe: how an environment becomes an image, and by which key the image is found again."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from runner.errors import RunnerError
from runner.records.environment import Base, Environment, Image, Lock
from runner.records.study import Matrix
from runner.system import digest

INSTALLATION = 1
"""How packages are installed (``packages``) and packed (``prepare``); raised when that changes."""

"""The kinds of base that are made of this machine's interpreters."""


def environment_digest(environment: Environment) -> str:
    """Return the key of an environment: what is in it and how it is made."""
    recipe = [dockerfile().read_text(), INSTALLATION]
    return digest.of_content([environment, recipe])


def recipe_digest() -> str:
    """Return the digest of how environments are made, whatever is in them."""
    return digest.of_content([dockerfile().read_text(), INSTALLATION])


def to_build(
    matrix: Matrix, lock: Lock, images: Mapping[str, Image]
) -> tuple[tuple[Environment, str], ...]:
    """Return the environments of the matrix's cells that have no image, with their digests."""
    keyed = [(environment, environment_digest(environment)) for environment in used(matrix, lock)]
    return tuple(
        (environment, key)
        for environment, key in keyed
        if key not in images or not _stands_on(images[key].base, matrix.base, environment.python)
    )


def used(matrix: Matrix, lock: Lock) -> Iterable[Environment]:
    """Yield the environments that the matrix's cells need, each once."""
    entries = {entry.request: entry for entry in lock.entries}
    for request in dict.fromkeys(cell.request for cell in matrix.cells):
        entry = entries.get(request)
        if isinstance(entry, Environment):
            yield entry


def dockerfile() -> Path:
    """Return the Dockerfile of environments: in a checkout at the top, else in the package."""
    package = Path(__file__).parents[1]
    for folder in (package.parent, package):
        path = folder / "Dockerfiles" / "environment.Dockerfile"
        if path.is_file():
            return path
    raise RunnerError("Dockerfiles/environment.Dockerfile is missing; install matrix-runner again.")


def _stands_on(base: Base, wanted: str, python: str) -> bool:
    """Whether an image on this base is what the matrix wants."""
    match wanted:
        case "auto":
            return True
        case "host":
            return base.kind.made_here
        case "pull":
            return not base.kind.made_here
        case _:
            return base.name == wanted.replace("{python}", python)
