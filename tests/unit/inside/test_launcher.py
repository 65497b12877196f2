"""The launcher on every Python of this machine, as a process with a script for a child."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.execute.result import Document, read_document
from runner.inside import LAUNCHER
from runner.python.interpreters import Interpreter, available

OLDEST = (3, 6)


def supported() -> list[Interpreter]:
    """Return the interpreters the launcher is made for; there is at least the running one."""
    return [one for one in available() if tuple(map(int, one.version.split(".")[:2])) >= OLDEST]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came out of the launcher."""

    document: Document
    log: str
    seconds: float


class Launcher:
    """Starts scripts with one interpreter."""

    def __init__(self, interpreter: Interpreter, folder: Path) -> None:
        self.interpreter = interpreter
        self.folder = folder

    def start(self, script: str, **changes: Any) -> Ended:
        """Start a script and wait for its end; ``changes`` are those of the order."""
        (self.folder / "script.py").write_text(script)
        order = {
            "inputs": str(self.folder),
            "temporary": str(self.folder),
            "output": str(self.folder),
            "own_pid_namespace": False,
            "script": "script.py",
            "seed": 2**40 + 7,
            "parameters": {"epochs": 3},
            "cell": {"model": "a"},
            "timeout_s": 30.0,
            "log_bytes": 1000,
            "result_bytes": 1000,
            "matched": False,
            "quiet": {"window_s": 0.0, "foreign_share": 0.05, "patience_s": 0.0},
            **changes,
        }
        began = time.monotonic()
        done = subprocess.run(
            [str(self.interpreter.path), str(LAUNCHER), json.dumps(order)],
            capture_output=True,
            timeout=60,
            check=True,
        )
        seconds = time.monotonic() - began
        log = done.stderr.decode()
        return Ended(document=read_document(done.stdout), log=log, seconds=seconds)


@pytest.fixture(params=supported(), ids=lambda one: one.minor)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Launcher:
    """A launcher for each Python of this machine."""
    return Launcher(request.param, tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Launcher:
    """A launcher on the Python that runs the tests, for what does not depend on it."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Launcher(Interpreter(path=Path(sys.executable), version=version), tmp_path)


def test_a_script_learns_its_trial_and_gives_its_result(launcher: Launcher) -> None:
    """The script gets its order, and its result, its log and the kernel's counters come back."""
    ended = launcher.start(
        "import json, os, sys\n"
        "order = json.load(open(os.environ['PARAMS_PATH']))\n"
        "order['hash_seed'] = os.environ['PYTHONHASHSEED']\n"
        "order['data'] = os.environ['DATA_DIR']\n"
        "order['threads'] = os.environ['OMP_NUM_THREADS']\n"
        "print('out'); sys.stderr.write('err\\n')\n"
        "json.dump(order, open(os.environ['RESULT_PATH'], 'w'))\n"
    )
    document = ended.document
    assert (document.exit_code, document.timed_out, document.result_problem) == (0, False, None)
    assert document.result
    assert json.loads(document.result) == {
        "seed": 2**40 + 7,
        "parameters": {"epochs": 3},
        "cell": {"model": "a"},
        "matched": False,
        "hash_seed": str((2**40 + 7) % 2**32),
        "data": f"{launcher.folder}/data",
        "threads": str(len(os.sched_getaffinity(0))),
    }
    assert ended.log == "out\nerr\n"
    reading = document.reading
    assert 0 < reading.wall_s < ended.seconds
    assert 0 < reading.user_s + reading.system_s < 10
    assert reading.largest_process_bytes > 1_000_000
    assert list(reading.cpus) == sorted(os.sched_getaffinity(0))
    assert reading.log_left_out_bytes == 0


def test_a_script_is_stopped_at_its_time_limit(launcher: Launcher) -> None:
    """A script that hangs is killed, and the document says why."""
    ended = launcher.start("import time; time.sleep(60)", timeout_s=0.2)
    assert ended.document.timed_out
    assert ended.document.exit_code == -signal.SIGKILL
    assert ended.seconds < 20


def test_a_script_is_stopped_with_all_it_started(here: Launcher) -> None:
    """At the time limit script and children are killed, whatever they do with signals."""
    ended = here.start(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    open('child', 'w').write(str(os.getpid()))\n"
        "sys.stdout.write('on\\n'); sys.stdout.flush()\n"
        "time.sleep(60)\n",
        timeout_s=2,
    )
    assert ended.document.timed_out
    assert ended.seconds < 20
    assert ended.log == "on\non\n"
    assert gone(here.folder / "child")


def test_what_a_script_leaves_running_is_ended(here: Launcher) -> None:
    """A child that outlives the script does not keep the trial waiting."""
    ended = here.start(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    open('child', 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "while not os.path.exists('child') or not open('child').read():\n"
        "    time.sleep(0.01)\n"
    )
    assert (ended.document.exit_code, ended.document.timed_out) == (0, False)
    assert ended.seconds < 20
    assert gone(here.folder / "child")


def gone(path: Path) -> bool:
    """Whether the process whose number is in the file ends within a second."""
    stat = Path("/proc", path.read_text(), "stat")
    for _ in range(100):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":  # nobody reaps it here
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_of_a_long_log_the_middle_is_left_out(launcher: Launcher) -> None:
    """The first half of the limit and the newest half are kept, and the gap is told."""
    ended = launcher.start(
        "import sys\nsys.stdout.write('a' * 500 + 'b' * 100000 + 'c' * 500)\n", log_bytes=1000
    )
    gap = "\n[... 100000 bytes left out ...]\n"
    assert ended.log == "a" * 500 + gap + "c" * 500
    assert ended.document.reading.log_left_out_bytes == 100_000


def test_a_log_at_its_limit_is_whole(here: Launcher) -> None:
    """Nothing is left out that fits."""
    ended = here.start("print('x' * 999)", log_bytes=1000)
    assert ended.log == "x" * 999 + "\n"


@pytest.mark.parametrize(
    ("script", "exit_code", "log"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('a sentence')", 1, "a sentence\n"),
        ("import os; os.abort()", -signal.SIGABRT, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, ""),
    ],
)
def test_how_a_script_ends_is_told(here: Launcher, script: str, exit_code: int, log: str) -> None:
    """Exit codes and signals come back as they are, and the document comes with them."""
    ended = here.start(f"import resource\nresource.setrlimit(4, (0, 0))\n{script}")
    assert ended.document.exit_code == exit_code
    assert ended.log == log
    assert ended.document.result is None
    assert ended.document.result_problem == "the script wrote nothing to $RESULT_PATH"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("open(place, 'w').write('x' * 1001)", "the result is larger than its limit of 1000 bytes"),
        ("open(place, 'wb').write(b'ab\\xff')", "the result is not UTF-8 (byte 2)"),
        ("os.mkdir(place)", "$RESULT_PATH is not a regular file"),
        ("os.mkfifo(place)", "$RESULT_PATH is not a regular file"),
        ("os.symlink('/etc/passwd', place)", "$RESULT_PATH cannot be read: Too many levels of"),
        (
            "import socket; socket.socket(socket.AF_UNIX).bind('result.json')",
            "$RESULT_PATH cannot be read: No such device or address",
        ),
    ],
)
def test_a_result_that_cannot_be_taken_is_told(here: Launcher, script: str, problem: str) -> None:
    """Whatever lies where the result should be: the launcher neither follows, hangs nor fails."""
    ended = here.start(f"import os\nplace = os.environ['RESULT_PATH']\n{script}")
    assert ended.document.exit_code == 0
    assert ended.document.result is None
    assert ended.document.result_problem
    assert ended.document.result_problem.startswith(problem)


def test_a_result_at_its_limit_is_taken(here: Launcher) -> None:
    """The limit is the last size that is accepted."""
    ended = here.start("import os; open(os.environ['RESULT_PATH'], 'w').write('x' * 1000)")
    assert ended.document.result == "x" * 1000


def test_a_script_cannot_read_what_was_not_sent(here: Launcher) -> None:
    """Its standard input is empty and its standard output is not that of the launcher."""
    ended = here.start("import sys\nprint(repr(sys.stdin.read()))\nprint('MATRIX-DOCUMENT 2')")
    assert ended.log == "''\nMATRIX-DOCUMENT 2\n"
    assert ended.document.exit_code == 0
