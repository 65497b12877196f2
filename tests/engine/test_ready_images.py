"""Images that nothing is installed into: pulled from a registry, or built from own Dockerfiles."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import docker.errors
import pytest

from runner.engines.base import assemble
from runner.engines.docker import connect
from runner.engines.docker.labels import LABEL, unfinished_repository
from runner.engines.protocol import Engine, ImageRequest
from runner.errors import EngineError, ImageBuildError
from runner.execute import clear
from runner.records.environment import BaseKind, Image
from runner.records.study import Status
from runner.system.context import context_digest
from tests.support.registry import Registry, digest_of, serving
from tests.support.trials import (
    INTERPRETER,
    NUMBER,
    RUN,
    executed,
    plain_environment,
    requested,
)
from tests.support.trials import build as build_environment

pytestmark = pytest.mark.engine

PYTHON = "ready-tests/python:1"
"""An image with Python, as anybody could have made it."""
STANDARD = f"/usr/local/lib/python{INTERPRETER.minor}"
NOWHERE = "127.0.0.1:1"
PASSWORD = "not-for-any-file"
SAYS = f"import os; print(os.environ.get('APP')); {NUMBER}"

Push = Callable[..., str]


@pytest.fixture(scope="module")
def python(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the name of an image with Python, which carries no label of ours."""
    tar = tmp_path_factory.mktemp("base") / "base.tar"
    assemble(INTERPRETER, tar)
    repository, tag = PYTHON.split(":")
    changes = ["ENV PATH=/usr/local/bin:/bin"]
    client.api.import_image(str(tar), repository=repository, tag=tag, changes=changes)
    yield PYTHON
    client.images.remove(PYTHON)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Return a registry on loopback."""
    with serving() as registry:
        yield registry


@pytest.fixture
def build(client: docker.DockerClient, python: str) -> Iterator[Callable[[str, str], str]]:
    """Return a function that builds an image on Python under a name; all are removed afterwards."""
    names = set()

    def make(name: str, lines: str = "") -> str:
        text = lines if lines.startswith("FROM") else f"FROM {python}\n{lines}\n"
        client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, forcerm=True)
        names.add(name)
        return name

    yield make
    for name in names:
        if client.images.list(name):
            client.images.remove(name)


@pytest.fixture
def push(client: docker.DockerClient, registry: Registry, build: Callable[[str, str], str]) -> Push:
    """Return a function that builds an image, and leaves it only in the registry."""

    def make(name: str, lines: str = "", to: Registry = registry) -> str:
        full = build(f"{to.address}/{name}", lines)
        login = dict(zip(("username", "password"), (to.credentials or ":").split(":"), strict=True))
        answers = client.images.push(full, auth_config=login, stream=True, decode=True)
        assert not [one for one in answers if "error" in one]
        client.images.remove(full)
        return full

    return make


@pytest.fixture
def engine(docker_engine: Engine) -> Iterator[Engine]:
    """Return the engine; afterwards the images that nothing was installed into are removed."""
    yield docker_engine
    clear(docker_engine, RUN)
    ready = {image.id for image in docker_engine.images() if image.label.startswith("app=")}
    for thing in docker_engine.owned():
        if thing.id in ready:
            docker_engine.discard(thing)


def pulled(engine: Engine, name: str) -> Image:
    """Lock and pull an image."""
    return engine.pull(requested(name, engine.image_digest(name)))


def said(engine: Engine, image: Image, folder: Path, script: str = SAYS) -> str:
    """Return what a script prints in an image."""
    outcome, result, _ = executed(engine, image, folder, script)
    assert (result.status, result.reason) == (Status.OK, None), outcome.log
    return outcome.log.strip()


def ours(client: docker.DockerClient) -> set[str]:
    """Return the containers, volumes and images of these tests, and all anonymous volumes."""
    filters = {"label": f"{LABEL}machine=engine-tests"}
    volumes = client.api.volumes()["Volumes"] or []
    return {
        *(one["Id"] for one in client.api.containers(all=True, filters=filters)),
        *(one["Id"] for one in client.api.images(all=True, filters=filters)),
        *(one["Name"] for one in client.api.volumes(filters=filters)["Volumes"] or []),
        *(one["Name"] for one in volumes if not one["Labels"]),
    }


# --- pulled --------------------------------------------------------------------------------------


def test_two_tags_run_as_they_are(
    engine: Engine, client: docker.DockerClient, registry: Registry, push: Push, tmp_path: Path
) -> None:
    """Each is locked by the registry's digest. Nothing is left, not even what was pulled."""
    clear(engine, RUN)
    before = ours(client)
    names = [push(f"app:{tag}", f"ENV APP={tag}") for tag in ("1", "2")]
    images = [pulled(engine, name) for name in names]
    assert [said(engine, image, tmp_path) for image in images] == ["1", "2"]
    for tag, image in zip(("1", "2"), images, strict=True):
        assert image in engine.images()
        assert image.base.kind is BaseKind.PULLED
        assert image.base.digest == registry.digest("app", tag)
        assert not client.images.list(image.base.name)
    for thing in engine.owned():
        if thing.id in {image.id for image in images} or thing.run == RUN:
            engine.discard(thing)
    assert ours(client) == before
    for tag in ("1", "2"):
        config = json.loads(registry.manifests["app", tag][1])["config"]["digest"]
        assert not [one for one in client.api.images(all=True) if one["Id"] == config]


def test_a_moved_tag_changes_nothing(engine: Engine, push: Push, tmp_path: Path) -> None:
    """The image with the locked digest is used, until it is locked again."""
    name = push("moved:1", "ENV APP=old")
    locked = engine.image_digest(name)
    push("moved:1", "ENV APP=new")
    assert said(engine, engine.pull(requested(name, locked)), tmp_path) == "old"
    assert said(engine, pulled(engine, name), tmp_path) == "new"


def test_an_image_that_is_gone_is_one_sentence(
    engine: Engine, registry: Registry, push: Push
) -> None:
    """An image that was provided before is still there."""
    name = push("gone:1", "ENV APP=gone")
    locked = engine.image_digest(name)
    image = engine.pull(requested(name, locked))
    registry.forget("gone")
    assert image in engine.images()
    engine.discard(next(thing for thing in engine.owned() if thing.id == image.id))
    with pytest.raises(ImageBuildError) as caught:
        engine.pull(requested(name, locked))
    assert re.fullmatch(
        f"the image {name} with the locked digest {locked} is neither on the engine nor could it "
        r"be pulled \(.+ unknown\): push or load it again, or lock the image that has this name "
        r"now\.",
        str(caught.value),
    )
    with pytest.raises(ImageBuildError, match=r"neither on the engine nor .*\(manifest unknown\)"):
        engine.image_digest(name)


def test_a_registry_that_is_down_is_one_sentence(engine: Engine) -> None:
    """The sentence has the reason."""
    with pytest.raises(ImageBuildError, match=r"registry be asked .*\(connection refused\)"):
        engine.image_digest(f"{NOWHERE}/app:1")


def test_images_of_the_user_stay(
    engine: Engine, client: docker.DockerClient, registry: Registry, push: Push, tmp_path: Path
) -> None:
    """An image that the user pulled is used without the registry, and keeps its name."""
    name = push("mine:1", "ENV APP=mine")
    client.images.pull(name)
    locked = registry.digest("mine", "1")
    registry.forget("mine")
    assert engine.image_digest(name) == locked
    image = engine.pull(requested(name, locked))
    assert said(engine, image, tmp_path) == "mine"
    engine.discard(next(thing for thing in engine.owned() if thing.id == image.id))
    kept = client.images.get(name)
    assert kept.attrs["RepoDigests"] == [f"{registry.address}/mine@{locked}"]
    client.images.remove(name)


def test_an_image_that_was_only_built_here_has_its_id(
    engine: Engine, client: docker.DockerClient, build: Callable[[str, str], str], tmp_path: Path
) -> None:
    """No registry is asked; it could have an image of somebody else under that name."""
    name = build("ready-tests/local:1", "ENV APP=local")
    identity = client.images.get(name).id
    assert engine.image_digest(name) == identity
    image = pulled(engine, name)
    assert image.base.kind is BaseKind.LOCAL
    assert said(engine, image, tmp_path) == "local"
    build(name, "ENV APP=other")
    with pytest.raises(ImageBuildError, match="with the locked digest"):
        engine.pull(requested("ready-tests/other:1", "sha256:" + "3" * 64))


def test_a_registry_with_a_password(
    push: Push, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    """The password of ``docker login`` is used. No message contains it."""
    with serving(f"me:{PASSWORD}") as private:
        name = push("secret:1", "ENV APP=secret", to=private)
        with pytest.raises(ImageBuildError, match="docker login") as caught:
            engine.image_digest(name)
        assert PASSWORD not in str(caught.value)
        auth = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        settings = {"auths": {private.address: {"auth": auth}}}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        with closing(connect("engine-tests")) as informed:
            image = pulled(informed, name)
    assert said(engine, image, tmp_path) == "secret"
    assert PASSWORD not in repr(image)


# --- what is in an image -------------------------------------------------------------------------


def test_the_image_decides_nothing_but_its_files_and_variables(
    engine: Engine, client: docker.DockerClient, push: Push, tmp_path: Path
) -> None:
    """Its volume has its content, but nobody can write to it and nothing of it is left."""
    write = "import os; os.makedirs('/data/sub'); open('/data/sub/file', 'w').write('content')"
    name = push(
        "settings:1",
        f'RUN ["python", "-c", "{write}; os.chmod(\'/data\', 0o777)"]\n'
        "VOLUME /data/ /tmp /out/deep\n"
        'ENTRYPOINT ["false"]\nCMD ["false"]\nUSER nobody:nogroup\nWORKDIR /data\n'
        "HEALTHCHECK --interval=1s CMD false\nSTOPSIGNAL SIGINT\n"
        "ENV ENVIRONMENT=prod APP=kept HOME=/data PARAMS_PATH=/data/none LABEL=x",
    )
    clear(engine, RUN)
    before = ours(client)
    image = pulled(engine, name)
    script = f"""
import os
print(open("/data/sub/file").read(), os.getcwd(), os.environ["HOME"], os.getuid())
for folder in ("/data", "/out/deep", "/data/sub"):
    try:
        open(folder + "/mine", "w")
    except OSError as error:
        print(folder, error.strerror)
{SAYS}
"""
    assert said(engine, image, tmp_path, script).splitlines() == [
        "content /tmp/study /tmp 65534",
        *(f"{folder} Read-only file system" for folder in ("/data", "/out/deep", "/data/sub")),
        "kept",
    ]
    engine.discard(next(thing for thing in engine.owned() if thing.id == image.id))
    clear(engine, RUN)
    assert ours(client) == before


def test_python_may_be_called_python(engine: Engine, push: Push, tmp_path: Path) -> None:
    """Even where ``python3`` exists but cannot be used."""
    remove = "import os; os.unlink('/usr/local/bin/python3')"
    no_python3 = push("python:1", f'RUN ["python", "-c", "{remove}"]\nENV APP=python')
    replace = f"{remove}; open('/usr/local/bin/python3', 'w').write('#!/bin/sh'); os.chmod"
    replace += "('/usr/local/bin/python3', 0o755)"
    broken = push("python:2", f'RUN ["python", "-c", "{replace}"]\nENV APP=broken')
    assert said(engine, pulled(engine, no_python3), tmp_path) == "python"
    assert said(engine, pulled(engine, broken), tmp_path) == "broken"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("FROM scratch\nENV APP=1\n", "python3: cannot be executed; python: cannot be executed"),
        ("ENV PATH=/nothing", "python3: cannot be executed; python: cannot be executed"),
        (
            f'RUN ["python", "-c", "import shutil; shutil.rmtree(\'{STANDARD}/json\')"]',
            "python3: ModuleNotFoundError: No module named 'json'; python: ModuleNotFoundError",
        ),
    ],
    ids=["empty", "elsewhere", "incomplete"],
)
def test_an_image_without_python_is_one_sentence(
    engine: Engine, client: docker.DockerClient, push: Push, lines: str, reason: str
) -> None:
    """Nothing of the attempt is left."""
    name = push("none:1", lines)
    before = ours(client)
    with pytest.raises(ImageBuildError) as caught:
        pulled(engine, name)
    assert str(caught.value).startswith(
        f"{name} has no python3 of 3.6 or newer on its PATH that trials could use ({reason}"
    )
    assert str(caught.value).endswith("): install one in the image.")
    assert ours(client) == before


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("ONBUILD RUN false", "run commands during a build: .* ONBUILD"),
        (f"LABEL {LABEL}run=x", "look like the leftovers of a run"),
        ("VOLUME /inputs/mine", "declares the volume /inputs/mine"),
    ],
)
def test_an_unsuitable_image_is_one_sentence(
    engine: Engine, push: Push, lines: str, problem: str
) -> None:
    """The sentence names the instruction."""
    with pytest.raises(ImageBuildError, match=problem):
        pulled(engine, push("unsuitable:1", lines))


def test_an_image_for_another_processor_is_one_sentence(
    engine: Engine, registry: Registry, push: Push
) -> None:
    """The sentence names both."""
    name = push("other:1", "ENV APP=other")
    kind, content = registry.manifests["other", "1"]
    manifest = json.loads(content)
    config = json.loads(registry.blobs[manifest["config"]["digest"]])
    changed = json.dumps({**config, "architecture": "s390x"}).encode()
    manifest["config"] |= {"digest": digest_of(changed), "size": len(changed)}
    registry.blobs[digest_of(changed)] = changed
    content = json.dumps(manifest).encode()
    for reference in ("1", f"sha256:{hashlib.sha256(content).hexdigest()}"):
        registry.manifests["other", reference] = (kind, content)
    with pytest.raises(ImageBuildError, match=r"made for linux/s390x, but .* linux/"):
        pulled(engine, name)


def test_an_image_with_thousands_of_variables(engine: Engine, push: Push, tmp_path: Path) -> None:
    """They all reach the script."""
    variables = " ".join(f"V{number}={number}" for number in range(3000))
    image = pulled(engine, push("many:1", f"ENV APP=many {variables}"))
    script = f"import os; assert os.environ['V2999'] == '2999'; {SAYS}"
    assert said(engine, image, tmp_path, script) == "many"


# --- own Dockerfiles -----------------------------------------------------------------------------

Own = Callable[..., tuple[ImageRequest, Path]]


@pytest.fixture
def own(python: str, tmp_path: Path) -> Own:
    """Return a function that writes a user's folder with a Dockerfile and locks it."""

    def make(name: str, lines: str, **files: str) -> tuple[ImageRequest, Path]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {python}\n{lines}\n")
        for file, content in files.items():
            (folder / file).write_text(content)
        return requested(f"Dockerfiles/{name}", context_digest(folder)), folder

    return make


def test_two_dockerfiles_with_one_difference(
    engine: Engine, client: docker.DockerClient, own: Own, tmp_path: Path
) -> None:
    """Both are built, found again, and removed without a trace."""
    clear(engine, RUN)
    before = ours(client)
    images = [
        engine.build_own(*own(name, "COPY setting /setting", setting=name))
        for name in ("old", "new")
    ]
    script = f"print(open('/setting').read()); {NUMBER}"
    assert [said(engine, image, tmp_path, script) for image in images] == ["old", "new"]
    for image in images:
        assert image in engine.images()
        engine.discard(next(thing for thing in engine.owned() if thing.id == image.id))
    clear(engine, RUN)
    assert ours(client) == before


def test_labels_may_contain_anything(engine: Engine, own: Own) -> None:
    """The builder neither replaces a variable nor ends a quotation."""
    asked, folder = own("label", "ENV HOME=/nowhere")
    label = "app=$HOME ${HOME} \"a\" \\ \\$b 'c'"
    image = engine.build_own(replace(asked, label=label), folder)
    assert image.label == label
    assert image in engine.images()


def test_a_build_that_was_cut_off_is_cleaned(
    engine: Engine, client: docker.DockerClient, python: str
) -> None:
    """Only the name of ours is removed."""
    repository = unfinished_repository("engine-tests")
    client.images.get(python).tag(repository, "1")
    (left,) = (thing for thing in engine.owned() if thing.label == f"{repository}:1")
    engine.discard(left)
    assert not client.images.list(repository)
    assert client.images.list(python)


def test_only_the_build_has_a_network(engine: Engine, own: Own, tmp_path: Path) -> None:
    """Packages can be installed, and trials cannot load anything."""
    look = "import os; open('/seen', 'w').write(' '.join(sorted(os.listdir('/sys/class/net'))))"
    image = engine.build_own(*own("net", f'RUN ["python", "-c", "{look}"]'))
    script = f"import os; print(open('/seen').read(), os.listdir('/sys/class/net')); {NUMBER}"
    assert said(engine, image, tmp_path, script) == "eth0 lo ['lo']"


def test_a_failed_build_has_a_log(engine: Engine, client: docker.DockerClient, own: Own) -> None:
    """It contains the output of the failing command. Nothing is left of the build."""
    with pytest.raises(ImageBuildError) as caught:
        engine.build_own(*own("fails", "RUN echo the reason && exit 3"))
    assert str(caught.value).startswith("Dockerfiles/fails could not be built: ")
    assert "the reason" in caught.value.log
    assert not [one for one in engine.owned() if "unfinished" in one.label]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("RUN --mount=type=cache,target=/x true", "BuildKit"),
        ("ENV PATH=/nothing", "has no python3 of 3.6 or newer on its PATH"),
        ("ONBUILD RUN true", "ONBUILD"),
        ("COPY missing /", "missing"),
        ("NONSENSE", "(?i)nonsense"),
    ],
)
def test_an_unsuitable_dockerfile_is_one_sentence(
    engine: Engine, own: Own, lines: str, problem: str
) -> None:
    """Whether it cannot be built, or nothing can run in what it builds."""
    with pytest.raises(ImageBuildError, match=problem):
        engine.build_own(*own("unsuitable", lines))
    assert not [one for one in engine.owned() if "unfinished" in one.label]


def test_ignored_files_are_not_sent(engine: Engine, own: Own, tmp_path: Path) -> None:
    """The builder never sees them."""
    _, folder = own("ignoring", "COPY . /files/", kept="", secret="")
    (folder / ".dockerignore").write_text("secret\n")
    asked = requested("Dockerfiles/ignoring", context_digest(folder))
    image = engine.build_own(asked, folder)
    script = f"import os; print(sorted(os.listdir('/files'))); {NUMBER}"
    assert "secret" not in said(engine, image, tmp_path, script)


def test_an_image_that_was_built_by_the_user_stays(
    engine: Engine, client: docker.DockerClient, own: Own
) -> None:
    """Building the same folder by hand gives an image that is not ours."""
    asked, folder = own("by-hand", "ENV APP=by-hand")
    by_hand, _ = client.images.build(path=str(folder), tag="ready-tests/by-hand:1", rm=True)
    image = engine.build_own(asked, folder)
    assert "ready-tests/by-hand:1" not in [thing.label for thing in engine.owned()]
    engine.discard(next(thing for thing in engine.owned() if thing.id == image.id))
    assert client.images.get("ready-tests/by-hand:1").id == by_hand.id
    client.images.remove("ready-tests/by-hand:1")


def test_an_image_of_ours_is_no_base(
    engine: Engine, client: docker.DockerClient, own: Own, tmp_path: Path
) -> None:
    """Packages on top of it would not be used."""
    image = engine.build_own(*own("base", "ENV APP=base"))
    client.images.get(image.id).tag("ready-tests/base", "1")
    try:
        with pytest.raises(EngineError, match="run without their packages"):
            build_environment(engine, plain_environment(), tmp_path / "c", "ready-tests/base:1")
    finally:
        client.images.remove("ready-tests/base:1")
