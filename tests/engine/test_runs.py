"""Whole runs on the real engine, from the command line: resuming, and leaving nothing behind."""

import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import docker
import pytest

from runner.engines.docker.labels import LABEL
from runner.engines.protocol import Engine
from runner.prepare.recipe import environment_digest
from runner.records.environment import Image
from runner.records.study import Status
from runner.runs import registry
from tests.support.studies import ended, results, run_folders, started, write_study
from tests.support.trials import NUMBER, plain_environment, remove_images

pytestmark = pytest.mark.engine

SLOW = f"import time; time.sleep(3); {NUMBER}"


def left_behind(client: docker.DockerClient, folder: Path) -> list[str]:
    """Return the kinds of things that the study's runs left on the engine."""
    found = []
    for run in run_folders(folder):
        label = f"{LABEL}run={registry.remember(run.path)}"
        containers = client.containers.list(all=True, filters={"label": label})
        found += ["container" for _ in containers]
        found += ["volume" for _ in client.volumes.list(filters={"label": label})]
    return found


def _folder(event: dict[str, Any]) -> Path:
    """Return the folder of the run that an event belongs to."""
    return registry.folders().get(event["Actor"]["Attributes"][LABEL + "run"], Path())


def trial_starts(client: docker.DockerClient, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield an event whenever a trial of the study starts."""
    events = client.events(decode=True, filters={"event": "start", "label": LABEL + "trial"})
    return (event for event in events if _folder(event).is_relative_to(folder))


def test_a_run_leaves_numbers_and_nothing_else(
    programs_image: Image, client: docker.DockerClient, tmp_path: Path
) -> None:
    """All trials are ok on an existing image; no container and no volume is left."""
    write_study(tmp_path, plain_environment(), NUMBER, blocks=2)
    code, out, err = ended(started(tmp_path, "--matrix", "matrix.yaml"))
    assert (code, err) == (0, ""), out
    assert "building" not in out
    assert {result.status for result in results(tmp_path).values()} == {Status.OK}
    assert {result.image for result in results(tmp_path).values()} == {programs_image.id}
    assert len(results(tmp_path)) == 6  # two cells and the control of the first, in two blocks
    assert left_behind(client, tmp_path) == []


@pytest.mark.usefixtures("programs_image")
def test_editing_the_experiment_starts_a_new_run_without_a_build(tmp_path: Path) -> None:
    """Images depend only on the lock, and numbers of different scripts never mix."""
    write_study(tmp_path, plain_environment(), NUMBER)
    for script in (NUMBER, NUMBER + "\n"):
        (tmp_path / "script.py").write_text(script)
        code, out, _ = ended(started(tmp_path, "prepare"))
        assert (code, out) == (0, "1 image ready\n")
        code, out, _ = ended(started(tmp_path, "-s", "size=1"))
        assert code == 0, out
    assert len(run_folders(tmp_path)) == 2


@pytest.mark.usefixtures("programs_image")
def test_the_output_of_a_script_is_made_printable(tmp_path: Path) -> None:
    """Terminal and report get no escape sequence; the log keeps the original."""
    red = r"raise SystemExit('\x1b[31mred\x1b]0;title\x07 \x9b2J')"
    write_study(tmp_path, plain_environment(), red)
    code, out, err = ended(started(tmp_path, "-s", "size=1"))
    assert code == 1
    (folder,) = run_folders(tmp_path)
    for text in (out, err, (folder.path / "report.md").read_text()):
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert "red" in out
    (log,) = folder.path.glob("logs/*.log")
    assert log.read_text().startswith("\x1b[31mred")


@pytest.mark.parametrize(
    ("number", "code", "left"),
    [(signal.SIGINT, 130, []), (signal.SIGKILL, -9, ["container", "volume"])],
    ids=["interrupted", "killed"],
)
@pytest.mark.usefixtures("programs_image")
def test_a_stopped_run_is_resumed(
    client: docker.DockerClient,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
    left: list[str],
) -> None:
    """Finished trials are kept, orphans are removed, and no trial runs twice."""
    write_study(tmp_path, plain_environment(), SLOW)
    starts = trial_starts(client, tmp_path)
    program = started(tmp_path)
    assert len(list(islice(starts, 2))) == 2
    program.send_signal(number)
    stopped, _, err = ended(program)
    assert stopped == code
    assert err.count("\n") == (number == signal.SIGINT), err
    assert left_behind(client, tmp_path) == left
    (first,) = results(tmp_path).items()

    again, out, err = ended(started(tmp_path))
    assert (again, err) == (0, ""), out
    assert "2 trials in 1 block, resuming: 1 already done" in out
    found = results(tmp_path)
    assert (len(run_folders(tmp_path)), len(found)) == (1, 2)
    assert found[first[0]] == first[1]
    assert {(one.status, one.trial.attempt) for one in found.values()} == {(Status.OK, 1)}
    assert left_behind(client, tmp_path) == []


def test_an_image_built_by_hand_counts_as_prepared(
    programs_engine: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    """The printed command builds the image that ``prepare`` would build."""
    environment = plain_environment(2003)
    key = environment_digest(environment)
    write_study(tmp_path, environment, NUMBER)
    code, out, err = ended(started(tmp_path, "prepare", "--context", "contexts"))
    assert (code, err) == (0, "")
    command = shlex.split(out.splitlines()[-1])
    assert command[:2] == ["docker", "build"]
    assert key not in {one.environment for one in programs_engine.images()}
    if shutil.which("docker") is None:
        pytest.skip("the docker command is not installed")
    try:
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        (label,) = {one.label for one in programs_engine.images() if one.environment == key}
        assert label == plain_environment().request.label
        code, out, err = ended(started(tmp_path, "prepare"))
        assert (code, out, err) == (0, "1 image ready\n", "")
    finally:
        remove_images(client, environment)


@pytest.mark.usefixtures("programs_image")
def test_doctor_examines_a_machine(client: docker.DockerClient, tmp_path: Path) -> None:
    """It compares a container with a plain process, and leaves nothing behind."""
    write_study(tmp_path, plain_environment(), NUMBER)
    code, out, err = ended(started(tmp_path, "doctor"))
    findings = {line.split()[1]: line for line in out.splitlines()}
    assert (err, "bad" in out) == ("", code == 1), out
    assert findings["engine"].startswith("ok   engine       docker ")
    assert "7 pairs); to start and stop a container takes" in findings["overhead"]
    label = f"{LABEL}run={registry.remember(tmp_path / 'reports' / 'doctor')}"
    assert client.containers.list(all=True, filters={"label": label}) == []
    assert client.volumes.list(filters={"label": label}) == []
