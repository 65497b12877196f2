"""The image of an environment as an archive that an engine loads, made while it is sent.

The classic builder copies the packages several times. An engine that loads an archive writes them
twice, and leaves layers out that it has already: those of the base are not in the archive at all.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.engines.protocol import PACKED
from runner.system import packing

CREATED = "1970-01-01T00:00:00Z"
"""The date of every image, because equal packages make equal images."""
WHITEOUT = "/.wh."
"""The start of names in a layer that remove files of the layers below."""
INHERITED = ("Env", "Entrypoint", "ExposedPorts", "StopSignal", "Healthcheck", "Shell", "Labels")
"""The settings that an image has from its base, unless its Dockerfile says something else."""
ARGUMENT = re.compile(r"\$\{(\w+)\}")
PLAIN = re.compile(r"[\w./:@%+,-]+", re.ASCII)
"""A word that means itself in a Dockerfile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a Dockerfile adds to its base: settings of the image, and a folder of packages."""

    folder: str
    settings: Mapping[str, object]
    variables: Mapping[str, str]
    labels: Mapping[str, str]


def recipe(dockerfile: str, arguments: Mapping[str, str]) -> Recipe | None:
    """Return what a Dockerfile does with these build arguments; None if only a builder can do it.

    Only those instructions are understood that need no container, and only as ours are written.
    """
    settings: dict[str, object] = {}
    pairs: dict[str, Mapping[str, str]] = {"ENV": {}, "LABEL": {}}
    try:
        *others, last = _instructions(dockerfile)
        for name, rest in others:
            match name:
                case "ARG":
                    pass
                case "FROM" if rest == "${BASE}":
                    pass
                case "ENV" | "LABEL":
                    pairs[name] = {**pairs[name], **_pairs(rest, arguments)}
                case "CMD":
                    settings["Cmd"] = json.loads(rest)
                case "USER":
                    settings["User"] = _plain(rest)
                case "WORKDIR" if rest == "/tmp":  # noqa: S108  a builder makes any other folder
                    settings["WorkingDir"] = rest
                case _:
                    return None
        folder = _added_to(*last)
    except (ValueError, LookupError):
        return None
    return Recipe(folder=folder, settings=settings, variables=pairs["ENV"], labels=pairs["LABEL"])


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    lines = "\n".join(line for line in dockerfile.splitlines() if not line.startswith("#"))
    for line in filter(None, lines.replace("\\\n", " ").splitlines()):
        name, _, rest = line.partition(" ")
        yield name, rest


def _pairs(words: str, arguments: Mapping[str, str]) -> Mapping[str, str]:
    pairs = (word.partition("=")[::2] for word in words.split())
    return {
        name: arguments[found[1]] if (found := ARGUMENT.fullmatch(value)) else _plain(value)
        for name, value in pairs
    }


def _plain(word: str) -> str:
    if not PLAIN.fullmatch(word):
        raise ValueError(f"{word!r} could mean something else to a builder")
    return word


def _added_to(name: str, words: str) -> str:
    """Return the folder that the packages are added to, without the slash before it."""
    source, target = words.split()
    if (name, source) != ("ADD", PACKED):
        raise ValueError("the last instruction does not add the packages")
    return _plain(target).strip("/")


def layer(folder: str, entries: Iterable[packing.Entry]) -> packing.Tar:
    """Return a layer with these entries in a folder; ValueError if one would remove others."""
    return packing.Tar(packing.below(folder, map(_harmless, entries)))


def _harmless(entry: packing.Entry) -> packing.Entry:
    if WHITEOUT in f"/{entry.name}":
        raise ValueError(f"{entry.name!r} means in a layer that a file is removed")
    return entry


@dataclass(slots=True, kw_only=True)
class ImageArchive:
    """The archive of an image on a base, as the engine describes it. It can be read once."""

    base: Mapping[str, Any]
    recipe: Recipe
    layer: packing.Tar
    tag: str
    id: str | None = None
    """The id of the image, as soon as the archive was read to its end."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive. The layer comes first: all else contains its digest."""
        content = hashlib.sha256()
        yield _head("layer.tar", self.layer.size)
        for piece in self.layer.pieces():
            content.update(piece)
            yield piece
        below = list(self.base["RootFS"]["Layers"])
        config = _dumped(self._config([*below, f"sha256:{content.hexdigest()}"]))
        missing = [f"below-{number}.tar" for number in range(len(below))]
        image = {"Config": "c.json", "RepoTags": [self.tag], "Layers": [*missing, "layer.tar"]}
        self.id = f"sha256:{hashlib.sha256(config).hexdigest()}"
        for name, part in (("c.json", config), ("manifest.json", _dumped([image]))):
            yield _head(name, len(part)) + part + bytes(-len(part) % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _config(self, layers: list[str]) -> dict[str, object]:
        base, made = self.base, self.recipe
        inherited = base.get("Config") or {}
        config = {name: inherited[name] for name in INHERITED if inherited.get(name)}
        known = dict(one.partition("=")[::2] for one in config.get("Env", ()))
        variables = {**known, **made.variables}
        config["Env"] = [f"{name}={value}" for name, value in variables.items()]
        config["Labels"] = {**config.get("Labels", {}), **made.labels}
        return {
            "architecture": base["Architecture"],
            **({"variant": base["Variant"]} if base.get("Variant") else {}),
            "os": base["Os"],
            "created": CREATED,
            "config": {**config, **made.settings},
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": [{"created": CREATED, "created_by": "matrix-runner"} for _ in layers],
        }


def _head(name: str, size: int) -> bytes:
    head = tarfile.TarInfo(name)
    head.size = size
    return head.tobuf(tarfile.GNU_FORMAT)


def _dumped(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
