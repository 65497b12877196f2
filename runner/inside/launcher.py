r"""The launcher runs the experiment inside its container and reports what happened.

This file needs only the standard library of Python 3.6 to 3.14. It takes a trial spec (JSON) as its
argument and starts the command in it as its child, in a working folder with links to the files of
the study. It relays the output of the command to stderr up to the limit of the log, stops it at its
time limit, reads the kernel's counters before and after, and writes one framed document to stdout::

    MATRIX-DOCUMENT <length in bytes>\n<JSON>

While it waits for a quiet core, it first writes lines ``MATRIX-WAITING <seconds> <of seconds>``.
Every engine uses this file. It never judges: ``runner/execute`` reads the document. A number that
the kernel does not provide is null. If the spec has the key ``terminal``, it runs a shell for a
person instead of the command, and measures nothing (``run_shell``).

It imports as little as it can, because each trial waits for that: a container may read its files
slowly. So it reads and writes JSON, and starts the command, with a few lines of its own.

No process of the same user can write to its streams (``set_dumpable``). In a container it is the
first process. The kernel lets no other process in the container kill or stop it, so if it is
killed, that came from outside.
"""

import errno
import os
import resource
import select
import signal
import stat
import sys
import threading
import time

TYPE_CHECKING = False  # importing `typing` would take time before every trial
if TYPE_CHECKING:
    import subprocess
    from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

FORMAT = 2
CGROUP = "/sys/fs/cgroup"
NUMERIC_FLAGS = ("sse4_", "avx", "fma", "f16c", "amx")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
COUNTERS = {
    1: {
        "cpu_s": ("cpuacct/cpuacct.usage", "", 1e-9),
        "throttled_s": ("cpu/cpu.stat", "throttled_time", 1e-9),
        "memory_peak_bytes": ("memory/memory.max_usage_in_bytes", "", 1),
        "memory_bytes": ("memory/memory.usage_in_bytes", "", 1),
        "cache_bytes": ("memory/memory.stat", "cache", 1),
        "shared_bytes": ("memory/memory.stat", "shmem", 1),
        "oom_kills": ("memory/memory.oom_control", "oom_kill", 1),
    },
    2: {
        "cpu_s": ("cpu.stat", "usage_usec", 1e-6),
        "throttled_s": ("cpu.stat", "throttled_usec", 1e-6),
        "memory_peak_bytes": ("memory.peak", "", 1),
        "memory_bytes": ("memory.current", "", 1),
        "cache_bytes": ("memory.stat", "file", 1),
        "shared_bytes": ("memory.stat", "shmem", 1),
        "oom_kills": ("memory.events", "oom_kill", 1),
    },
}  # of each version of control groups: a file, the name in it, and a unit
PEAKS = ("memory_peak_bytes", "largest_process_bytes")
WORKINGS = ("own_s", "memory_bytes", "cache_bytes", "shared_bytes")
"""Counters from which others are computed. The document does not have them."""
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
RESERVE_BYTES = 1 << 20
"""Memory that the launcher holds, and needs if a script uses up all of it for good."""
BENCHMARK_BYTES = 1 << 25
"""The largest file of pytest-benchmark that is read: it contains the time of every round."""
ATTEMPTS = 20
ENDING_S = 1.0  # for the processes that a script leaves behind
MASK_BYTES = 128  # 1024 cores
PAUSE_S = 0.45  # between two looks at a busy core
BLINK_S = 5e-6  # the kernel cannot switch to another process and back in less


def main() -> None:
    """Run the trial that the first argument specifies, and send the document."""
    set_process(PR_SET_DUMPABLE, 0)
    set_process(PR_SET_CHILD_SUBREAPER, 1)  # the processor time of orphans counts, too
    signal.signal(signal.SIGINT, lambda *_: None)  # Python's handler would interrupt us
    spec = parsed(sys.argv[1])
    spec.update((name, native(spec[name])) for name in ("inputs", "temporary", "output"))
    if spec.get("parent_on_stdin") and select.select([0], [], [], 0)[0]:
        return  # the parent died before the kernel tied this process to it
    cores = own_cores()
    cgroup = spec.get("cgroup", CGROUP)
    work = lay_out(spec)
    if "terminal" in spec:
        sys.exit(run_shell(spec, cores, work))
    waited, foreign_share = wait_for_quiet(spec["quiet"], cores)
    reserve = b"x" * RESERVE_BYTES
    before = counters(cgroup, cores)
    watch = MemoryWatch(needed=spec["peak"] and before["memory_peak_bytes"] is None)
    ended = run_command(spec, cores, work, watch)
    del reserve
    after = counters(cgroup, cores)
    text, problem = read_result(os.path.join(spec["output"], "result.json"), spec["result_bytes"])
    document = {
        "format": FORMAT,
        "exit_code": ended.exit_code,
        "timed_out": ended.timed_out,
        "result": text,
        "result_problem": problem,
        "stdout": ended.stdout.content() if ended.stdout else None,
        "files": {name: read_output(work, name, spec) for name in spec["files"]},
        "reading": dict(
            spent(before, after),
            wall_s=ended.wall_s,
            script_cpu_s=script_cpu_s(before, after),
            script_peak_bytes=script_peak_bytes(before, after, watch.peak),
            waited_s=waited,
            foreign_share_before=foreign_share,
            log_left_out_bytes=ended.left_out,
            cpus=sorted(cores),
            cgroup=cgroup_version(cgroup),
            **processor(),
        ),
    }
    body = as_json(document).encode("ascii")
    write_all(1, b"MATRIX-DOCUMENT %d\n" % len(body) + body)


def set_process(option: int, value: int) -> None:
    """Set an attribute of this process: whether others may trace it, or that orphans become ours.

    An interpreter without ctypes cannot.
    """
    try:
        import ctypes  # noqa: PLC0415 (some interpreters lack it)

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (ImportError, OSError):
        pass


def native(text: str) -> str:
    """Return text that is passed on as UTF-8, also in the locale C of Python 3.6."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def lay_out(spec: "Dict[str, Any]") -> str:
    """Make the working folder, which has a link to each file of the study; return its path.

    The inputs are read-only, and the script may write beside the links. A second folder has links
    to the data files by their names alone.
    """
    study, work = (os.path.join(spec[name], "study") for name in ("inputs", "temporary"))
    data = os.path.join(spec["temporary"], "data")
    os.makedirs(work, exist_ok=True)
    os.makedirs(data, exist_ok=True)
    for folder, _, names in os.walk(study):
        place = os.path.join(work, os.path.relpath(folder, study))
        os.makedirs(place, exist_ok=True)
        for name in names:
            os.symlink(os.path.join(folder, name), os.path.join(place, name))
    for path in map(native, spec["data"]):
        os.symlink(os.path.join(study, path), os.path.join(data, os.path.basename(path)))
    return work


def wait_for_quiet(quiet: "Dict[str, float]", cores: "Set[int]") -> "Tuple[float, Optional[float]]":
    """Wait until other processes leave these cores alone, or until the patience is used up.

    Return the seconds waited and the share of these cores that other processes took at the end,
    None if that cannot be observed. No event announces that a core became idle, so this polls.
    """
    began = time.monotonic()
    window_s = quiet["short_window_s"] if began < quiet["until_s"] else quiet["window_s"]
    while window_s:
        share = foreign_share(cores, window_s)
        waited = time.monotonic() - began
        if share is None or share < quiet["foreign_share"] or waited >= quiet["patience_s"]:
            return waited, share
        write_all(1, b"MATRIX-WAITING %d %d\n" % (waited, quiet["patience_s"]))
        time.sleep(PAUSE_S)
        window_s = quiet["window_s"]
    return 0.0, None


def foreign_share(cores: "Set[int]", seconds: float) -> "Optional[float]":
    """Spin on each of these cores; return the share of that time in which others had them.

    None if no process can be bound to one of them. The kernel counts the time of a core in steps
    of 10 ms, which are too coarse for a short window. A spinning process instead notices at once
    that the kernel switches to another process. What the hypervisor takes is no such switch.
    """
    if len(cores) == 1:
        return lost_share(seconds)
    answers = []
    spinning = []
    for core in sorted(cores):
        answer, own_side = os.pipe()
        spinning.append(spin_on(core, seconds, own_side))
        os.close(own_side)
        answers.append(answer)
    shares = []
    for answer, child in zip(answers, spinning):
        text = os.read(answer, 64)  # nothing if it could not be bound
        os.close(answer)
        os.waitpid(child, 0)
        shares += [float(text)] if text else []
    return sum(shares) / len(cores) if len(shares) == len(cores) else None


def spin_on(core: int, seconds: float, answer: int) -> int:
    """Start a process that spins on a core and writes the share to ``answer``; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        bind_to(core)
        write_all(answer, b"%.6f" % lost_share(seconds))
    finally:
        os._exit(0)


def bind_to(core: int) -> None:
    """Let this process use no other core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
        return
    import ctypes  # noqa: PLC0415 (only PyPy needs it)

    mask = (1 << core).to_bytes(MASK_BYTES, sys.byteorder)
    if ctypes.CDLL(None).sched_setaffinity(0, len(mask), mask):
        raise OSError("this process cannot be bound to core %d" % core)


def lost_share(seconds: float) -> float:
    """Spin for a while; return the share of it in which another process had the core."""
    lost = 0.0
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    began = last = time.perf_counter()
    while last - began < seconds:
        now = time.perf_counter()
        if now - last > BLINK_S:
            found = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            lost += now - last if found != switches else 0.0
            switches, now = found, time.perf_counter()
        last = now
    return lost / (last - began)


# --- the command ---------------------------------------------------------------------------------


class Ended:
    """How a command ended. ``stdout`` is None unless a metric reads it."""

    def __init__(self, exit_code: int, wall_s: float) -> None:
        self.exit_code = exit_code
        self.wall_s = wall_s
        self.timed_out = False
        self.left_out = 0
        self.stdout = None  # type: Optional[Captured]


def run_command(
    spec: "Dict[str, Any]", cores: "Set[int]", work: str, watch: "MemoryWatch"
) -> Ended:
    """Run the command to its end, or to its time limit."""
    log = LogRelay(spec["log_bytes"])
    captured = Captured(spec["log_bytes"]) if spec["stdout"] else None
    command, variables = prepared(spec, cores)
    began = time.monotonic()
    try:
        child = start(command, work, variables, apart=captured is not None)
    except OSError as error:
        log.add(not_started(spec["command"][0], error).encode("utf-8", "replace"))
        log.finish()
        return Ended(127, time.monotonic() - began)
    streams = [(child.stdout, captured)] + ([(child.stderr, None)] if captured else [])
    relays = [threading.Thread(target=log.relay, args=one, daemon=True) for one in streams]
    prefer_as_oom_victim(child.pid)
    for thread in (*relays, watch.thread):
        thread.start()
    timed_out: List[bool] = []

    def stop(*_: "Any") -> None:
        timed_out.append(True)
        kill_all(child.pid, spec["own_pid_namespace"])

    # The timer's signal interrupts wait() on time, without polling on the measured core.
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, spec["timeout_s"])
    ended = Ended(wait(child.pid), time.monotonic() - began)
    watch.done.set()
    signal.setitimer(signal.ITIMER_REAL, 0)
    kill_all(child.pid, spec["own_pid_namespace"])
    reap_orphans()
    for thread in (*relays, watch.thread):
        thread.join(5)
    ended.timed_out, ended.stdout, ended.left_out = bool(timed_out), captured, log.finish()
    return ended


def prepared(spec: "Dict[str, Any]", cores: "Set[int]") -> "Tuple[List[str], Dict[str, str]]":
    """Write the parameters; return the command and its environment variables."""
    params = os.path.join(spec["temporary"], "params.json")
    with open(params, "w") as file:
        given = ("seed", "parameters", "cell", "matched")
        file.write(as_json({name: spec[name] for name in given}))
    program, *arguments = map(native, spec["command"])
    variables = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": str(spec["seed"] % 2**32),
        **dict.fromkeys(THREAD_VARIABLES, str(len(cores))),
        **{name: native(value) for name, value in spec["variables"].items()},
        "PARAMS_PATH": params,
        "DATA_DIR": os.path.join(spec["temporary"], "data"),
        "RESULT_PATH": os.path.join(spec["output"], "result.json"),
    }
    modules = [variables.get("PYTHONPATH"), os.path.join(spec["inputs"], "modules")]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, modules))
    is_python = program in ("python", "python3")
    return [sys.executable if is_python else program, *arguments], variables


class Child:
    """A process that was started: its number, and our ends of its streams."""

    def __init__(self, pid: int, stdout: int, stderr: "Optional[int]") -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr


def start(command: "List[str]", work: str, variables: "Dict[str, str]", apart: bool) -> Child:
    """Start the command in a session of its own; ``apart`` keeps its two streams separate.

    OSError if it cannot be started.
    """
    stdout, own_stdout = os.pipe()
    stderr, own_stderr = os.pipe() if apart else (None, own_stdout)
    problem, own_problem = os.pipe()  # closes when the program begins
    pid = os.fork()
    if not pid:
        try:
            become(command, work, variables, (own_stdout, own_stderr))
        except OSError as error:
            os.write(own_problem, b"%d" % (error.errno or errno.EIO))
        finally:
            os._exit(127)
    for one in {own_stdout, own_stderr, own_problem}:
        os.close(one)
    found = os.read(problem, 16)
    os.close(problem)
    if found:
        os.waitpid(pid, 0)
        raise OSError(int(found), os.strerror(int(found)))
    return Child(pid, stdout, stderr)


def become(
    command: "List[str]", work: str, variables: "Dict[str, str]", streams: "Tuple[int, int]"
) -> None:
    """Become the command, which is looked for on its own PATH; OSError if that is not possible."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, programs need not
        signal.signal(number, signal.SIG_DFL)
    os.chdir(work)
    program = command[0]
    paths = [program]
    if os.sep not in program:
        folders = variables.get("PATH", os.defpath).split(os.pathsep)
        paths = [os.path.join(folder, program) for folder in folders]
    problem = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # type: OSError
    for path in paths:
        try:
            os.execve(path, command, variables)  # noqa: S606 (a shell would be another process)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:  # a later folder may have one that can be executed
            problem = error
    raise problem


def not_started(program: str, error: OSError) -> str:
    """Say why a program cannot be started."""
    hint = ""
    if isinstance(error, FileNotFoundError) and os.sep not in program:
        hint = "; if it is a package of Python, write [python, -m, %s]" % program
    return "the program %s cannot be started: %s%s\n" % (program, error.strerror, hint)


def own_cores() -> "Set[int]":
    """Return the cores that this process may use, which PyPy does not know by itself."""
    with open("/proc/self/status") as file:
        (listed,) = (line for line in file if line.startswith("Cpus_allowed_list:"))
    cores = set()  # type: Set[int]
    for part in listed.split()[1].split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def prefer_as_oom_victim(process: int) -> None:
    """Have the kernel kill the script first when memory runs out: the launcher must report it."""
    for _ in range(ATTEMPTS):
        try:
            with open("/proc/%d/oom_score_adj" % process, "w") as file:
                file.write("1000")
        except PermissionError:  # until its program has started, nobody may trace it either
            time.sleep(0.001)
        except OSError:  # it has ended
            return
        else:
            return


def wait(script: int) -> int:
    """Wait for the script; reap the orphans that end before it, as an init process must."""
    while True:
        ended, status = os.wait()
        if ended == script:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def kill_all(group: int, own_pid_namespace: bool) -> None:
    """Kill the script's process group, and every other process in a pid namespace of our own."""
    for target in (-group, -1) if own_pid_namespace else (-group,):
        try:
            os.kill(target, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # none is left
            continue


def reap_orphans() -> None:
    """Wait for the processes that were killed, because only then their processor time counts."""
    deadline = time.monotonic() + ENDING_S
    while time.monotonic() < deadline:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            for process in children_of(os.getpid()):  # they may have left the group
                try:
                    os.kill(process, signal.SIGKILL)
                except OSError:  # it became another user
                    continue
            time.sleep(0.001)


def children_of(process: int) -> "List[int]":
    """Return the numbers of the processes that a process started; none if the kernel hides them."""
    threads = "/proc/%d/task" % process
    try:
        listed = [text_in("%s/%s/children" % (threads, one)) for one in os.listdir(threads)]
    except OSError:
        return []
    return [int(child) for text in listed for child in text.split()]


class Captured:
    """The start of a stream, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.start = bytearray()

    def add(self, chunk: bytes) -> None:
        """Add what came on the stream."""
        self.size += len(chunk)
        self.start += chunk[: self.limit - len(self.start)]

    def content(self) -> "Dict[str, Optional[str]]":
        """Return the whole stream as text, or why there is none."""
        if self.size > self.limit:
            return without(
                "is larger than its limit of %d bytes (it has %d); raise "
                "`limits: {log: ...}`" % (self.limit, self.size)
            )
        return {"text": self.start.decode("utf-8", "replace"), "problem": None}


class LogRelay:
    """Relays a log to stderr: half of its limit immediately, the newest half at the end."""

    def __init__(self, limit: int) -> None:
        self.half = limit // 2
        self.relayed = 0
        self.tail = bytearray()
        self.left_out = 0
        self.lock = threading.Lock()

    def relay(self, stream: int, captured: "Optional[Captured]") -> None:
        """Read the stream to its end, even beyond the limit: otherwise the script would block."""
        for chunk in iter(lambda: os.read(stream, 65536), b""):
            if captured is not None:
                captured.add(chunk)
            self.add(chunk)

    def add(self, chunk: bytes) -> None:
        """Relay a part of the log at once, or keep it for the end."""
        with self.lock:
            now = chunk[: self.half - self.relayed]
            self.relayed += len(now)
            self.tail += chunk[len(now) :]
            excess = max(0, len(self.tail) - self.half)
            del self.tail[:excess]
            self.left_out += excess
            write_all(2, now)

    def finish(self) -> int:
        """Write the newest half; return the number of bytes that were left out."""
        with self.lock:
            if self.left_out:
                write_all(2, b"\n[... %d bytes left out ...]\n" % self.left_out)
            write_all(2, bytes(self.tail))
            return self.left_out


# --- a shell -------------------------------------------------------------------------------------


def run_shell(spec: "Dict[str, Any]", cores: "Set[int]", work: str) -> int:
    """Run a shell instead of the command until it ends, or our stdin; return its exit code.

    It has a terminal of its own if ``terminal`` is true. Our stdin has lines of JSON:
    ``{"input": text}`` with a character for each byte, where no text ends the input, and
    ``{"size": [rows, columns]}``.
    """
    import shutil  # noqa: PLC0415 (a trial does not need it)

    variables = prepared(spec, cores)[1]
    path = variables["PATH"] = path_with_python(variables.get("PATH", os.defpath))
    program = shutil.which("bash", path=path) or shutil.which("sh", path=path)
    if program is None:
        write_all(2, b"there is no shell (bash or sh) in this image\n")
        return 127
    command = [program, "--norc"] if program.endswith("bash") else [program]
    child, keys = (start_in_terminal if spec["terminal"] else start_on_pipe)(
        command, work, variables
    )
    prefer_as_oom_victim(child.pid)
    exit_codes = []  # type: List[int]
    ended, ending = os.pipe()

    def watch() -> None:
        exit_codes.append(wait(child.pid))
        os.close(ending)

    threading.Thread(target=watch, daemon=True).start()
    converse(keys, ended, spec["terminal"])
    kill_all(child.pid, spec["own_pid_namespace"])
    os.read(ended, 1)
    exit_code = child.returncode = exit_codes[0]
    while spec["terminal"] and show(keys):
        continue
    return exit_code if exit_code >= 0 else 128 - exit_code


def path_with_python(path: str) -> str:
    """Return where programs are looked for, so that ``python`` is the interpreter of trials."""
    import shutil  # noqa: PLC0415 (a trial does not need it)

    found = shutil.which("python", path=path)
    if found is not None and os.path.realpath(found) == os.path.realpath(sys.executable):
        return path
    return os.pathsep.join((os.path.dirname(sys.executable), path))


def start_in_terminal(
    command: "List[str]", work: str, variables: "Dict[str, str]"
) -> "Tuple[subprocess.Popen[bytes], int]":
    """Start the command in a new terminal; return it and the side of the terminal's user."""
    import fcntl  # noqa: PLC0415 (a trial does not need them)
    import subprocess  # noqa: PLC0415
    import termios  # noqa: PLC0415

    keys, terminal = os.openpty()
    child = subprocess.Popen(
        command,
        cwd=work,
        env=variables,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        # Ctrl-C then reaches its processes. No thread runs yet.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(terminal)
    os.set_blocking(keys, False)
    return child, keys


def start_on_pipe(
    command: "List[str]", work: str, variables: "Dict[str, str]"
) -> "Tuple[subprocess.Popen[bytes], int]":
    """Start the command with our output; return it and the pipe that it reads."""
    import subprocess  # noqa: PLC0415 (a trial does not need it)

    given, keys = os.pipe()
    child = subprocess.Popen(command, cwd=work, env=variables, stdin=given, start_new_session=True)
    os.close(given)
    os.set_blocking(keys, False)
    return child, keys


def converse(keys: int, ended: int, is_terminal: bool) -> None:
    """Relay input to a shell, and what its terminal shows, until ``ended`` or our stdin closes."""
    line, pending, is_open = b"", b"", True
    sources = [0, ended] + ([keys] if is_terminal else [])
    while True:
        ready, free, _ = select.select(sources, [keys] if pending else [], [])
        if ended in ready:
            return
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            *lines, line = (line + chunk).split(b"\n")
            for message in map(parsed, map(bytes.decode, lines)):
                resize(keys, message.get("size"))
                pending += message.get("input", "").encode("latin-1")
                is_open = is_open and message.get("input") != ""
        if keys in ready and not show(keys):
            sources.remove(keys)
        if keys in free:
            pending = pending[type_in(keys, pending) :]
        if not is_open and not pending and keys >= 0:
            os.close(keys)
            sources, keys = [one for one in sources if one != keys], -1


def resize(terminal: int, size: "Optional[List[int]]") -> None:
    """Give a terminal another size, if there is one."""
    import fcntl  # noqa: PLC0415 (a trial does not need them)
    import struct  # noqa: PLC0415
    import termios  # noqa: PLC0415

    if size is not None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))


def show(terminal: int) -> bool:
    """Relay to stdout what a terminal shows; return False if nothing is left."""
    try:
        chunk = os.read(terminal, 65536)
    except OSError:  # nothing now, or all its programs have closed it
        return False
    write_all(1, chunk)
    return bool(chunk)


def type_in(keys: int, content: bytes) -> int:
    """Send input to the shell without waiting; return the number of bytes that are dealt with."""
    try:
        return os.write(keys, content)
    except BlockingIOError:
        return 0
    except OSError:  # nobody reads it any more
        return len(content)


# --- what the script wrote -----------------------------------------------------------------------


def read_result(path: str, limit: int) -> "Tuple[Optional[str], Optional[str]]":
    """Return the text that the script wrote, or None and why it cannot be used, if there is one."""
    if not os.path.lexists(path):
        return None, None
    content, problem = read_regular(os.path.dirname(path), os.path.basename(path), limit)
    if problem is not None:
        return None, "$RESULT_PATH " + problem
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return None, "$RESULT_PATH is not UTF-8 (byte %d)" % error.start


def read_output(work: str, name: str, spec: "Dict[str, Any]") -> "Dict[str, Optional[str]]":
    """Return the text of a file that a metric names, or why it cannot be used."""
    is_benchmark = name in spec["benchmarks"]
    limit = BENCHMARK_BYTES if is_benchmark else spec["result_bytes"]
    content, problem = read_regular(work, native(name), limit)
    if problem is not None:
        return without(problem)
    try:
        text = content.decode("utf-8-sig")
        text = without_rounds(text) if is_benchmark else text
    except UnicodeDecodeError as error:
        return without("is not UTF-8 (byte %d)" % error.start)
    except (ValueError, RecursionError) as error:
        return without("is not JSON (%s)" % error)
    if len(text) > spec["result_bytes"]:
        return without(too_large(spec["result_bytes"]) + ", without the time of each round")
    return {"text": text, "problem": None}


def without(problem: str) -> "Dict[str, Optional[str]]":
    """Return that there is no text, with the reason."""
    return {"text": None, "problem": problem}


def read_regular(folder: str, name: str, limit: int) -> "Tuple[bytes, Optional[str]]":
    """Return the content of a regular file in a folder, or why it cannot be used.

    The script may have put a link or a pipe there: neither follow it nor block on it.
    """
    opened = []  # type: List[int]
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        *folders, last = name.split("/")
        for part in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            opened.append(os.open(part, flags, dir_fd=opened[-1]))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        opened.append(os.open(last, flags, dir_fd=opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            return b"", "is not a regular file"
        content = b""
        while len(content) <= limit:
            chunk = os.read(opened[-1], limit + 1 - len(content))
            if not chunk:
                return content, None
            content += chunk
        return b"", too_large(limit)
    except FileNotFoundError:
        return b"", "does not exist"
    except OSError as error:
        link = error.errno in (errno.ELOOP, errno.ENOTDIR)
        return b"", "is a link, or in one" if link else "cannot be read: %s" % error.strerror
    finally:
        for handle in opened:
            os.close(handle)


def too_large(limit: int) -> str:
    """Say that a file is not read."""
    return "is larger than its limit of %d bytes" % limit


def without_rounds(text: str) -> str:
    """Return the document of pytest-benchmark without the time of every single round."""
    import json  # noqa: PLC0415 (few trials need it)

    document = json.loads(text, parse_int=float)  # an old int() takes hours for many digits
    benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(benchmarks, list):
        raise ValueError("it has no list `benchmarks`")  # noqa: TRY004 (it is not our mistake)
    for one in benchmarks:
        if isinstance(one, dict) and isinstance(one.get("stats"), dict):
            one["stats"].pop("data", None)
    return json.dumps(document)


# --- the kernel's counters -----------------------------------------------------------------------


def counters(cgroup: str, cores: "Set[int]") -> "Dict[str, Optional[float]]":
    """Read the kernel's counters of the script, of this container and of its cores."""
    own_s = time.process_time()  # the kernel brings its counters up to date for this one
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy, steal = core_seconds(cores)
    found = {
        name: number_in(os.path.join(cgroup, file), key, unit)
        for name, (file, key, unit) in COUNTERS[cgroup_version(cgroup)].items()
    }
    return dict(
        found,
        own_s=own_s,
        user_s=usage.ru_utime,
        system_s=usage.ru_stime,
        major_faults=usage.ru_majflt,
        largest_process_bytes=usage.ru_maxrss * 1024,
        core_busy_s=busy,
        core_steal_s=steal,
        swapped_in_pages=number_in("/proc/vmstat", "pswpin"),
    )


def core_seconds(cores: "Set[int]") -> "Tuple[Optional[float], Optional[float]]":
    """Return the busy and the stolen seconds of these cores since boot, of all processes."""
    names = {"cpu%d" % core for core in cores}
    lines = [line.split() for line in text_in("/proc/stat").splitlines() if line.startswith("cpu")]
    # user, nice, system, idle, iowait, irq, softirq, steal
    times = [list(map(int, line[1:9])) for line in lines if line[0] in names and line[8:]]
    if len(times) < len(cores):
        return None, None
    ticks = os.sysconf("SC_CLK_TCK")
    busy = sum(sum(core[:3] + core[5:7]) for core in times)
    return busy / ticks, sum(core[7] for core in times) / ticks


def number_in(path: str, name: str = "", unit: float = 1) -> "Optional[float]":
    """Return the number after a name, or alone in its line, times a unit; None if absent."""
    for line in text_in(path).splitlines():
        words = line.split()
        number = words[1:] if name and words[:1] == [name] else [] if name else words
        if number and number[0].isdigit() and number[1:] in ([], ["kB"]):
            return unit * int(number[0])
    return None


def text_in(path: str) -> str:
    """Return the text of a file of the system, empty if the system does not provide it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def cgroup_version(cgroup: str) -> int:
    """Return the version of the control groups that are mounted there."""
    return 2 if os.path.exists(cgroup + "/cgroup.controllers") else 1


def spent(before: "Dict[str, Any]", after: "Dict[str, Any]") -> "Dict[str, Any]":
    """Return how far each counter advanced; of a peak, its last value."""
    start = dict(before, **dict.fromkeys(PEAKS, 0))
    return {
        name: None if start[name] is None or number is None else number - start[name]
        for name, number in after.items()
        if name not in WORKINGS
    }


def script_cpu_s(before: "Dict[str, Any]", after: "Dict[str, Any]") -> float:
    """Return the processor time of the script's processes, without that of the launcher.

    Without control groups it is that of the processes that ended and that somebody waited for.
    """
    if before["cpu_s"] is None or after["cpu_s"] is None:
        return float(sum(after[name] - before[name] for name in ("user_s", "system_s")))
    of_container, own = (after[name] - before[name] for name in ("cpu_s", "own_s"))
    return max(0.0, float(of_container - own))


def script_peak_bytes(before: "Dict[str, Any]", after: "Dict[str, Any]", observed: int) -> int:
    """Return the most memory that the script's processes used at the same time.

    The kernel counts files that it cached for the container as its memory. Whether a file was read
    before is not the script's doing, so they do not count, except those that a process maps.
    ``observed`` is what the processes were seen to use, where the kernel does not count that.
    """
    largest = int(after["largest_process_bytes"])
    peak = after["memory_peak_bytes"]
    if peak is None or before["memory_bytes"] is None:
        return max(largest, observed)
    if peak <= before["memory_peak_bytes"]:  # something larger ran before the script
        return largest
    cached = sum(
        sign * ((moment["cache_bytes"] or 0) - (moment["shared_bytes"] or 0))
        for sign, moment in ((1, after), (-1, before))
    )
    return max(largest, int(peak - before["memory_bytes"] - max(0, cached)))


class MemoryWatch:
    """Observes how much memory the processes of this one use, where the kernel does not count it.

    No event announces a peak, so this polls, but never for more than 1/500 of the time.
    """

    def __init__(self, needed: bool) -> None:
        self.needed = needed
        self.peak = 0
        """The most memory in bytes that was observed."""
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        """Observe until the end."""
        pause = 0.0
        while self.needed and not self.done.wait(pause):
            began = time.process_time()
            self.peak = max(self.peak, sum(map(memory_of, descendants_of(os.getpid()))))
            pause = max(0.02, 500 * (time.process_time() - began))


def descendants_of(process: int) -> "Iterator[int]":
    """Yield the numbers of the processes that a process started, and of those that they started."""
    for child in children_of(process):
        yield child
        yield from descendants_of(child)


def memory_of(process: int) -> int:
    """Return the memory of a process in bytes, with its share of what it shares with others."""
    found = number_in("/proc/%d/smaps_rollup" % process, "Pss:", 1024)
    return int(found or 0)


def processor(cpuinfo: str = "/proc/cpuinfo") -> "Dict[str, Any]":
    """Return the model of the first processor and the flags that can change numeric results."""
    facts = {}  # type: Dict[str, str]
    for line in text_in(cpuinfo).splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", "").split()
    return {
        "processor": facts.get("model name"),
        "cpu_flags": sorted(flag for flag in flags if flag.startswith(NUMERIC_FLAGS)),
    }


# --- JSON ----------------------------------------------------------------------------------------


class Scanning:
    """How the scanner behind the module ``json`` reads: like ``json.loads``."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def parsed(text: str) -> "Any":
    """Return what JSON of the runner says. The module ``json`` loads slowly."""
    try:
        from _json import make_scanner  # noqa: PLC0415 (not every Python has it)
    except ImportError:
        import json  # noqa: PLC0415

        return json.loads(text)
    return make_scanner(Scanning)(text, 0)[0]  # type: ignore[arg-type]  # it has its attributes


def quoted(text: str) -> str:
    """Return a text as JSON, in ASCII."""
    try:
        from _json import encode_basestring_ascii  # noqa: PLC0415
    except ImportError:
        import json  # noqa: PLC0415

        return json.dumps(text)
    return encode_basestring_ascii(text)


def as_json(value: "Any") -> str:
    """Return plain values as JSON, in ASCII."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        inner = ["%s: %s" % (as_json(name), as_json(one)) for name, one in value.items()]
        return "{%s}" % ", ".join(inner)
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(map(as_json, value))
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else repr(value)


def write_all(target: int, content: bytes) -> None:
    """Write all of the content to a file descriptor."""
    while content:
        content = content[os.write(target, content) :]


if __name__ == "__main__":
    main()
