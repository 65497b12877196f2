"""The images of an engine: those of environments, and the bases that they are built on."""

import json
import os
import shlex
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import docker
import docker.errors
from docker.models.images import Image as PulledImage

from runner.engines import base as assembled
from runner.engines.docker import labels
from runner.engines.docker.client import cause, engine_at_work
from runner.engines.protocol import BuildContext
from runner.errors import EngineError, ImageBuildError
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind, Image
from runner.records.run import EngineFacts
from runner.system import digest, tempdir

PODMAN = "podman"
OFFICIAL = "python:{python}-slim"
BUILD_TIMEOUT_S = 3600
PULL_WAITS_S = (1.0, 2.0)
CHUNK_BYTES = 1 << 20


class DockerImages:
    """The part of ``DockerEngine`` that provides bases and builds images."""

    def __init__(self, client: docker.DockerClient, *, local: bool) -> None:
        self._client = client
        self._local = local
        self._facts: EngineFacts | None = None
        self._bases_lock = threading.Lock()
        self._bases: dict[tuple[str, str], Base] = {}

    def describe(self) -> EngineFacts:
        """Return the facts of the engine, which is asked only once."""
        if self._facts is None:
            with engine_at_work("describe itself"):
                info, version = self._client.info(), self._client.version()
            parts = {part["Name"] for part in version.get("Components") or ()}
            self._facts = EngineFacts(
                name=PODMAN if "Podman Engine" in parts else "docker",
                version=info["ServerVersion"],
                api=version["ApiVersion"],
                storage=info["Driver"],
                cgroup=int(info.get("CgroupVersion") or 1),
                cpus=info["NCPU"],
                memory_bytes=info["MemTotal"],
                architecture=info["Architecture"],
                kernel=info["KernelVersion"],
                system=info["OperatingSystem"],
                machine=None if self._local else digest.of_content(info["Name"])[:16],
            )
        return self._facts

    def cores(self) -> tuple[int, ...]:
        return tuple(range(self.describe().cpus))

    def _is_podman(self) -> bool:
        return self.describe().name == PODMAN

    def _own(self, name: str) -> str:
        """Return the full name of an image of ours: podman looks up short names in a registry."""
        return labels.PODMAN_ONLY + name if self._is_podman() else name

    def images(self) -> Mapping[str, Image]:
        with engine_at_work("list images"):
            return labels.images(self._client.api.images(filters=labels.OF_ENVIRONMENTS))

    # --- bases ---------------------------------------------------------------------------------

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        """Provide a base: find or pull the named image, or assemble one from the interpreter.

        ``host`` always assembles a base. ``pull`` is the official image, and ``auto`` assembles a
        base only if that image is not available. Anything else names an image; ``{python}`` in it
        stands for the version.
        """
        key = (wanted, interpreter.minor)
        with self._bases_lock:  # several images are built at the same time
            if key not in self._bases:
                self._bases[key] = self._provide(wanted, interpreter)
            return self._bases[key]

    def _provide(self, wanted: str, interpreter: Interpreter) -> Base:
        if wanted == "host":
            return self._assemble(interpreter)
        name = OFFICIAL if wanted in {"auto", "pull"} else wanted
        name = name.replace("{python}", interpreter.minor)
        with engine_at_work(f"provide the base {name}"):
            try:
                # With ``auto`` another base will do, so there is no need to wait for a registry.
                return self._named(name, () if wanted == "auto" else PULL_WAITS_S)
            except docker.errors.APIError as error:
                if wanted != "auto":
                    raise EngineError(
                        f"cannot find or pull the base {name} ({cause(error)}); set "
                        "`environment: {base: auto}` to assemble one from this machine."
                    ) from error
        return self._assemble(interpreter)

    def _named(self, name: str, waits_s: Iterable[float]) -> Base:
        """Return the base with that name, pulled if it is missing; APIError if that fails."""
        try:
            image = self._client.images.get(name)
        except docker.errors.ImageNotFound:
            image = self._pull(name, waits_s)
        digests = image.attrs.get("RepoDigests") or []
        kind = BaseKind.PULLED if digests else BaseKind.LOCAL
        content = digests[0].split("@")[1] if digests else str(image.id)
        return Base(kind=kind, name=name, digest=content)

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
            return self._imported(tar, interpreter.minor)

    def _imported(self, tar: Path, python: str) -> Base:
        """Return the base in a tar; import it unless the engine has it already."""
        content = digest.of_file(tar)
        repository, tag = self._own(f"{labels.REPOSITORY}/base"), f"{python}-{content[:12]}"
        name = f"{repository}:{tag}"
        with engine_at_work("import a base"):
            if not self._client.images.list(name):
                change = f"LABEL {labels.LABEL}base={python}"
                answer = self._client.api.import_image(str(tar), changes=[change])
                # podman ignores a tag that comes with the import.
                identity = json.loads(answer.splitlines()[-1])["status"]
                self._client.api.tag(identity, repository, tag)
        return Base(kind=BaseKind.ASSEMBLED, name=name, digest=f"sha256:{content}")

    def save_base(self, base: Base, interpreter: Interpreter, file: Path) -> Base:
        """Write a base to a file: an assembled base as a tar, any other as the engine's archive."""
        if base.kind == BaseKind.ASSEMBLED:
            assembled.assemble(interpreter, file)
            return replace(base, digest=f"sha256:{digest.of_file(file)}")
        with engine_at_work(f"save the base {base.name}"), file.open("wb") as target:
            for chunk in self._client.images.get(base.name).save():  # without its name
                target.write(chunk)
        return base

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        """Provide a base from a file that ``save_base`` of any engine has written."""
        if base.kind == BaseKind.ASSEMBLED:
            return self._imported(file, python)
        _check_archive(file, base)
        with engine_at_work(f"load the base {base.name}"), file.open("rb") as archive:
            loaded = self._client.images.load(archive)[0]
            try:
                existing = self._client.images.get(base.name)
            except docker.errors.ImageNotFound:
                repository, _, tag = base.name.rpartition(":")
                loaded.tag(repository or tag, tag if repository else None)
                return base
        if existing.id != loaded.id:
            raise EngineError(
                f"the image {base.name} on this engine is not the one that the environments of "
                "this bundle were built on; give the one on this engine another name."
            )
        return base

    # --- images of environments ----------------------------------------------------------------

    def build(self, context: BuildContext) -> Image:
        lines: list[str] = []
        tag = self._own(labels.image_tag(context.environment))
        with engine_at_work(f"build the image of {context.label}"):
            try:
                for event in self._client.api.build(
                    fileobj=_as_tar(context.folder),  # type: ignore[arg-type]  # sent as it comes
                    custom_context=True,
                    use_config_proxy=False,  # nothing is fetched, and a proxy may hold a password
                    tag=tag,
                    buildargs=labels.build_arguments(context),
                    nocache=self._is_podman(),  # its cache ignores the build arguments
                    rm=True,
                    forcerm=True,
                    decode=True,
                    timeout=BUILD_TIMEOUT_S,
                ):
                    lines.append(event.get("stream") or event.get("error") or "")
                    if "error" in event:
                        raise _build_error(context, event["error"], lines)
                built = self._client.images.get(tag)
            except docker.errors.APIError as error:
                raise _build_error(context, str(error.explanation or error), lines) from error
        return labels.image(str(built.id), built.labels, built.attrs["Size"])

    def command(self, context: BuildContext) -> str:
        arguments = [
            f"--build-arg={name}={value}" for name, value in labels.build_arguments(context).items()
        ]
        tag = self._own(labels.image_tag(context.environment))
        program = self.describe().name
        return shlex.join([program, "build", "-t", tag, *arguments, str(context.folder)])


def _check_archive(file: Path, base: Base) -> None:
    """Accept only an archive of one image without a name: a name could replace another image."""
    try:
        with tarfile.open(file) as tar:
            manifest = tar.extractfile("manifest.json")
            images = json.load(manifest) if manifest else []
        if [image.get("RepoTags") or [] for image in images] == [[]]:
            return
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"{file} is not an archive of the base {base.name} ({error}); get the bundle again."
        ) from error
    raise EngineError(
        f"{file} contains something other than the base {base.name}; get the bundle again."
    )


def _as_tar(folder: Path) -> Iterator[bytes]:
    """Yield a build context as a tar, chunk by chunk, because it may hold gigabytes."""
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            entry = tarfile.TarInfo(path.name)
            entry.size = os.fstat(file.fileno()).st_size
            yield entry.tobuf(tarfile.GNU_FORMAT)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _build_error(context: BuildContext, reason: str, lines: list[str]) -> ImageBuildError:
    return ImageBuildError(
        f"the image of {context.label} could not be built: {reason.strip()}", "".join(lines)
    )
