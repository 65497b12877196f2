"""The engine made of Docker, or of podman in its words.

Every container is hardened the same way (``hardening``). Files reach it through a volume that is
filled once in a run, its result comes back over the attached stream: no bind mount, so a remote
engine serves as well as a local one.
"""

import contextlib
import json
import os
import shlex
import signal
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container
from docker.models.images import Image as PulledImage
from docker.types import Mount

from runner.engines import base as assembled
from runner.engines.docker import labels
from runner.engines.docker.address import Address, engine_address
from runner.engines.docker.client import cause, client_at, engine_at_work, shut
from runner.engines.docker.hardening import hardening
from runner.engines.docker.ssh import Tunnel
from runner.engines.protocol import GRACE_S, BuildContext, Launch, Outcome, Owned
from runner.engines.streams import Log
from runner.errors import EngineError, ImageBuildError
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind, Image
from runner.records.run import EngineFacts
from runner.system import digest, signals, tempdir

DOCKER, PODMAN = "docker", "podman"
OFFICIAL = "python:{python}-slim"
NOT_BY_ITSELF = {128 + signal.SIGKILL, 255}
"""The exit codes of a launcher that was killed, and of one that the engine lost track of.

No process in its container can kill it, as it is the first one there."""
BUILD_TIMEOUT_S = 3600
PULL_WAITS_S = (1.0, 2.0)
PIECE_BYTES = 1 << 20


def connect(machine: str, address: Address | None = None) -> "DockerEngine":
    """Return the engine at an address, by default the chosen one; EngineError if none answers.

    ``machine`` marks the containers and volumes of this machine's runs.
    """
    where = address or engine_address()
    client, tunnel = client_at(where)
    return DockerEngine(client, machine, tunnel, at_hand=where.socket is not None)


class DockerEngine:
    """Builds images and executes trials on a Docker engine."""

    def __init__(
        self,
        client: docker.DockerClient,
        machine: str,
        tunnel: Tunnel | None = None,
        *,
        at_hand: bool = True,
    ) -> None:
        self._client = client
        self._machine = machine
        self._tunnel = tunnel
        self._at_hand = at_hand
        self._facts: EngineFacts | None = None
        self._one_base = threading.Lock()
        self._bases: dict[tuple[str, str], Base] = {}
        self._volumes: dict[str, str] = {}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
        if self._tunnel is not None:
            self._tunnel.close()

    def describe(self) -> EngineFacts:
        """Return the facts of the engine, asked once."""
        if self._facts is None:
            with engine_at_work("describe itself"):
                info, version = self._client.info(), self._client.version()
            machine = None if self._at_hand else digest.of_content(info["Name"])[:16]
            self._facts = _facts(info, version, machine)
        return self._facts

    # --- images --------------------------------------------------------------------------------

    def images(self) -> Mapping[str, Image]:
        """Return the images of environments that exist, by environment digest."""
        # One without a name was replaced by another of the same environment, on another base.
        wanted = {"label": labels.LABEL + "environment", "dangling": False}
        with engine_at_work("list images"):
            found = self._client.api.images(filters=wanted)
        images = (
            labels.image(entry["Id"], entry["Labels"], entry["Size"])
            for entry in found
            if labels.is_ours(entry["RepoTags"])
        )
        return {image.environment: image for image in images}

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        """Provide a base: found or pulled by name, or assembled from the interpreter.

        ``auto`` falls back to assembling where the official image cannot be had, ``pull`` does not,
        ``host`` always assembles; anything else is an image's name, ``{python}`` in it the version.
        """
        key = (wanted, interpreter.minor)
        with self._one_base:  # images are built several at once
            if key not in self._bases:
                self._bases[key] = self._provide_base(wanted, interpreter)
            return self._bases[key]

    def _provide_base(self, wanted: str, interpreter: Interpreter) -> Base:
        if wanted == "host":
            return self._assemble(interpreter)
        name = OFFICIAL if wanted in {"auto", "pull"} else wanted
        name = name.replace("{python}", interpreter.minor)
        with engine_at_work(f"provide the base {name}"):
            try:
                # Where another base will do, there is no need to wait for this one.
                return self._named(name, () if wanted == "auto" else PULL_WAITS_S)
            except docker.errors.APIError as error:
                if wanted != "auto":
                    raise EngineError(
                        f"the base {name} can neither be found nor pulled "
                        f"({cause(error)}); "
                        "set `environment: {base: auto}` to assemble one from this machine."
                    ) from error
        return self._assemble(interpreter)

    def _named(self, name: str, waits_s: Iterable[float]) -> Base:
        """Return the base of that name, pulled if it is not there; APIError if it cannot be had."""
        try:
            image = self._client.images.get(name)
        except docker.errors.ImageNotFound:
            image = self._pull(name, waits_s)
        digests = image.attrs.get("RepoDigests") or []
        kind = BaseKind.PULLED if digests else BaseKind.LOCAL
        content = digests[0].split("@")[1] if digests else str(image.id)
        return Base(kind=kind, name=name, digest=content)

    def _pull(self, name: str, waits_s: Iterable[float]) -> PulledImage:
        """Pull an image; a registry that has a bad moment is asked again after each wait."""
        for wait_s in waits_s:
            try:
                return self._client.images.pull(name)
            except docker.errors.APIError as error:
                if not error.is_server_error():
                    raise
            time.sleep(wait_s)
        return self._client.images.pull(name)

    def _assemble(self, interpreter: Interpreter) -> Base:
        """Return the base assembled from an interpreter."""
        with tempdir.folder() as folder:
            tar = folder / "base.tar"
            assembled.assemble(interpreter, tar)
            return self._imported(tar, interpreter.minor)

    def _imported(self, tar: Path, python: str) -> Base:
        """Return the base in a tar, imported unless the same one is there."""
        content = digest.of_file(tar)
        tag = f"{python}-{content[:12]}"
        repository = self._own(f"{labels.REPOSITORY}/base")
        name = f"{repository}:{tag}"
        with engine_at_work("import a base"):
            if not self._client.images.list(name):
                change = f"LABEL {labels.LABEL}base={python}"
                answer = self._client.api.import_image(str(tar), changes=[change])
                # podman drops a tag that is given with the import.
                identity = json.loads(answer.splitlines()[-1])["status"]
                self._client.api.tag(identity, repository, tag)
        return Base(kind=BaseKind.ASSEMBLED, name=name, digest=f"sha256:{content}")

    def save_base(self, base: Base, interpreter: Interpreter, file: Path) -> Base:
        """Write a base into a file: one that was assembled as it was imported."""
        if base.kind == BaseKind.ASSEMBLED:
            assembled.assemble(interpreter, file)
            return replace(base, digest=f"sha256:{digest.of_file(file)}")
        with engine_at_work(f"save the base {base.name}"), file.open("wb") as target:
            for piece in self._client.images.get(base.name).save():  # without its name
                target.write(piece)
        return base

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        """Provide a base from a file that ``save_base`` of any engine has written."""
        if base.kind == BaseKind.ASSEMBLED:
            return self._imported(file, python)
        _check_archive(file, base)
        with engine_at_work(f"load the base {base.name}"), file.open("rb") as archive:
            loaded = self._client.images.load(archive)[0]
            try:
                there = self._client.images.get(base.name)
            except docker.errors.ImageNotFound:
                repository, _, tag = base.name.rpartition(":")
                loaded.tag(repository or tag, tag if repository else None)
                return base
        if there.id != loaded.id:
            raise EngineError(
                f"these environments stand on an image {base.name}, and the one that is here is "
                "another one: give that another name."
            )
        return base

    def build(self, context: BuildContext) -> Image:
        """Build and return the image of an environment; ImageBuildError if that fails."""
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
                    nocache=self._is_podman(),  # it takes what other arguments made
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
        """Return the line of the engine's own program that builds the same image."""
        arguments = [
            f"--build-arg={name}={value}" for name, value in labels.build_arguments(context).items()
        ]
        tag = self._own(labels.image_tag(context.environment))
        program = self.describe().name
        return shlex.join([program, "build", "-t", tag, *arguments, str(context.folder)])

    def _own(self, name: str) -> str:
        """Return the full name of an image of ours: podman asks a registry for one that is not."""
        return labels.PODMAN_ONLY + name if self._is_podman() else name

    def _is_podman(self) -> bool:
        return self.describe().name == PODMAN

    # --- trials --------------------------------------------------------------------------------

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        """Fill a volume with the inputs of a run, named by what it holds and whose it is."""
        content = {name: digest.of_file(path) for name, path in inputs.items()}
        name = f"{labels.REPOSITORY}-{digest.of_content([self._machine, run, content])[:16]}"
        with tempfile.TemporaryFile() as file, engine_at_work("stage the inputs"):
            with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
                for inside, path in sorted(inputs.items()):
                    tar.add(path, inside, recursive=False, filter=_readable)
            file.seek(0)
            size = {labels.LABEL + "bytes": str(os.fstat(file.fileno()).st_size)}
            with signals.deferred():
                self._client.volumes.create(name, labels={**self._labels(run), **size})
                carrier = self._client.containers.create(
                    image,
                    command=["true"],
                    labels=self._labels(run),
                    network_mode="none",
                    use_config_proxy=False,
                    mounts=[Mount("/inputs", name, type="volume")],
                )
            try:
                carrier.put_archive("/inputs", file)
            finally:
                carrier.remove(v=True, force=True)
        self._volumes[run] = name

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        """Execute one trial to its end in a container of its own, and remove it."""
        started_at = datetime.now(timezone.utc)
        began = time.monotonic()
        with engine_at_work(f"execute {launch.trial}"):
            with signals.deferred():
                container = self._create(launch)
            try:
                log = Log(launch.limits, watch)
                overdue = self._run(container, launch, log)
                exit_code, out_of_memory, trouble = self._ending(container, overdue)
            finally:
                _remove(container)
        return Outcome(
            exit_code=exit_code,
            out_of_memory=out_of_memory,
            timed_out=overdue,
            document=log.document(),
            log=log.text(),
            started_at=started_at,
            duration_s=time.monotonic() - began,
            trouble=trouble,
        )

    def _create(self, launch: Launch) -> Container:
        places = {"inputs": "/inputs", "temporary": "/tmp", "output": "/out"}  # noqa: S108
        return self._client.containers.create(
            launch.image,
            # What a base starts or checks by itself is not what is measured.
            entrypoint=["python", "/inputs/launcher.py"],
            command=[launch.trial_spec(own_pid_namespace=True, **places)],
            healthcheck={"test": ["NONE"]},
            labels=self._labels(launch.run, launch.trial),
            mounts=[Mount("/inputs", self._volumes[launch.run], type="volume", read_only=True)],
            environment={"HOME": "/tmp", "TMPDIR": "/tmp", "KERAS_HOME": "/tmp/keras"},  # noqa: S108
            **hardening(launch.limits, self.describe().cpus, podman=self._is_podman()),
        )

    def _run(self, container: Container, launch: Launch, log: Log) -> bool:
        """Start the container, follow it to its end, and return whether we had to stop it."""
        stream = self._client.api.attach(
            str(container.id), stdout=True, stderr=True, stream=True, demux=True
        )
        # The stream's own close leaves the socket open, and knows no ssh.
        connection = stream._response  # type: ignore[attr-defined]  # noqa: SLF001
        overdue, ended = threading.Event(), threading.Event()

        def stop() -> None:
            overdue.set()
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                container.kill()
            if not ended.wait(GRACE_S):  # an engine that hangs would have us wait for ever
                shut(connection)

        timer = threading.Timer(launch.longest_s, stop)
        timer.daemon = True
        timer.start()
        try:
            with engine_at_work(f"start {launch.trial}", passing=True):
                container.start()
            for document, lines in stream:
                log.add(document, lines)
        finally:
            timer.cancel()
            ended.set()
            connection.close()
        return overdue.is_set()

    def _ending(self, container: Container, overdue: bool) -> tuple[int | None, bool, str | None]:
        """Return exit code, whether memory ran out, and what the machine did wrong, if anything."""
        state: Mapping[str, Any] = {"Status": "dead"}  # as the engine says of one that is removed
        try:
            container.wait(timeout=GRACE_S)
            container.reload()
            state = container.attrs["State"]
        except docker.errors.APIError as error:
            if not _is_gone(error):
                raise
        if state["Status"] in {"removing", "dead"}:
            return None, False, "the container was removed from outside while the trial ran"
        exit_code, out_of_memory = state["ExitCode"], state["OOMKilled"]
        trouble = None
        if exit_code in NOT_BY_ITSELF and not out_of_memory:
            trouble = "the container was killed from outside while the trial ran"
            if overdue:
                trouble = "the container did not end in its time, as its launcher would have"
        return exit_code, out_of_memory, trouble

    def _labels(self, run: str, trial: str | None = None) -> dict[str, str]:
        mark = {labels.LABEL + "machine": self._machine, labels.LABEL + "run": run}
        return mark if trial is None else {**mark, labels.LABEL + "trial": trial}

    # --- what is ours --------------------------------------------------------------------------

    def owned(self) -> tuple[Owned, ...]:
        """Return what this machine's runs left on the engine, and every image of ours."""
        mine = {"label": f"{labels.LABEL}machine={self._machine}"}
        with engine_at_work("list what is ours"):
            containers = self._client.api.containers(all=True, filters=mine)
            volumes = self._client.api.volumes(filters=mine)["Volumes"] or []
            images = {  # by id, because the image of an environment has its base's labels, too
                image["Id"]: image
                for label in ("environment", "base")
                for image in self._client.api.images(filters={"label": labels.LABEL + label})
                if labels.is_ours(image["RepoTags"])
            }
        return (
            *(
                labels.owned(
                    "container", entry["Id"], entry["Labels"], entry["Labels"][labels.LABEL + "run"]
                )
                for entry in containers
            ),
            *(
                labels.owned(
                    "volume",
                    entry["Name"],
                    entry["Labels"],
                    entry["Name"],
                    int(entry["Labels"].get(labels.LABEL + "bytes", 0)) or None,
                )
                for entry in volumes
            ),
            *(
                labels.owned("image", entry["Id"], entry["Labels"], _tag(entry), entry["Size"])
                for entry in images.values()
            ),
        )

    def discard(self, thing: Owned) -> None:
        """Remove one thing of ours; nothing happens if it is gone."""
        with engine_at_work(f"remove {thing.label}"):
            try:
                match thing.kind:
                    case "container":
                        self._client.api.remove_container(thing.id, v=True, force=True)
                    case "volume":
                        self._client.api.remove_volume(thing.id, force=True)
                    case _:
                        self._client.api.remove_image(thing.id, force=True)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if error.status_code != requests.codes.conflict:  # being removed, or in use
                    raise


def _remove(container: Container) -> None:
    """Remove a container with its anonymous volumes; it may be gone or going."""
    try:
        container.remove(v=True, force=True)
    except docker.errors.APIError as error:
        if error.status_code != requests.codes.conflict and not _is_gone(error):
            raise


def _is_gone(error: docker.errors.APIError) -> bool:
    """Whether an engine has no such container; podman says so with a 500 while it removes it."""
    missing = error.status_code == requests.codes.not_found
    return missing or "no such container" in str(error.explanation)


def _check_archive(file: Path, base: Base) -> None:
    """Refuse an archive of anything but one image without a name: it would replace what has it."""
    try:
        with tarfile.open(file) as tar:
            found = tar.extractfile("manifest.json")
            images = json.load(found) if found else []
        if [one.get("RepoTags") or [] for one in images] == [[]]:
            return
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{file} is no archive of the base {base.name}: {error}.") from error
    raise EngineError(f"{file} holds something else than the base {base.name}.")


def _build_error(context: BuildContext, cause: str, lines: list[str]) -> ImageBuildError:
    return ImageBuildError(
        f"the image of {context.label} could not be built: {cause.strip()}", "".join(lines)
    )


def _facts(info: Mapping[str, Any], version: Mapping[str, Any], machine: str | None) -> EngineFacts:
    parts = {part["Name"] for part in version.get("Components") or ()}
    return EngineFacts(
        name=PODMAN if "Podman Engine" in parts else DOCKER,
        version=info["ServerVersion"],
        api=version["ApiVersion"],
        storage=info["Driver"],
        cgroup=int(info.get("CgroupVersion") or 1),
        cpus=info["NCPU"],
        memory_bytes=info["MemTotal"],
        architecture=info["Architecture"],
        kernel=info["KernelVersion"],
        system=info["OperatingSystem"],
        machine=machine,
    )


def _tag(image: Mapping[str, Any]) -> str:
    return str((image["RepoTags"] or [image["Id"]])[0])


def _readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make a staged file root's and readable for everybody."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o444
    return entry


def _as_tar(folder: Path) -> Iterator[bytes]:
    """Yield a build context as a tar, piece by piece: it may hold gigabytes."""
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            entry = tarfile.TarInfo(path.name)
            entry.size = os.fstat(file.fileno()).st_size
            yield entry.tobuf(tarfile.GNU_FORMAT)
            while piece := file.read(PIECE_BYTES):
                yield piece
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
