"""The protocol that every engine follows, and the records that it takes and returns.

Whatever an experiment does is returned as an ``Outcome``. Only a failure of the engine itself
raises, as an ``EngineError``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from runner.errors import PackagesError
from runner.records.environment import Base, Image
from runner.records.run import EngineFacts, Guards
from runner.records.study import Limits, Metric, Origin
from runner.system import packing
from runner.text import why

if TYPE_CHECKING:
    from runner.python.interpreters import Interpreter

ENVELOPE_BYTES = 64 * 1024
LONGEST_ESCAPE = 6  # JSON may write one byte of a text as six
GRACE_S = 30.0  # extra time for a launcher, beyond everything that it may wait for
DOCKERFILE, PACKED, TREE = "Dockerfile", "environment.tar", "tree"
"""The two files of a build context, and the folder with what is to be packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """A folder with a Dockerfile and the packages that it adds, as a tar or not packed yet.

    The image can also be built by hand once they are packed. ``bundle`` is the digest of the bundle
    that it comes from, if it does.
    """

    folder: Path
    environment: str
    label: str
    base: Base
    bundle: str | None = None

    def entries(self) -> Iterator[packing.Entry]:
        """Yield the entries of the tar; OSError, TarError or ValueError if that is not possible."""
        path = self.folder / PACKED
        return packing.of_tar(path) if path.exists() else packing.of_folder(self.folder / TREE)

    def packed(self) -> Path:
        """Return the tar, which is written if there is none; PackagesError if that fails."""
        path, tree = self.folder / PACKED, self.folder / TREE
        if tree.is_dir() and not path.exists():
            try:
                tar = packing.Tar(packing.of_folder(tree))
                with path.open("wb") as file:
                    file.writelines(tar.pieces())
            except OSError as error:
                raise PackagesError(
                    f"the packages of {self.label} cannot be packed ({why(error)}); free disk "
                    "space, or name another folder with TMPDIR or --context."
                ) from error
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """An image that nothing is installed into.

    ``name`` is an image or a folder with a Dockerfile, as the matrix names it. ``digest`` is what
    the lock says about it: ``image_digest`` or ``context_digest``. ``environment`` is the digest
    that finds the image again, and ``label`` is for people.
    """

    environment: str
    label: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What the launcher reads for the metrics, besides the result of the script: keys of its spec.

    ``files`` are paths in the working folder. Those in ``benchmarks`` are written by
    pytest-benchmark. ``stdout`` is what the script prints, and ``peak`` its memory.
    """

    files: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    stdout: bool = False
    peak: bool = False

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> "Reads":
        """Return what these metrics need."""
        sources = [one.source for one in metrics]
        origins = {one.origin for one in sources}
        benchmarks = [one.file for one in sources if one.origin is Origin.BENCHMARK]
        return cls(
            files=tuple(dict.fromkeys(one.file for one in sources if one.file)),
            benchmarks=tuple(dict.fromkeys(benchmarks)),
            stdout=Origin.STDOUT in origins,
            peak=Origin.PEAK_MEMORY in origins,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One trial for an engine: the image, the inputs, and the trial spec for the launcher.

    ``command`` runs in a folder with the files of the study, and ``data`` are the paths of the data
    files among them. ``run`` is the run label (``runs.registry``); it and ``trial`` become labels
    of the container.
    """

    run: str
    trial: str
    image: str
    command: tuple[str, ...]
    data: tuple[str, ...] = ()
    reads: Reads = Reads()
    seed: int
    limits: Limits
    cores: tuple[int, ...]
    timeout_s: float
    guards: Guards
    quiet_until_s: float = 0.0
    """Until when a short window suffices, on the monotonic clock of the engine's machine."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    cell: Mapping[str, object] = field(default_factory=dict)
    matched: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def longest_s(self) -> float:
        """How long the launcher may take. It waits for a quiet core before it starts the script."""
        waits_s = self.guards.patience_s if self.guards.window_s else 0.0
        return waits_s + self.timeout_s + GRACE_S

    @property
    def document_bytes(self) -> int:
        """How large the document of the launcher can be, if nobody tampers with it."""
        texts = self.limits.result_bytes * (1 + len(self.reads.files))
        texts += self.limits.log_bytes if self.reads.stdout else 0
        return LONGEST_ESCAPE * texts + ENVELOPE_BYTES

    def trial_spec(self, **of_the_engine: object) -> str:
        """Return the JSON that the launcher takes as its argument; the engine adds its own keys."""
        spec = {
            "command": self.command,
            "data": self.data,
            **asdict(self.reads),
            "seed": self.seed,
            "parameters": self.parameters,
            "cell": self.cell,
            "variables": dict(self.variables),
            "timeout_s": self.timeout_s,
            "log_bytes": self.limits.log_bytes,
            "result_bytes": self.limits.result_bytes,
            "matched": self.matched,
            "quiet": {
                "window_s": self.guards.window_s,
                "short_window_s": min(self.guards.short_window_s, self.guards.window_s),
                "until_s": self.quiet_until_s,
                "foreign_share": self.guards.foreign_share,
                "patience_s": self.guards.patience_s,
            },
        }
        return json.dumps({**spec, **of_the_engine})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the engine observed of a trial.

    ``document`` is the launcher's output, not yet parsed; ``None`` if the launcher wrote nothing.
    ``timed_out`` means that the engine had to stop the launcher. If the launcher stopped the
    script, the document says so. ``trouble`` is a sentence if the machine failed, and not the
    experiment. ``launcher_exposed`` means that a script can kill its launcher.
    """

    exit_code: int | None
    out_of_memory: bool
    timed_out: bool
    document: bytes | None
    log: str
    started_at: datetime
    duration_s: float
    trouble: str | None = None
    launcher_exposed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A container, volume or image that this program created on the engine, or a cache of it."""

    kind: str
    id: str
    label: str
    size_bytes: int | None = None
    run: str | None = None


class Console(Protocol):
    """What a shell on an engine is connected to: the user's terminal, or a script of commands."""

    @property
    def is_terminal(self) -> bool:
        """Whether the shell needs a terminal of its own."""

    def typing(self, send: Callable[[bytes], None]) -> AbstractContextManager[None]:
        """Send what the user types, from another thread, until the end of the block.

        These are the messages that the launcher reads (``launcher.run_shell``). ``send`` may raise
        an OSError if nobody reads them any more.
        """

    def show(self, out: bytes | None, errors: bytes | None) -> None:
        """Show what came on the two streams of the launcher."""


class Engine(Protocol):
    """Builds images and executes trials."""

    def describe(self) -> EngineFacts:
        """Return the facts of the engine; EngineError if it does not answer."""

    def cores(self) -> tuple[int, ...]:
        """Return the numbers of the cores that trials may use, in ascending order."""

    def images(self) -> tuple[Image, ...]:
        """Return the images of environments that exist.

        An environment has several if it was built on several bases, or from bundles.
        """

    def base(self, wanted: str, interpreter: "Interpreter") -> Base:
        """Provide the base for an interpreter's minor version; ``wanted`` is ``Matrix.base``.

        A base that exists is found again without assembling it or asking a registry.
        """

    def save_base(self, base: Base, interpreter: "Interpreter", file: Path) -> Base:
        """Write a base to a file, and return the base that ``load_base`` will provide from it.

        A base made from the interpreter becomes a tar that every engine can load. Any other base
        becomes an archive in the engine's own format.
        """

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        """Provide the base in such a file for a minor version; EngineError if that fails.

        Its digest is that of the content, whatever ``base`` says, and ``base`` never finds it.
        """

    def build(self, context: BuildContext) -> Image:
        """Build and return the image of an environment; ImageBuildError if that fails.

        Nothing is built if the base is no longer the one with the digest in ``context``.
        """

    def command(self, context: BuildContext) -> str:
        """Return the command line that builds the same image by hand."""

    def image_digest(self, name: str) -> str:
        """Return the digest (``sha256:...``) with which a lock records the image ``name``.

        It is that of the registry. An image that exists only on the engine has its id instead.
        ImageBuildError if there is no such image.
        """

    def pull(self, request: ImageRequest) -> Image:
        """Provide an image with exactly the requested digest, from the engine or its registry.

        ImageBuildError if it is gone, or if no trial can run in it.
        """

    def build_own(self, request: ImageRequest, folder: Path) -> Image:
        """Build the user's Dockerfile in ``folder``; only the build has a network.

        ImageBuildError if the context has another digest, or if that or the build fails, or if no
        trial can run in the image.
        """

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        """Copy files to where every trial of the run reads them, under the given relative paths.

        ``image`` is any image of the run.
        """

    def expect(self, launch: Launch) -> None:
        """Prepare, in the background, for a trial that will be executed soon."""

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        """Execute one trial to its end; ``watch`` gets each line of its log as it comes."""

    def open_shell(self, launch: Launch, console: Console) -> int:
        """Run a shell in the place of a trial; return its exit code, and leave nothing of it.

        It has everything that the trial would have, and no more rights. It ends at the latest when
        this process does.
        """

    def owned(self) -> tuple[Owned, ...]:
        """Return everything that this user's runs on this machine left there, and their images.

        Each thing comes after those that use it, so they can be removed in this order.
        """

    def of_others(self) -> tuple[Owned, ...]:
        """Return what the program created there for other users and machines, to be counted only.

        It also contains what older versions left, which did not record a user.
        """

    def discard(self, thing: Owned) -> None:
        """Remove one thing of ours; nothing happens if it is gone."""

    def close(self) -> None:
        """Close the connection to the engine."""
