"""Labels mark everything that the program creates on an engine. It touches nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.engines.protocol import BuildContext
from runner.records.environment import Base, BaseKind, Image

REPOSITORY = "matrix-runner"
PODMAN_ONLY = "localhost/"  # podman's prefix for images that are in no registry
LABEL = "matrix-runner."
MACHINE, RUN, TRIAL, BYTES = (LABEL + name for name in ("machine", "run", "trial", "bytes"))

# An image without a name was replaced by an image of the same environment on another base.
OF_ENVIRONMENTS = {"label": [LABEL + "environment"], "dangling": ["false"]}


def image_tag(environment: str) -> str:
    """Return the name of the image of an environment digest."""
    return f"{REPOSITORY}/environment:{environment[:16]}"


def is_ours(names: Sequence[str] | None) -> bool:
    """Whether all names of an image are ours: an image that others build on ours has our labels."""
    plain = (name.removeprefix(PODMAN_ONLY) for name in names or ())
    return all(name.startswith((f"{REPOSITORY}/", "<none>")) for name in plain)


def build_arguments(context: BuildContext) -> dict[str, str]:
    """Return the build arguments from which the Dockerfile sets the labels of an image."""
    return {
        "BASE": context.base.name,
        "BASE_KIND": context.base.kind.value,
        "BASE_DIGEST": context.base.digest,
        "ENVIRONMENT": context.environment,
        "LABEL": context.label,
    }


def images(listed: Iterable[Mapping[str, Any]]) -> dict[str, Image]:
    """Return our images in an engine's list, by environment digest."""
    ours = (
        image(entry["Id"], entry["Labels"], entry["Size"])
        for entry in listed
        if is_ours(entry["RepoTags"])
    )
    return {found.environment: found for found in ours}


def image(identity: str, labels: Mapping[str, str], size: int) -> Image:
    """Return the image that has these labels."""
    return Image(
        environment=labels[LABEL + "environment"],
        label=labels[LABEL + "label"],
        id=identity,
        size_bytes=size,
        base=Base(
            kind=BaseKind(labels[LABEL + "base-kind"]),
            name=labels[LABEL + "base-name"],
            digest=labels[LABEL + "base-digest"],
        ),
    )
