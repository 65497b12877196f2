"""The images of an engine: those of environments, and the bases that they are built on."""

import contextlib
import io
import json
import os
import shlex
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import docker
import docker.errors
from docker.models.images import Image as PulledImage

from runner.engines import base as assembled
from runner.engines.base import UNREADABLE
from runner.engines.docker import labels, loading
from runner.engines.docker.client import cause, engine_at_work
from runner.engines.docker.plain import Filters
from runner.engines.docker.questions import Questions, chosen, of_image
from runner.engines.protocol import DOCKERFILE, PACKED, BuildContext
from runner.errors import EngineError, EngineLostError, ImageBuildError
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind, Image
from runner.system import archive, digest, tempdir
from runner.text import why

RUNS_COMMANDS = "would run commands during a build: use one that was built without ONBUILD"
BUILD_TIMEOUT_S = 3600
PULL_WAITS_S = (1.0, 2.0)
CHUNK_BYTES = 1 << 20
LARGEST_MANIFEST_BYTES = 1 << 20
CONFIG_BYTES = 1 << 22
"""Podman reads no larger configuration of an image; docker shows what is in it."""


class DockerImages(Questions):
    """The part of ``DockerEngine`` that provides bases and builds images."""

    def __init__(self, client: docker.DockerClient, machine: str, *, local: bool) -> None:
        super().__init__(machine, local=local)
        self._client = client
        self._bases_lock = threading.Lock()

    # --- questions -----------------------------------------------------------------------------

    def _description(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        with engine_at_work("describe itself"):
            return self._client.info(), self._client.version()

    def _image(self, name: str) -> Mapping[str, Any] | None:
        with (
            engine_at_work(f"find the base {name}"),
            contextlib.suppress(docker.errors.ImageNotFound),
        ):
            return self._client.images.get(name).attrs
        return None

    def _images(
        self, step: str, filters: Filters, name: str | None = None
    ) -> Sequence[Mapping[str, Any]]:
        with engine_at_work(step):
            listed: Sequence[Mapping[str, Any]]
            listed = self._client.api.images(name, filters=dict(filters))  # the SDK adds to them
        return listed

    # --- bases ---------------------------------------------------------------------------------

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        """Provide a base: find or pull the named image, or assemble one from the interpreter.

        ``host`` is always an assembled base. ``pull`` is the official image, and ``auto`` is an
        assembled base only if that image is not available. Anything else names an image;
        ``{python}`` in it stands for the version.
        """
        wanted, name = chosen(wanted, interpreter)
        with self._bases_lock:  # several images are built at the same time
            if found := self._existing(wanted, name, interpreter):
                return found
            match wanted:
                case "host":
                    return self._assemble(interpreter)
                case "auto":
                    return self._any_base(name, interpreter)
                case _:
                    return self._required(name)

    def _any_base(self, name: str, interpreter: Interpreter) -> Base:
        with engine_at_work(f"pull {name}"), contextlib.suppress(docker.errors.APIError):
            return of_image(name, self._pull(name, ()).attrs)  # another base will do: do not wait
        return self._assemble(interpreter)

    def _required(self, name: str) -> Base:
        with engine_at_work(f"provide the base {name}"):
            try:
                return of_image(name, self._pull(name, PULL_WAITS_S).attrs)
            except docker.errors.APIError as error:
                raise EngineError(
                    f"cannot find or pull the base {name} ({cause(error)}); set "
                    "`environment: {base: auto}` to assemble one from this machine."
                ) from error

    def _pull(self, name: str, waits_s: Iterable[float]) -> PulledImage:
        """Pull an image; try again after each wait if the registry has a failure of its own."""
        for wait_s in waits_s:
            try:
                return self._client.images.pull(name)
            except docker.errors.APIError as error:
                if not error.is_server_error():
                    raise
            time.sleep(wait_s)
        return self._client.images.pull(name)

    def _assemble(self, interpreter: Interpreter) -> Base:
        with tempdir.folder() as folder:
            tar = folder / "base.tar"
            assembled.assemble(interpreter, tar)
            return self._imported(tar, interpreter.name, assembled.fingerprint(interpreter))

    def _imported(self, tar: Path, python: str, made_of: str | None) -> Base:
        """Return the base in a tar; import it unless this user has it on the engine already."""
        content = f"sha256:{digest.of_file(tar)}"
        base = self._assembled_base(python, content, made_of)
        marks = {f"{labels.LABEL}base": python, labels.CONTENT: content}
        marks |= labels.owner_labels(self._machine)
        marks |= {labels.FINGERPRINT: made_of} if made_of else {}
        with engine_at_work("import a base"):
            if not self._client.images.list(base.name):
                changes = [f"LABEL {name}={value}" for name, value in marks.items()]
                answer = self._client.api.import_image(str(tar), changes=changes)
                # podman ignores a tag that comes with the import.
                identity = json.loads(answer.splitlines()[-1])["status"]
                repository, _, tag = base.name.rpartition(":")
                self._client.api.tag(identity, repository, tag)
        return base

    def save_base(self, base: Base, interpreter: Interpreter, file: Path) -> Base:
        """Write a base to a file: an assembled base as a tar, any other as the engine's archive."""
        if base.kind == BaseKind.ASSEMBLED:
            if not self._exported(base, file):
                assembled.assemble(interpreter, file)
            return replace(base, digest=f"sha256:{digest.of_file(file)}")
        with engine_at_work(f"save the base {base.name}"), file.open("wb") as target:
            image = self._checked(base)
            for chunk in image.save():  # without its name
                target.write(chunk)
        return replace(base, digest=str(image.id))

    def _exported(self, base: Base, file: Path) -> bool:
        """Write the tar that an assembled base was imported from, if the engine still has it.

        Assembled again, the base could be another one: the interpreter may have been used since.
        """
        with tempfile.TemporaryFile() as saved, engine_at_work(f"save the base {base.name}"):
            for chunk in self._checked(base).save():
                saved.write(chunk)
            saved.seek(0)
            with tarfile.open(fileobj=saved) as tar:
                for entry in tar:
                    layer = tar.extractfile(entry) if entry.isfile() else None
                    if layer and entry.size >= tarfile.RECORDSIZE:
                        with file.open("wb") as target:
                            shutil.copyfileobj(layer, target, CHUNK_BYTES)
                        if f"sha256:{digest.of_file(file)}" == base.digest:
                            return True
        return False

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        """Provide a base from a file that ``save_base`` of any engine has written.

        An image gets a name of ours: no matrix that names an image finds it by that name.
        """
        if base.kind == BaseKind.ASSEMBLED:
            return self._imported(file, python, None)
        with (
            engine_at_work(f"load the base {base.name}"),
            tempfile.TemporaryFile() as plain,
        ):
            _copy_plain(file, plain, base)
            plain.seek(0)
            loaded = self._client.images.load(plain)[0]
            repository = self._own(labels.bundled_base_repository(self._machine))
            identity = str(loaded.id)
            tag = identity.removeprefix("sha256:")[:32]
            loaded.tag(repository, tag)
        return Base(kind=BaseKind.LOCAL, name=f"{repository}:{tag}", digest=identity)

    # --- images of environments ----------------------------------------------------------------

    def build(self, context: BuildContext) -> Image:
        log: list[str] = []
        tag = self._own(labels.image_tag(context, self._machine))
        base = self._checked(context.base)
        # The name of the base could be given to another image while this one is built.
        arguments = {**labels.build_arguments(context, self._machine), "BASE": str(base.id)}
        with engine_at_work(f"build the image of {context.label}"):
            built = self._loaded(context, base, tag, arguments, log)
            try:
                if built is None:
                    context.packed()
                    built = self._built(_as_tar(context.folder), tag, log, buildargs=arguments)
            except (docker.errors.APIError, docker.errors.BuildError) as error:
                raise self._build_error(context, build_problem(error), log) from error
        return labels.image(str(built.id), built.labels, built.attrs["Size"])

    def _loaded(
        self,
        context: BuildContext,
        base: PulledImage,
        tag: str,
        arguments: Mapping[str, str],
        log: list[str],
    ) -> PulledImage | None:
        """Load an image as an archive, which is much faster; None if it has to be built."""
        dockerfile = context.folder / DOCKERFILE
        recipe = loading.recipe(dockerfile.read_text(encoding="utf-8"), arguments)
        if recipe is None or not self._finds_layers():
            return None
        try:
            layer = loading.layer(recipe.folder, context.entries())
        except UNREADABLE as error:  # the builder may be less strict with the tar of a bundle
            log.append(f"{error}\n")
            return None
        made = loading.ImageArchive(base=base.attrs, recipe=recipe, layer=layer, tag=tag)
        try:
            # Without its progress, the engine would be silent for as long as it takes.
            events = self._client.api.load_image(made.pieces(), quiet=False)  # type: ignore[no-untyped-call]
            said = (event.get("stream") or event.get("error") for event in events)
            log.extend(filter(None, said))
            built = self._client.images.get(tag)
        except docker.errors.APIError as error:
            log.append(f"{build_problem(error)}\n")
            return None
        return built if built.id == made.id else None

    def _finds_layers(self) -> bool:
        """Whether the engine loads an archive without layers that it has already."""
        return not self._is_podman() and not self._in_containerd

    def _built(
        self,
        context: IO[bytes] | Iterable[bytes],
        tag: str,
        log: list[str],
        *,
        network: bool = False,
        **options: Any,
    ) -> PulledImage:
        """Build a context with the classic builder; its output is added to ``log``.

        APIError or BuildError if that fails.
        """
        options.setdefault("nocache", self._is_podman())  # its cache ignores the build arguments
        for event in self._client.api.build(
            fileobj=context,  # type: ignore[arg-type]  # sent as it comes
            custom_context=True,
            network_mode=None if network else "none",
            use_config_proxy=network,  # a proxy may hold a password
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=BUILD_TIMEOUT_S,
            **options,
        ):
            log.append(event.get("stream") or event.get("error") or "")
            if "error" in event:
                raise docker.errors.BuildError(event["error"], iter(()))
        return self._client.images.get(tag)

    def _checked(self, base: Base) -> PulledImage:
        """Return the image that is a base.

        EngineError if it is gone or another one, or if it is more than files.
        """
        with engine_at_work(f"find the base {base.name}"):
            try:
                image = self._client.images.get(base.name)
            except docker.errors.ImageNotFound as error:
                raise _removed(base) from error
        digests = {one.partition("@")[2] for one in image.attrs.get("RepoDigests") or ()}
        known = {str(image.id), *digests}
        if base.kind is BaseKind.ASSEMBLED:
            known = {image.labels.get(labels.CONTENT, "")}
        if base.digest not in known:
            raise EngineError(
                f"the base {base.name} was replaced by another image; repeat the command to use "
                "that one."
            )
        config = image.attrs.get("Config") or {}
        if problem := config_problem(config) or _base_problem(config):
            raise EngineError(f"the base {base.name} {problem}.")
        return image

    def _build_error(self, context: BuildContext, reason: str, lines: list[str]) -> EngineError:
        """Return why an image could not be built; a base that is gone can be provided again."""
        if self._image(context.base.name) is None:
            return _removed(context.base)
        return ImageBuildError(
            f"the image of {context.label} could not be built: {reason}", "".join(lines)
        )

    def command(self, context: BuildContext) -> str:
        values = labels.build_arguments(context, self._machine)
        arguments = [f"--build-arg={name}={value}" for name, value in values.items()]
        tag = self._own(labels.image_tag(context, self._machine))
        program = self.describe().name
        return shlex.join([program, "build", "-t", tag, *arguments, str(context.folder)])


def _removed(base: Base) -> EngineLostError:
    return EngineLostError(
        f"the base {base.name} was removed from the engine; run the same command to get it again."
    )


def build_problem(error: docker.errors.APIError | docker.errors.BuildError) -> str:
    """Return why a build failed, in the words of the engine."""
    if isinstance(error, docker.errors.BuildError):
        return str(error.msg).strip()
    return str(error.explanation or error).strip()


def config_problem(config: Mapping[str, Any]) -> str | None:
    """Return why no image may be built on an image with this configuration, or None."""
    if config.get("OnBuild"):
        return RUNS_COMMANDS
    if labels.RUN in (config.get("Labels") or {}):
        return (
            "would make its containers look like the leftovers of a run: use one that was built "
            f"without LABEL {labels.RUN}"
        )
    return None


def _base_problem(config: Mapping[str, Any]) -> str | None:
    """Return what a base does besides providing files: every image on it would do the same."""
    if config.get("Volumes"):
        return "would give trials a disk without limits: use one that was built without VOLUME"
    if (config.get("Labels") or {}).get(labels.PYTHON):
        return (
            "would make trials run without their packages: use one that was built without LABEL "
            f"{labels.PYTHON}"
        )
    return None


def _copy_plain(file: Path, target: IO[bytes], base: Base) -> None:
    """Copy the configuration and the layers of the one image in an archive, and nothing else.

    A name could replace another image, and an engine may find one where we find none: programs read
    a hostile tar in different ways.
    """
    try:
        with archive.opened(file) as tar, tarfile.open(fileobj=target, mode="w") as plain:
            (image,) = json.loads(_part(tar, "manifest.json").read(LARGEST_MANIFEST_BYTES))
            layers = {name: f"{number}.tar" for number, name in enumerate(image["Layers"])}
            manifest = {
                "Config": "config.json",
                "RepoTags": None,
                "Layers": [layers[name] for name in image["Layers"]],
            }
            config = _part(tar, image["Config"]).read(CONFIG_BYTES)
            if _has_commands(config):
                raise EngineError(f"the base {base.name} {RUNS_COMMANDS}.")
            most = file.stat().st_size
            _add(plain, "manifest.json", io.BytesIO(json.dumps([manifest]).encode()), most)
            _add(plain, "config.json", io.BytesIO(config), most)
            for name, plain_name in layers.items():
                _add(plain, plain_name, _part(tar, name), most)
    except (*UNREADABLE, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise EngineError(
            f"{file} is not an archive of the base {base.name} ({why(error)}); get the bundle "
            "again."
        ) from error


def _part(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return a regular file in an archive, perhaps behind a link in it."""
    part = tar.extractfile(name)
    if part is None:
        raise ValueError(f"{name!r} is not a file")
    return part


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], most: int) -> None:
    """Add a file; ValueError if the tar became larger than the one that it is copied from."""
    entry = tarfile.TarInfo(name)
    entry.size = content.seek(0, os.SEEK_END)
    if tar.offset + entry.size > most:
        raise ValueError("it holds more than its size")
    content.seek(0)
    tar.addfile(entry, content)


def _has_commands(content: bytes) -> bool:
    """Whether a file may be an image's configuration with ONBUILD, which podman does not show.

    It is read as leniently as engines do, which ignore the case of names.
    """
    commands: list[object] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        commands.extend(value for name, value in pairs if name.lower() == "onbuild")

    text = content.decode(errors="replace").lstrip()
    try:
        json.JSONDecoder(object_pairs_hook=look, parse_int=str).raw_decode(text)
    except RecursionError:
        return True
    except ValueError:  # not JSON
        return False
    return any(commands)


def _as_tar(folder: Path) -> Iterator[bytes]:
    """Yield a build context as a tar, chunk by chunk, because it may hold gigabytes.

    A bundle may contain other files next to the two that make a context.
    """
    for path in (folder / name for name in (DOCKERFILE, PACKED) if (folder / name).is_file()):
        with path.open("rb") as file:
            entry = tarfile.TarInfo(path.name)
            entry.size = os.fstat(file.fileno()).st_size
            yield entry.tobuf(tarfile.GNU_FORMAT)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
