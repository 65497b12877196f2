"""The launcher on every Python of this machine, as a process whose child is a script."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.execute.outputs import Output
from runner.execute.result import Document, read_document
from runner.inside import ISOLATED, LAUNCHER, TRIAL
from runner.inside.launcher import (
    as_json,
    core_seconds,
    counters,
    foreign_share,
    parsed,
    read_result,
    wait_for_quiet,
)
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

    def start(
        self,
        script: str,
        *,
        study: Mapping[str, str] = {},
        environ: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Ended:
        """Run a script to its end, beside the other files of its ``study``.

        ``changes`` replace values of the trial spec.
        """
        spec = self._staged(script, study, changes)
        began = time.monotonic()
        done = subprocess.run(
            self._command(spec), env=environ, capture_output=True, timeout=60, check=True
        )
        seconds = time.monotonic() - began
        log = done.stderr.decode(errors="replace")
        return Ended(document=read_document(done.stdout), log=log, seconds=seconds)

    def open_shell(
        self, *messages: object, terminal: bool, ends: bool = False, **variables: str
    ) -> tuple[int, str, str]:
        """Run a shell that gets messages; return its exit code and its two streams.

        With ``ends``, stdin ends after the messages.
        """
        spec = self._staged("", {}, {"terminal": terminal, "variables": variables})
        with subprocess.Popen(
            self._command(spec),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as shell:
            assert shell.stdin
            assert shell.stdout
            assert shell.stderr
            shell.stdin.write(b"".join(json.dumps(one).encode() + b"\n" for one in messages))
            if ends:
                shell.stdin.close()
            out, errors = shell.stdout.read(), shell.stderr.read()
            return shell.wait(60), out.decode(), errors.decode()

    def _command(self, spec: Mapping[str, object]) -> list[str]:
        return [str(self.interpreter.path), *ISOLATED, str(LAUNCHER), json.dumps(spec)]

    def _staged(
        self, script: str, study: Mapping[str, str], changes: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Write the files of a study, and return a trial spec."""
        for name in ("inputs", "temporary"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "temporary").mkdir()
        for name, text in {"script.py": script, **study}.items():
            path = self.folder / "inputs/study" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.folder / "inputs/modules").mkdir()
        shutil.copy(TRIAL, self.folder / "inputs/modules")
        return {
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
            "quiet": {
                "window_s": 0.0,
                "short_window_s": 0.0,
                "until_s": 0.0,
                "foreign_share": 0.05,
                "patience_s": 0.0,
            },
            **changes,
        }


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
    quiet = {"window_s": 0.1, "short_window_s": 0.01, "until_s": 0.0, "foreign_share": 1e9}
    quiet["patience_s"] = 60.0
    waited, share = wait_for_quiet(quiet, cores)
    assert 0.1 <= waited < 5
    assert share is not None
    waited, share = wait_for_quiet({**quiet, "foreign_share": -1.0, "patience_s": 0.02}, cores)
    assert 0.1 <= waited < 5
    assert share is not None
    assert wait_for_quiet({**quiet, "window_s": 0.0}, cores) == (0.0, None)


def test_a_short_look_suffices_soon_after_an_undisturbed_trial() -> None:
    """If others have the core after all, the next look is a long one."""
    cores = {max(os.sched_getaffinity(0))}
    soon = {"until_s": time.monotonic() + 60, "short_window_s": 0.01, "window_s": 0.1}
    waited, share = wait_for_quiet({**soon, "foreign_share": 1e9, "patience_s": 60.0}, cores)
    assert 0.01 <= waited < 0.1
    assert share is not None
    waited, _ = wait_for_quiet({**soon, "foreign_share": -1.0, "patience_s": 0.2}, cores)
    assert waited > 0.5


@pytest.mark.parametrize("others", [0, 1])
def test_another_process_on_a_core_is_noticed(others: int) -> None:
    """One that never stops takes about half of the core, and of several cores its part."""
    before = os.sched_getaffinity(0)
    core = max(before)
    spin = f"import os\nos.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    with ExitStack() as running:
        running.callback(os.sched_setaffinity, 0, before)
        for _ in range(others):
            spinning = subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
            running.enter_context(spinning)
            running.callback(spinning.kill)
            assert spinning.stdout is not None
            spinning.stdout.readline()
        os.sched_setaffinity(0, {core})
        alone = [foreign_share({core}, 0.1) or 0.0 for _ in range(3)]
        os.sched_setaffinity(0, before)
        every = [foreign_share(before, 0.1) or 0.0 for _ in range(3)]
    if others:  # without, the machine itself decides
        assert min(alone) > 0.25
        assert min(every) > 0.25 / len(before)
    assert all(0 <= share < 1 for share in alone + every)


VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    -7,
    2**70,
    0.1,
    -1.5e-300,
    "",
    'text "quoted" \\ and \n \x00 \u2028 \U0001f600 \ud800',
    [],
    (1, [2.5, "x"]),
    {},
    {"a": {"b": [None, {"c": "d"}]}, "\u00e4": 1},
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_launcher_reads_and_writes_json_like_the_module(value: object) -> None:
    """It has its own few lines for that, because each trial waits for what it imports."""
    assert json.loads(as_json(value)) == json.loads(json.dumps(value))
    assert as_json(value).isascii()
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert parsed(text) == json.loads(text)


def test_a_core_that_is_not_there_has_no_share() -> None:
    """Then no trial waits for it."""
    assert foreign_share({max(os.sched_getaffinity(0)), 1000}, 0.01) is None


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


# --- the working folder --------------------------------------------------------------------------

STUDY = {
    "src/run.py": "import near\nprint(near.NAME, near.main.__module__)\n",
    "src/near.py": "from package.main import main\nNAME = 'near'\n",
    "src/package/__init__.py": "",
    "src/package/main.py": "def main(): pass\nprint(__name__, open('configs/a.txt').read())\n",
    "configs/a.txt": "text",
}


def test_a_script_finds_its_files_where_they_are_in_the_study(launcher: Launcher) -> None:
    """It can read them, import its modules, and write beside them, but not change the inputs."""
    script = (
        "import os\n"
        "assert open('configs/a.txt').read() == 'text'\n"
        "for name in ('new.txt', 'configs/new.txt'):\n    open(name, 'w').write('new')\n"
        "os.remove('configs/a.txt')\n"
        "open('configs/a.txt', 'w').write('replaced')\n"
        "print(sorted(os.listdir('.')), sorted(os.listdir('configs')))\n"
        "print(os.path.isfile(os.path.join(os.path.dirname(__file__), 'new.txt')))\n"
    )
    ended = launcher.start(script, study=STUDY)
    assert ended.document.exit_code == 0
    assert ended.log.splitlines() == [
        "['configs', 'new.txt', 'script.py', 'src'] ['a.txt', 'new.txt']",
        "True",
    ]
    assert (launcher.folder / "inputs/study/configs/a.txt").read_text() == "text"
    by_path = launcher.start("", study=STUDY, command=["python", "src/run.py"])
    assert by_path.log == "package.main text\nnear package.main\n"
    by_name = launcher.start("", study=STUDY, command=["python3", "-m", "src.package.main"])
    assert by_name.log == "__main__ text\n"


def test_every_script_can_import_the_module_for_trials(launcher: Launcher) -> None:
    """A module of the study with the same name comes first; other places stay."""
    script = "import trial; trial.record(x=trial.parameters['epochs'])"
    ended = launcher.start(script, study={"src/run.py": script}, command=["python", "src/run.py"])
    assert ended.document.result is not None
    assert json.loads(ended.document.result)["values"] == {"x": 3}
    own = launcher.start("import trial; print(trial.OWN)", study={"trial.py": "OWN = 'own'"})
    assert own.log == "own\n"
    elsewhere = {"PYTHONPATH": str(launcher.folder / "inputs/study/lib")}
    both = launcher.start(
        "import more, trial; print(more.A)", study={"lib/more.py": "A = 1"}, variables=elsewhere
    )
    assert both.log == "1\n"


def test_the_folder_of_data_has_links_by_name(here: Launcher) -> None:
    """The same files are at their own paths, too."""
    ended = here.start(
        "import os\n"
        "folder = os.environ['DATA_DIR']\n"
        "print(sorted(os.listdir(folder)))\n"
        "print(open(os.path.join(folder, 'n.txt')).read(), open('a/b/n.txt').read())\n",
        study={"m.txt": "m", "a/b/n.txt": "n"},
        data=["m.txt", "a/b/n.txt"],
    )
    assert ended.log == "['m.txt', 'n.txt']\nn n\n"


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["python", "python3"])
def test_python_is_the_interpreter_of_the_environment(launcher: Launcher, program: str) -> None:
    """Any other program is looked up on PATH."""
    code = "import sys; print(sys.version_info[:2], sys.argv[1:])"
    ended = launcher.start("", command=[program, "-c", code, "a"])
    minor = tuple(map(int, launcher.interpreter.minor.split(".")))
    assert ended.log == f"{minor} ['a']\n"
    assert launcher.start("", command=["echo", "-n", "a"]).log == "a"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "nothing-here",
            (
                "the program nothing-here cannot be started: No such file or directory; if it is a "
                "package of Python, write [python, -m, nothing-here]\n"
            ),
        ),
        ("./\u00e4", "the program ./\u00e4 cannot be started: No such file or directory\n"),
        ("./script.py", "the program ./script.py cannot be started: Permission denied\n"),
        ("/", "the program / cannot be started: Permission denied\n"),
    ],
)
def test_a_program_that_cannot_be_started_is_named(here: Launcher, program: str, said: str) -> None:
    """The exit code is that of a shell."""
    ended = here.start("", command=[program, "a"], stdout=True)
    assert (ended.document.exit_code, ended.document.timed_out) == (127, False)
    assert ended.log == said
    assert ended.document.stdout is None


ODD = ["a b", "'\"", "$HOME", "`id`", "*", "\\n", "", "-x", "{}", "\u00e4\U0001f600", "a=b;c"]


def test_arguments_arrive_unchanged(launcher: Launcher) -> None:
    """No shell reads them, and they are UTF-8 even in the locale C."""
    script = "import os, sys; print(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    for environ in (None, {"LC_ALL": "C", "PATH": os.environ["PATH"]}):
        ended = launcher.start(script, command=["python", "script.py", *ODD], environ=environ)
        assert ended.log == f"{'|'.join(ODD).encode()!r}\n"


def test_names_may_have_any_letters(launcher: Launcher) -> None:
    """This includes those of scripts, variables, data and outputs, also in the locale C."""
    name = "gr\u00f6\u00dfe/\u00e4.py"
    ended = launcher.start(
        "",
        study={name: "import os; print(os.fsencode(os.environ['A']) == b'\\xc2\\xb5')"},
        command=["python", name],
        data=[name],
        files=[name],
        variables={"A": "\u00b5"},
        environ={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )
    assert (ended.document.exit_code, ended.log) == (0, "True\n")
    assert ended.document.files == {name: Output(None, "is a link, or in one")}
    assert (launcher.folder / "temporary/data/\u00e4.py").is_symlink()


def test_a_daemon_is_killed_with_its_trial(here: Launcher) -> None:
    """It left the session of the script and kept its output open."""
    ended = here.start(
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork():\n        os._exit(0)\n"
        "    open('child', 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "os.wait()\n"
        "while not os.path.exists('child') or not open('child').read():\n"
        "    time.sleep(0.01)\n"
        "print('done')\n",
        stdout=True,
    )
    assert (ended.document.exit_code, ended.document.stdout) == (0, Output("done\n", None))
    assert ended.seconds < 10
    assert gone(here.folder / "temporary/study/child")


# --- what the script wrote -----------------------------------------------------------------------


def test_output_is_captured_apart_from_errors(launcher: Launcher) -> None:
    """Both are in the log. Without a metric that reads it, it is not sent."""
    script = "import sys\nsys.stdout.write('out\\n'); sys.stderr.write('err\\n')"
    ended = launcher.start(script, stdout=True)
    assert ended.document.stdout == Output("out\n", None)
    assert sorted(ended.log.splitlines()) == ["err", "out"]
    assert launcher.start(script).document.stdout is None


def test_output_beyond_its_limit_is_not_sent(here: Launcher) -> None:
    """Half of it could give another number. Errors do not count, and the log is cut as usual."""
    script = "import sys; sys.stdout.buffer.write(b'\\xff' * {0}); sys.stderr.write('e' * 5000)"
    full = here.start(script.format(1000), stdout=True)
    assert full.document.stdout == Output("\ufffd" * 1000, None)
    ended = here.start(script.format(1001), stdout=True)
    assert ended.document.stdout == Output(
        None, "is larger than its limit of 1000 bytes (it has 1001); raise `limits: {log: ...}`"
    )
    assert "bytes left out" in ended.log


WRITE = """
import os
os.makedirs('out/folder')
for name, content in (
    ('good.txt', '\u00e4'), ('out/good.txt', 'a'), ('full', 'x' * 1000), ('large', 'x' * 1001),
    ('bom.txt', '\ufeffa'),
):
    open(name, 'wb').write(content.encode())
open('latin.txt', 'wb').write(b'ab\\xff')
os.symlink('/etc', 'linked')
os.symlink('good.txt', 'link.txt')
os.mkfifo('pipe')
raise SystemExit(3)
"""
IN_LINK = "is a link, or in one"
WRITTEN = {
    "good.txt": Output("\u00e4", None),
    "out/good.txt": Output("a", None),
    "full": Output("x" * 1000, None),
    "bom.txt": Output("a", None),
    "missing.txt": Output(None, "does not exist"),
    "no/missing.txt": Output(None, "does not exist"),
    "large": Output(None, "is larger than its limit of 1000 bytes"),
    "latin.txt": Output(None, "is not UTF-8 (byte 2)"),
    "link.txt": Output(None, IN_LINK),
    "script.py": Output(None, IN_LINK),
    "linked": Output(None, IN_LINK),
    "linked/passwd": Output(None, IN_LINK),
    "pipe": Output(None, "is not a regular file"),
    "out/folder": Output(None, "is not a regular file"),
}


def test_files_of_metrics_are_sent(launcher: Launcher) -> None:
    """What a script planted instead is neither followed nor waited for, and is named."""
    ended = launcher.start(WRITE, files=list(WRITTEN))
    assert ended.document.exit_code == 3
    assert ended.document.files == WRITTEN


BENCH = {
    "machine_info": {"cpu": {"count": 2}},
    "benchmarks": [
        {"name": "a", "stats": {"median": 1.5, "rounds": 9, "data": [0.1] * 10_000}},
        {"name": "b", "stats": None},
        3,
    ],
}


def test_a_file_of_benchmarks_is_sent_without_rounds(launcher: Launcher) -> None:
    """It may be much larger than other files, as long as the rest of it is not."""
    script = "import shutil\nfor name in ('bench.json', 'other.json'):\n"
    script += "    shutil.copy('source.json', name)"
    ended = launcher.start(
        script,
        study={"source.json": json.dumps(BENCH)},
        files=["bench.json", "other.json"],
        benchmarks=["bench.json"],
    )
    sent = ended.document.files
    assert sent["other.json"] == Output(None, "is larger than its limit of 1000 bytes")
    assert sent["bench.json"].text is not None
    found = json.loads(sent["bench.json"].text)
    assert found["benchmarks"] == [
        {"name": "a", "stats": {"median": 1.5, "rounds": 9}},
        {"name": "b", "stats": None},
        3,
    ]
    assert found["machine_info"] == {"cpu": {"count": 2}}


BENCHES = {
    "": "is not JSON (Expecting value: line 1 column 1 (char 0))",
    "[]": "is not JSON (it has no list `benchmarks`)",
    '{"benchmarks": {}}': "is not JSON (it has no list `benchmarks`)",
    "[" * 200_000: "is not JSON (maximum recursion depth exceeded",
    json.dumps({"benchmarks": ["x" * 1000]}): (
        "is larger than its limit of 1000 bytes, without the time of each round"
    ),
}


def test_any_file_of_benchmarks_is_read_or_refused(launcher: Launcher) -> None:
    """No script can make the launcher fail, or take long."""
    endless = '{"benchmarks": [' + "1" * 3_000_000 + "]}"
    study = {f"source{number}": text for number, text in enumerate([*BENCHES, endless])}
    names = [f"bench{number}" for number in range(len(study))]
    script = "import shutil\nfor n in range({}): shutil.copy('source%d' % n, 'bench%d' % n)"
    ended = launcher.start(script.format(len(study)), study=study, files=names, benchmarks=names)
    *found, last = (ended.document.files[name] for name in names)
    for output, problem in zip(found, BENCHES.values(), strict=True):
        assert output.text is None
        assert (output.problem or "").startswith(problem)
    assert last == Output('{"benchmarks": [Infinity]}', None)
    assert ended.seconds < 20


# --- what the launcher measures ------------------------------------------------------------------


def test_wall_time_is_that_of_the_command(here: Launcher) -> None:
    """It does not contain the start of the launcher."""
    nothing = str(here.folder / "no groups")  # our own group has other processes, too
    reading = here.start("", command=["sleep", "0.5"], cgroup=nothing).document.reading
    assert 0.5 <= reading.wall_s < 2
    assert reading.script_cpu_s is not None
    assert 0 <= reading.script_cpu_s < 0.2


CHILDREN = """
import os, time
SIZE, COUNT = 50000000, 5

def work(report):
    memory = b'x' * SIZE
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    os.write(report, b'.')
    time.sleep(%(stays)s)
    os._exit(0)

ready, report = os.pipe()
for _ in range(COUNT):
    if os.fork() == 0:
        if %(orphans)s and os.fork():
            os._exit(0)
        work(report)
for _ in range(COUNT):
    os.read(ready, 1)
time.sleep(%(lasts)s)
if %(waits)s:
    for _ in range(COUNT):
        os.wait()
"""


PROCESSES = {
    "waited for": {"orphans": False, "waits": True, "stays": 4, "lasts": 0},
    "never waited for": {"orphans": False, "waits": False, "stays": 4, "lasts": 4.5},
    "orphans": {"orphans": True, "waits": False, "stays": 4, "lasts": 4.5},
    "orphans that outlive the script": {"orphans": True, "waits": False, "stays": 60, "lasts": 4},
}


def test_all_processes_of_a_script_count(here: Launcher) -> None:
    """CPU time and memory are those of all of them together, also without control groups."""

    def start(kind: str) -> Ended:
        folder = here.folder / kind
        (folder / "no groups").mkdir(parents=True)
        return Launcher(here.interpreter, folder).start(
            CHILDREN % PROCESSES[kind], cgroup=str(folder / "no groups"), peak=True
        )

    with ThreadPoolExecutor(len(PROCESSES)) as pool:  # most of the time they sleep
        for ended in pool.map(start, PROCESSES):
            assert (ended.document.exit_code, ended.log) == (0, "")
            reading = ended.document.reading
            assert (reading.cpu_s, reading.memory_peak_bytes) == (None, None)
            assert reading.script_cpu_s is not None
            assert reading.script_peak_bytes is not None
            assert 0.5 <= reading.script_cpu_s < 3
            assert 250e6 <= reading.script_peak_bytes < 400e6
            assert 50e6 <= reading.largest_process_bytes < 100e6


def test_the_memory_of_one_process_is_known_to_the_kernel(here: Launcher) -> None:
    """It needs no observation, however short the peak was."""
    ended = here.start("b'x' * 100000000", cgroup=str(here.folder / "no groups"))
    reading = ended.document.reading
    assert reading.script_peak_bytes == reading.largest_process_bytes
    assert 100e6 <= reading.largest_process_bytes < 150e6


# --- a shell -------------------------------------------------------------------------------------


def test_a_shell_runs_commands(launcher: Launcher) -> None:
    """They run in the working folder, and ``python`` is the interpreter of trials."""
    commands = "ls\npython -c 'import sys; print(sys.executable)'\necho no >&2; exit 5\n"
    code, out, errors = launcher.open_shell({"input": commands}, {"input": ""}, terminal=False)
    (listed, python) = out.splitlines()
    assert listed == "script.py"
    assert Path(python).resolve() == launcher.interpreter.path.resolve()
    assert (code, errors) == (5, "no\n")


def test_a_shell_has_a_terminal_of_any_size(launcher: Launcher) -> None:
    """It is a terminal of its own; a signal becomes an exit code as shells give it."""
    keys = "python -c 'import os; print(os.get_terminal_size())'; kill -TERM $$; kill -KILL $$\n"
    code, out, _ = launcher.open_shell({"size": [31, 97]}, {"input": keys}, terminal=True)
    assert "terminal_size(columns=97, lines=31)" in out
    assert code == 128 + signal.SIGKILL


@pytest.mark.parametrize("terminal", [True, False])
def test_a_shell_ends_with_its_stdin(here: Launcher, *, terminal: bool) -> None:
    """Then the runner is gone, so everything in the shell is killed."""
    code, _, _ = here.open_shell({"input": "sleep 60\n"}, terminal=terminal, ends=True)
    assert code == 128 + signal.SIGKILL


def test_a_shell_that_reads_nothing_ends_as_usual(here: Launcher) -> None:
    """Input that nobody reads any more is dropped."""
    unread = {"input": "exec true\n" + "x" * 200_000}
    assert here.open_shell(unread, {"input": ""}, terminal=False)[0] == 0


def test_an_image_may_have_no_shell(here: Launcher) -> None:
    """One sentence says so."""
    code, _, errors = here.open_shell(terminal=False, PATH="/nowhere")
    assert (code, errors) == (127, "there is no shell (bash or sh) in this image\n")
