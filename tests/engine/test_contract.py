"""What every engine must do. The same assertions hold for the fake and for the real ones."""

import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.docker_engine import connect
from runner.engine import Engine, Launch, Outcome
from runner.execute import LAUNCHER, clear
from runner.interpreters import Interpreter
from runner.model import (
    Better,
    Environment,
    EnvironmentRequest,
    Image,
    Limits,
    Metric,
    Status,
)
from runner.prepare import environment_digest, write_context
from runner.result import Concluded, conclude
from tests.fakes import FakeEngine

RUN = "/a/run"
AS_OF = datetime(2026, 1, 1, tzinfo=timezone.utc)
NUMBER = (
    "import json, os; "
    "json.dump({'format': 1, 'values': {'x': 1.5}}, open(os.environ['RESULT_PATH'], 'w'))"
)
HANGS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('on')
time.sleep(60)
"""
LIMITS = Limits()
METRICS = (Metric(name="x", unit="", better=Better.LOWER, title="x"),)


@pytest.fixture(scope="module", params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn, with nothing of this run left on it afterwards."""
    made: Engine = FakeEngine() if request.param == "fake" else connect("contract-test")
    yield made
    clear(made, RUN)
    made.close()


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """An image of this interpreter without any package."""
    version = ".".join(map(str, sys.version_info[:3]))
    interpreter = Interpreter(path=Path(sys.executable).resolve(), version=version)
    environment = Environment(
        request=EnvironmentRequest(requirements=(), python=interpreter.minor),
        python=interpreter.minor,
        platform="linux-x86_64",
        as_of=AS_OF,
        packages=(),
    )
    key = environment_digest(environment)
    folder = tmp_path_factory.mktemp("context")
    return engine.build(write_context(environment, key, "host", engine, folder))


def executed(
    engine: Engine,
    image: Image,
    tmp_path: Path,
    script: str,
    *,
    limits: Limits = LIMITS,
    timeout_s: float = 60.0,
) -> tuple[Outcome, Concluded, list[str]]:
    """Execute a script as a trial; return its outcome, its result and the lines that were seen."""
    path = tmp_path / "script.py"
    path.write_text(script)
    clear(engine, RUN)
    engine.stage(RUN, image.id, {"inside.py": LAUNCHER, "script/script.py": path})
    order = {
        "script": "script/script.py",
        "seed": 7,
        "parameters": {"epochs": 3},
        "cell": {"model": "a"},
        "timeout_s": timeout_s,
        "log_bytes": limits.log_bytes,
        "result_bytes": limits.result_bytes,
    }
    seen: list[str] = []
    launch = Launch(
        run=RUN,
        trial="model=a@b1.1",
        image=image.id,
        order=order,
        limits=limits,
        timeout_s=timeout_s,
    )
    outcome = engine.execute(launch, seen.append)
    return outcome, conclude(outcome, METRICS, timeout_s), seen


def test_an_image_is_found_again_by_its_digest(engine: Engine, image: Image) -> None:
    """What was built is among the images, under the environment's digest."""
    assert engine.images()[image.environment] == image


def test_numbers_come_back(engine: Engine, image: Image, tmp_path: Path) -> None:
    """A script that keeps the contract is ok, with its number and a reading from inside."""
    outcome, result, _ = executed(engine, image, tmp_path, NUMBER)
    assert (result.status, result.reason) == (Status.OK, None), outcome.log
    assert result.values == {"x": 1.5}
    assert result.reading is not None
    assert result.reading.wall_s > 0
    assert result.reading.largest_process_bytes > 1e6


def test_the_script_is_told_its_trial(engine: Engine, image: Image, tmp_path: Path) -> None:
    """Seed, parameters and cell reach the script."""
    script = "import json, os; print(open(os.environ['PARAMS_PATH']).read())"
    outcome, _, seen = executed(engine, image, tmp_path, script)
    assert '"seed": 7, "parameters": {"epochs": 3}, "cell": {"model": "a"}' in outcome.log
    assert [line for line in seen if line] == outcome.log.splitlines()


def test_a_script_that_fails_is_an_outcome(engine: Engine, image: Image, tmp_path: Path) -> None:
    """The reason has the exit code and the script's own error line."""
    _, result, _ = executed(engine, image, tmp_path, "raise RuntimeError('no such thing')")
    assert result.status is Status.FAILED
    assert result.reason == "exit code 1: RuntimeError: no such thing"
    assert result.values == {}


def test_a_signal_is_named(engine: Engine, image: Image, tmp_path: Path) -> None:
    """A script that is killed says by which signal."""
    script = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    _, result, _ = executed(engine, image, tmp_path, script)
    assert result.status is Status.FAILED
    assert "SIGSEGV" in str(result.reason)


def test_the_time_limit_holds(engine: Engine, image: Image, tmp_path: Path) -> None:
    """A script that hangs is stopped at its limit, and what it printed is kept."""
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
        ("import os; os.symlink('/etc/passwd', os.environ['RESULT_PATH'])", "cannot be read"),
        ("import os; os.mkfifo(os.environ['RESULT_PATH'])", "not a regular file"),
        ("open(__import__('os').environ['RESULT_PATH'], 'wb').write(b'\\xff')", "not UTF-8"),
        ("open(__import__('os').environ['RESULT_PATH'], 'w').write('1' * 2**21)", "larger than"),
    ],
)
def test_a_bad_result_is_refused(
    engine: Engine, image: Image, tmp_path: Path, script: str, reason: str
) -> None:
    """Whatever the script writes instead of a result has a reason and no number."""
    _, result, _ = executed(engine, image, tmp_path, script)
    assert result.status is Status.BAD_OUTPUT
    assert reason in str(result.reason)
    assert result.values == {}


def test_a_long_log_keeps_both_ends(engine: Engine, image: Image, tmp_path: Path) -> None:
    """Of a log beyond its limit the middle is left out, and the result still counts."""
    script = f"print('first'); [print('x' * 99) for _ in range(10**5)]; print('last'); {NUMBER}"
    outcome, result, _ = executed(engine, image, tmp_path, script, limits=Limits(log_bytes=2**16))
    assert result.status is Status.OK
    assert outcome.log.startswith("first\n")
    assert outcome.log.endswith("last\n")
    assert "bytes left out" in outcome.log
    assert len(outcome.log) < 2**16 + 100


def test_nothing_of_a_run_is_left(engine: Engine, image: Image, tmp_path: Path) -> None:
    """After clearing a run the engine holds nothing of it, and its image is still there."""
    executed(engine, image, tmp_path, NUMBER)
    assert [thing for thing in engine.owned() if thing.run == RUN]
    clear(engine, RUN)
    assert not [thing for thing in engine.owned() if thing.run == RUN]
    assert image.environment in engine.images()
