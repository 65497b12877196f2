"""The environments of the venv engine: folders in a cache, found again by their digest.

Each folder is filled under a temporary name and renamed, so it is complete or not there. It
contains the record of its image. The cache also contains copies of those interpreters that the
user of trials cannot execute at their own path.
"""

import os
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from runner.engines import base
from runner.engines.protocol import BuildContext
from runner.engines.venv.sandbox import Sandbox, can_execute
from runner.errors import EngineError, ImageBuildError
from runner.python.interpreters import Interpreter
from runner.python.interpreters import executable as named
from runner.records.environment import Image
from runner.system import archive, digest, places, safe, stored, tempdir
from runner.text import why

CACHE = "MATRIX_RUNNER_CACHE"
RECORD = "image.json"
CONTENT = "content.sha256"
"""The file with the digest of a copied interpreter."""
WRITTEN_HERE = ("bin/python", "pyvenv.cfg", RECORD)
"""The files that are made here and not taken from a tar."""


def cache(machine: str) -> Path:
    """Return this user's part of the cache on a machine; users and machines may share a cache."""
    return root() / f"{machine}-{os.geteuid()}"


def root() -> Path:
    """Return the folder of the cache; for root it is one that every user can read."""
    if named := os.environ.get(CACHE):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/matrix-runner")
    return places.cache()


def former_folders() -> tuple[Path, ...]:
    """Return the folders of versions that did not distinguish users and machines."""
    return tuple(root() / name for name in ("environments", "interpreters", "runs"))


class Environments:
    """The environments and interpreters in a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self._environments = folder / "environments"
        self._interpreters = folder / "interpreters"

    def prepare(self) -> None:
        """Make the folders, and remove what killed processes left; EngineError if that fails."""
        try:
            if not self.folder.parent.exists():
                self.folder.parent.mkdir(parents=True)
                self.folder.parent.chmod(0o755)
            for folder in (self.folder, self._environments, self._interpreters, self.runs):
                folder.mkdir(exist_ok=True)
                with safe.own_folder(folder) as opened:  # others may fill it, or make it a link
                    os.fchmod(opened, 0o755)
                tempdir.sweep(folder)
        except OSError as error:
            raise EngineError(
                f"environments cannot be kept in {self.folder} ({why(error)}). Set {CACHE} to "
                "another folder."
            ) from error
        closed = [path for path in self.folder.parents if not path.stat().st_mode & 0o001]
        if closed and os.geteuid() == 0:
            raise EngineError(
                f"environments cannot be kept in {self.folder}, because trials run as another "
                f"user, who cannot enter {closed[0]}. Set {CACHE} to another folder."
            )

    def images(self) -> tuple[Image, ...]:
        """Return the usable images."""
        images = []
        for path in sorted(self._environments.glob(f"*/{RECORD}")):
            with suppress(OSError, ValueError):  # a damaged one is built again
                image = stored.parse(Image, safe.read(path), 1)
                folder = self.path(image.id)
                if folder == path.parent and (folder / "bin" / "python").exists():
                    images.append(image)
        return tuple(images)

    def path(self, image: str) -> Path:
        """Return the folder of an image."""
        return self._environments / image

    def add(self, context: BuildContext, interpreter: Path) -> Image:
        """Unpack an environment for an interpreter; ImageBuildError if that fails."""
        packed = context.packed()
        try:
            image = Image(
                environment=context.environment,
                label=context.label,
                id=name_of(context),
                size_bytes=packed.stat().st_size,
                base=context.base,
                bundle=context.bundle,
            )
            with tempdir.folder(self._environments) as folder:
                with archive.opened(packed) as tar:
                    archive.unpack(tar, folder, _name_of)
                (folder / "bin").mkdir(exist_ok=True)
                (folder / "bin" / "python").symlink_to(interpreter)
                (folder / "pyvenv.cfg").write_text(settings(interpreter), encoding="utf-8")
                (folder / RECORD).write_bytes(stored.dump(image))
                make_readable(folder)
                self.remove(self.path(image.id))
                folder.rename(self.path(image.id))
        except base.UNREADABLE as error:
            raise ImageBuildError(
                f"the environment of {context.label} could not be built: {error}"
            ) from error
        return image

    def interpreter(self, found: Interpreter) -> tuple[Path, str]:
        """Return an executable that trials can use, and the digest that identifies it.

        It is the interpreter itself or a copy of it. The digest of a copy covers all its files.
        """
        made_of = base.fingerprint(found)
        if can_execute(found.path, "import os"):
            return found.path, f"sha256:{made_of}"

        def fill(folder: Path) -> None:
            base.copy(found, folder)
            (folder / CONTENT).write_text(_content(folder), encoding="ascii")

        copy = self._filled(f"{found.version}-{made_of[:32]}", fill)
        content = digest.of_content([made_of, (copy / CONTENT).read_text(encoding="ascii")])
        return copy / "bin" / named(found.name), f"sha256:{content}"

    def unpacked(self, tar: Path, python: str, sandbox: Sandbox) -> tuple[Path, str]:
        """Return the executable of an assembled base, and the digest of the base.

        It may be a stranger's, so it is tried in the sandbox. EngineError if it does not run there.
        """
        content = digest.of_file(tar)
        key = f"{python}-bundled-{content}"
        folder = self._filled(key, lambda folder: base.unpack(tar, python, folder))
        executable = folder / "bin" / named(python)
        libraries = f"LD_LIBRARY_PATH={folder / 'lib'}"
        if not sandbox.can_execute(executable, "import hashlib, zlib", folder, libraries):
            raise EngineError(
                f"Python {python} from the bundle does not run here, perhaps because it needs a "
                "newer C library than this machine has. Start a container engine."
            )
        return executable, f"sha256:{content}"

    def _filled(self, key: str, fill: Callable[[Path], None]) -> Path:
        """Return the folder of an interpreter; fill it if it does not exist yet."""
        path = self._interpreters / key
        if not path.exists():
            with tempdir.folder(self._interpreters) as folder:
                fill(folder)
                make_readable(folder)
                with suppress(OSError):  # another process was faster
                    folder.rename(path)
        return path

    def is_copy(self, interpreter: Path) -> bool:
        """Whether an interpreter is a copy, which needs the path of its libraries."""
        return self._interpreters in interpreter.parents

    def interpreters(self) -> list[Path]:
        """Return the folders of the copied interpreters."""
        return sorted(self._interpreters.glob("[0-9]*"))

    def remove(self, folder: Path) -> None:
        """Remove a folder of the cache: its name at once, its content afterwards."""
        if folder.exists():
            with tempdir.folder(folder.parent) as removed:
                folder.rename(removed / folder.name)


def name_of(context: BuildContext) -> str:
    """Return the name of an environment's folder; it depends on the base and on the bundle."""
    return digest.of_content([context.environment, context.base.digest, context.bundle])


def _content(folder: Path) -> str:
    """Return the digest of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest.of_content(
        [(path.relative_to(folder).as_posix(), digest.of_file(path)) for path in files]
    )


def settings(interpreter: Path) -> str:
    """Return the content of ``pyvenv.cfg``."""
    return f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"


def _name_of(entry: tarfile.TarInfo) -> str | None:
    """Return the name of an entry, unless it is one of our own files, which a bundle may have."""
    return None if PurePosixPath(entry.name).as_posix() in WRITTEN_HERE else entry.name


def make_readable(folder: Path) -> None:
    """Let every user read the content of a folder, whatever the umask of this process is."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode & 0o755 | (0o555 if mode & 0o100 else 0o444))
