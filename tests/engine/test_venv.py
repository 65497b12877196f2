"""The venv engine with each kind of sandbox that this machine permits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.engines import base
from runner.engines.protocol import BuildContext
from runner.engines.venv import VenvEngine, cgroup, sandbox
from runner.engines.venv.cache import CACHE, Environments
from runner.engines.venv.sandbox import KINDS
from runner.errors import EngineError, EngineLostError
from runner.execute import clear
from runner.python import interpreters
from runner.records.environment import EnvironmentRequest, Image
from runner.records.study import Limits, Status
from tests.support.studies import ROOT, ended, results, run_folders, started, write_study
from tests.support.trials import (
    INTERPRETER,
    NUMBER,
    REFUSED,
    RUN,
    build,
    executed,
    launch,
    plain_environment,
    stage,
)

pytestmark = pytest.mark.alone  # bubblewrap cannot start while Docker mounts and unmounts

MIB = 1024**2
SMALL = Limits(memory_bytes=192 * MIB, pids=64)
PLAIN = plain_environment()

Make = Callable[[str], VenvEngine]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of sandbox."""
    return str(request.param)


@pytest.fixture(scope="module")
def engine(kind: str, venv_engines: Make) -> Iterator[VenvEngine]:
    """The engine with that sandbox; afterwards it is cleared of the tests' run."""
    made = venv_engines(kind)
    yield made
    clear(made, RUN)


@pytest.fixture(scope="module")
def image(engine: VenvEngine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The environment without packages."""
    return build(engine, PLAIN, tmp_path_factory.mktemp("context"))


def owned_cache(readable: Path) -> Path:
    """Return this user's part of the tests' cache."""
    return readable / "cache" / f"engine-tests-{os.geteuid()}"


def test_an_interpreter_that_is_replaced_is_noticed(
    engine: VenvEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is built on it before the next command, which builds on another base."""
    monkeypatch.setattr(sys.modules[Environments.__module__], "can_execute", lambda *_: True)
    python = tmp_path / f"python{INTERPRETER.minor}"
    python.write_text(f'#!/bin/sh\nexec {INTERPRETER.path} "$@"\n')
    python.chmod(0o755)
    found = replace(INTERPRETER, path=python)
    before = engine.base("host", found)
    context = BuildContext(folder=tmp_path, environment="e" * 64, label="x", base=before)
    with python.open("a") as file:
        file.write("# a newer one\n")
    with pytest.raises(EngineError, match=r"was replaced meanwhile; repeat the command"):
        engine.build(context)
    assert engine.base("host", found).digest != before.digest


def marked(mark: str) -> list[str]:
    """Return the other processes whose command line contains a mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if mark in command and int(path.name) != os.getpid():
                found.append(f"{path.name}: {command}")
    return found


def left(mark: str) -> list[str]:
    """Return the processes with that mark that still exist after a few seconds."""
    deadline = time.monotonic() + 5
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


# --- what a script sees --------------------------------------------------------------------------

LOOKS_AROUND = (
    REFUSED
    + """
import json, os, socket, sys

def touch(folder):
    path = os.path.join(folder, "touched-by-a-test")
    open(path, "w").close()
    os.unlink(path)

print(json.dumps({
    "status": dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status")),
    "interfaces": [line.split(":")[0].strip() for line in open("/proc/net/dev")][2:],
    "internet": refused(lambda: socket.create_connection(("192.0.2.1", 80), 5).close()),
    "writable": [one for one in ("/", "/usr", "/etc", "/run", "/dev", "/var/tmp", "/home", "/tmp",
                                 "/dev/shm", os.path.dirname(os.environ["RESULT_PATH"]))
                 if not refused(lambda: touch(one))],
    "staged": refused(lambda: open(__file__, "a")),
    "environment": json.dumps(dict(os.environ)),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "secret": os.path.exists(%r),
    "home": os.listdir("/home") if os.path.isdir("/home") else [],
    "cores": sorted(os.sched_getaffinity(0)),
    "prefix": sys.prefix,
}))
"""
)


@pytest.fixture(scope="module")
def seen(
    engine: VenvEngine, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return what a script sees."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "secret").write_text("of the host")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MY_TOKEN", "not-for-the-script")
        outcome, _, _ = executed(engine, image, folder, LOOKS_AROUND % str(folder / "secret"))
    found: dict[str, Any] = json.loads(outcome.log)
    return found


def test_nothing_is_inherited(seen: dict[str, Any]) -> None:
    """The script gets no variable and no privilege of the runner."""
    assert "not-for-the-script" not in seen["environment"]
    status = seen["status"]
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    nobody = "65534" if os.geteuid() == 0 else str(os.getuid())
    assert set(status["Uid"].split() + status["Gid"].split()) == {nobody}
    assert seen["staged"]


def test_a_script_runs_in_its_environment(
    seen: dict[str, Any], image: Image, readable: Path
) -> None:
    """It has the packages of the environment, and the highest-numbered core."""
    assert seen["prefix"] == str(owned_cache(readable) / "environments" / image.id)
    assert seen["cores"] == [max(os.sched_getaffinity(0))]


def test_a_sandbox_hides_the_network_and_other_processes(kind: str, seen: dict[str, Any]) -> None:
    """A trial sees only its own interface and its own processes."""
    if kind == "plain":
        pytest.skip("plain processes have no sandbox")
    assert seen["interfaces"] == ["lo"]
    assert seen["internet"] == "Network is unreachable"
    assert seen["processes"] <= 3


def test_bubblewrap_hides_the_disk(kind: str, seen: dict[str, Any]) -> None:
    """The root is read-only, /tmp belongs to the trial, and the files of users are hidden."""
    if kind != "bwrap":
        pytest.skip("only bubblewrap has its own root")
    assert seen["writable"] == ["/tmp", "/dev/shm", "/run/out"]  # noqa: S108
    assert (seen["secret"], seen["home"]) == (False, [])


def test_a_trial_cannot_fill_the_disk(
    kind: str, engine: VenvEngine, image: Image, tmp_path: Path
) -> None:
    """In bubblewrap, /tmp and /out have a limited size."""
    if kind != "bwrap":
        pytest.skip("only bubblewrap limits the size of files")
    script = "import os\nfile = open(%s, 'wb', 0)\n[file.write(b'x' * 2**20) for _ in range(2**11)]"
    for path in ("'/tmp/big'", "os.environ['RESULT_PATH']"):
        _, result, _ = executed(engine, image, tmp_path, script % path)
        assert result.reason == "exit code 1: OSError: [Errno 28] No space left on device"


def test_the_isolation_is_described(kind: str, engine: VenvEngine) -> None:
    """One line says how trials were isolated, and that venv contains no hostile script."""
    facts = engine.describe()
    assert facts.version.split()[0] == kind
    assert facts.isolation.endswith(". venv does not contain a hostile script.")
    assert ("no network" in facts.isolation) == (kind != "plain")
    assert ("memory is limited" in facts.isolation) == bool(facts.cgroup)


def test_no_package_of_the_environment_runs_in_the_launcher(
    engine: VenvEngine, image: Image, readable: Path, tmp_path: Path
) -> None:
    """Its start-up files neither break the launcher nor speak for it; the script has them."""
    (environment,) = (readable / "cache").rglob(f"{image.id}/bin")
    folder = environment.parent / "lib" / f"python{INTERPRETER.minor}" / "site-packages"
    folder.mkdir(parents=True, exist_ok=True)
    hostile = folder / "sitecustomize.py"
    hostile.write_text("import os, sys\nif 'launcher' in str(sys.argv): os._exit(0)\nlate = 1\n")
    with_argument = folder / "exits.pth"
    with_argument.write_text("import os; 'PARAMS_PATH' in os.environ or os._exit(0)\n")
    try:
        script = f"import sitecustomize; assert sitecustomize.late; {NUMBER}"
        outcome, result, _ = executed(engine, image, tmp_path, script)
    finally:
        hostile.unlink()
        with_argument.unlink()
    assert (result.status, result.reason) == (Status.OK, None), outcome.log


@pytest.mark.parametrize("gone", ["runs", "environments"])
def test_a_folder_that_vanishes_is_not_the_fault_of_the_cell(
    engine: VenvEngine, readable: Path, tmp_path: Path, gone: str
) -> None:
    """Neither before nor during a trial; it can be executed after preparing everything again."""
    (tmp_path / "context").mkdir()
    image = build(engine, plain_environment(2003), tmp_path / "context")

    def vanish(_: str) -> None:
        name = "inputs" if gone == "runs" else image.id
        for path in (readable / "cache").rglob(name):
            shutil.rmtree(path)

    script = f"print('on', flush=True); import time; time.sleep(0.5); import timeit; {NUMBER}"
    with pytest.raises(EngineLostError, match="vanished from"):
        executed(engine, image, tmp_path, script, watch=vanish)
    with pytest.raises(EngineLostError, match="vanished from"):
        engine.execute(launch(image.id), print)
    clear(engine, RUN)


def test_other_users_cannot_read_staged_inputs(
    engine: VenvEngine, image: Image, readable: Path, tmp_path: Path
) -> None:
    """Only the user of trials can, who cannot change them."""
    stage(engine, image.id, tmp_path, "secret")
    (script,) = (readable / "cache").rglob("inputs/study/script.py")
    for path in (script, *list(script.parents)[:3]):
        assert path.stat().st_mode & 0o007 == 0, path
    clear(engine, RUN)


# --- limits --------------------------------------------------------------------------------------

BOMB = "keep = [bytes([1]) * 2**20 for _ in range(2**12)]"


@pytest.mark.parametrize(
    "script",
    [BOMB, f"import os\nif os.fork():\n    os.wait()\n    {NUMBER}\nelse:\n    {BOMB}\n"],
    ids=["script", "child"],
)
def test_only_the_script_runs_out_of_memory(
    engine: VenvEngine, image: Image, tmp_path: Path, script: str
) -> None:
    """With a control group, the launcher survives and reports it."""
    if not engine.describe().cgroup:
        pytest.skip("no control group can be made here")
    outcome, result, _ = executed(engine, image, tmp_path, script, limits=SMALL)
    assert result.status is Status.OUT_OF_MEMORY
    assert outcome.out_of_memory
    assert result.reason == "the kernel killed a process of the script for its memory"
    assert result.reading is not None


def test_the_counters_belong_to_the_trial(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    """CPU time and memory come from its control group, never from the whole machine."""
    script = f"keep = bytes([1]) * {64 * MIB}; {NUMBER}"
    _, result, _ = executed(engine, image, tmp_path, script)
    reading = result.reading
    assert reading is not None
    if engine.describe().cgroup:
        assert reading.cpu_s is not None
        assert 0 < reading.cpu_s <= reading.wall_s * 1.1 + 0.05
        assert reading.memory_peak_bytes is not None
        assert 64 * MIB < reading.memory_peak_bytes < 200 * MIB
        assert reading.oom_kills == 0
    else:
        assert reading.cpu_s is reading.memory_peak_bytes is reading.oom_kills is None


def test_without_a_control_group_nothing_is_read(
    kind: str, image: Image, readable: Path, tmp_path: Path
) -> None:
    """The counters are unknown; the number of processes is limited nevertheless."""
    environments = Environments(owned_cache(readable))
    engine = VenvEngine(environments, "engine-tests", sandbox.find((kind,)), cgroup.ControlGroup())
    _, result, _ = executed(engine, image, tmp_path, NUMBER)
    assert result.status is Status.OK
    assert result.reading is not None
    assert result.reading.cpu_s is result.reading.memory_peak_bytes is None
    assert result.reading.oom_kills is None
    outcome, result, _ = executed(engine, image, tmp_path, FORKS, limits=SMALL, timeout_s=2.0)
    assert result.status is Status.TIMED_OUT, outcome


# --- nothing is left -----------------------------------------------------------------------------

FORKS = """
import os
most = 0
while True:
    try:
        os.fork()
    except OSError:
        count = sum(name.isdigit() for name in os.listdir("/proc"))
        if count > most:
            most = count
            os.write(1, b"%d\\n" % count)
"""
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for stream in range(3):
            os.close(stream)
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", "{mark}"])
    os._exit(0)
os.wait()
time.sleep(0.2)
"""


def test_a_fork_bomb_leaves_nothing(
    engine: VenvEngine, image: Image, readable: Path, tmp_path: Path
) -> None:
    """The number of processes is limited, and all of them end with the trial."""
    outcome, result, _ = executed(engine, image, tmp_path, FORKS, limits=SMALL, timeout_s=2.0)
    assert (result.status, result.reason) == (Status.TIMED_OUT, "stopped at its time limit of 2 s")
    assert outcome.duration_s < 30
    assert left(str(readable)) == []


def test_a_daemon_leaves_nothing(engine: VenvEngine, image: Image, tmp_path: Path) -> None:
    """A grandchild in its own session that closed its streams ends with the trial."""
    mark = f"daemon-{os.getpid()}-{engine.describe().version}"
    outcome, result, _ = executed(engine, image, tmp_path, DAEMON.format(mark=mark) + NUMBER)
    assert result.status is Status.OK, outcome.log
    assert outcome.duration_s < 20
    assert left(mark) == []


def test_an_interrupted_trial_leaves_nothing(
    engine: VenvEngine, image: Image, tmp_path: Path
) -> None:
    """Its processes, its folder and its control group are gone."""
    mark = f"interrupted-{os.getpid()}-{engine.describe().version}"

    def interrupt(_: str) -> None:
        assert marked(mark)
        raise KeyboardInterrupt

    script = DAEMON.format(mark=mark) + "print('on'); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        executed(engine, image, tmp_path, script, watch=interrupt)
    assert left(mark) == []
    assert not [thing for thing in engine.owned() if thing.kind == "container"]
    [staged] = [thing.label for thing in engine.owned() if thing.run == RUN]
    folders = cgroup.parent().folders.values()
    assert not [path for folder in folders for path in folder.glob(f"matrix-runner-{staged}-*")]


# --- as an ordinary user -------------------------------------------------------------------------

AS_USER = """
import os, sys, tempfile
user = int(sys.argv[3])
if os.getuid() != user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
from pathlib import Path
from runner.execute import clear
from runner.engines.venv import connect
from tests.support.trials import NUMBER, RUN, build, executed, plain_environment
engine = connect("engine-tests", (sys.argv[1],))
with tempfile.TemporaryDirectory() as folder:
    image = build(engine, plain_environment(), Path(folder, "context"))
    script = Path(sys.argv[2]).read_text() + NUMBER
    outcome, result, _ = executed(engine, image, Path(folder), script)
clear(engine, RUN)
print(result.status.value, result.values, outcome.log, [thing.kind for thing in engine.owned()])
"""
USER = 65533


@pytest.fixture(scope="module")
def users_python(readable: Path) -> dict[str, str]:
    """Return variables with which an ordinary user can run our Python, the first one on PATH."""
    folder = readable / "python"
    packages = Path(sysconfig.get_path("purelib"))
    closed = [one for one in (ROOT, *ROOT.parents, packages, *packages.parents)
              if not one.stat().st_mode & 0o001]  # fmt: skip
    if closed:
        pytest.skip(f"{closed[0]} is closed to other users")
    if not folder.exists():
        base.copy(INTERPRETER, folder)
    home = readable / "home"
    home.mkdir(exist_ok=True)
    os.chown(home, USER, USER)
    return {
        "PATH": f"{folder}/bin:/usr/bin:/bin:/usr/sbin",
        "LD_LIBRARY_PATH": f"{folder}/lib",
        "PYTHONPATH": f"{ROOT}:{packages}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "TMPDIR": str(home),
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_needs_no_root(
    kind: str, venv_engines: Make, users_python: dict[str, str], tmp_path: Path
) -> None:
    """The user has their own cache and the same sandbox, and a daemon ends."""
    venv_engines(kind)  # skips if there is none
    mark = f"user-{os.getpid()}-{kind}"
    script = Path(users_python["HOME"], "wanted.py")
    script.write_text(DAEMON.format(mark=mark) + "print(os.getuid(), end=' ')\n")
    python = f"python{INTERPRETER.minor}"
    done = subprocess.run(
        [python, "-c", AS_USER, kind, str(script), str(USER)],
        env=users_python, capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert done.stdout.startswith(f"ok {{'x': 1.5}} {USER}  ['image'"), done.stdout + done.stderr
    assert left(mark) == []


EXECUTES = """
import sys
from runner.engines.venv import connect
from tests.support.trials import launch, stage
from pathlib import Path
engine = connect("engine-tests", (sys.argv[1],))
stage(engine, sys.argv[2], Path(sys.argv[3]), Path(sys.argv[3], "wanted.py").read_text())
engine.execute(launch(sys.argv[2]), lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("bad", ["daemon", "forks"])
def test_a_killed_runner_leaves_no_process(
    engine: VenvEngine, image: Image, readable: Path, tmp_path: Path, bad: str
) -> None:
    """The trial ends with its runner; its folder is removed by the next start."""
    kind = engine.describe().version.split()[0]
    mark = f"orphan-{os.getpid()}-{kind}-{bad}"
    script = DAEMON.format(mark=mark) + "print('on'); "
    script += "time.sleep(60)" if bad == "daemon" else FORKS.replace("import os", "", 1)
    (tmp_path / "wanted.py").write_text(script)
    runner = subprocess.Popen(
        [sys.executable, "-c", EXECUTES, kind, image.id, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), CACHE: str(readable / "cache")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "on\n"
        assert marked(mark)
        runner.send_signal(signal.SIGKILL)
    assert left(mark) == []
    assert left(str(readable)) == []
    kinds = [thing.kind for thing in engine.owned() if thing.run == RUN]
    assert kinds == ["container", "volume"]
    clear(engine, RUN)
    assert not [thing for thing in engine.owned() if thing.run == RUN]


# --- whole runs ----------------------------------------------------------------------------------


@pytest.fixture
def own_cache(readable: Path, monkeypatch: pytest.MonkeyPatch, venv_engines: Make) -> Path:
    """Let the program use a cache that all users can read."""
    venv_engines("plain")  # skips if that is impossible
    folder = Path(tempfile.mkdtemp(dir=readable))
    folder.chmod(0o755)
    monkeypatch.setenv(CACHE, str(folder))
    return folder


@pytest.mark.usefixtures("own_cache")
def test_a_run_needs_no_container_engine(tmp_path: Path) -> None:
    """The same commands work. Only the user replaces an engine that does not answer."""
    write_study(tmp_path, PLAIN, NUMBER)
    code, out, err = ended(started(tmp_path))
    assert (code, out) == (5, "")
    assert err.endswith("To run trials as processes, use --engine venv.\n")
    code, out, err = ended(started(tmp_path, "--engine", "venv"))
    assert (code, err) == (0, ""), out
    note = out.splitlines()[0]
    assert note.startswith("Trials run as processes. Isolation: ")
    assert {result.status for result in results(tmp_path).values()} == {Status.OK}
    report = (run_folders(tmp_path)[0].path / "report.md").read_text()
    assert note.partition("Isolation: ")[2] in report
    assert "venv does not contain a hostile script." in report

    code, out, _ = ended(started(tmp_path, "plan", "--engine", "venv"))
    assert (code, "to build: nothing" in out) == (0, True)
    code, out, _ = ended(started(tmp_path, "--engine", "venv"))
    assert (code, "nothing is left to do" in out) == (0, True)
    code, out, _ = ended(started(tmp_path, "explain", "size=1"))
    assert "would not run: ended ok" in out
    code, out, _ = ended(started(tmp_path, "explain", "size=1", "--engine", "docker"))
    assert "engine: venv (" in out
    code, out, _ = ended(started(tmp_path, "clean", "--yes", "--engine", "venv"))
    assert (code, "image     plain Python" in out) == (0, True)
    code, out, _ = ended(started(tmp_path, "clean", "--yes", "--engine", "venv"))
    assert "nothing to remove" in out


def test_a_killed_run_is_resumed(own_cache: Path, tmp_path: Path) -> None:
    """The next start removes what it left, and repeats the trial."""
    write_study(tmp_path, PLAIN, f"import time; time.sleep(2); {NUMBER}")
    program = started(tmp_path, "--engine", "venv")
    while not any("launcher.py" in one for one in marked(str(own_cache))):  # a trial runs
        time.sleep(0.05)
    program.send_signal(signal.SIGKILL)
    ended(program)
    assert left(str(own_cache)) == []
    code, out, err = ended(started(tmp_path, "--engine", "venv"))
    assert (code, err) == (0, ""), out
    assert "removed 1 container and 1 volume that a dead run left on the engine" in out
    assert {result.status for result in results(tmp_path).values()} == {Status.OK}


@pytest.mark.usefixtures("own_cache")
def test_a_base_image_needs_a_container_engine(tmp_path: Path) -> None:
    """Without one, both the base and a requested Docker are refused in one sentence."""
    write_study(tmp_path, PLAIN, NUMBER, base="pull")
    code, _, err = ended(started(tmp_path, "--engine", "venv"))
    assert (code, err.count("\n")) == (5, 1)
    assert err.startswith("the matrix wants the base pull, which only a container engine")
    code, _, err = ended(started(tmp_path, "--engine", "docker"))
    assert (code, err.startswith("no Docker engine answers")) == (5, True)


@pytest.mark.parametrize("minor", [one.minor for one in interpreters.available()])
def test_every_interpreter_can_be_used(venv_engines: Make, tmp_path: Path, minor: str) -> None:
    """In place or as a copy, with its standard library and the libraries that this links."""
    engine = venv_engines("plain")
    environment = replace(
        PLAIN, python=minor, request=EnvironmentRequest(requirements=(), python=minor)
    )
    image = build(engine, environment, tmp_path / "context")
    script = "import bz2, ctypes, lzma, sqlite3, ssl, sys, zlib; print(sys.version); " + NUMBER
    outcome, result, seen = executed(engine, image, tmp_path, script)
    assert result.status is Status.OK, outcome.log
    assert seen[0].startswith(minor)
    clear(engine, RUN)
