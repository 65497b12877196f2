"""What a Docker engine says about itself, and what it gets from a bundle."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import docker
import pytest

from runner.engines.docker.trials import DockerEngine
from runner.errors import EngineError
from runner.records.environment import Base, BaseKind

INFO = {
    "ServerVersion": "1",
    "Driver": "overlay2",
    "NCPU": 3,
    "MemTotal": 1,
    "Architecture": "x86_64",
    "KernelVersion": "6",
    "OperatingSystem": "none",
    "Name": "there",
}


def client(info: Any) -> Mock:
    """Return the client of an engine that says this about itself."""
    made = Mock(docker.DockerClient)
    made.info.return_value = info
    made.version.return_value = {"ApiVersion": "1.41"}
    return made


def engine(info: Any, *, local: bool = True) -> DockerEngine:
    """Return an engine that says this about itself."""
    return DockerEngine(client(info), "m", local=local)


def test_trials_use_cores_that_are_online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of cores says nothing about their numbers."""
    monkeypatch.setattr("runner.engines.docker.questions.online", lambda: (0, 2, 5))
    assert engine(INFO).cores() == (0, 2, 5)
    assert engine(INFO, local=False).cores() == (0, 1, 2)
    assert engine({**INFO, "NCPU": 2}).cores() == (0, 1)  # a virtual machine behind the socket


@pytest.mark.parametrize("info", [{}, [], None, {**INFO, "CgroupVersion": "two"}])
def test_whatever_is_not_docker_is_one_sentence(info: Any) -> None:
    """Anything may listen at an address."""
    with pytest.raises(EngineError, match="not like Docker"):
        engine(info).describe()


BASE = Base(kind=BaseKind.PULLED, name="python:3.11-slim", digest="sha256:0")
PARTS = {"c.json": b"configuration", "a/layer.tar": b"a", "b/layer.tar": b"b"}
IMAGE = {"Config": "c.json", "Layers": ["a/layer.tar", "b/layer.tar", "a/layer.tar"]}


def manifest(**fields: object) -> bytes:
    """Return the manifest of the image with other fields."""
    return json.dumps([{**IMAGE, "RepoTags": None, **fields}]).encode()


def loaded(folder: Path, parts: Mapping[str, bytes], hidden: str = "") -> Mapping[str, bytes]:
    """Load an archive with these files; return the files in the one that the engine gets.

    Python reads the file ``hidden`` under another name, and the engine under its own.
    """
    with tarfile.open(folder / "base.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if name == hidden:
                entry.pax_headers = {"GNU.sparse.name": "harmless"}
            tar.addfile(entry, io.BytesIO(content))
    found = {}

    def load(file: io.BytesIO) -> list[Mock]:
        with tarfile.open(fileobj=file) as tar:
            found.update({one.name: tar.extractfile(one).read() for one in tar})  # type: ignore[union-attr]
        return [Mock(id="sha256:1")]

    connected = client(INFO)
    connected.images.load = load
    DockerEngine(connected, "m", local=True).load_base(BASE, "3.11", folder / "base.tar")
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("./manifest.json", manifest(RepoTags=["python:3.11-slim"])),
        ("index.json", b'{"manifests": [{"annotations": {"name": "python:3.11-slim"}}]}'),
        ("repositories", b"{}"),
    ],
)
@pytest.mark.parametrize("tags", [None, ["python:3.11-slim"]])
def test_an_archive_in_a_bundle_cannot_name_its_image(
    tmp_path: Path, name: str, content: bytes, tags: list[str] | None
) -> None:
    """Only the layers of the image and their configuration reach the engine."""
    parts = {**PARTS, "manifest.json": manifest(RepoTags=tags), name: content}
    for found in (loaded(tmp_path, parts), loaded(tmp_path, parts, hidden=name)):
        (image,) = json.loads(found["manifest.json"])
        assert image["RepoTags"] is None
        assert [found[one] for one in image["Layers"]] == [b"a", b"b", b"a"]
        assert found[image["Config"]] == b"configuration"
        assert len(found) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[{}]",
        b"[" * 100_000,
        manifest(Config=1),
        manifest(Layers="x"),
        manifest(Layers=["missing"]),
    ],
)
def test_whatever_is_no_image_is_not_loaded(tmp_path: Path, content: bytes) -> None:
    """A bundle may come from anybody."""
    with pytest.raises(EngineError, match=r"is not an archive of the base python:3\.11-slim"):
        loaded(tmp_path, {**PARTS, "manifest.json": content})
