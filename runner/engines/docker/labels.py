"""The labels by which what is ours is found again, and nothing else is ever touched."""

from collections.abc import Mapping, Sequence

from runner.engines.protocol import BuildContext, Owned
from runner.records.environment import Base, BaseKind, Image

REPOSITORY = "matrix-runner"
PODMAN_ONLY = "localhost/"  # how podman begins the name of an image that is in no registry
LABEL = "matrix-runner."


def image_tag(environment: str) -> str:
    """Return the name of the image of an environment digest."""
    return f"{REPOSITORY}/environment:{environment[:16]}"


def is_ours(names: Sequence[str] | None) -> bool:
    """Whether an image is named by us, or by nobody: one built from ours inherits its labels."""
    plain = (name.removeprefix(PODMAN_ONLY) for name in names or ())
    return all(name.startswith((f"{REPOSITORY}/", "<none>")) for name in plain)


def build_arguments(context: BuildContext) -> dict[str, str]:
    """Return the arguments of the Dockerfile, which makes labels of them."""
    return {
        "BASE": context.base.name,
        "BASE_KIND": context.base.kind.value,
        "BASE_DIGEST": context.base.digest,
        "ENVIRONMENT": context.environment,
        "LABEL": context.label,
    }


def image(identity: str, labels: Mapping[str, str], size: int) -> Image:
    """Return the image that carries these labels."""
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


def owned(
    kind: str, identity: str, labels: Mapping[str, str], label: str, size: int | None = None
) -> Owned:
    """Return a thing of ours that carries these labels."""
    return Owned(
        kind=kind, id=identity, label=label, size_bytes=size, run=labels.get(LABEL + "run")
    )
