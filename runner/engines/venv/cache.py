"""The environments of the venv engine: folders in a cache, found again by their digest.

Each is unpacked under a temporary name and renamed, so it is whole or not there. Beside it lie the
facts of its ``Image``. An interpreter that the trial's user cannot reach is copied there, too.
"""

import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from runner.engines import base
from runner.system import digest, tempdir
from runner.engines.protocol import PACKED, BuildContext
from runner.errors import EngineError, ImageBuildError
from runner.python.interpreters import Interpreter
from runner.engines.venv.sandbox import can_execute
from runner.records.environment import Base, BaseKind, Image

CACHE = "MATRIX_RUNNER_CACHE"
FACTS = "image.json"
OURS = ("bin/python", "pyvenv.cfg", FACTS)
"""What is written into an environment here, whatever its tar holds."""


def cache() -> Path:
    """Return where environments lie: as root a place that every user can read."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/matrix-runner")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matrix-runner"


class Environments:
    """The environments and interpreters in a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._built = folder / "environments"
        self._copied = folder / "interpreters"
        self.runs = folder / "runs"

    def begin(self, as_root: bool) -> None:
        """Make the folders and remove what killed processes left half done; EngineError."""
        try:
            for folder in (self.folder, self._built, self._copied, self.runs):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o755)
                tempdir.sweep(folder)
        except OSError as error:
            raise EngineError(
                f"environments cannot be kept in {self.folder} ({error}); name another folder in "
                f"{CACHE}."
            ) from error
        closed = [one for one in self.folder.parents if as_root and not one.stat().st_mode & 0o001]
        if closed:
            raise EngineError(
                f"environments cannot be kept in {self.folder}, as trials are executed by another "
                f"user, to whom {closed[0]} is closed; name another folder in {CACHE}."
            )

    def images(self) -> dict[str, Image]:
        """Return the images of the environments whose interpreter is still there, by digest."""
        images = (_read(path) for path in sorted(self._built.glob(f"*/{FACTS}")))
        return {
            image.environment: image
            for image in images
            if image is not None and (self.of(image.id) / "bin" / "python").exists()
        }

    def of(self, image: str) -> Path:
        """Return the folder of an image."""
        return self._built / image

    def add(self, context: BuildContext, interpreter: Path) -> Image:
        """Unpack the environment of a build context onto an interpreter; ImageBuildError."""
        image = image_of(context)
        place = self.of(image.id)
        try:
            with tempdir.folder(self._built) as folder:
                with tarfile.open(context.folder / PACKED, "r:") as tar:
                    tar.extractall(folder, filter=_contained)  # noqa: S202
                (folder / "bin").mkdir(exist_ok=True)
                (folder / "bin" / "python").symlink_to(interpreter)
                (folder / "pyvenv.cfg").write_text(settings(interpreter))
                (folder / "pyvenv.cfg").chmod(0o644)  # whatever this process makes files with
                (folder / "bin").chmod(0o755)
                (folder / FACTS).write_text(json.dumps(asdict(image), default=lambda kind: kind.value))
                folder.chmod(0o755)
                self.remove(place)
                folder.rename(place)
        except base.UNREADABLE as error:
            raise ImageBuildError(
                f"the environment of {context.label} could not be built: {error}"
            ) from error
        return image

    def interpreter(self, found: Interpreter, as_root: bool) -> Path:
        """Return an executable that a trial's user can use: where it lies, else a copy of it."""
        if can_execute(as_root, found.path, ["-I", "-S", "-c", "import os"]):
            return found.path
        name = f"python{found.minor}"
        key = f"{found.version}-{digest.of_file(found.path)[:12]}"
        return self._kept(key, lambda folder: base.copy(found, folder)) / "bin" / name

    def unpacked(self, tar: Path, python: str, as_root: bool) -> Path:
        """Return the interpreter of an assembled base, unpacked; EngineError if it cannot run."""
        key = f"{python}-{digest.of_file(tar)[:12]}"
        place = self._kept(key, lambda folder: base.unpack(tar, python, folder))
        executable = place / "bin" / f"python{python}"
        libraries = {"LD_LIBRARY_PATH": str(place / "lib")}
        if not can_execute(
            as_root, executable, ["-I", "-S", "-c", "import hashlib, zlib"], libraries
        ):
            raise EngineError(
                f"the interpreter that was brought here, Python {python}, does not run: it may "
                "need a newer C library than this machine has. Start a container engine."
            )
        return executable

    def _kept(self, key: str, fill: Callable[[Path], None]) -> Path:
        """Return the folder of an interpreter, filled unless it is there."""
        place = self._copied / key
        if not place.exists():
            with tempdir.folder(self._copied) as folder:
                fill(folder)
                _open_to_all(folder)
                with suppress(OSError):  # another process was first
                    folder.rename(place)
        return place

    def copied(self, interpreter: Path) -> bool:
        """Whether an interpreter is a copy of ours, and has to be told where its library is."""
        return self._copied in interpreter.parents

    def interpreters(self) -> Iterator[Path]:
        """Yield the copies of interpreters."""
        yield from sorted(self._copied.glob("[0-9]*"))

    def remove(self, folder: Path) -> None:
        """Remove a folder of the cache; it is gone at once, and what is in it a little later."""
        if folder.exists():
            with tempdir.folder(folder.parent) as gone:
                folder.rename(gone / folder.name)


def image_of(context: BuildContext) -> Image:
    """Return the facts of the image that is built from a context."""
    return Image(
        environment=context.environment,
        label=context.label,
        id=context.environment,
        size_bytes=(context.folder / PACKED).stat().st_size,
        base=context.base,
    )


def settings(interpreter: Path) -> str:
    """Return what a virtual environment says of its interpreter."""
    return f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"


def _contained(entry: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Refuse what leads out of an environment, as somebody's bundle may; leave out what is ours."""
    if entry.name in OURS:
        return None
    return tarfile.data_filter(entry, folder).replace(mode=entry.mode & 0o755, deep=False)


def _read(path: Path) -> Image | None:
    """Read the facts of an image; one whose facts are damaged is none."""
    try:
        facts = json.loads(path.read_text())
        kind = BaseKind(facts["base"]["kind"])
        return Image(**{**facts, "base": Base(**{**facts["base"], "kind": kind})})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _open_to_all(folder: Path) -> None:
    """Let everybody read what is in a folder, whatever this process makes files with."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
