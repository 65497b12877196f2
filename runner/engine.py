"""What an engine can do. ``DockerEngine`` does it with containers, the tests' fake in memory.

Whatever an experiment does comes back as an ``Outcome``. An ``EngineError`` is raised only when
the engine itself failed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from runner.interpreters import Interpreter
from runner.model import Base, EngineFacts, Image, Limits

DOCKERFILE, PACKED = "Dockerfile", "environment.tar"
"""What a build context consists of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """A folder with a Dockerfile and all it adds: an image can be built from it, also by hand."""

    folder: Path
    environment: str
    label: str
    base: Base


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One trial for an engine: which image, on which inputs, with what to tell the launcher.

    ``order`` is what the launcher ``runner/inside.py`` needs to know besides what the engine adds.
    ``run`` is the mark of the run (``whereabouts``); it and ``trial`` become labels.
    """

    run: str
    trial: str
    image: str
    order: Mapping[str, object]
    limits: Limits
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Something of ours that the engine holds: a container, a volume or an image."""

    kind: str
    id: str
    label: str
    size_bytes: int | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the engine saw of a trial.

    ``document`` is what the launcher sent, unread; ``None`` if it sent nothing whole. ``timed_out``
    means that the engine had to stop the container; the launcher's own time limit is told in the
    document. ``trouble`` is a sentence where the machine is at fault and not the experiment.
    """

    exit_code: int | None
    out_of_memory: bool
    timed_out: bool
    document: bytes | None
    log: str
    started_at: datetime
    duration_s: float
    trouble: str | None = None


def in_order_of_removal(things: Iterable[Owned]) -> list[Owned]:
    """Return containers first: what they use can go only after them."""
    return sorted(things, key=lambda thing: ("container", "volume", "image").index(thing.kind))


class Engine(Protocol):
    """Builds images and executes trials."""

    def describe(self) -> EngineFacts:
        """Return the facts of the engine; EngineError if it does not answer."""
        ...

    def images(self) -> Mapping[str, Image]:
        """Return the images of environments that exist, by environment digest."""
        ...

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        """Provide the base for an interpreter's minor version, as ``Matrix.base`` wants it."""
        ...

    def save_base(self, base: Base, interpreter: Interpreter, file: Path) -> Base:
        """Write what a base is into a file, and return what it is there.

        One made from the interpreter becomes a tar that every engine can load; of any other it is
        the engine's own archive.
        """
        ...

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        """Provide a base from such a file, for a minor version; EngineError if it cannot be."""
        ...

    def build(self, context: BuildContext) -> Image:
        """Build and return the image of an environment; ImageBuildError if that fails."""
        ...

    def command(self, context: BuildContext) -> str:
        """Return the command line that builds the same image by hand."""
        ...

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        """Put files where every trial of the run reads them, under the given relative paths.

        ``image`` is any image of the run.
        """
        ...

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        """Execute one trial to its end; ``watch`` gets each line of its log as it comes."""
        ...

    def owned(self) -> tuple[Owned, ...]:
        """Return what this machine's runs left on the engine, and every image of ours."""
        ...

    def discard(self, thing: Owned) -> None:
        """Remove one thing of ours; nothing happens if it is gone."""
        ...

    def close(self) -> None:
        """Close the connection to the engine."""
        ...
