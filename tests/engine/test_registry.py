"""A base from a registry: Debian's ``docker-registry`` on loopback has a stand-in for it."""

import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from runner.engines.docker import connect, questions
from runner.engines.protocol import Engine
from runner.errors import EngineError
from runner.records.environment import BaseKind
from runner.records.study import Status
from tests.support.studies import ended, results, run_folders, started, write_study
from tests.support.trials import INTERPRETER, NUMBER, plain_environment, remove_images

pytestmark = pytest.mark.engine

REPOSITORY = "python"
TAG = f"{INTERPRETER.minor}-slim"
NOWHERE = "127.0.0.1:1"
NEW_MACHINE = "registry-tests"
"""A machine that has assembled no base yet."""
SETTINGS = """\
version: 0.1
log: {{accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}
http: {{addr: "127.0.0.1:0"}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the path of docker-registry: the installed one, or that of the unpacked package."""
    if installed := shutil.which("docker-registry"):
        yield installed
        return
    folder = tmp_path_factory.mktemp("package")
    try:
        for command in (
            ["apt-get", "download", "-qq", "docker-registry"],
            ["sh", "-c", "dpkg -x docker-registry_*.deb ."],
        ):
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"Debian's docker-registry is not available here: {error}")
    yield str(folder / "usr" / "bin" / "docker-registry")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def registry(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of our own registry, on a free port."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "config.yml").write_text(SETTINGS.format(folder=folder))
    command = [program, "serve", str(folder / "config.yml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as serving:
        try:
            found = (re.search(r"listening on (127\S+:\d+)", line) for line in serving.stderr or ())
            yield next(match[1] for match in found if match)
        finally:
            serving.terminate()
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def digest(docker_engine: Engine, client: docker.DockerClient, registry: str) -> str:
    """Push the stand-in to the registry only; return the registry's digest of it."""
    base = docker_engine.base("host", INTERPRETER)
    name = f"{registry}/{REPOSITORY}"
    client.images.get(base.name).tag(name, TAG)
    client.images.push(name, TAG)
    client.images.remove(f"{name}:{TAG}")
    manifest = urllib.request.Request(
        f"http://{registry}/v2/{REPOSITORY}/manifests/{TAG}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
    )
    with urllib.request.urlopen(manifest) as answer:  # noqa: S310
        return str(answer.headers["Docker-Content-Digest"])


@pytest.fixture
def forgotten(client: docker.DockerClient, registry: str, digest: str) -> Iterator[str]:
    """Return the stand-in's name; the engine has no such image before and after the test."""
    name = f"{registry}/{REPOSITORY}:{TAG}"
    assert not client.images.list(name)
    yield name
    client.images.remove(name)


def test_a_run_on_a_pulled_base(
    client: docker.DockerClient, tmp_path: Path, forgotten: str, digest: str
) -> None:
    """The base is pulled by name, the trials run on it, and the run records it."""
    environment = plain_environment(2004)
    base = forgotten.replace(INTERPRETER.minor, "{python}")
    write_study(tmp_path, environment, NUMBER, base=base)
    try:
        code, out, err = ended(started(tmp_path))
        assert (code, err) == (0, ""), out
        assert {result.status for result in results(tmp_path).values()} == {Status.OK}
        (image,) = run_folders(tmp_path)[0].stored().images
        assert (image.base.kind, image.base.name) == (BaseKind.PULLED, forgotten)
        assert image.base.digest == digest
    finally:
        remove_images(client, environment)


def test_auto_pulls_the_official_base(
    monkeypatch: pytest.MonkeyPatch, forgotten: str, digest: str
) -> None:
    """It is preferred to a base that still has to be assembled from this machine."""
    monkeypatch.setattr(questions, "OFFICIAL", forgotten)
    with closing(connect(NEW_MACHINE)) as engine:
        base = engine.base("auto", INTERPRETER)
    assert (base.kind, base.name, base.digest) == (BaseKind.PULLED, forgotten, digest)


@pytest.mark.parametrize("down", [False, True], ids=["unknown", "down"])
def test_auto_assembles_a_base_if_none_can_be_pulled(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, registry: str, *, down: bool
) -> None:
    """An unknown image and a registry that is down both cost only one attempt."""
    official = f"{NOWHERE if down else registry}/none:{{python}}"
    monkeypatch.setattr(questions, "OFFICIAL", official)
    with closing(connect(NEW_MACHINE)) as engine:
        base = engine.base("auto", INTERPRETER)
        client.images.remove(base.name)
        assert base.kind is BaseKind.ASSEMBLED
        with pytest.raises(EngineError, match="cannot find or pull the base"):
            engine.base("pull", INTERPRETER)


def test_auto_prefers_an_assembled_base_to_a_download(
    docker_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that began on it goes on, and no registry is asked."""
    monkeypatch.setattr(questions, "OFFICIAL", f"{NOWHERE}/none:{{python}}")
    assembled = docker_engine.base("host", INTERPRETER)
    monkeypatch.setattr("docker.models.images.ImageCollection.pull", None)
    assert docker_engine.base("auto", INTERPRETER) == assembled


@pytest.mark.parametrize("down", [False, True], ids=["unknown", "down"])
def test_a_missing_base_is_one_sentence(tmp_path: Path, registry: str, *, down: bool) -> None:
    """The sentence names the base and says what to do; no trial runs."""
    base = f"{NOWHERE if down else registry}/none:1"
    write_study(tmp_path, plain_environment(2005), NUMBER, base=base)
    code, _, err = ended(started(tmp_path))
    assert code == 5
    assert re.fullmatch(
        rf"cannot find or pull the base {base} \(.+\); "
        r"set `environment: {base: auto}` to assemble one from this machine\.\n",
        err,
    )
    assert run_folders(tmp_path) == []
