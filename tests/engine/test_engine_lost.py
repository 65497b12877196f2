"""An engine that dies: a second Docker daemon in its own namespaces."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from threading import Thread

import docker
import pytest

from runner.engines.docker.labels import LABEL
from runner.engines.docker.trials import DockerEngine
from runner.errors import EngineLostError
from runner.execute import clear
from runner.records.study import Status
from tests.support.daemons import POSSIBLE, REASON, Daemon
from tests.support.studies import ended, results, run_folders, started, write_study
from tests.support.trials import NUMBER, RUN, build, executed, plain_environment

pytestmark = [pytest.mark.engine, pytest.mark.skipif(not POSSIBLE, reason=REASON)]

SLOW = f"import time; time.sleep(1); {NUMBER}"


@pytest.fixture(scope="module")
def storage() -> Iterator[Path]:
    """Return a folder for a daemon; it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="matrix-runner-test-") as folder:
        yield Path(folder)


@pytest.fixture
def daemon(storage: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """Return the second daemon, which the program uses."""
    daemon = Daemon(storage)
    monkeypatch.setenv("DOCKER_HOST", daemon.address)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.die()


def test_an_engine_that_dies_in_a_trial(daemon: Daemon, tmp_path: Path) -> None:
    """One sentence and exit code 5. Finished trials are kept, and the run can be resumed."""
    write_study(tmp_path, plain_environment(), SLOW)
    with closing(docker.DockerClient(daemon.address)) as client:
        filters = {"event": "start", "label": LABEL + "trial"}
        starts = client.events(decode=True, filters=filters)
        program = started(tmp_path, "--engine", "docker")
        assert len(list(islice(starts, 2))) == 2
        daemon.die()
    code, out, err = ended(program)
    assert (code, err.count("\n")) == (5, 1), err
    assert err.startswith("the engine stopped answering when it had to execute size=")
    assert "finished trials are kept" in err
    kept, lost = results(tmp_path).values()
    assert (kept.status, lost.status) == (Status.OK, Status.ENGINE_LOST)
    assert "report: " in out

    daemon.start()
    code, out, err = ended(started(tmp_path, "--engine", "docker"))
    assert (code, err) == (0, ""), out
    assert len(run_folders(tmp_path)) == 1
    found = results(tmp_path)
    assert found.pop(lost.trial.id) == lost
    assert found.pop(kept.trial.id) == kept
    (again,) = found.values()
    assert (again.status, again.trial.attempt) == (Status.OK, 2)
    with closing(docker.DockerClient(daemon.address)) as client:
        assert client.containers.list(all=True) == client.volumes.list() == []


def test_the_runner_gives_up_on_an_engine_that_hangs(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits forever neither for the stream of a trial nor for an answer."""
    for module in ("engines.protocol", "engines.docker.trials", "engines.docker.containers"):
        monkeypatch.setattr(f"runner.{module}.GRACE_S", 1.0)
    hang = Thread(target=daemon.suspend, args=(20,))
    with closing(DockerEngine(docker.DockerClient(daemon.address, timeout=2), "tests")) as engine:
        (tmp_path / "context").mkdir()
        image = build(engine, plain_environment(), tmp_path / "context")
        script = "import time; print('on', flush=True); time.sleep(60)"
        with pytest.raises(EngineLostError, match="stopped answering when it had to execute"):
            executed(engine, image, tmp_path, script, timeout_s=1.0, watch=lambda _: hang.start())
        assert hang.is_alive()
        hang.join()
        clear(engine, RUN)


def test_an_engine_that_restarts_while_it_builds(daemon: Daemon, tmp_path: Path) -> None:
    """The program waits for it, builds the image again and completes the run."""
    said = []
    for year in range(2006, 2012):  # the engine may be back before the build asks it anything
        folder = tmp_path / str(year)
        folder.mkdir()
        write_study(folder, plain_environment(year), NUMBER)
        program = started(folder, "--engine", "docker")
        assert program.stdout is not None
        assert any(line.endswith(": building\n") for line in program.stdout)
        daemon.die()
        daemon.start()
        code, out, err = ended(program)
        assert (code, err) == (0, ""), out
        assert {result.status for result in results(folder).values()} == {Status.OK}
        said.append(out)
        if "Trying again in 1 s." in out:
            break
    else:
        pytest.fail("\n".join(said))
