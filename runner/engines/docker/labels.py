"""Labels mark everything that the program creates on an engine, and say who owns it.

The owner is a user on a machine. What has no such labels, or those of others, is never touched.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runner.records.environment import Base, BaseKind, Image
from runner.system import digest
from runner.text import one_line

if TYPE_CHECKING:
    from runner.engines.protocol import BuildContext, ImageRequest

REPOSITORY = "matrix-runner"
ENVIRONMENTS = f"{REPOSITORY}/environment:"
PODMAN_ONLY = "localhost/"  # podman's prefix for images that are in no registry
LABEL = "matrix-runner."
MACHINE, USER, RUN, TRIAL, BYTES, STAGED = (
    LABEL + name for name in ("machine", "user", "run", "trial", "bytes", "staged")
)
CONTENT, FINGERPRINT = LABEL + "base-digest", LABEL + "base-fingerprint"
"""Labels of assembled bases: the digest of their content, and of the interpreter they are made of.
A base from a bundle has no fingerprint, because only a replay may use it."""

PYTHON = LABEL + "python"
"""The label that says what the interpreter of an image is called, if that is not ``python``."""

# An image without a name was replaced by an image of the same environment on the same base.
OF_ENVIRONMENTS = {"label": [LABEL + "environment"], "dangling": ["false"]}


def owner_labels(machine: str) -> dict[str, str]:
    """Return the labels of everything that belongs to this user of a machine."""
    return {MACHINE: machine, USER: str(os.geteuid())}


def belongs_to(machine: str, entry: Mapping[str, Any]) -> bool:
    """Whether something in an engine's list belongs to this user of a machine."""
    labels = entry["Labels"] or {}
    return owner_labels(machine).items() <= labels.items()


def image_tag(context: "BuildContext", machine: str) -> str:
    """Return the name of an image, which no image of other content, base or owner has."""
    parts = [context.environment, context.base.digest, context.bundle, owner_labels(machine)]
    return f"{ENVIRONMENTS}{digest.of_content(parts)[:32]}"


def request_tag(request: "ImageRequest", machine: str) -> str:
    """Return the name of an image that nothing is installed into."""
    parts = [request.environment, request.name, request.digest, owner_labels(machine)]
    return f"{ENVIRONMENTS}{digest.of_content(parts)[:32]}"


def request_labels(
    request: "ImageRequest", kind: BaseKind, python: str, machine: str
) -> dict[str, str]:
    """Return the labels of an image that nothing is installed into."""
    return {
        LABEL + "environment": request.environment,
        LABEL + "label": request.label,
        LABEL + "base-name": request.name,
        LABEL + "base-kind": kind.value,
        CONTENT: request.digest,
        LABEL + "bundle": "",
        PYTHON: python,
        **owner_labels(machine),
    }


def label_instruction(labels: Mapping[str, str]) -> str:
    """Return one LABEL instruction, because the builder needs a step for each."""
    escape = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$"})
    words = (f'{name}="{one_line(value).translate(escape)}"' for name, value in labels.items())
    return f"LABEL {' '.join(words)}"


def base_tag(python: str, content: str, fingerprint: str | None, machine: str) -> str:
    """Return the name of an assembled base, which no base of other content or owner has."""
    parts = [content, fingerprint, owner_labels(machine)]
    return f"{REPOSITORY}/base:{python}-{digest.of_content(parts)[:32]}"


def bundled_base_repository(machine: str) -> str:
    """Return the repository of the bases that were loaded from bundles as archives."""
    return f"{REPOSITORY}/bundled-base-{_owner_digest(machine)}"


def unfinished_repository(machine: str) -> str:
    """Return the repository of images of the user's own Dockerfiles until they have our labels."""
    return f"{REPOSITORY}/unfinished-{_owner_digest(machine)}"


def _owner_digest(machine: str) -> str:
    return digest.of_content(owner_labels(machine))[:16]


def is_ours(names: Sequence[str] | None) -> bool:
    """Whether all names of an image are ours: an image that others build on ours has our labels."""
    plain = (name.removeprefix(PODMAN_ONLY) for name in names or ())
    return all(name.startswith((f"{REPOSITORY}/", "<none>")) for name in plain)


def build_arguments(context: "BuildContext", machine: str) -> dict[str, str]:
    """Return the build arguments from which the Dockerfile sets the labels of an image."""
    return {
        "BASE": context.base.name,
        "BASE_NAME": context.base.name,
        "BASE_KIND": context.base.kind.value,
        "BASE_DIGEST": context.base.digest,
        "ENVIRONMENT": context.environment,
        "LABEL": context.label,
        "BUNDLE": context.bundle or "",
        "OWNER_MACHINE": machine,
        "OWNER_USER": owner_labels(machine)[USER],
    }


def images(listed: Iterable[Mapping[str, Any]], machine: str) -> tuple[Image, ...]:
    """Return this user's images in an engine's list.

    Labels alone prove nothing: an image that came with a bundle can have any. One whose labels are
    incomplete was not built by this program.
    """
    found = []
    for entry in listed:
        names = entry["RepoTags"] or ()
        if is_ours(names) and any(map(_is_environment, names)) and belongs_to(machine, entry):
            with suppress(LookupError, ValueError):
                found.append(image(entry["Id"], entry["Labels"], entry["Size"]))
    return tuple(found)


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
