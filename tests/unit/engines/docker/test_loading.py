"""The image of an environment as an archive."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.engines.docker.loading import ImageArchive, Recipe, layer, recipe
from runner.prepare.recipe import dockerfile
from runner.system.packing import Entry, of_folder

ARGUMENTS = {
    "BASE": "sha256:b",
    "BASE_NAME": "python:3.11-slim",
    "BASE_KIND": "pulled",
    "BASE_DIGEST": "sha256:d",
    "ENVIRONMENT": "e" * 64,
    "LABEL": 'numpy="1.0" $HOME\\',
    "BUNDLE": "",
    "OWNER_MACHINE": "m",
    "OWNER_USER": "0",
}
OURS = Recipe(
    folder="opt/environment",
    settings={"User": "65534:65534"},
    variables={"PATH": "/opt/environment/bin"},
    labels={"ours": "yes"},
)
BASE: Mapping[str, Any] = {
    "Architecture": "amd64",
    "Os": "linux",
    "RootFS": {"Layers": ["sha256:1", "sha256:2"]},
    "Config": {
        "Hostname": "made-on-this-machine",
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"],
        "Labels": {"theirs": "yes", "ours": "no"},
        "Entrypoint": None,
        "StopSignal": "SIGINT",
        "User": "root",
    },
}


def archive(folder: Path, base: Mapping[str, Any] = BASE) -> tuple[ImageArchive, bytes]:
    """Return the archive of an image with the files in a folder, and its bytes."""
    made = ImageArchive(
        base=base, recipe=OURS, layer=layer(OURS.folder, of_folder(folder)), tag="it:1"
    )
    return made, b"".join(made.pieces())


def test_our_dockerfile_is_understood() -> None:
    """An image that is loaded has everything that its Dockerfile says."""
    found = recipe(dockerfile().read_text(encoding="utf-8"), ARGUMENTS)
    assert found is not None
    assert found.folder == "opt/environment"
    assert found.settings["User"] == "65534:65534"
    assert found.settings["Cmd"] == ["python"]
    assert found.variables["PATH"].startswith("/opt/environment/bin:")
    assert found.labels["matrix-runner.label"] == ARGUMENTS["LABEL"]
    values = [value for name, value in ARGUMENTS.items() if name != "BASE"]
    assert sorted(found.labels.values()) == sorted(values)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("WORKDIR /tmp", "RUN true"),
        ("WORKDIR /tmp", "WORKDIR /made/by/a/builder"),
        ("FROM ${BASE}", "FROM python:3.11"),
        ("FROM ${BASE}", "FROM ${BASE} AS first"),
        ("ENV PATH=", "ENV PATH=${PATH}:"),
        ("ENV PATH=", 'ENV X="two words" PATH='),
        ("${LABEL}", "${UNKNOWN}"),
        ('CMD ["python"]', "CMD python"),
        ("ADD environment.tar", "ADD another.tar"),
        ("/opt/environment/\n", "/opt/environment/\nUSER root\n"),
    ],
)
def test_any_other_dockerfile_needs_a_builder(before: str, after: str) -> None:
    """Nobody who edits the Dockerfile gets an image without the change."""
    text = dockerfile().read_text(encoding="utf-8")
    assert before in text
    assert recipe(text.replace(before, after), ARGUMENTS) is None


def test_an_archive_contains_one_layer(tmp_path: Path) -> None:
    """Those of the base are named, but not there; the id of the image is known in the end."""
    (tmp_path / "module.py").write_text("x = 1\n")
    made, content = archive(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        parts = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    (image,) = json.loads(parts.pop("manifest.json"))
    assert image["RepoTags"] == ["it:1"]
    assert [name in parts for name in image["Layers"]] == [False, False, True]
    config = json.loads(parts[image["Config"]])
    assert made.id == f"sha256:{hashlib.sha256(parts[image['Config']]).hexdigest()}"
    last = f"sha256:{hashlib.sha256(parts[image['Layers'][-1]]).hexdigest()}"
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:1", "sha256:2", last]}
    assert config["config"] == {
        "Env": ["PATH=/opt/environment/bin", "LANG=C.UTF-8"],
        "Labels": {"theirs": "yes", "ours": "yes"},
        "StopSignal": "SIGINT",
        "User": "65534:65534",
    }
    with tarfile.open(fileobj=io.BytesIO(parts[image["Layers"][-1]])) as tar:
        assert tar.getnames() == ["opt", "opt/environment", "opt/environment/module.py"]


def test_equal_packages_give_the_same_image(tmp_path: Path) -> None:
    """Neither the date nor how an engine describes settings that mean nothing here counts."""
    (tmp_path / "module.py").write_text("x = 1\n")
    first, _ = archive(tmp_path)
    (tmp_path / "module.py").touch()
    other = {**BASE, "Config": {**BASE["Config"], "Hostname": "another", "Volumes": None}}
    second, _ = archive(tmp_path, other)
    assert first.id == second.id is not None
    (tmp_path / "module.py").write_text("x = 2\n")
    assert archive(tmp_path)[0].id != first.id


def test_no_file_may_remove_others() -> None:
    """In a layer, such a name means that a file of the base is gone."""
    with pytest.raises(ValueError, match="means in a layer"):
        layer("opt", [Entry(name="lib/.wh..wh..opq")])
