"""Labels mark everything that the program creates on an engine. It touches nothing else."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.engines.protocol import BuildContext
from runner.records.environment import Base, BaseKind, Image
from runner.system import digest

REPOSITORY = "matrix-runner"
ENVIRONMENTS = f"{REPOSITORY}/environment:"
PODMAN_ONLY = "localhost/"  # podman's prefix for images that are in no registry
LABEL = "matrix-runner."
MACHINE, RUN, TRIAL, BYTES = (LABEL + name for name in ("machine", "run", "trial", "bytes"))
CONTENT, FINGERPRINT = LABEL + "base-digest", LABEL + "base-fingerprint"
"""Labels of assembled bases: the digest of their content, and of the interpreter they are made of.
A base from a bundle has no fingerprint, because only a replay may use it."""

# An image without a name was replaced by an image of the same environment on the same base.
OF_ENVIRONMENTS = {"label": [LABEL + "environment"], "dangling": ["false"]}


def owner(machine: str) -> str:
    """Return what distinguishes the images of this user of this machine from those of others."""
    return digest.of_content([machine, os.getuid()])


def image_tag(context: BuildContext, owner: str) -> str:
    """Return the name of an image, which no image of other content, base or owner has."""
    parts = [context.environment, context.base.digest, context.bundle, owner]
    return f"{ENVIRONMENTS}{digest.of_content(parts)[:32]}"


def base_tag(python: str, content: str, fingerprint: str | None, owner: str) -> str:
    """Return the name of an assembled base, which no base of other content or owner has."""
    parts = [content, fingerprint, owner]
    return f"{REPOSITORY}/base:{python}-{digest.of_content(parts)[:32]}"


def bundled_base_repository(owner: str) -> str:
    """Return the repository of the bases that were loaded from bundles as archives."""
    return f"{REPOSITORY}/bundled-base-{owner[:16]}"


def is_ours(names: Sequence[str] | None) -> bool:
    """Whether all names of an image are ours: an image that others build on ours has our labels."""
    plain = (name.removeprefix(PODMAN_ONLY) for name in names or ())
    return all(name.startswith((f"{REPOSITORY}/", "<none>")) for name in plain)


def build_arguments(context: BuildContext) -> dict[str, str]:
    """Return the build arguments from which the Dockerfile sets the labels of an image."""
    return {
        "BASE": context.base.name,
        "BASE_NAME": context.base.name,
        "BASE_KIND": context.base.kind.value,
        "BASE_DIGEST": context.base.digest,
        "ENVIRONMENT": context.environment,
        "LABEL": context.label,
        "BUNDLE": context.bundle or "",
    }


def images(listed: Iterable[Mapping[str, Any]]) -> tuple[Image, ...]:
    """Return our images in an engine's list.

    Labels alone prove nothing: an image that came with a bundle can have any.
    """
    return tuple(
        image(entry["Id"], entry["Labels"], entry["Size"])
        for entry in listed
        if is_ours(entry["RepoTags"]) and any(map(_is_environment, entry["RepoTags"] or ()))
    )


def _is_environment(name: str) -> bool:
    return name.removeprefix(PODMAN_ONLY).startswith(ENVIRONMENTS)


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
            digest=labels[CONTENT],
        ),
        bundle=labels.get(LABEL + "bundle") or None,
    )
