r"""The launcher runs the experiment inside its container and reports what happened.

This file needs only the standard library of Python 3.6 to 3.13. It takes a trial spec (JSON) as its
argument, starts the script as its child, relays the script's output to stderr up to the limit of
the log, stops the script at its time limit, reads the kernel's counters before and after, and
writes one framed document to stdout::

    MATRIX-DOCUMENT <length in bytes>\n<JSON>

While it waits for a quiet core, it first writes lines ``MATRIX-WAITING <seconds> <of seconds>``.
Every engine uses this file. It never judges: ``runner/execute`` reads the document. A number that
the kernel does not provide is null.

No process of the same user can write to its streams (``set_dumpable``). In a container it is the
first process. The kernel lets no other process in the container kill or stop it, so if it is
killed, that came from outside.
"""

import json
import os
import re
import resource
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Set, Tuple

FORMAT = 1
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
        "oom_kills": ("memory/memory.oom_control", "oom_kill", 1),
    },
    2: {
        "cpu_s": ("cpu.stat", "usage_usec", 1e-6),
        "throttled_s": ("cpu.stat", "throttled_usec", 1e-6),
        "memory_peak_bytes": ("memory.peak", "", 1),
        "oom_kills": ("memory.events", "oom_kill", 1),
    },
}  # of each version of control groups: a file, the name in it, and a unit
PEAKS = ("memory_peak_bytes", "largest_process_bytes")
PR_SET_DUMPABLE = 4


def main() -> None:
    """Run the trial that the first argument specifies, and send the document."""
    set_dumpable(False)
    signal.signal(signal.SIGINT, lambda *_: None)  # Python's handler would interrupt us
    spec = json.loads(sys.argv[1])
    if spec.get("parent_on_stdin") and select.select([0], [], [], 0)[0]:
        return  # the parent died before the kernel tied this process to it
    cores = own_cores()
    cgroup = spec.get("cgroup", CGROUP)
    waited, foreign_share = wait_for_quiet(spec["quiet"], cores)
    before = counters(cgroup, cores)
    started = time.monotonic()
    exit_code, timed_out, left_out = run_script(spec, cores)
    wall = time.monotonic() - started
    after = counters(cgroup, cores)
    text, problem = read_result(os.path.join(spec["output"], "result.json"), spec["result_bytes"])
    document = {
        "format": FORMAT,
        "exit_code": exit_code,
        "timed_out": timed_out,
        "result": text,
        "result_problem": problem,
        "reading": dict(
            spent(before, after),
            wall_s=wall,
            waited_s=waited,
            foreign_share_before=foreign_share,
            log_left_out_bytes=left_out,
            cpus=sorted(cores),
            cgroup=cgroup_version(cgroup),
            **processor(),
        ),
    }
    body = json.dumps(document).encode("ascii")
    write_all(1, b"MATRIX-DOCUMENT %d\n" % len(body) + body)


def set_dumpable(allowed: bool) -> None:
    """Choose whether processes of the same user may trace this one and open its files.

    An interpreter without ctypes cannot choose.
    """
    try:
        import ctypes  # noqa: PLC0415 (some interpreters lack it)

        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(allowed), 0, 0, 0)
    except (ImportError, OSError):
        pass


def wait_for_quiet(quiet: Dict[str, float], cores: Set[int]) -> Tuple[float, Optional[float]]:
    """Wait until other processes leave these cores alone, or until the patience is used up.

    Return the seconds waited and the share of the last window that other processes used, None if
    the kernel does not provide it. No event announces that a core became idle, so this polls.
    """
    began = time.monotonic()
    while quiet["window_s"]:
        before, own_before = core_seconds(cores)[0], time.process_time()
        time.sleep(quiet["window_s"])
        after, own_after = core_seconds(cores)[0], time.process_time()
        waited = time.monotonic() - began
        if before is None or after is None:
            return waited, None
        foreign = max(0.0, after - before - (own_after - own_before))
        share = foreign / quiet["window_s"] / len(cores)
        if share < quiet["foreign_share"] or waited >= quiet["patience_s"]:
            return waited, share
        write_all(1, b"MATRIX-WAITING %d %d\n" % (waited, quiet["patience_s"]))
    return 0.0, None


# --- the script ----------------------------------------------------------------------------------


def run_script(spec: Dict[str, Any], cores: Set[int]) -> Tuple[int, bool, int]:
    """Return the script's exit code, whether it timed out, and the log bytes left out."""
    child = start(spec, cores)
    log = LogRelay(spec["log_bytes"])
    relay = threading.Thread(target=log.relay, args=(child.stdout,), daemon=True)
    relay.start()
    timed_out: List[bool] = []

    def stop(*_: Any) -> None:
        timed_out.append(True)
        kill_all(child.pid, spec["own_pid_namespace"])

    # The timer's signal interrupts wait() on time, without polling on the measured core.
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, spec["timeout_s"])
    exit_code = child.returncode = wait(child.pid)
    signal.setitimer(signal.ITIMER_REAL, 0)
    kill_all(child.pid, spec["own_pid_namespace"])
    relay.join(5)
    return exit_code, bool(timed_out), log.finish()


def start(spec: Dict[str, Any], cores: Set[int]) -> "subprocess.Popen[bytes]":
    """Start the script with its parameters, in a session of its own."""
    params = os.path.join(spec["temporary"], "params.json")
    with open(params, "w") as file:
        json.dump({name: spec[name] for name in ("seed", "parameters", "cell", "matched")}, file)
    return subprocess.Popen(
        [sys.executable, os.path.join(spec["inputs"], spec["script"])],
        cwd=spec["temporary"],
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": str(spec["seed"] % 2**32),
            **dict.fromkeys(THREAD_VARIABLES, str(len(cores))),
            **spec["variables"],
            "PARAMS_PATH": params,
            "DATA_DIR": os.path.join(spec["inputs"], "data"),
            "RESULT_PATH": os.path.join(spec["output"], "result.json"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=prefer_as_oom_victim,  # noqa: PLW1509 (no thread runs yet)
    )


def own_cores() -> Set[int]:
    """Return the cores that this process may use, which PyPy does not know by itself."""
    with open("/proc/self/status") as file:
        (listed,) = (line for line in file if line.startswith("Cpus_allowed_list:"))
    cores = set()  # type: Set[int]
    for part in listed.split()[1].split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def prefer_as_oom_victim() -> None:
    """Have the kernel kill the script first when memory runs out: the launcher must report it."""
    set_dumpable(True)  # otherwise the file belongs to root
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


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


class LogRelay:
    """Relays a log to stderr: half of its limit immediately, the newest half at the end."""

    def __init__(self, limit: int) -> None:
        self.half = limit // 2
        self.relayed = 0
        self.tail = bytearray()
        self.left_out = 0
        self.lock = threading.Lock()

    def relay(self, stream: Any) -> None:
        """Read the stream to its end, even beyond the limit: otherwise the script would block."""
        for chunk in iter(lambda: os.read(stream.fileno(), 65536), b""):
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


def read_result(path: str, limit: int) -> Tuple[Optional[str], Optional[str]]:
    """Return the text that the script wrote, or None and the reason why it cannot be used."""
    try:
        # The script may have put a link or a pipe there: neither follow it nor block on it.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None, "the script wrote nothing to $RESULT_PATH"
    except OSError as error:
        return None, "$RESULT_PATH cannot be read: %s" % error.strerror
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None, "$RESULT_PATH is not a regular file"
    with os.fdopen(handle, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        return None, "the result is larger than its limit of %d bytes" % limit
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return None, "the result is not UTF-8 (byte %d)" % error.start


# --- the kernel's counters -----------------------------------------------------------------------


def counters(cgroup: str, cores: Set[int]) -> Dict[str, Optional[float]]:
    """Read the kernel's counters of the script, of this container and of its cores."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy, steal = core_seconds(cores)
    found = {
        name: number_in(os.path.join(cgroup, file), key, unit)
        for name, (file, key, unit) in COUNTERS[cgroup_version(cgroup)].items()
    }
    return dict(
        found,
        user_s=usage.ru_utime,
        system_s=usage.ru_stime,
        major_faults=usage.ru_majflt,
        largest_process_bytes=usage.ru_maxrss * 1024,
        core_busy_s=busy,
        core_steal_s=steal,
        swapped_in_pages=number_in("/proc/vmstat", "pswpin"),
    )


def core_seconds(cores: Set[int]) -> Tuple[Optional[float], Optional[float]]:
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


def number_in(path: str, name: str = "", unit: float = 1) -> Optional[float]:
    """Return the number after a name, or alone in its line, times a unit; None if absent."""
    found = re.search(r"^%s(\d+)$" % (name and name + " "), text_in(path), re.MULTILINE)
    return unit * int(found.group(1)) if found else None


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


def spent(before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, Any]:
    """Return how far each counter advanced; of a peak, its last value."""
    start = dict(before, **dict.fromkeys(PEAKS, 0))
    return {
        name: None if start[name] is None or number is None else number - start[name]
        for name, number in after.items()
    }


def processor(cpuinfo: str = "/proc/cpuinfo") -> Dict[str, Any]:
    """Return the model of the first processor and the flags that can change numeric results."""
    text = text_in(cpuinfo)
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)
    words = flags.group(1).split() if flags else []
    return {
        "processor": model.group(1).strip() if model else None,
        "cpu_flags": sorted(flag for flag in words if flag.startswith(NUMERIC_FLAGS)),
    }


def write_all(target: int, content: bytes) -> None:
    """Write all of the content to a file descriptor."""
    while content:
        content = content[os.write(target, content) :]


if __name__ == "__main__":
    main()
