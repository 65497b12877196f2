"""What the program created on an engine, in the lists that the engine gives."""

from collections.abc import Iterable, Mapping
from typing import Any

from runner.engines.docker import labels
from runner.engines.protocol import Owned

Listed = Iterable[Mapping[str, Any]]

OF_RUNS = {"label": [labels.RUN]}
KINDS_OF_IMAGES = ("environment", "base")


def belongings(
    containers: Listed,
    volumes: Listed,
    images: Listed,
    unlabelled: Listed,
    machine: str,
    *,
    own: bool = True,
) -> tuple[Owned, ...]:
    """Return what belongs to this user of a machine, or to all others and other machines.

    ``unlabelled`` images belong to this user by their names. Each thing comes after those that use
    it.
    """
    # By id, because the image of an environment has its base's label, too.
    ours = {one["Id"]: one for one in images if labels.is_ours(one["RepoTags"])}
    things = (
        *(("container", one, one["Labels"][labels.RUN]) for one in containers),
        *(("volume", one, one["Name"]) for one in volumes),
        *(("image", one, (one["RepoTags"] or [one["Id"]])[0]) for one in ours.values()),
    )
    return (
        *(
            _owned(kind, entry, label)
            for kind, entry, label in things
            if labels.belongs_to(machine, entry) == own
        ),
        *(_owned("image", one, one["RepoTags"][0]) for one in unlabelled),
    )


def _owned(kind: str, entry: Mapping[str, Any], label: str) -> Owned:
    marks = entry["Labels"]
    size = str(entry["Size"] if kind == "image" else marks.get(labels.BYTES, ""))
    return Owned(
        kind=kind,
        id=entry.get("Id") or entry["Name"],
        label=label,
        size_bytes=int(size) if size.isdecimal() else None,
        run=marks.get(labels.RUN),
    )
