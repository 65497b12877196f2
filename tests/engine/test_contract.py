"""The behaviour of every engine: the same assertions hold for the fake and the real engines."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from runner.engines.protocol import Engine, Outcome
from runner.errors import EngineError, ImageBuildError
from runner.execute import clear
from runner.execute.result import parse_outcome
from runner.inside import LAUNCHER
from runner.prepare.context import write_context
from runner.records.environment import BaseKind, Image
from runner.records.run import SANDBOXES
from runner.records.study import Limits, Status
from runner.system.context import context_digest
from tests.support.consoles import CommandsConsole, TypedConsole
from tests.support.fakes import FakeEngine
from tests.support.trials import (
    INTERPRETER,
    METRICS,
    NUMBER,
    RUN,
    build,
    executed,
    launch,
    plain_environment,
    requested,
    stage,
)

HANGS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('on')
time.sleep(60)
"""

CHILDREN = """
import os, time
def work():
    held = bytearray(30_000_000)
    for place in range(0, len(held), 4096):
        held[place] = 1
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    time.sleep(2)
for child in range(5):
    if os.fork() == 0:
        if child == 4:  # nobody waits for the child of this one
            os.setsid()
            if os.fork():
                os._exit(0)
        work()
        os._exit(0)
time.sleep(3)
"""

SANDBOXED = [f"venv-{kind}" for kind in (*SANDBOXES, "plain")]
ENGINES = [
    "fake",
    *(pytest.param(name, marks=pytest.mark.engine) for name in ("docker", "podman")),
    *SANDBOXED,
]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn; afterwards it is cleared of the tests' run."""
    engine: Engine = FakeEngine()
    if request.param in SANDBOXED:
        engine = request.getfixturevalue("venv_engines")(request.param.partition("-")[2])
    elif request.param != "fake":
        engine = request.getfixturevalue(f"{request.param}_engine")
    yield engine
    clear(engine, RUN)


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """An image of this interpreter without packages."""
    return build(engine, plain_environment(), tmp_path_factory.mktemp("context"))


def test_an_image_is_found_by_its_digest(engine: Engine, image: Image) -> None:
    """A new image is listed under the digest of its environment."""
    assert image in engine.images()


def test_a_base_can_be_saved_and_loaded(engine: Engine, tmp_path: Path) -> None:
    """Trials run in an image that is built on a loaded base."""
    environment = plain_environment(2020)
    context = write_context(environment, "host", engine, tmp_path / "context")
    saved = engine.save_base(context.base, INTERPRETER, tmp_path / "base.tar")
    assert saved.kind is BaseKind.ASSEMBLED
    loaded = engine.load_base(saved, INTERPRETER.minor, tmp_path / "base.tar")
    image = engine.build(replace(context, base=loaded))
    outcome, result, _ = executed(engine, image, tmp_path, NUMBER)
    assert result.values == {"x": 1.5}, outcome.log


@pytest.fixture
def existing(engine: Engine, image: Image, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an image that somebody else made, with Python in it."""
    name = "localhost/contract-tests/app:1"
    if isinstance(engine, FakeEngine):
        engine.registry[name] = ["sha256:" + "1" * 64]
        yield name
        return
    if engine.describe().name == "venv":
        pytest.skip("it has no images")
    is_docker = engine.describe().name == "docker"
    address = None if is_docker else request.getfixturevalue("podman").address
    with closing(docker.from_env() if is_docker else docker.DockerClient(address)) as client:
        client.images.get(image.base.name).tag(*name.rsplit(":", 1))
        yield name
        client.images.remove(name)


def test_an_existing_image_is_used_as_it_is(engine: Engine, existing: str, tmp_path: Path) -> None:
    """It is found again under the digest that the caller chose, and discarded like any other."""
    asked = requested(existing, engine.image_digest(existing))
    image = engine.pull(asked)
    assert (image.environment, image.label) == (asked.environment, asked.label)
    assert (image.base.name, image.base.digest) == (existing, asked.digest)
    assert image in engine.images()
    outcome, result, _ = executed(engine, image, tmp_path, NUMBER)
    assert result.values == {"x": 1.5}, outcome.log
    (owned,) = (thing for thing in engine.owned() if thing.id == image.id)
    engine.discard(owned)
    assert image not in engine.images()
    assert engine.image_digest(existing) == asked.digest


def test_only_the_locked_digest_is_used(engine: Engine, existing: str) -> None:
    """Whatever else has the name."""
    with pytest.raises(ImageBuildError, match="with the locked digest sha256:2222"):
        engine.pull(requested(existing, "sha256:" + "2" * 64))


def test_an_image_that_does_not_exist_is_one_sentence(engine: Engine, existing: str) -> None:
    """The sentence names it."""
    with pytest.raises(ImageBuildError, match=r"^the image 127\.0\.0\.1:1/none:1 is "):
        engine.image_digest("127.0.0.1:1/none:1")


def test_a_dockerfile_of_the_user_is_built(engine: Engine, existing: str, tmp_path: Path) -> None:
    """Only with exactly the locked files."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {existing}\n")
    asked = requested("own", context_digest(folder))
    image = engine.build_own(asked, folder)
    assert image in engine.images()
    outcome, result, _ = executed(engine, image, tmp_path, NUMBER)
    assert result.values == {"x": 1.5}, outcome.log
    (owned,) = (thing for thing in engine.owned() if thing.id == image.id)
    engine.discard(owned)
    (folder / "Dockerfile").write_text(f"FROM {existing}\nUSER 0\n")
    with pytest.raises(ImageBuildError, match="files of own are not those that were locked"):
        engine.build_own(asked, folder)


def test_venv_has_no_images(engine: Engine, tmp_path: Path) -> None:
    """One sentence says so."""
    if engine.describe().name != "venv":
        pytest.skip("it has images")
    asked = requested("app:1", "sha256:" + "1" * 64)
    for attempt in (
        lambda: engine.image_digest("app:1"),
        lambda: engine.pull(asked),
        lambda: engine.build_own(asked, tmp_path),
    ):
        with pytest.raises(EngineError, match=r"cannot run container images.*docker or podman"):
            attempt()


def test_numbers_are_returned(engine: Engine, image: Image, tmp_path: Path) -> None:
    """A script that follows the contract is ok, with its number and a reading from inside."""
    outcome, result, _ = executed(engine, image, tmp_path, NUMBER)
    assert (result.status, result.reason) == (Status.OK, None), outcome.log
    assert result.values == {"x": 1.5}
    assert result.reading is not None
    assert result.reading.wall_s > 0
    assert result.reading.largest_process_bytes > 1e6


def test_a_script_gets_its_trial(engine: Engine, image: Image, tmp_path: Path) -> None:
    """Seed, parameters and cell reach the script."""
    script = "import json, os; print(open(os.environ['PARAMS_PATH']).read())"
    outcome, _, seen = executed(engine, image, tmp_path, script)
    assert '"seed": 7, "parameters": {"epochs": 3}, "cell": {"model": "a"}' in outcome.log
    assert [line for line in seen if line] == outcome.log.splitlines()


def test_a_failing_script_is_an_outcome(engine: Engine, image: Image, tmp_path: Path) -> None:
    """The reason contains the exit code and the script's error."""
    _, result, _ = executed(engine, image, tmp_path, "raise RuntimeError('no such thing')")
    assert result.status is Status.FAILED
    assert result.reason == "exit code 1: RuntimeError: no such thing"
    assert result.values == {}


def test_a_signal_is_named(engine: Engine, image: Image, tmp_path: Path) -> None:
    """The reason of a killed script names the signal."""
    script = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    _, result, _ = executed(engine, image, tmp_path, script)
    assert result.status is Status.FAILED
    assert "SIGSEGV" in str(result.reason)


def test_the_time_limit_holds(engine: Engine, image: Image, tmp_path: Path) -> None:
    """A script that hangs is stopped at its limit, and its log is kept."""
    outcome, result, _ = executed(engine, image, tmp_path, HANGS, timeout_s=1.0)
    assert result.status is Status.TIMED_OUT
    assert outcome.log == "on\n"
    assert outcome.duration_s < 20


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("pass", "the script wrote nothing to $RESULT_PATH"),
        ("open(__import__('os').environ['RESULT_PATH'], 'w').write('text')", "not JSON"),
        ("open(__import__('os').environ['RESULT_PATH'], 'w').write('[1]')", "not a list"),
        (NUMBER.replace("1.5", "float('nan')"), "NaN"),
        (NUMBER.replace("1.5", "float('inf')"), "Infinity"),
        (NUMBER.replace("1.5", "'fast'"), "must be a number, not text"),
        (NUMBER.replace("'x'", "'y'"), "lacks the promised metric `x`"),
        ("import os; os.symlink('/etc/passwd', os.environ['RESULT_PATH'])", "is a link"),
        ("import os; os.mkfifo(os.environ['RESULT_PATH'])", "not a regular file"),
        ("open(__import__('os').environ['RESULT_PATH'], 'wb').write(b'\\xff')", "not UTF-8"),
        ("open(__import__('os').environ['RESULT_PATH'], 'w').write('1' * 2**21)", "larger than"),
    ],
)
def test_a_bad_result_is_refused(
    engine: Engine, image: Image, tmp_path: Path, script: str, reason: str
) -> None:
    """The trial has a reason and no number, for anything that a script may write."""
    _, result, _ = executed(engine, image, tmp_path, script)
    assert result.status is Status.BAD_OUTPUT
    assert reason in str(result.reason)
    assert result.values == {}


def test_a_long_log_keeps_both_ends(engine: Engine, image: Image, tmp_path: Path) -> None:
    """A log beyond its limit loses its middle, and the result still counts."""
    script = f"print('first'); [print('x' * 99) for _ in range(10**5)]; print('last'); {NUMBER}"
    outcome, result, _ = executed(engine, image, tmp_path, script, limits=Limits(log_bytes=2**16))
    assert result.status is Status.OK
    assert outcome.log.startswith("first\n")
    assert outcome.log.endswith("last\n")
    assert "bytes left out" in outcome.log
    assert len(outcome.log) < 2**16 + 100


def test_nothing_of_a_run_is_left(engine: Engine, image: Image, tmp_path: Path) -> None:
    """After a run is cleared, the engine holds only its image."""
    executed(engine, image, tmp_path, NUMBER)
    assert [thing for thing in engine.owned() if thing.run == RUN]
    clear(engine, RUN)
    assert not [thing for thing in engine.owned() if thing.run == RUN]
    assert image in engine.images()


def test_a_trial_ends_when_the_things_of_its_run_are_removed(
    engine: Engine, image: Image, tmp_path: Path
) -> None:
    """This is how trials side by side are interrupted: another thread waits for each of them."""
    stage(engine, image.id, tmp_path, "import time; time.sleep(0.5); time.sleep(300)")
    ended: list[Outcome | EngineError] = []

    def run() -> None:
        try:
            ended.append(engine.execute(launch(image.id, timeout_s=400.0), lambda _: None))
        except EngineError as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(2)
    assert thread.is_alive()
    began = time.monotonic()
    while thread.is_alive() and time.monotonic() - began < 30:
        clear(engine, RUN)
        thread.join(0.2)
    (outcome,) = ended
    assert isinstance(outcome, EngineError) or outcome.exit_code != 0
    assert [one for one in engine.owned() if one.run == RUN] == []


def test_a_link_is_staged_as_its_target(engine: Engine, image: Image, tmp_path: Path) -> None:
    """A script or data file may be a link; the trial gets the file."""
    (tmp_path / "real.py").write_text(NUMBER)
    (tmp_path / "link.py").symlink_to("real.py")
    clear(engine, RUN)
    engine.stage(RUN, image.id, {"launcher.py": LAUNCHER, "study/script.py": tmp_path / "link.py"})
    outcome = engine.execute(launch(image.id), lambda _: None)
    assert parse_outcome(outcome, launch(image.id), METRICS).values == {"x": 1.5}


def test_a_shell_has_everything_of_a_trial(engine: Engine, image: Image, tmp_path: Path) -> None:
    """It runs commands from its input, in the place of a trial, and ends like the last one."""
    stage(engine, image.id, tmp_path, NUMBER)
    console = CommandsConsole(
        "cd $DATA_DIR && cd - && python script.py\n"
        "for file in $RESULT_PATH $PARAMS_PATH; do python -m json.tool --compact $file; done\n"
        "exit 7"
    )
    assert engine.open_shell(launch(image.id), console) == 7, console.errors
    assert '{"format":1,"values":{"x":1.5}}' in console.out
    assert '"seed":7,"parameters":{"epochs":3}' in console.out
    assert "container" not in [one.kind for one in engine.owned() if one.run == RUN]


def test_a_shell_has_a_terminal(engine: Engine, image: Image, tmp_path: Path) -> None:
    """It has the size of the user's, and Ctrl-C only interrupts the program in it."""
    stage(engine, image.id, tmp_path, NUMBER)
    sleep = "import os, time; print(os.get_terminal_size(), 'asleep', flush=True); time.sleep(60)"
    console = TypedConsole(
        ("$ ", f'python -c "{sleep}"\n'),
        ("lines=33) asleep", "\x03"),
        ("$ ", "echo goes $((40 + 2)); exit 3\n"),
    )
    prompted = replace(launch(image.id), variables={"PS1": "$ "})
    assert engine.open_shell(prompted, console) == 3, console.out
    assert "columns=77" in console.out
    assert "goes 42" in console.out


REACHES = """
import ctypes, os
reached = []
for name in ("fd/0", "fd/1", "fd/2", "mem", "oom_score_adj"):
    try:
        os.open(f"/proc/{os.getppid()}/{name}", os.O_RDWR)
    except PermissionError:
        continue
    reached.append(name)
PTRACE_ATTACH = 16
if ctypes.CDLL(None).ptrace(PTRACE_ATTACH, os.getppid(), 0, 0) == 0:
    reached.append("trace")
assert not reached, reached
"""


def test_no_script_can_control_its_launcher(engine: Engine, image: Image, tmp_path: Path) -> None:
    """It can neither read its memory nor write to its streams, though both have the same user."""
    if engine.describe().name == "fake":
        pytest.skip("its scripts run as root if the tests do")
    outcome, result, _ = executed(engine, image, tmp_path, REACHES + NUMBER)
    assert (result.status, result.reason) == (Status.OK, None), outcome.log


def test_all_processes_of_a_script_are_measured(
    engine: Engine, image: Image, tmp_path: Path
) -> None:
    """Five children use 0.1 s and 30 MB each, at the same time, whoever waits for them."""
    _, parsed, _ = executed(engine, image, tmp_path, CHILDREN + NUMBER)
    assert parsed.reading is not None, parsed
    assert 0.5 <= (parsed.reading.script_cpu_s or 0) <= 1.5
    assert 150e6 <= (parsed.reading.script_peak_bytes or 0) <= 220e6
