"""Every example of an axis in docs/matrix.md runs as it is written there."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from runner.engines.protocol import Engine
from runner.python import interpreters
from runner.records.study import Status
from tests.support.public_index import index_or_skip
from tests.support.repositories import ask, commit
from tests.support.studies import ROOT, ended, results, started

pytestmark = [pytest.mark.engine, pytest.mark.index]

CHAPTER = (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8").split("\n## Axes and cells")[1]
EXAMPLES = re.findall(
    r"^```yaml\n(axes:\n.*?)^```", CHAPTER.split("\n## ")[0], re.MULTILINE | re.DOTALL
)
REST = """\
format: 1
name: example
experiment: {script: script.py}
metrics: {x: {better: lower}}
limits: {memory: 256m, timeout: 60}
blocks: 1
repeats: 0
"""
SCRIPT = """\
import json, os, sys
values = {"x": len(os.environ) + sys.version_info[1]}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""
PROJECT = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "mine"
version = "1.0"
[tool.setuptools]
packages = ["mine"]
""",
    "mine/__init__.py": "",
}


@pytest.fixture
def _bases(programs_engine: Engine, client: docker.DockerClient) -> Iterator[None]:
    """Images with the names of the example: nothing can be pulled here."""
    interpreter = interpreters.available()[0]
    base = client.images.get(programs_engine.base("host", interpreter).name)
    names = [f"python:{interpreter.minor}{kind}" for kind in ("", "-slim")]
    absent = [name for name in names if not client.images.list(name=name)]
    for name in absent:
        base.tag(name)
    yield
    for name in absent:
        client.images.remove(name)


@pytest.fixture
def _apps(programs_engine: Engine, client: docker.DockerClient) -> Iterator[None]:
    """Two images of an application, as somebody else could have made them."""
    base = client.images.get(programs_engine.base("host", interpreters.available()[0]).name)
    for version in ("1.2", "1.3"):
        lines = f"FROM {base.id}\nENV VERSION={version}\n"
        client.images.build(fileobj=io.BytesIO(lines.encode()), tag=f"app:{version}", rm=True)
    yield
    for version in ("1.2", "1.3"):
        client.images.remove(f"app:{version}", force=True)


@pytest.mark.usefixtures("_bases", "_apps")
@pytest.mark.parametrize("example", EXAMPLES, ids=[one.split()[1] for one in EXAMPLES])
def test_an_example_runs(example: str, tmp_path: Path) -> None:
    """Each of its cells ends ok, in a repository whose requirements were just changed."""
    index_or_skip()
    ask(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, {"requirements.txt": "six==1.15.0\n", "script.py": SCRIPT, **PROJECT})
    ask(tmp_path, "tag", "v1.0")
    (tmp_path / "requirements.txt").write_text("six==1.16.0\n")
    for name in ("old", "new"):
        (tmp_path / "Dockerfiles" / name).mkdir(parents=True)
        text = f"FROM app:1.2\nRUN echo {name} > /name\n"
        (tmp_path / "Dockerfiles" / name / "Dockerfile").write_text(text)
    (tmp_path / "matrix.yaml").write_text(REST + example)
    code, out, err = ended(started(tmp_path, "--matrix", "matrix.yaml"), timeout_s=300)
    assert (code, err) == (0, ""), out
    found = results(tmp_path)
    assert len(found) > 1
    assert {one.status for one in found.values()} == {Status.OK}
