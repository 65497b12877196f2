"""A bundle: a run with everything it needs in one file, for a machine without a network.

::

    <name>-bundle/
        replay.sh             sets up the runner from wheels/ and runs the study again
        bundle.json           the manifest: the digest of every file
        study/                matrix.yaml, its lock, the script and its data files
        bases/<n>.tar         the bases of the images
        environments/<n>/     the build context of each image
        results/              the run folder, if there is a run
        wheels/               the runner and its dependencies

A bundle is untrusted: opening it reads and writes nothing outside its folder.
"""

import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Annotated

from pydantic import Field

from runner.engines.base import UNREADABLE
from runner.errors import BundleError
from runner.records import Record, patterns
from runner.records.environment import Base
from runner.system import archive, digest, safe, stored, tempdir
from runner.text import size, why

FORMAT = 2
"""The format of bundle.json. 1: the first. 2: environments may have a base of their own."""

SUFFIX = ".tar.gz"
ENDING = f"-bundle{SUFFIX}"
SCRIPT, MANIFEST = "replay.sh", "bundle.json"
STUDY, BASES, ENVIRONMENTS = "study", "bases", "environments"
RESULTS, WHEELS = "results", "wheels"
COMPRESSION = 1
"""gzip's level: four times as fast as the best one, and a tenth larger."""
PIECE_BYTES = 1 << 20
MOST_FILES = 100_000
LARGEST_MANIFEST_BYTES = 64 << 20
LARGEST_BYTES = 256 << 30
"""More than this would be no study, but an attempt to fill the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledEnvironment(Record):
    """An environment in a bundle: a build context, and a file with its base."""

    label: str
    digest: str
    python: Annotated[str, Field(pattern=patterns.PYTHON_NAME)]  # becomes the name of a folder
    folder: str
    base: Base
    base_file: str
    base_key: str | None = None
    """``Environment.base_key``; None if the version of Python decides on the base."""

    @property
    def key(self) -> tuple[str, str]:
        """``recipe.image_key`` of the environment."""
        return self.digest, self.base_key or self.python


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Record):
    """What bundle.json says about the bundle. ``files`` maps each path to its SHA-256."""

    format: int = FORMAT
    created_at: datetime
    runner_version: str
    matrix: str
    environments: tuple[BundledEnvironment, ...]
    files: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def writing(path: Path) -> Iterator["Writer"]:
    """Write a bundle completely or not at all; BundleError if that fails."""
    if not path.parent.is_dir():
        raise BundleError(f"{path} cannot be written: there is no folder {path.parent}; create it.")
    try:
        tempdir.sweep(path.parent)
        with tempdir.folder(path.parent) as folder:
            with tarfile.open(folder / path.name, "w:gz", compresslevel=COMPRESSION) as tar:
                yield Writer(tar, folder_of(path))
            (folder / path.name).replace(path)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be written ({why(error)}); fix this and run the command again."
        ) from error


def folder_of(path: Path) -> str:
    """Return the name of the folder that a bundle unpacks to."""
    return path.name.removesuffix(SUFFIX)


class Writer:
    """A bundle that is being written. Each file is packed and digested in one reading."""

    def __init__(self, tar: tarfile.TarFile, name: str) -> None:
        self._tar = tar
        self._name = name
        self.files: dict[str, str] = {}

    def add(self, path: Path, name: str) -> None:
        """Add a file under a name; BundleError if the name leads out of the bundle.

        OSError for a link: it may lead anywhere, and whoever gets the bundle could read that file.
        """
        if not _is_inside(name):
            raise BundleError(
                f"{path} is outside the matrix's folder, so it cannot be packed; move it there."
            )
        with safe.opened(path) as file:
            self.files[name] = self._add(file, os.fstat(file.fileno()).st_size, name)

    def add_folder(self, folder: Path, name: str) -> None:
        """Add all files of a folder and its subfolders, except hidden ones. OSError for a link."""
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            is_hidden = any(part.startswith(".") for part in inside.parts)
            if not is_hidden and (path.is_file() or path.is_symlink()):
                self.add(path, f"{name}/{inside.as_posix()}")

    def add_text(self, text: str, name: str, mode: int = 0o644) -> None:
        """Add a file with this text."""
        content = text.encode()
        self.files[name] = self._add(io.BytesIO(content), len(content), name, mode)

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest."""
        content = stored.dump(manifest)
        self._add(io.BytesIO(content), len(content), MANIFEST)

    def _add(self, file: IO[bytes], size: int, name: str, mode: int = 0o644) -> str:
        """Add an entry without any facts about this machine; return its digest."""
        entry = tarfile.TarInfo(f"{self._name}/{name}")
        entry.size, entry.mode = size, mode
        reader = digest.DigestingReader(file)
        self._tar.addfile(entry, reader)
        return reader.digest.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator["Bundle"]:
    """Open a bundle: a file, which is unpacked meanwhile, or an unpacked folder.

    BundleError if it is not a complete bundle.
    """
    if not os.access(path, os.R_OK):
        raise BundleError(f"there is no readable bundle at {path}; name the file or its folder.")
    if path.is_dir():
        yield Bundle(path)
        return
    with tempdir.folder() as folder:
        _unpack(path, folder)
        inside = [one for one in folder.iterdir() if (one / MANIFEST).is_file()]
        if len(inside) != 1:
            raise BundleError(f"{path} is not a bundle: it has no {MANIFEST}; name another file.")
        yield Bundle(inside[0])


def _unpack(path: Path, folder: Path) -> None:
    """Unpack the files of a bundle.

    Links, devices, paths that lead out of the folder, second files with the same name, and more
    than the disk can hold are refused.
    """
    most_bytes = min(LARGEST_BYTES, shutil.disk_usage(folder).free)
    files = unpacked_bytes = 0
    try:
        with archive.opened(path, compressed=True) as tar:
            for entry in tar:
                if not entry.isfile() or not _is_inside(entry.name):
                    raise BundleError(
                        f"{path} is not a bundle: it must not hold {entry.name!r}; get another "
                        "copy."
                    )
                files, unpacked_bytes = files + 1, unpacked_bytes + entry.size
                if files > MOST_FILES or unpacked_bytes > most_bytes:
                    raise BundleError(
                        f"{path} holds more than {size(most_bytes)} or {MOST_FILES} files; free "
                        "some disk space, or get another copy."
                    )
                target = folder / entry.name
                if target.exists():
                    raise BundleError(
                        f"{path} is not a bundle: it holds {entry.name!r} twice; get another copy."
                    )
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(entry)
                if source is not None:
                    with target.open("wb") as file:
                        shutil.copyfileobj(source, file, PIECE_BYTES)
    except (*UNREADABLE, EOFError, zlib.error) as error:
        raise BundleError(
            f"{path} cannot be unpacked ({why(error)}); free some disk space, or get another copy."
        ) from error


class Bundle:
    """A complete bundle, unpacked in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest, self.digest = _manifest(folder)
        """The digest of the manifest, which has the digests of all files."""
        self._refuse_extra_files()
        for name, expected in self.manifest.files.items():
            if not _is_inside(name) or _digest(folder, name) != expected:
                raise BundleError(f"{folder / name} is damaged or missing; get another copy.")

    def _refuse_extra_files(self) -> None:
        """Refuse links, which may lead anywhere, and files without a digest."""
        for part in (STUDY, BASES, ENVIRONMENTS, RESULTS):
            for path in (self.folder / part, *(self.folder / part).rglob("*")):
                name = path.relative_to(self.folder).as_posix()
                hidden = path.name.startswith(".")  # we never read these
                known = path.is_dir() or name in self.manifest.files or not path.exists() or hidden
                if path.is_symlink() or not known:
                    raise BundleError(
                        f"{path} is not part of the bundle; remove it, or get another copy."
                    )

    def file(self, name: str) -> Path:
        """Return the path of a file in the bundle; BundleError if the bundle has no such file."""
        if name not in self.manifest.files:
            raise BundleError(
                f"the bundle needs {name!r}, but does not contain it; get another copy."
            )
        return self.folder / name

    @property
    def results(self) -> Path | None:
        """The bundled run folder, if there is one."""
        return self.folder / RESULTS if f"{RESULTS}/run.json" in self.manifest.files else None


def _manifest(folder: Path) -> tuple[Manifest, str]:
    """Return the manifest and the digest of its file."""
    path = folder / MANIFEST
    try:
        content = safe.read(path, limit=LARGEST_MANIFEST_BYTES)
        return stored.parse(Manifest, content, FORMAT), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise BundleError(
            f"{folder} is not a bundle ({why(error)}); name another folder."
        ) from error
    except stored.NewerFormatError as error:
        raise BundleError(f"{path} {error} The bundle's replay.sh does that.") from error
    except stored.InvalidError as error:
        raise BundleError(f"{path} is damaged ({error}); get another copy.") from error


def _is_inside(name: str) -> bool:
    """Whether a relative path stays in its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _digest(folder: Path, name: str) -> str | None:
    """Return the digest of a file; ``None`` if it is none, or if a link leads to it."""
    try:
        return digest.of_file(folder / name) if _is_regular(folder, name) else None
    except OSError:
        return None


def _is_regular(folder: Path, name: str) -> bool:
    """Whether a path leads to a regular file without following a link below the folder."""
    path = folder / name
    below = (path, *path.parents[: len(PurePosixPath(name).parts) - 1])
    return path.is_file() and not any(one.is_symlink() for one in below)
