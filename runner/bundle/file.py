"""A bundle: a run with all that it needs in one file, for a machine that has no network.

::

    <name>-bundle/
        replay.sh             sets up the runner from wheels/ and executes the run again
        bundle.json           what is in it, with the digest of every file
        study/                matrix.yaml, its lock, the script and its data files
        bases/<n>.tar         what images stand on
        environments/<n>/     what an image is built from
        results/              the folder of the run, where there is one
        wheels/               the runner and all that it needs

Somebody else may have made it: nothing outside its folder is read or written on its behalf.
"""

import hashlib
import io
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from runner.engines.base import UNREADABLE
from runner.errors import BundleError
from runner.records import Record
from runner.records.environment import Base
from runner.system import digest, tempdir

FORMAT = 1
"""The format of bundle.json. 1: the first."""

SUFFIX = ".tar.gz"
ENDING = f"-bundle{SUFFIX}"
SCRIPT, CONTENTS = "replay.sh", "bundle.json"
STUDY, BASES, ENVIRONMENTS = "study", "bases", "environments"
RESULTS, WHEELS = "results", "wheels"
COMPRESSION = 1
"""Of gzip: four times as fast as its best, and a tenth larger."""
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledEnvironment(Record):
    """An environment as a bundle carries it: a build context, and the base in a file."""

    label: str
    digest: str
    python: Annotated[str, Field(pattern=r"^3\.[0-9]{1,3}$")]  # it becomes the name of a folder
    folder: str
    base: Base
    base_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents(Record):
    """What a bundle says of itself. ``files`` holds the SHA-256 of each, by its path."""

    format: int = FORMAT
    created_at: datetime
    runner_version: str
    matrix: str
    environments: tuple[BundledEnvironment, ...]
    files: Mapping[str, str] = field(default_factory=dict)


_CONTENTS = TypeAdapter(Contents)


class Writer:
    """A bundle that is being written. Files are read once: packed and digested on the way."""

    def __init__(self, tar: tarfile.TarFile, name: str) -> None:
        self._tar = tar
        self._name = name
        self.files: dict[str, str] = {}

    def add(self, path: Path, name: str) -> None:
        """Add a file under a path within the bundle; BundleError if that leads out of it."""
        if not _is_inside(name):
            raise BundleError(
                f"{path} does not lie in the folder of the matrix, so it cannot be packed; move it."
            )
        with path.open("rb") as file:
            size = path.stat().st_size
            reading = _Reading(file)
            self._tar.addfile(self._entry(name, size), reading)
        self.files[name] = reading.found.hexdigest()

    def add_folder(self, folder: Path, name: str) -> None:
        """Add the files of a folder and of those in it; hidden ones are left out."""
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                self.add(path, f"{name}/{inside.as_posix()}")

    def add_text(self, text: str, name: str, mode: int = 0o644) -> None:
        """Add a text as a file."""
        content = text.encode()
        self._tar.addfile(self._entry(name, len(content), mode), io.BytesIO(content))
        self.files[name] = hashlib.sha256(content).hexdigest()

    def finish(self, contents: Contents) -> None:
        """Add what the bundle says of itself."""
        content = _CONTENTS.dump_json(contents, indent=1) + b"\n"
        self._tar.addfile(self._entry(CONTENTS, len(content)), io.BytesIO(content))

    def _entry(self, name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
        """Return an entry that says nothing of the machine it was made on."""
        entry = tarfile.TarInfo(f"{self._name}/{name}")
        entry.size, entry.mode = size, mode
        return entry


class _Reading(io.RawIOBase):
    """A file that is digested as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.found = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        piece = self._file.read(size)
        self.found.update(piece)
        return piece


def folder_of(path: Path) -> str:
    """Return the name of the folder that a bundle is unpacked to."""
    return path.name.removesuffix(SUFFIX)


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write a bundle at a path: whole or not at all. BundleError where that fails."""
    if not path.parent.is_dir():
        raise BundleError(f"{path} cannot be written: there is no folder {path.parent}; make it.")
    try:
        tempdir.sweep(path.parent)
        with tempdir.folder(path.parent) as folder:
            with tarfile.open(folder / path.name, "w:gz", compresslevel=COMPRESSION) as tar:
                yield Writer(tar, folder_of(path))
            (folder / path.name).replace(path)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be written ({error}); repair that and repeat the command."
        ) from error


class Bundle:
    """A bundle that lies unpacked in a folder, whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents = _contents(folder)
        for name, found in self.contents.files.items():
            if not _is_inside(name) or _digest(folder / name) != found:
                raise BundleError(f"{folder / name} is damaged or missing; take another copy.")
        self._check_strangers()

    def _check_strangers(self) -> None:
        """Refuse links, which may lead anywhere, and files that have no digest."""
        for part in (STUDY, BASES, ENVIRONMENTS, RESULTS):
            for path in (self.folder / part, *(self.folder / part).rglob("[!.]*")):
                name = path.relative_to(self.folder).as_posix()
                listed = path.is_dir() or name in self.contents.files or not path.exists()
                if path.is_symlink() or not listed:
                    raise BundleError(f"{path} was not packed; remove it, or take another copy.")

    def file(self, name: str) -> Path:
        """Return where a file of the bundle lies; BundleError if it is none of them."""
        if name not in self.contents.files:
            raise BundleError(f"{self.folder / CONTENTS} names {name!r}, which is not in it.")
        return self.folder / name

    @property
    def results(self) -> Path | None:
        """The folder of the run that it carries, if any."""
        carried = f"{RESULTS}/run.json" in self.contents.files
        return self.folder / RESULTS if carried else None


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a bundle: a file, which is unpacked meanwhile, or the folder that it was unpacked to.

    BundleError if it is none, or not whole.
    """
    if path.is_dir():
        yield Bundle(path)
        return
    with tempdir.folder() as folder:
        _unpack(path, folder)
        inside = [one for one in folder.iterdir() if (one / CONTENTS).is_file()]
        if len(inside) != 1:
            raise BundleError(f"{path} is no bundle: it has no {CONTENTS}.")
        yield Bundle(inside[0])


def _unpack(path: Path, folder: Path) -> None:
    """Unpack the files of a bundle, and nothing that is anything else or leads out of it."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            for entry in tar:
                if not entry.isfile() or not _is_inside(entry.name):
                    raise BundleError(f"{path} is no bundle: {entry.name!r} does not belong there.")
                target = folder / entry.name
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(entry)
                if source is not None:
                    with target.open("wb") as file:
                        shutil.copyfileobj(source, file, PIECE_BYTES)
    except (*UNREADABLE, EOFError, zlib.error) as error:
        raise BundleError(
            f"{path} cannot be unpacked ({error}); make room, or take another copy."
        ) from error


def _contents(folder: Path) -> Contents:
    path = folder / CONTENTS
    try:
        content = _CONTENTS.validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{folder} is no bundle ({error}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = repr(".".join(str(part) for part in first["loc"]))[1:-1]
        raise BundleError(
            f"{path} is damaged, or of a newer matrix-runner ({place[:200]}: {first['msg']}); "
            "take another copy, or the runner in its wheels."
        ) from error
    if content.format > FORMAT:
        raise BundleError(
            f"{path} has format {content.format}, this program knows up to {FORMAT}; it was "
            "written by a newer matrix-runner: use the one in its wheels."
        )
    return content


def _is_inside(name: str) -> bool:
    """Whether a path stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _digest(path: Path) -> str | None:
    try:
        return digest.of_file(path) if path.is_file() else None
    except OSError:
        return None
