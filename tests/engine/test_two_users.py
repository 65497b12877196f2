"""Two users of one engine at the same time: neither sees, uses or removes what the other owns."""

import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from runner.engines import base
from runner.engines.docker.address import engine_address
from runner.engines.docker.labels import USER
from runner.records.environment import Image
from runner.records.study import Status
from tests.support.studies import ROOT, ended, results, write_study
from tests.support.trials import INTERPRETER, NUMBER, plain_environment

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users"),
]

USERS = (4711, 4712)
ENVIRONMENT = plain_environment(2001)
BASE = "two-users-of-tests:1"
"""Users may not read each other's interpreters, so both name a base."""
SLOW = f"import time; time.sleep(6); {NUMBER}"


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """Return a folder with an interpreter that every user can execute."""
    packages = Path(sysconfig.get_path("purelib"))
    closed = [one for one in (ROOT, *ROOT.parents, packages, *packages.parents)
              if not one.stat().st_mode & 0o001]  # fmt: skip
    if closed:
        pytest.skip(f"{closed[0]} is closed to other users")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="two-users-") as folder:
        Path(folder).chmod(0o755)
        base.copy(INTERPRETER, Path(folder, "python"))
        yield Path(folder, "python")


class User:
    """A user in the group of the engine's socket, with a home and a study in it."""

    def __init__(self, number: int, python: Path, socket: str) -> None:
        self.number = number
        self.home = Path(tempfile.mkdtemp(dir=python.parent, prefix=f"user-{number}-"))
        self._python = python
        self._programs: list[subprocess.Popen[str]] = []
        self._group = Path(socket).stat().st_gid
        write_study(self.home, ENVIRONMENT, SLOW, base=BASE)
        (self.home / "program.py").write_text(
            "import runpy\n"
            "from runner import plan\n"
            "plan.GUARDS = plan.Guards(foreign_share=1e9, steal_share=1e9, window_s=0.0)\n"
            "runpy.run_module('runner', run_name='__main__')\n"
        )
        for path in (self.home, *self.home.iterdir()):
            os.chown(path, number, number)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command of the program as this user."""
        user = [f"--reuid={self.number}", f"--regid={self.number}", f"--groups={self._group}"]
        python = self._python / "bin" / f"python{INTERPRETER.minor}"
        program = subprocess.Popen(
            ["setpriv", *user, "--", str(python), "program.py", *words, "--engine", "docker"],
            cwd=self.home,
            env=self._variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._programs.append(program)
        return program

    def close(self) -> None:
        """Kill what is still running."""
        for program in self._programs:
            program.kill()
            program.communicate()

    def execute(self, *words: str) -> str:
        """Execute a command that succeeds, and return its output."""
        code, out, err = ended(self.start(*words))
        assert (code, err) == (0, ""), out
        return out

    def _variables(self) -> dict[str, str]:
        packages = sysconfig.get_path("purelib")
        return {
            "PATH": f"{self._python}/bin:/usr/bin:/bin:/usr/sbin",
            "LD_LIBRARY_PATH": f"{self._python}/lib",
            "PYTHONPATH": f"{ROOT}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            **({"DOCKER_HOST": os.environ["DOCKER_HOST"]} if "DOCKER_HOST" in os.environ else {}),
        }


@pytest.fixture(scope="module")
def named_base(programs_image: Image, client: docker.DockerClient) -> Iterator[None]:
    """Give a base on the engine a name that matrices can have."""
    client.images.get(programs_image.base.name).tag(*BASE.split(":"))
    yield
    client.images.remove(BASE)


@pytest.fixture
def users(python: Path, named_base: None) -> Iterator[list[User]]:
    """Return two users; afterwards nothing of theirs is left on the engine."""
    socket = engine_address().socket
    if socket is None:
        pytest.skip("the engine is not reached through a Unix socket")
    found = [User(number, python, socket) for number in USERS]
    yield found
    for user in found:
        user.close()
        user.execute("clean", "--all", "--yes")
        assert owned(user) == []


def owned(user: User) -> list[str]:
    """Return the kinds of things that a user owns on the engine."""
    mark = f"{USER}={user.number}"
    client = docker.from_env()
    try:
        found = ["container" for _ in client.api.containers(all=True, filters={"label": mark})]
        found += ["volume" for _ in client.volumes.list(filters={"label": mark})]
        found += ["image" for _ in client.images.list(filters={"label": mark})]
    finally:
        client.close()
    return sorted(found)


def test_two_users_do_not_disturb_each_other(users: list[User]) -> None:
    """They run, plan and clean at the same time, each with their own images and volumes."""
    one, other = users
    runs = [user.start() for user in users]
    assert runs[0].stdout is not None
    while not {"container", "volume"} <= set(owned(one)):
        assert runs[0].poll() is None, ended(runs[0])
    # While the first one runs, the second one removes everything that it can.
    while runs[1].poll() is None:
        out = other.execute("clean", "--all", "--yes")
        assert "another user" in out
    for run in runs:
        code, out, err = ended(run)
        assert (code, err) == (0, ""), out
    for user in users:
        assert [one.status for one in results(user.home).values()] == [Status.OK] * 2
    assert owned(one) == ["image"]
    assert owned(other) in ([], ["image"])  # their own ``clean`` may have removed it in the end

    assert "to build: nothing" in one.execute("plan")
    other.execute("clean", "--all", "--yes")
    assert (owned(one), owned(other)) == (["image"], [])
    assert "to build: nothing" in one.execute("plan")
    assert "to build: nothing" not in other.execute("plan")


def test_what_a_killed_run_left_stays_for_its_user(users: list[User]) -> None:
    """Another user's start does not remove it; that of its user does."""
    one, other = users
    run = one.start()
    while not {"container", "volume"} <= set(owned(one)):
        assert run.poll() is None, ended(run)
    run.kill()
    run.communicate()
    left = owned(one)
    other.execute()
    assert owned(one) == left
    assert "that a dead run left on the engine" in one.execute()
    assert "container" not in owned(one)
