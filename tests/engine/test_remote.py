"""An engine on another machine, over TLS, a context and ssh; it learns nothing about this one."""

import gc
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import docker
import pytest

from runner.engines.docker import address, connect
from runner.errors import EngineError, Exit
from runner.records.study import Status
from runner.system.host import this_host
from tests.support.daemons import lent
from tests.support.remote import POSSIBLE, REASON, Recorder, RemoteDaemon
from tests.support.sshd import REASON as NO_SSH
from tests.support.sshd import Sshd
from tests.support.sshd import possible as ssh_is_possible
from tests.support.studies import ROOT, ended, results, run_folders, started, write_study
from tests.support.trials import NUMBER, plain_environment

pytestmark = [pytest.mark.engine, pytest.mark.skipif(not POSSIBLE, reason=REASON)]


@pytest.fixture(scope="module")
def daemon() -> Iterator[RemoteDaemon]:
    """Return a daemon on another machine; afterwards nothing of it is left."""
    with lent(RemoteDaemon) as daemon:
        yield daemon


@pytest.fixture
def recorder(daemon: RemoteDaemon) -> Iterator[Recorder]:
    """Return a proxy before the daemon that records its requests."""
    recorder = Recorder(daemon)
    yield recorder
    recorder.close()


@pytest.fixture
def over_tls(monkeypatch: pytest.MonkeyPatch, daemon: RemoteDaemon) -> None:
    """Let the program use the daemon over TLS."""
    monkeypatch.setenv("DOCKER_HOST", daemon.url)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(daemon.certificates))


def make_context(monkeypatch: pytest.MonkeyPatch, folder: Path, daemon: RemoteDaemon) -> None:
    """Store the context that ``docker context create far`` makes, in a settings folder."""
    key = sha256(b"far").hexdigest()
    meta, tls = folder / "contexts" / "meta" / key, folder / "contexts" / "tls" / key / "docker"
    meta.mkdir(parents=True)
    endpoints = {"docker": {"Host": daemon.url, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(
        json.dumps({"Name": "far", "Metadata": {}, "Endpoints": endpoints})
    )
    tls.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tls / name).write_bytes((daemon.certificates / name).read_bytes())
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def open_shell(folder: Path) -> None:
    """Run commands in a shell on the engine."""
    commands = "python script.py && python -m json.tool --compact $RESULT_PATH; exit 7"
    code, out, err = ended(started(folder, "shell"), typed=commands)
    assert (code, out, err) == (7, '{"format":1,"values":{"x":1.5}}\n', "")


@pytest.mark.usefixtures("over_tls")
def test_no_path_of_this_machine_reaches_an_engine(
    recorder: Recorder, daemon: RemoteDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All requests of a whole study are read, including those that build its base and image."""
    monkeypatch.setenv("DOCKER_HOST", recorder.url)
    write_study(tmp_path, plain_environment(), NUMBER)
    code, out, err = ended(started(tmp_path))
    assert (code, err) == (0, ""), out + err
    assert {result.status for result in results(tmp_path).values()} == {Status.OK}
    open_shell(tmp_path)
    (folder,) = run_folders(tmp_path)
    assert folder.run().engine.machine is not None
    assert {one.reading and one.reading.processor for one in results(tmp_path).values()} == {
        this_host().cpu_model  # in fact they are the same machine
    }
    assert "may be a different one: " in (folder.path / "report.md").read_text()
    requests = bytes(recorder.requests)
    for request in (b"/images/create?", b"/images/load?", b"/archive?", b"/containers/create"):
        assert request in requests
    assert f'"matrix-runner.run": "{folder.path.name}-'.encode() in requests
    ours = [tmp_path, tempfile.gettempdir(), ROOT, sys.prefix, os.environ["XDG_STATE_HOME"]]
    assert [path for path in ours if str(path).encode() in requests] == []
    with closing(docker.DockerClient(daemon.address)) as client:
        assert client.containers.list(all=True) == client.volumes.list() == []


@pytest.mark.usefixtures("over_tls")
@pytest.mark.parametrize("how", ["named", "chosen", "used"])
def test_an_engine_is_found_by_its_context(
    daemon: RemoteDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """DOCKER_CONTEXT names it, or it was chosen; DOCKER_HOST overrides both."""
    make_context(monkeypatch, tmp_path, daemon)
    monkeypatch.delenv("DOCKER_TLS_VERIFY")
    monkeypatch.delenv("DOCKER_CERT_PATH")
    if how == "named":
        monkeypatch.setenv("DOCKER_CONTEXT", "far")
    else:
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    if how == "used":
        monkeypatch.setenv("DOCKER_HOST", daemon.address)
        assert address.engine_address().url == daemon.address
        return
    assert address.engine_address().context == "far"
    with closing(connect("remote-tests")) as engine:
        assert engine.describe().machine is not None


def test_a_missing_context_is_not_the_local_engine(
    tmp_path: Path, daemon: RemoteDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence names it and says what to do."""
    make_context(monkeypatch, tmp_path, daemon)
    monkeypatch.setenv("DOCKER_CONTEXT", "farther")
    with pytest.raises(
        EngineError, match=r"the Docker context farther cannot be read .*context use"
    ):
        connect("remote-tests")


@pytest.mark.usefixtures("over_tls")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""}, "set DOCKER_TLS_VERIFY=1, and"),
        ({"DOCKER_CERT_PATH": "/nonexistent"}, "check that ca.pem, cert.pem and key.pem in /none"),
        ({"DOCKER_CERT_PATH": "other"}, "check that ca.pem, cert.pem and key.pem in other belong"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:1"}, "start Docker, or name an engine in DOCKER_HOST"),
    ],
    ids=["plain", "absent", "strange", "nobody"],
)
def test_a_certificate_error_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], says: str
) -> None:
    """It names the address and says what is wrong and what to do."""
    from tests.support.remote import make_certificates  # noqa: PLC0415 (needs openssl)

    make_certificates(tmp_path / "other", "127.0.0.1")
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineError) as raised:
        connect("remote-tests")
    text = str(raised.value)
    assert text.startswith(f"no Docker engine answers at {os.environ['DOCKER_HOST']} (")
    assert says in text
    del raised
    gc.collect()


SSH = """#!/bin/sh
echo "$@" >> {folder}/arguments
while [ "$1" != -- ]; do shift; done
case "$2" in
  there) shift 2; exec "$@" ;;
  *) echo "ssh: Could not resolve hostname $2" >&2; exit 255 ;;
esac
"""


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemon: RemoteDaemon) -> Path:
    """Put an ``ssh`` on PATH that runs the command here; return the file of its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(SSH.format(folder=folder))
    dial = f'from tests.support.remote import dial; dial("{daemon.socket}")'
    (folder / "docker").write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c '{dial}'\n"
    )
    for name in ("ssh", "docker"):
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder / "arguments"


@pytest.mark.usefixtures("over_tls")
def test_an_engine_behind_ssh(
    fake_ssh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole run works through the system's ssh, and ``clean`` removes everything."""
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@there:2222")
    write_study(tmp_path, plain_environment(), NUMBER)
    code, out, err = ended(started(tmp_path))
    assert (code, err) == (0, ""), out + err
    assert {result.status for result in results(tmp_path).values()} == {Status.OK}
    open_shell(tmp_path)
    options = "-T -o ConnectTimeout=30 -o ServerAliveInterval=15"
    arguments = f"{options} -l me -p 2222 -- there docker system dial-stdio"
    assert set(fake_ssh.read_text().splitlines()) == {arguments}
    code, out, err = ended(started(tmp_path, "clean", "--yes"))
    assert (code, err) == (0, ""), out + err
    assert "removed 3 items" in out  # the image, its base, and our cache


@pytest.mark.usefixtures("fake_ssh")
def test_an_error_of_ssh_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last line is the cause."""
    monkeypatch.setenv("DOCKER_HOST", "ssh://nowhere")
    with pytest.raises(EngineError) as raised:
        connect("remote-tests")
    assert str(raised.value) == (
        "no Docker engine answers at ssh://nowhere (ssh: Could not resolve hostname nowhere): "
        "check that ssh connects without asking anything and finds `docker` there."
    )
    del raised
    gc.collect()


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """Return a real ssh server on this machine."""
    if not ssh_is_possible():
        pytest.skip(NO_SSH)
    with lent(Sshd) as server:
        yield server


@pytest.mark.parametrize("known", [True, False])
def test_a_real_ssh_connects_to_an_engine(
    sshd: Sshd, daemon: RemoteDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """A whole run works, and an unknown key is one sentence."""
    monkeypatch.setenv("PATH", str(sshd.client), prepend=os.pathsep)
    user = sshd.user if known else "nobody"
    monkeypatch.setenv("DOCKER_HOST", f"ssh://{user}@127.0.0.1:{sshd.port}{daemon.socket}")
    write_study(tmp_path, plain_environment(), NUMBER)
    code, out, err = ended(started(tmp_path, "--engine", "docker"))
    if not known:
        assert (code, out) == (Exit.ENGINE, "")
        assert "Permission denied" in err
        assert "check that ssh connects without asking anything" in err
        return
    assert (code, err) == (0, ""), out + err
    assert {result.status for result in results(tmp_path).values()} == {Status.OK}
    code, out, err = ended(started(tmp_path, "clean", "--yes"))
    assert (code, err) == (0, ""), out + err
