"""Images that nothing is installed into: existing ones, and those of the user's own Dockerfiles.

Each gets labels of ours in an image on top of it, so that it is found again and removed with
everything else of ours. The image below keeps the names that others gave it.
"""

import io
import posixpath
import re
import tarfile
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.models.images import Image as FoundImage
from docker.types import Mount
from docker.utils import parse_repository_tag

from runner.engines.docker import labels
from runner.engines.docker.client import cause, engine_at_work
from runner.engines.docker.containers import VARIABLES, may_be_gone, remove, run_to_end
from runner.engines.docker.hardening import hardening
from runner.engines.docker.images import (
    PULL_WAITS_S,
    DockerImages,
    build_problem,
    config_problem,
)
from runner.engines.protocol import DOCKERFILE, ImageRequest
from runner.engines.streams import TrialOutput
from runner.errors import EngineLostError, ImageBuildError
from runner.inside import ISOLATED
from runner.records.environment import BaseKind, Image
from runner.records.study import Limits
from runner.system import context, digest, signals
from runner.text import one_line

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The engine's names of processors, where images have other ones."""
OURS = {"/inputs", "/tmp", "/out", "/dev/shm"}  # noqa: S108  the container's own
"""The folders that every trial gets from us."""
TRY_PYTHON = """
import sys
if sys.version_info < (3, 6):
    sys.exit("Python %d.%d is too old" % sys.version_info[:2])
import json, resource, select, signal, subprocess, threading, typing
print("usable")
"""
"""Says whether the launcher has what it needs; Python 2 must be able to read it."""
TRY_S = 60.0
NOT_EXECUTABLE = re.compile(
    r"not found|no such file|permission denied|not a directory|exec format", re.IGNORECASE
)
"""How engines say that a container's program cannot be executed."""


class ReadyImages(DockerImages):
    """The part of ``DockerEngine`` that provides images which nothing is installed into."""

    def __init__(self, client: docker.DockerClient, machine: str, *, local: bool) -> None:
        super().__init__(client, machine, local=local)
        self._ready_lock = threading.Lock()
        self._configs: dict[str, Mapping[str, Any]] = {}

    # --- existing images -----------------------------------------------------------------------

    def image_digest(self, name: str) -> str:
        """Return what identifies an image: like ``docker run``, prefer one that was built here."""
        with engine_at_work(f"ask for the image {name}"):
            here = self._found(name)
            pulled = None if here is None else _registry_digest(here, name)
            if here is not None and pulled is None:
                return str(here.id)
            try:
                return self._digest_in_registry(name)
            except (docker.errors.APIError, requests.Timeout, LookupError, TypeError) as error:
                if pulled is not None:  # nobody says that it is another one by now
                    return pulled
                raise ImageBuildError(
                    f"the image {name} is neither on the engine nor can its registry be asked "
                    f"for it ({cause(error)}): correct its name, or use `docker login` if the "
                    "registry wants a password."
                ) from error

    def _found(self, reference: str) -> FoundImage | None:
        with suppress(docker.errors.NotFound):
            return self._client.images.get(reference)
        return None

    def _digest_in_registry(self, name: str) -> str:
        if self._is_podman():  # it can only pull
            self._pull_strictly(name)
            image = self._client.images.get(name)
            return _registry_digest(image, name) or str(image.id)
        answer = self._client.api.inspect_distribution(name)  # type: ignore[no-untyped-call]
        found = str(answer["Descriptor"]["digest"])
        if not DIGEST.fullmatch(found):
            raise LookupError(f"its digest {found[:80]!r} is not one")
        return found

    def pull(self, request: ImageRequest) -> Image:
        step = f"provide the image {request.name}"
        with self._ready_lock, engine_at_work(step):
            if (here := self._found_at(request)) is not None:
                return self._labelled(request, here)
            reference = f"{_repository(request.name)}@{request.digest}"
            try:
                self._pull_strictly(reference)
            except docker.errors.APIError as error:
                raise ImageBuildError(
                    f"the image {request.name} with the locked digest {request.digest} is neither "
                    f"on the engine nor could it be pulled ({cause(error)}): push or load it "
                    "again, or lock the image that has this name now."
                ) from error
            try:
                return self._labelled(request, self._client.images.get(reference))
            finally:  # the image on top of it keeps its layers
                with may_be_gone():
                    self._client.api.remove_image(reference)

    def _found_at(self, request: ImageRequest) -> FoundImage | None:
        """Return the image with exactly the requested digest if the engine has it."""
        exact = f"{_repository(request.name)}@{request.digest}"
        for reference in (exact, request.digest, request.name):
            image = self._found(reference)
            if image is not None and request.digest in {image.id, *_digests(image).values()}:
                return image
        return None

    def _pull_strictly(self, reference: str) -> None:
        """Pull an image; try again after each wait, unless the registry does not have it."""
        for wait_s in PULL_WAITS_S:
            try:
                self._pull_once(reference)
            except docker.errors.APIError as error:
                if error.is_client_error():
                    raise
                time.sleep(wait_s)
            else:
                return
        self._pull_once(reference)

    def _pull_once(self, reference: str) -> None:
        repository, tag = parse_repository_tag(reference)
        for event in self._client.api.pull(repository, tag or "latest", stream=True, decode=True):
            if "error" in event:  # the SDK's ``images.pull`` ignores it
                raise docker.errors.APIError(event["error"])

    # --- the user's own Dockerfiles ------------------------------------------------------------

    def build_own(self, request: ImageRequest, folder: Path) -> Image:
        tag = self._own(f"{labels.unfinished_repository(self._machine)}:{uuid.uuid4().hex}")
        log: list[str] = []
        with tempfile.TemporaryFile() as tar:
            if context.write_context(folder, tar) != request.digest:
                raise ImageBuildError(
                    f"the files of {request.name} are not those that were locked: lock them again."
                )
            tar.seek(0)
            with engine_at_work(f"build {request.name}"):
                try:
                    built = self._built(tar, tag, log, network=True, nocache=False)
                    return self._labelled(request, built)
                except (docker.errors.APIError, docker.errors.BuildError) as error:
                    raise ImageBuildError(
                        f"{request.name} could not be built: {build_problem(error)}", "".join(log)
                    ) from error
                finally:
                    with suppress(docker.errors.APIError):
                        self._client.api.remove_image(tag)

    # --- both ----------------------------------------------------------------------------------

    def _labelled(self, request: ImageRequest, below: FoundImage) -> Image:
        """Return the image with our labels; ImageBuildError if no trial can run in it."""
        self._check(request.name, below.attrs)
        with _refused(request.name):
            python = self._python_in(request.name, str(below.id))
        pulled = request.digest in _digests(below).values()
        kind = BaseKind.PULLED if pulled else BaseKind.LOCAL
        marks = labels.request_labels(request, kind, python, self._machine)
        tag = self._own(labels.request_tag(request, self._machine))
        dockerfile = f"FROM {below.id}\n{labels.label_instruction(marks)}\n"
        built = self._built(_tar_of(DOCKERFILE, dockerfile.encode()), tag, [])
        return labels.image(str(built.id), built.labels, built.attrs["Size"])

    def _check(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Refuse an image that no trial can run in, whatever is in it."""
        config, machine = attributes.get("Config") or {}, self.describe().architecture
        if problem := config_problem(config):
            raise ImageBuildError(f"the image {name} {problem}.")
        system, processor = attributes.get("Os"), attributes.get("Architecture")
        if system != "linux" or machine not in {processor, ARCHITECTURES.get(str(processor))}:
            raise ImageBuildError(
                f"the image {name} is made for {system}/{processor}, but the engine runs on "
                f"linux/{machine}: name an image for that."
            )
        for path in _declared(config):
            if path.startswith("/inputs/"):
                raise ImageBuildError(
                    f"the image {name} declares the volume {path}, but trials find their files in "
                    "/inputs: use one that was built without that VOLUME."
                )

    def _python_in(self, name: str, image: str) -> str:
        """Return what the interpreter in an image is called; ImageBuildError without any."""
        problems = []
        for python in ("python3", "python"):
            problem = self._problem_with(python, image)
            if problem is None:
                return python
            problems.append(f"{python}: {problem}")
        raise ImageBuildError(
            f"{name} has no python3 of 3.6 or newer on its PATH that trials could use "
            f"({'; '.join(problems)}): install one in the image."
        )

    def _problem_with(self, python: str, image: str) -> str | None:
        """Return why an interpreter cannot run the launcher: it is tried in a container."""
        run = f"try-{uuid.uuid4().hex[:16]}"
        output = TrialOutput(Limits(), lambda _: None)
        try:
            with signals.deferred():
                container = self._client.containers.create(
                    image,
                    entrypoint=[python, *ISOLATED],
                    command=["-c", TRY_PYTHON],
                    healthcheck={"test": ["NONE"]},
                    labels=self._labels(run),
                    mounts=self._volumes_of(image, run),
                    environment=VARIABLES,
                    **hardening(Limits(), self.cores()[-1:], podman=self._is_podman()),
                )
            try:
                overdue = run_to_end(
                    self._client, container, output.add, step=f"start {python}", longest_s=TRY_S
                )
                code = container.wait(timeout=TRY_S)["StatusCode"]
            finally:
                remove(container)
        except EngineLostError as error:
            if NOT_EXECUTABLE.search(str(error.__cause__)):
                return "cannot be executed"
            raise
        finally:
            self._remove_volumes_of(run)
        if overdue:
            return f"did not answer within {TRY_S:g} s"
        if code == 0 and output.document() == b"usable\n":
            return None
        last = one_line(output.log().strip().rpartition("\n")[2])
        return last or f"ended with exit code {code}"

    # --- trials in them ------------------------------------------------------------------------

    def _config(self, image: str) -> Mapping[str, Any]:
        """Return the configuration of an image, which never changes."""
        if image not in self._configs:
            self._configs[image] = self._client.images.get(image).attrs.get("Config") or {}
        return self._configs[image]

    def _python_of(self, image: str) -> str:
        """Return what the interpreter in an image of ours is called."""
        return (self._config(image).get("Labels") or {}).get(labels.PYTHON) or "python"

    def _labels(self, run: str) -> dict[str, str]:
        return {**labels.owner_labels(self._machine), labels.RUN: run}

    def _volumes_of(self, image: str, run: str) -> list[Mount]:
        """Create and return what to mount where an image declares a VOLUME.

        By itself an engine would mount a disk there that trials can fill. These volumes have the
        content of the image, nobody can write to them, and they are removed with the run.
        """
        mounts = []
        for path in _declared(self._config(image)):
            content = digest.of_content([self._machine, run, image, path])
            name, marks = f"{labels.REPOSITORY}-{content[:16]}", self._labels(run)
            self._client.volumes.create(name, labels=marks)  # podman ignores those of a mount
            mounts.append(Mount(path, name, type="volume", read_only=True, labels=marks))
        return mounts

    def _remove_volumes_of(self, run: str) -> None:
        filters = {"label": f"{labels.RUN}={run}"}
        for volume in self._client.api.volumes(filters=filters)["Volumes"] or ():
            with may_be_gone():
                self._client.api.remove_volume(volume["Name"], force=True)


@contextmanager
def _refused(name: str) -> Iterator[None]:
    """Turn the engine's refusal of something in an image into an ImageBuildError."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code != requests.codes.bad_request:
            raise
        raise ImageBuildError(
            f"the engine cannot run the image {name}: {cause(error)}; use another one."
        ) from error


def _declared(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the folders that an image declares as volumes, except for those that we mount."""
    found = {posixpath.normpath(path) for path in config.get("Volumes") or ()}
    return tuple(sorted(found - OURS))


def _repository(name: str) -> str:
    """Return the name of an image without its tag and its digest."""
    return str(parse_repository_tag(name.partition("@")[0])[0])


def _digests(image: FoundImage) -> dict[str, str]:
    """Return the digests of an image by the repositories that it was pulled from or pushed to."""
    pairs = (one.partition("@") for one in image.attrs.get("RepoDigests") or ())
    return {repository: found for repository, _, found in pairs}


def _registry_digest(image: FoundImage, name: str) -> str | None:
    """Return the digest of an image in the registry of its name, None if it was only built here.

    Engines leave out the registry and the folder that they add to short names.
    """
    wanted = _repository(name)
    for repository, found in _digests(image).items():
        if wanted == repository or wanted.endswith(f"/{repository}"):
            return found
    return None


def _tar_of(name: str, content: bytes) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    target.seek(0)
    return target
