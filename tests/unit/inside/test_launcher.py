"""The launcher on every Python of this machine, as a process whose child is a script."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.execute.result import Document, read_document
from runner.inside import ISOLATED, LAUNCHER
from runner.inside.launcher import core_seconds, counters, read_result, wait_for_quiet
from runner.python.interpreters import Interpreter
from tests.support.pythons import supported


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The output of the launcher."""

    document: Document
    log: str
    seconds: float


class Launcher:
    """Starts scripts with one interpreter."""

    def __init__(self, interpreter: Interpreter, folder: Path) -> None:
        self.interpreter = interpreter
        self.folder = folder

    def start(self, script: str, **changes: Any) -> Ended:
        """Run a script to its end; ``changes`` replace values of the trial spec."""
        for name in ("inputs/study", "temporary"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
        (self.folder / "inputs/study/script.py").write_text(script)
        spec = {
            "inputs": str(self.folder / "inputs"),
            "temporary": str(self.folder / "temporary"),
            "output": str(self.folder),
            "own_pid_namespace": False,
            "command": ["python", "script.py"],
            "data": [],
            "files": [],
            "benchmarks": [],
            "stdout": False,
            "peak": False,
            "seed": 2**40 + 7,
            "parameters": {"epochs": 3},
            "cell": {"model": "a"},
            "variables": {},
            "timeout_s": 30.0,
            "log_bytes": 1000,
            "result_bytes": 1000,
            "matched": False,
            "quiet": {"window_s": 0.0, "foreign_share": 0.05, "patience_s": 0.0},
            **changes,
        }
        began = time.monotonic()
        done = subprocess.run(
            [str(self.interpreter.path), *ISOLATED, str(LAUNCHER), json.dumps(spec)],
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


def test_a_script_gets_its_trial_and_returns_its_result(launcher: Launcher) -> None:
    """Result, counters and log come back; of a long log, the first and the newest half."""
    ended = launcher.start(
        "import json, os, sys\n"
        "trial = json.load(open(os.environ['PARAMS_PATH']))\n"
        "trial['hash_seed'] = os.environ['PYTHONHASHSEED']\n"
        "trial['data'] = os.environ['DATA_DIR']\n"
        "trial['threads'] = os.environ['OMP_NUM_THREADS']\n"
        "print('out'); sys.stderr.write('err\\n')\n"
        "sys.stdout.write('a' * 492 + 'b' * 100000 + 'c' * 500)\n"
        "json.dump(trial, open(os.environ['RESULT_PATH'], 'w'))\n"
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
        "data": f"{launcher.folder}/temporary/data",
        "threads": str(len(os.sched_getaffinity(0))),
    }
    gap = "\n[... 100000 bytes left out ...]\n"
    assert ended.log == "out\nerr\n" + "a" * 492 + gap + "c" * 500
    reading = document.reading
    assert 0 < reading.wall_s < ended.seconds
    assert 0 < reading.user_s + reading.system_s < 10
    assert reading.largest_process_bytes > 1_000_000
    assert list(reading.cpus) == sorted(os.sched_getaffinity(0))
    assert reading.log_left_out_bytes == 100_000


def test_a_script_gets_its_variables(here: Launcher) -> None:
    """They come before those that the launcher sets for threads, but no path can be replaced."""
    script = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['A'])"
    script += "; print('/else' == os.environ['DATA_DIR'])"
    variables = {"OMP_NUM_THREADS": "7", "PYTHONHASHSEED": "0", "A": "b=c", "DATA_DIR": "/else"}
    assert here.start(script, variables=variables).log == "7 b=c\nFalse\n"


def test_a_script_is_stopped_at_its_time_limit(launcher: Launcher) -> None:
    """A script that hangs is killed, and the document says so."""
    ended = launcher.start("import time; time.sleep(60)", timeout_s=0.2)
    assert ended.document.timed_out
    assert ended.document.exit_code == -signal.SIGKILL
    assert ended.seconds < 20


def test_a_script_is_stopped_with_its_children(here: Launcher) -> None:
    """At its time limit all of them are killed, even if they ignore signals."""
    ended = here.start(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    open('child', 'w').write(str(os.getpid()))\n"
        "sys.stdout.write('on\\n'); sys.stdout.flush()\n"
        "time.sleep(60)\n",
        timeout_s=1,
    )
    assert ended.document.timed_out
    assert ended.seconds < 20
    assert ended.log == "on\non\n"
    assert gone(here.folder / "temporary/study/child")


def test_a_child_that_outlives_its_script_is_killed(here: Launcher) -> None:
    """The trial does not wait for it."""
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
    assert gone(here.folder / "temporary/study/child")


def gone(path: Path) -> bool:
    """Whether the process with the pid in this file ends within a second."""
    stat = Path("/proc", path.read_text(), "stat")
    for _ in range(100):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":  # but not reaped
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_a_log_at_its_limit_is_complete(here: Launcher) -> None:
    """Nothing is left out if it fits."""
    ended = here.start("print('x' * 999)")
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
def test_the_exit_of_a_script_is_reported(
    here: Launcher, script: str, exit_code: int, log: str
) -> None:
    """Exit codes and signals are not changed, and there is no result."""
    ended = here.start(f"import resource\nresource.setrlimit(4, (0, 0))\n{script}")
    assert ended.document.exit_code == exit_code
    assert ended.log == log
    assert ended.document.result is None
    assert ended.document.result_problem is None


def make_socket(path: Path) -> None:
    """Leave a socket there."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (
            lambda path: path.write_text("x" * 1001),
            "$RESULT_PATH is larger than its limit of 1000 bytes",
        ),
        (lambda path: path.write_bytes(b"ab\xff"), "$RESULT_PATH is not UTF-8 (byte 2)"),
        (Path.mkdir, "$RESULT_PATH is not a regular file"),
        (os.mkfifo, "$RESULT_PATH is not a regular file"),
        (
            lambda path: path.symlink_to("/etc/passwd"),
            "$RESULT_PATH is a link, or in one",
        ),
        (make_socket, "$RESULT_PATH cannot be read: No such device or address"),
    ],
    ids=["large", "not UTF-8", "folder", "pipe", "link", "socket"],
)
def test_an_unusable_result_is_named(
    tmp_path: Path, write: Callable[[Path], None], problem: str
) -> None:
    """The launcher neither follows links nor blocks nor fails."""
    path = tmp_path / "result.json"
    write(path)
    assert read_result(str(path), 1000) == (None, problem)


def test_a_problem_with_the_result_is_part_of_the_document(here: Launcher) -> None:
    """The exit code stays that of the script."""
    ended = here.start("import os; os.symlink('/etc/passwd', os.environ['RESULT_PATH'])")
    assert ended.document.exit_code == 0
    assert ended.document.result is None
    assert ended.document.result_problem == "$RESULT_PATH is a link, or in one"


def test_a_result_at_its_limit_is_accepted(tmp_path: Path) -> None:
    """The limit is the largest accepted size."""
    path = tmp_path / "result.json"
    path.write_text("x" * 1000)
    assert read_result(str(path), 1000) == ("x" * 1000, None)


def test_a_script_cannot_use_the_launchers_streams(here: Launcher) -> None:
    """Its stdin is empty, and its stdout is not the launcher's."""
    ended = here.start("import sys\nprint(repr(sys.stdin.read()))\nprint('MATRIX-DOCUMENT 2')")
    assert ended.log == "''\nMATRIX-DOCUMENT 2\n"
    assert ended.document.exit_code == 0


def test_a_trial_waits_until_its_cores_are_quiet() -> None:
    """It starts with the first quiet window, or when the patience is used up."""
    cores = os.sched_getaffinity(0)
    quiet = {"window_s": 0.01, "foreign_share": 1e9, "patience_s": 60.0}
    waited, share = wait_for_quiet(quiet, cores)
    assert 0.01 <= waited < 1
    assert share is not None
    waited, share = wait_for_quiet({**quiet, "foreign_share": -1.0, "patience_s": 0.02}, cores)
    assert 0.02 <= waited < 1
    assert share is not None
    assert wait_for_quiet({**quiet, "window_s": 0.0}, cores) == (0.0, None)


@pytest.mark.parametrize(
    "files",
    [
        {
            "cgroup.controllers": "cpu memory\n",
            "cpu.stat": "usage_usec 2500000\nuser_usec 1\nthrottled_usec 500000\n",
            "memory.peak": "4096\n",
            "memory.events": "low 0\noom 2\noom_kill 1\noom_group_kill 7\n",
        },
        {
            "cpuacct/cpuacct.usage": "2500000000\n",
            "cpu/cpu.stat": "nr_throttled 3\nthrottled_time 500000000\n",
            "memory/memory.max_usage_in_bytes": "4096\n",
            "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        },
    ],
    ids=["version 2", "version 1"],
)
def test_both_versions_of_control_groups_have_the_same_counters(
    tmp_path: Path, files: dict[str, str]
) -> None:
    """They have other names and other units."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = counters(str(tmp_path), os.sched_getaffinity(0))
    assert (found["cpu_s"], found["throttled_s"]) == (2.5, 0.5)
    assert (found["memory_peak_bytes"], found["oom_kills"]) == (4096, 1)


def test_a_missing_counter_is_none(tmp_path: Path) -> None:
    """It is never 0."""
    found = counters(str(tmp_path), {10**6})
    assert [found[name] for name in ("cpu_s", "throttled_s", "memory_peak_bytes")] == [None] * 3
    assert found["core_busy_s"] is found["core_steal_s"] is found["oom_kills"] is None
    busy, steal = core_seconds(os.sched_getaffinity(0))
    assert busy is not None
    assert busy > 0
    assert steal is not None
