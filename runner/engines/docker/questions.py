"""What an engine answers to simple questions, however it is asked: with the SDK, or without it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.engines import base as assembled
from runner.engines.docker import labels
from runner.engines.docker.plain import Filters
from runner.errors import EngineError
from runner.python.interpreters import Interpreter, executable
from runner.records.environment import Base, BaseKind, Image
from runner.records.run import EngineFacts
from runner.system import digest
from runner.system.cores import online

PODMAN = "podman"
OFFICIAL = "python:{python}-slim"
LIST_OURS = "list what belongs to this program"
CONTAINERD = "io.containerd.snapshotter"
"""How an engine names its storage if that is containerd, which wants every layer in an archive."""


class Questions(ABC):
    """The part of an engine that changes nothing. Subclasses ask; this class understands."""

    def __init__(self, machine: str, *, local: bool) -> None:
        self._machine = machine
        self._local = local
        self._facts: EngineFacts | None = None
        self._in_containerd = False

    @abstractmethod
    def _description(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what the engine says about itself, and about its version."""

    @abstractmethod
    def _image(self, name: str) -> Mapping[str, Any] | None:
        """Return the attributes of an image; None if the engine does not have it."""

    @abstractmethod
    def _images(
        self, step: str, filters: Filters, name: str | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the list of images, or of those with a name; an error says in which step."""

    def describe(self) -> EngineFacts:
        """Return the facts of the engine, which is asked only once."""
        if self._facts is None:
            info, version = self._description()
            try:
                self._facts = _facts(info, version, local=self._local)
                self._in_containerd = CONTAINERD in str(info.get("DriverStatus"))
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise EngineError(
                    "the engine answers, but not like Docker: name another one in DOCKER_HOST."
                ) from error
        return self._facts

    def cores(self) -> tuple[int, ...]:
        count, here = self.describe().cpus, online() if self._local else ()
        # Even behind a local socket there may be a virtual machine with other cores.
        return here if len(here) == count else tuple(range(count))

    def _is_podman(self) -> bool:
        return self.describe().name == PODMAN

    def _own(self, name: str) -> str:
        """Return the full name of an image of ours: podman looks up short names in a registry."""
        return labels.PODMAN_ONLY + name if self._is_podman() else name

    def images(self) -> tuple[Image, ...]:
        return labels.images(self._images("list images", labels.OF_ENVIRONMENTS), self._machine)

    def _existing(self, wanted: str, name: str, interpreter: Interpreter) -> Base | None:
        """Return the chosen base if it exists; the named image is preferred to an assembled one."""
        if wanted != "host" and (image := self._image(name)) is not None:
            return of_image(name, image)
        return self._assembled(interpreter) if wanted in {"auto", "host"} else None

    def _assembled(self, interpreter: Interpreter) -> Base | None:
        """Return the base that was assembled from the same interpreter, if the engine has it."""
        made_of = assembled.fingerprint(interpreter)
        filters = {"label": [f"{labels.FINGERPRINT}={made_of}"], "dangling": ["false"]}
        name = self._own(f"{labels.REPOSITORY}/base")
        for image in self._images("find a base", filters, name):
            content = image["Labels"].get(labels.CONTENT, "")
            base = self._assembled_base(interpreter.name, content, made_of)
            if base.name in (image["RepoTags"] or ()):  # not that of another user
                return base
        return None

    def _assembled_base(self, python: str, content: str, made_of: str | None) -> Base:
        name = self._own(labels.base_tag(python, content, made_of, self._machine))
        return Base(kind=BaseKind.ASSEMBLED, name=name, digest=content)

    def _without_labels(self) -> Iterator[Mapping[str, Any]]:
        """Yield the images without our labels, under the names that we gave them.

        They were loaded as bases, or a build of the user's own Dockerfile was cut off. Such an
        image can have other names, too: it has to be removed by its name.
        """
        for name_of in (labels.bundled_base_repository, labels.unfinished_repository):
            repository = self._own(name_of(self._machine))
            for image in self._images(LIST_OURS, {}, repository):
                for name in image["RepoTags"] or ():
                    if name.startswith(f"{repository}:"):
                        yield {**image, "Id": name, "RepoTags": [name], "Labels": {}}


def chosen(wanted: str, interpreter: Interpreter) -> tuple[str, str]:
    """Return the kind of base for an interpreter, and the name of the image that it would be."""
    name = OFFICIAL if wanted in {"auto", "pull"} else wanted
    name = name.replace("{python}", interpreter.name)
    if executable(interpreter.name) != f"python{interpreter.minor}":
        wanted = _assembled_only(wanted, interpreter)
    return wanted, name


def _assembled_only(wanted: str, interpreter: Interpreter) -> str:
    """Return that a base is assembled here: the official images have no such Python."""
    if wanted not in {"auto", "host"}:
        raise EngineError(
            f"{interpreter.name} runs only on a base that is assembled from this machine; remove "
            f"`base: {wanted}` from the matrix."
        )
    return "host"


def of_image(name: str, attributes: Mapping[str, Any]) -> Base:
    """Return an image as a base; what it is called elsewhere says whether it was pulled."""
    digests = attributes.get("RepoDigests") or []
    kind = BaseKind.PULLED if digests else BaseKind.LOCAL
    content = digests[0].split("@")[1] if digests else str(attributes["Id"])
    return Base(kind=kind, name=name, digest=content)


def _facts(info: Mapping[str, Any], version: Mapping[str, Any], *, local: bool) -> EngineFacts:
    parts = {part["Name"] for part in version.get("Components") or ()}
    return EngineFacts(
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
        machine=None if local else digest.of_content(info["Name"])[:16],
    )
