"""A study from a stranger: nothing in its folder runs on the host or leads out of the folder."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from runner.python import interpreters
from runner.records.study import Status
from runner.system import child
from tests.support import required
from tests.support.hostile import plant
from tests.support.public_index import index_or_skip
from tests.support.studies import ROOT, results
from tests.support.traced import REASON, Access, possible, traced
from tests.support.trials import NUMBER

pytestmark = pytest.mark.engine

# gast 0.2.2 exists only as a source package, so it is built here.
MATRIX = """\
format: 1
name: strange
axes: {gast: {package: gast, versions: ["0.2.2"]}}
environment: {base: host, as_of: 2020-01-01}
experiment: {script: script.py}
metrics: {x: {better: lower}}
blocks: 1
"""
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/opt")
"""Where the system keeps its programs, libraries, settings and devices."""
USER_MAP = re.compile(r"/proc/\d+/(setgroups|[ug]id_map)")
"""Files of the kernel, by which a process gets the user namespace that confines it."""
NEW_ROOT = "/newroot"
"""Where bubblewrap puts together what a confined program will see, in memory."""
SECRETS = (".ssh/id_ed25519", ".aws/credentials", ".bash_history", ".netrc", ".gitconfig")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return the folder of a hostile study."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "matrix.yaml").write_text(MATRIX)
    (folder / "matrix.lock").write_text('{"format": 1, "entries": []}')
    (folder / "script.py").write_text(NUMBER)
    plant(folder, tmp_path / "mark")
    return folder


@pytest.fixture
def variables(tmp_path: Path, study: Path) -> Mapping[str, str]:
    """Return the variables of a user with secrets, whose PATH begins with the working folder."""
    for name in SECRETS:
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a secret")
    for name in ("fifo", "link"):
        (tmp_path / "temporary" / f"matrix-runner-{name}").mkdir(parents=True)
    os.mkfifo(tmp_path / "temporary/matrix-runner-fifo/.occupied")
    (tmp_path / "temporary/matrix-runner-link/.occupied").symlink_to(tmp_path / "mark")
    kept = ("DOCKER_HOST", "PYENV_ROOT", "SSL_CERT_FILE", "SSL_CERT_DIR")
    real = os.environ.get("PATH", os.defpath)
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PATH": os.pathsep.join((".", "", f"../{study.name}", real)),
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "MATRIX_RUNNER_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",  # or Python writes beside our own code
    }


@pytest.mark.alone  # its trials wait for a quiet core
def test_nothing_outside_is_touched(
    study: Path, variables: Mapping[str, str], tmp_path: Path
) -> None:
    """Only the study, our caches and the run folder are read, written or executed."""
    if not possible():
        assert not os.environ.get(required.TRACE), f"CI needs it: {REASON}"
        pytest.skip(REASON)
    index_or_skip()
    ours = [str(study), *(str(tmp_path / name) for name in ("cache", "state", "temporary"))]
    pythons = [str(one.path.parents[1]) for one in interpreters.available()]
    runner = [str(ROOT), sys.prefix, sys.base_prefix]
    allowed = {
        "read": [*SYSTEM, *runner, *pythons, *ours],
        "written": ["/dev", "/proc/self", *ours],
        "executed": [*SYSTEM, *runner, *pythons, str(tmp_path / "temporary")],  # confined builds
        "connected": ["/run/docker.sock", "/var/run/docker.sock", str(tmp_path / "temporary")],
    }
    for words in (("plan",), ("lock",), ("run", "--locked", "--engine", "docker")):
        command = [sys.executable, "-m", "runner", *words]
        done, accesses = traced(command, tmp_path / "trace", study, variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not (tmp_path / "mark").exists(), (tmp_path / "mark").read_text()
        outside = {one for one in accesses if not _allowed(one, allowed[one.kind])}
        assert sorted(f"{one.kind} {one.path}" for one in outside) == [], words
    assert {one.status for one in results(study).values()} == {Status.OK}


def _allowed(access: Access, folders: Sequence[str]) -> bool:
    """Whether an access is in one of these folders, or only lists where interpreters may be."""
    searched = [os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")), *child.folders()]
    is_folder = access.is_folder or access.path in searched
    places = [*folders, NEW_ROOT, *(searched if is_folder else ())]
    path = Path(access.path)
    if access.kind == "written" and USER_MAP.fullmatch(access.path):
        return True
    return path == Path("/") or any(path.is_relative_to(place) for place in places)
