"""A study of two images from a registry: locked by digest, also after their tags were moved."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from runner.engines.protocol import Engine
from runner.errors import Exit
from runner.lock.file import read_lock
from runner.python import interpreters
from runner.records.environment import ReadyImage
from tests.support.registry import Registry, serving
from tests.support.studies import ended, results, run_folders, started

pytestmark = pytest.mark.engine

MATRIX = """\
format: 1
name: images
axes:
  app: {{image: {{old: "{address}/app:1", new: "{address}/app:2"}}}}
experiment: {{script: script.py}}
metrics: {{x: {{better: lower}}}}
limits: {{memory: 256m, timeout: 60}}
blocks: 1
repeats: 0
"""
SCRIPT = """\
import json, os
values = {"x": float(os.environ["APP"])}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""

Push = Callable[[str, int], None]


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Return a registry on loopback."""
    with serving() as registry:
        yield registry


@pytest.fixture
def push(programs_engine: Engine, client: docker.DockerClient, registry: Registry) -> Push:
    """Return a function that leaves an image of an application only in the registry."""
    base = client.images.get(programs_engine.base("host", interpreters.available()[0]).name)

    def make(tag: str, value: int) -> None:
        name, lines = f"{registry.address}/app:{tag}", f"FROM {base.id}\nENV APP={value}\n"
        client.images.build(fileobj=io.BytesIO(lines.encode()), tag=name, rm=True)
        assert "error" not in client.images.push(name)
        client.images.remove(name)

    return make


def _values(folder: Path) -> dict[str, float]:
    return {one.trial.cell: one.values["x"] for one in results(folder).values()}


def test_images_are_locked_by_digest(tmp_path: Path, registry: Registry, push: Push) -> None:
    """A moved tag changes nothing until the entry is locked again, not even in a new run."""
    push("1", 1)
    push("2", 2)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "matrix.yaml").write_text(MATRIX.format(address=registry.address))
    code, out, err = ended(started(tmp_path, "--matrix", "matrix.yaml"))
    assert (code, err) == (0, ""), out
    assert _values(tmp_path) == {"app=old": 1.0, "app=new": 2.0}
    locked = read_lock(tmp_path / "matrix.lock").entries
    assert {one.digest for one in locked if isinstance(one, ReadyImage)} == {
        registry.digest("app", tag) for tag in ("1", "2")
    }
    report = (run_folders(tmp_path)[-1].path / "report.md").read_text()
    assert f"image {registry.address}/app:2" in report
    push("2", 3)
    code, out, err = ended(started(tmp_path, "--matrix", "matrix.yaml", "--new", "--locked"))
    assert (code, err) == (0, ""), out
    assert _values(tmp_path) == {"app=old": 1.0, "app=new": 2.0}
    (tmp_path / "matrix.lock").unlink()
    code, out, err = ended(started(tmp_path, "--matrix", "matrix.yaml"))
    assert (code, err) == (0, ""), out
    assert _values(tmp_path) == {"app=old": 1.0, "app=new": 3.0}


def test_an_image_that_no_registry_knows_is_named(tmp_path: Path, registry: Registry) -> None:
    """Nothing is locked, because the registry may have it tomorrow."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "matrix.yaml").write_text(MATRIX.format(address=registry.address))
    code, _, err = ended(started(tmp_path, "lock"))
    assert code == Exit.ENGINE
    assert f"the image {registry.address}/app:1 is neither on the engine nor can its" in err
    assert not (tmp_path / "matrix.lock").exists()
