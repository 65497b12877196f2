r"""The launcher: starts the experiment inside its container and tells what happened.

The one file of the runner that runs there: standard library only, Python 3.6 to 3.13. It takes one
JSON spec as its argument, starts the script as its child, relays what the script prints to stderr
within the log's limit, stops it at its time limit, reads the kernel's counters before and after,
and sends one framed document to stdout::

    MATRIX-DOCUMENT <length in bytes>\n<JSON>

docker, and any engine that can run a process, use this same file. It never judges: ``result``
reads the document. Where the kernel has no figure the document says null.

No process of its user can write to its streams (``be_closed``). In a container it is the first one,
which the kernel lets none in there kill or stop: whatever ends it but itself came from outside.
"""

import json
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

FORMAT = 1
CGROUP = "/sys/fs/cgroup"
NUMERIC = ("sse4_", "avx", "fma", "f16c", "amx")
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
PR_SET_DUMPABLE = 4


def main() -> None:
    """Execute the spec in the first argument and send the document."""
    be_closed(True)
    signal.signal(signal.SIGINT, lambda *_: None)  # of Python's own, and so not ignored by itself
    spec = json.loads(sys.argv[1])
    if spec.get("parent_on_stdin") and select.select([0], [], [], 0)[0]:
        return  # who holds the other end was gone before this process was tied to it
    waited, share = wait_for_quiet(spec["quiet"])
    cgroup = spec.get("cgroup", CGROUP)
    before = counters(cgroup)
    started = time.monotonic()
    exit_code, timed_out, left_out = execute(spec)
    wall = time.monotonic() - started
    after = counters(cgroup)
    text, problem = read_result(os.path.join(spec["output"], "result.json"), spec["result_bytes"])
    send(
        {
            "format": FORMAT,
            "exit_code": exit_code,
            "timed_out": timed_out,
            "result": text,
            "result_problem": problem,
            "reading": dict(
                reading(wall, before, after, left_out, cgroup),
                waited_s=waited,
                foreign_share_before=share,
            ),
        }
    )


def execute(spec: Dict[str, Any]) -> Tuple[int, bool, int]:
    """Execute the script; return its exit code, whether time ran out, and the bytes left out."""
    params = os.path.join(spec["temporary"], "params.json")
    with open(params, "w") as file:
        json.dump({name: spec[name] for name in ("seed", "parameters", "cell", "matched")}, file)
    threads = str(len(os.sched_getaffinity(0)))
    surroundings = dict(os.environ)
    surroundings.update(dict.fromkeys(THREADS, threads))
    surroundings.update(
        PARAMS_PATH=params,
        DATA_DIR=os.path.join(spec["inputs"], "data"),
        RESULT_PATH=os.path.join(spec["output"], "result.json"),
        PYTHONUNBUFFERED="1",
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONHASHSEED=str(spec["seed"] % 2**32),
    )
    child = subprocess.Popen(
        [sys.executable, os.path.join(spec["inputs"], spec["script"])],
        cwd=spec["temporary"],
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=volunteer,  # noqa: PLW1509 (no thread runs yet)
    )
    log = Log(spec["log_bytes"])
    relay = threading.Thread(target=log.relay, args=(child.stdout,), daemon=True)
    relay.start()
    timed_out: List[bool] = []

    def stop(*_: Any) -> None:
        timed_out.append(True)
        end_all(child.pid, spec["own_pid_namespace"])

    # A timer signal interrupts wait() exactly when it is due: nothing polls on the measured core.
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, spec["timeout_s"])
    exit_code = child.returncode = wait(child.pid)
    signal.setitimer(signal.ITIMER_REAL, 0)
    end_all(child.pid, spec["own_pid_namespace"])
    relay.join(5)
    return exit_code, bool(timed_out), log.finish()


def be_closed(closed: bool) -> None:
    """Let no process of the same user look into this one, trace it or open its files, or let it.

    An interpreter without ctypes has to do without.
    """
    try:
        import ctypes  # noqa: PLC0415 (which not every interpreter has)

        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(not closed), 0, 0, 0)
    except (ImportError, OSError):
        pass


def wait(script: int) -> int:
    """Wait for the script; take leave of every orphan that ends before it, as an init has to."""
    while True:
        ended, status = os.wait()
        if ended == script:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def volunteer() -> None:
    """Make the script the first to go when memory runs out, so that the launcher can say so."""
    be_closed(False)  # else the file is root's
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def end_all(group: int, own_pid_namespace: bool) -> None:
    """Kill the script and what it started; everything in this pid namespace where we are alone."""
    for target in (-group, -1) if own_pid_namespace else (-group,):
        try:
            os.kill(target, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody left
            continue


class Log:
    """Relays to stderr: the first half of the limit at once, of the rest the newest half."""

    def __init__(self, limit: int) -> None:
        self.half = limit // 2
        self.relayed = 0
        self.tail = bytearray()
        self.left_out = 0
        self.lock = threading.Lock()

    def relay(self, stream: Any) -> None:
        """Read the stream to its end; past the limit too, or the script would block."""
        while True:
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                return
            with self.lock:
                now = chunk[: self.half - self.relayed]
                self.relayed += len(now)
                self.tail += chunk[len(now) :]
                over = len(self.tail) - self.half
                if over > 0:
                    del self.tail[:over]
                    self.left_out += over
            write_all(2, now)

    def finish(self) -> int:
        """Write what was held back; return the number of bytes that were left out."""
        with self.lock:
            if self.left_out:
                write_all(2, b"\n[... %d bytes left out ...]\n" % self.left_out)
            write_all(2, bytes(self.tail))
            return self.left_out


def write_all(target: int, content: bytes) -> None:
    """Write all of the content to a file descriptor."""
    while content:
        content = content[os.write(target, content) :]


def read_result(path: str, limit: int) -> Tuple[Optional[str], Optional[str]]:
    """Return the text the script wrote, or None and a sentence why there is none."""
    try:
        # A link or a pipe in place of the file must neither be followed nor block.
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


def wait_for_quiet(quiet: Dict[str, float]) -> Tuple[float, Optional[float]]:
    """Wait until strangers leave these cores alone, or patience ends.

    Return the seconds waited and the share of the last window that strangers took, None where the
    kernel does not tell. A core that is shared makes no event: looking again is the only way.
    """
    cores = os.sched_getaffinity(0)
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
    return 0.0, None


def counters(cgroup: str) -> Dict[str, Optional[float]]:
    """Read the kernel's counters of this container and of the cores it runs on."""
    busy, steal = core_seconds(os.sched_getaffinity(0))
    if os.path.exists(cgroup + "/cgroup.controllers"):
        own = {
            "cpu_s": scaled(field(cgroup + "/cpu.stat", "usage_usec"), 1e-6),
            "throttled_s": scaled(field(cgroup + "/cpu.stat", "throttled_usec"), 1e-6),
            "memory_peak_bytes": field(cgroup + "/memory.peak"),
            "oom_kills": field(cgroup + "/memory.events", "oom_kill"),
        }
    else:
        own = {
            "cpu_s": scaled(field(cgroup + "/cpuacct/cpuacct.usage"), 1e-9),
            "throttled_s": scaled(field(cgroup + "/cpu/cpu.stat", "throttled_time"), 1e-9),
            "memory_peak_bytes": field(cgroup + "/memory/memory.max_usage_in_bytes"),
            "oom_kills": field(cgroup + "/memory/memory.oom_control", "oom_kill"),
        }
    swapped = field("/proc/vmstat", "pswpin")
    return dict(own, core_busy_s=busy, core_steal_s=steal, swapped_in_pages=swapped)


def reading(
    wall: float, before: Dict[str, Any], after: Dict[str, Any], left_out: int, cgroup: str
) -> Dict[str, Any]:
    """Return what the kernel counted while the script ran."""
    spent = {
        name: None if before[name] is None or after[name] is None else after[name] - before[name]
        for name in before
    }
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent.update(
        wall_s=wall,
        cpus=sorted(os.sched_getaffinity(0)),
        cgroup=2 if os.path.exists(cgroup + "/cgroup.controllers") else 1,
        user_s=usage.ru_utime,
        system_s=usage.ru_stime,
        major_faults=usage.ru_majflt,
        largest_process_bytes=usage.ru_maxrss * 1024,
        memory_peak_bytes=after["memory_peak_bytes"],
        log_left_out_bytes=left_out,
    )
    spent.update(processor())
    return spent


def processor() -> Dict[str, Any]:
    """Return the name of the first processor and its flags that matter to numbers."""
    facts: Dict[str, str] = {}
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                name, _, value = line.partition(":")
                facts.setdefault(name.strip(), value.strip())
                if not line.strip():
                    break
    except OSError:
        pass
    flags = [flag for flag in facts.get("flags", "").split() if flag.startswith(NUMERIC)]
    return {"processor": facts.get("model name"), "cpu_flags": sorted(flags)}


def core_seconds(cores: Any) -> Tuple[Optional[float], Optional[float]]:
    """Return busy and stolen seconds of these cores since boot, whoever used them."""
    ticks = os.sysconf("SC_CLK_TCK")
    busy = steal = 0
    try:
        with open("/proc/stat") as file:
            lines = dict(line.split(None, 1) for line in file if line.startswith("cpu"))
        for core in cores:
            user, nice, system, _idle, _wait, irq, soft, stolen = map(
                int, lines["cpu%d" % core].split()[:8]
            )
            busy += user + nice + system + irq + soft
            steal += stolen
    except (OSError, KeyError, ValueError):
        return None, None
    return busy / ticks, steal / ticks


def field(path: str, name: Optional[str] = None) -> Optional[int]:
    """Return the number in a file of one number, or behind a name in a file of such lines."""
    try:
        with open(path) as file:
            words = [line.split() for line in file]
        return int(next(line[-1] for line in words if name is None or line[0] == name))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def scaled(number: Optional[int], factor: float) -> Optional[float]:
    """Return the number in another unit; None stays None."""
    return None if number is None else number * factor


def send(document: Dict[str, Any]) -> None:
    """Write the framed document to stdout."""
    body = json.dumps(document).encode("ascii")
    write_all(1, b"MATRIX-DOCUMENT %d\n" % len(body) + body)


if __name__ == "__main__":
    main()
