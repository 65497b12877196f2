"""The states that messages are about: files in the working folder, and what the engine does."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.cli import main
from runner.engines import docker
from runner.errors import RunnerError
from runner.python import interpreters
from runner.records.environment import Unsupported
from tests.support import whole_runs
from tests.support.matrices import SMALL
from tests.support.repositories import ask, commit
from tests.support.whole_runs import MATRIX, SCRIPT, WatchedEngine

CONNECT = docker.connect
"""What connects to a real engine."""


@dataclass
class World:
    """The engine that every command reaches, and what replaces parts of this machine."""

    engine: WatchedEngine
    patch: pytest.MonkeyPatch


State = Callable[[World], None]
"""Makes a state in the working folder."""


def nothing(_: World) -> None:
    """Leave the working folder empty."""


def after(*states: State) -> State:
    """Return the state after several others."""

    def make(world: World) -> None:
        for state in states:
            state(world)

    return make


# --- files ---


def files(contents: Mapping[str, str | bytes]) -> State:
    """Have these files."""

    def make(_: World) -> None:
        for name, content in contents.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def folder(name: str) -> State:
    """Have an empty folder."""
    return lambda _: Path(name).mkdir(parents=True)


def link(name: str, target: str) -> State:
    """Have a link."""

    def make(_: World) -> None:
        Path(name).unlink(missing_ok=True)
        Path(name).symlink_to(target)

    return make


def pipe(name: str) -> State:
    """Have a named pipe."""
    return lambda _: os.mkfifo(name)


def removed(pattern: str) -> State:
    """Remove files."""

    def make(_: World) -> None:
        for path in Path().glob(pattern):
            path.unlink()

    return make


def edited(pattern: str, old: str, new: str) -> State:
    """Replace a text in files."""

    def make(_: World) -> None:
        for path in Path().glob(pattern):
            path.write_text(path.read_text().replace(old, new))

    return make


def whole(text: str | bytes) -> State:
    """Have a matrix.yaml with this text, and its script."""
    return files({"matrix.yaml": text, "run.py": ""})


def small(addition: str = "", *changes: tuple[str, str]) -> State:
    """Have a small study, with an addition to its matrix.yaml and with changes."""
    text = SMALL + addition
    for old, new in changes:
        text = text.replace(old, new)
    return whole(text)


def axis(written: str) -> State:
    """Have a study with this axis."""
    rest = "experiment: {script: run.py}\nmetrics: {a: {better: lower}}\n"
    return whole(f"format: 1\nname: a\naxes:\n model: {written}\n{rest}")


def metric(written: str) -> State:
    """Have a study with this metric."""
    return small("", ("{unit: s, better: lower}", written))


def repository(contents: Mapping[str, str]) -> State:
    """Have a git repository with one commit of these files."""

    def make(_: World) -> None:
        ask(Path(), "init", "--quiet", "--initial-branch=main")
        commit(Path(), contents)

    return make


# --- a study that runs ---


def study(addition: str = "", *changes: tuple[str, str], script: str = SCRIPT) -> State:
    """Have a study with its lock and images, on an engine that works."""

    def make(world: World) -> None:
        text = MATRIX + addition
        for old, new in changes:
            text = text.replace(old, new)
        whole_runs.study(world.engine, text)
        Path("script.py").write_text(script)

    return make


def unsupported(world: World) -> None:
    """Have a study whose first cell can have no environment."""
    study()(world)
    (request, *_) = whole_runs.declare()
    whole_runs.lock(Unsupported(request=request, reason="it was never published"))


def gives(result: str) -> State:
    """Have a study whose script writes this result."""
    return study(
        script=f"import os\nopen(os.environ['RESULT_PATH'], 'w').write({result!r})\n",
    )


def ran(line: str = "run") -> State:
    """Run a command before."""

    def make(_: World) -> None:
        with suppress(RunnerError):
            main(line.split())

    return make


def has(target: str, value: object) -> State:
    """Let a part of the machine be different."""
    return lambda world: world.patch.setattr(target, value)


def fails(target: str, error: Exception) -> State:
    """Let a function of the machine fail."""

    def raises(*_: object) -> None:
        raise error

    return has(target, raises)


def variables(**values: str) -> State:
    """Have environment variables."""

    def make(world: World) -> None:
        for name, value in values.items():
            world.patch.setenv(name, value)

    return make


def without(*names: str) -> State:
    """Have no such environment variables."""

    def make(world: World) -> None:
        for name in names:
            world.patch.delenv(name, raising=False)

    return make


def no_cache(world: World) -> None:
    """Let uv have no folder for its cache; what earlier tests asked it is forgotten."""
    world.patch.setenv("XDG_CACHE_HOME", "/dev/null")
    interpreters.available.cache_clear()


def unreachable(world: World) -> None:
    """Let commands look for a real engine; there is none."""
    world.patch.setattr("runner.engines.docker.connect", CONNECT)
