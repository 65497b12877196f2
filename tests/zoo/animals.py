"""A zoo of experiments: each animal is hostile or broken in one way, and a few are honest.

``cell.animal`` in the parameters is the name of a function below, with hyphens. The script needs
only the standard library of Python 3.6 to 3.13. Never run it outside a container.
"""

# Plain paths and files inside a container, on the oldest Python:
# ruff: noqa: PTH101, PTH102, PTH107, PTH118, PTH120, PTH123, PTH208, PTH211, S108, UP031

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

PARAMS = os.environ["PARAMS_PATH"]
RESULT = os.environ["RESULT_PATH"]
MIB = 2**20
FOREVER = 3600
OWN = "document.title='owned';document.body.setAttribute('data-owned','yes')"

MARKUP = (
    "<script>%s</script>" % OWN,
    '<img src=x onerror="%s">' % OWN,
    '<svg onload="%s">' % OWN,
    "</script></style></title></pre></td></table></details><script>%s</script>" % OWN,
    '<iframe src="javascript:%s"></iframe>' % OWN,
    "<!-- <![CDATA[ &lt;script&gt;",
)
MARKDOWN = (
    "[a link](javascript:%s)" % OWN,
    '![an image](javascript:%s "x")' % OWN,
    "<javascript:%s>" % OWN,
    "[named]: javascript:%s" % OWN,
    "| a | table |\n|---|---|\n| of | its own |",
    "```\n# a heading\n```",
    "~~~\n`code` ``` **bold** $x$ @somebody https://example.invalid",
    "\n\n> a quotation\n\n- a list\n\n---\n\n<script>%s</script>\n" % OWN,
)
TERMINAL = (
    "\x1b]0;a title\x07\x1b]2;a title\x1b\\",
    "\x1b[2J\x1b[H\x1b[31mred\x1bc",
    "\x1b]8;;https://example.invalid\x1b\\a link\x1b]8;;\x1b\\",
    "\x1b]52;c;b3duZWQ=\x07the clipboard",
    "\x9b2J\x9d0;a title\x9c\x90q\x9c",
    "\x1bP+q544e\x1b\\\x1b[6n\x05 questions that a terminal answers",
    "back\rward\x08\x08\x7f\x00\x0b\x0c\x85\u2028\u2029",
    "\u202edesrever\u2066\u200b\ufeff",
    "lone surrogate: \ud800",
)


# --- honest animals and shared functions ----------------------------------------------------------


def write(content: str) -> None:
    """Write the result unchanged."""
    with open(RESULT, "w") as file:
        file.write(content)


def write_number(literal: str = "1.5") -> None:
    """Write a result with one number."""
    write('{"format": 1, "values": {"x": %s}}' % literal)


def say(text: str) -> None:
    """Print any text."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass") + b"\n")
    sys.stdout.buffer.flush()


def honest() -> None:
    """Report the seed, and print the command line."""
    with open("/proc/self/cmdline") as file:
        say(file.read())
    with open(PARAMS) as file:
        write_number(repr(json.load(file)["seed"]))


honest_first = honest_middle = honest_last = honest


# --- text that tries to be markup or commands -----------------------------------------------------


def speak(*words: str) -> None:
    """Use these texts wherever the contract allows text, in a valid result."""
    for word in words:
        say(word)
    names = {word: word for word in words}
    content = {
        "format": 1,
        "values": dict({"x": 1.5}, **{"value " + word: 1 for word in words}),
        "series": {"series " + word: [1, 2] for word in words[-3:]},
        "environment": names,
        "adapted": " ".join(words),
    }
    write(json.dumps(content))


def fail_with(*words: str) -> NoReturn:
    """Print these texts and fail with all of them as the error."""
    for word in words:
        say(word)
    sys.stdout.flush()
    sys.stderr.buffer.write(("RuntimeError: " + " ".join(words)).encode("utf-8", "surrogatepass"))
    raise SystemExit(3)


def speaks_markup() -> None:
    """Try to make the page run a script."""
    speak(*MARKUP)


def speaks_markdown() -> None:
    """Try to add links, tables and headings to the report."""
    speak(*MARKDOWN)


def speaks_terminal() -> None:
    """Try to change the terminal's title, screen and clipboard."""
    speak(*TERMINAL)


def fails_with_markup() -> None:
    """Try to run a script with the reason of a failure."""
    fail_with(*MARKUP)


def fails_with_markdown() -> None:
    """Try to add Markdown with the reason of a failure."""
    fail_with(*(" ".join(word.split()) for word in MARKDOWN))


def fails_with_escapes() -> None:
    """Try to control the terminal with the reason of a failure."""
    fail_with(*TERMINAL)


def adds_a_hostile_key() -> None:
    """Try to inject an unknown key into its error message."""
    write(json.dumps({"format": 1, "values": {"x": 1}, MARKUP[1] + TERMINAL[0]: 1}))


def hides_a_hostile_value() -> None:
    """Try to inject the name of a value into its error message."""
    write(json.dumps({"format": 1, "values": {"x": 1, MARKUP[0] + "\x1b[2J|`": "text"}}))


def write_series(series: object) -> None:
    """Write a result with a number and these series."""
    write(json.dumps({"format": 1, "values": {"x": 1.5}, "series": series}))


def draws_a_thousand_curves() -> None:
    """Try to make the report draw a thousand figures."""
    write_series({"series %d" % number: [1, 2] for number in range(1000)})


def draws_an_endless_curve() -> None:
    """Try to make the report draw as many points as a result can contain."""
    write_series({"long": [0] * 80000})


def ends_the_quotation() -> None:
    """Try to end the quotation of a name in a figure."""
    write_series({'\\"]: alert(1), "': [1, 2], "\\u ends with \\": [1, 2]})


def names_what_javascript_knows() -> None:
    """Use names that every JavaScript object already has."""
    write_series({name: [1, 2] for name in ("constructor", "toString", "__proto__")})


# --- animals that use up a resource ---------------------------------------------------------------


def fork_bomb() -> None:
    """Create processes without end."""
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def thread_bomb() -> None:
    """Create threads without end."""
    while True:
        threading.Thread(target=time.sleep, args=(FOREVER,), daemon=True).start()


def memory_bomb() -> None:
    """Allocate memory without end."""
    keep = []
    while True:
        keep.append(b"\1" * MIB)


def memory_bomb_in_a_child() -> None:
    """Let a child allocate memory without end, and write a valid result."""
    if os.fork() == 0:
        memory_bomb()
    os.wait()
    write_number()


def memory_bomb_that_points_at_the_launcher() -> None:
    """Allocate memory, after telling the kernel to kill the launcher first."""
    for process, score in ((os.getppid(), "1000"), (os.getpid(), "-1000")):
        with contextlib.suppress(OSError), open("/proc/%d/oom_score_adj" % process, "w") as file:
            file.write(score)
    memory_bomb()


def recursion_bomb() -> None:
    """Recurse without end."""
    recursion_bomb()


def log_bomb() -> None:
    """Print lines without end."""
    write_number()
    lines = b"x" * 99 + b"\n"
    while True:
        os.write(1, lines * 1000)


def endless_line() -> None:
    """Print 1 GB in one line, and write a valid result."""
    for _ in range(1024):
        os.write(1, b"x" * MIB)
    write_number()


def floods_past_the_launcher() -> None:
    """Bypass the launcher's log limit by writing to both of its streams."""
    write_number()
    for number in (1, 2):
        with open("/proc/%d/fd/%d" % (os.getppid(), number), "wb", 0) as stream:
            stream.writelines([b"x" * MIB] * 256)


def fill(folder: str) -> None:
    """Write into a folder until it is full."""
    with contextlib.suppress(OSError), open(os.path.join(folder, "full"), "wb", 0) as file:
        while True:
            file.write(b"x" * MIB)


def fills_the_disk() -> None:
    """Fill every writable folder, and then write the result."""
    for folder in ("/dev/shm", "/tmp", os.path.dirname(RESULT)):
        fill(folder)
    write_number()


def many_files() -> None:
    """Write millions of small files beside the result."""
    for number in range(10**7):
        with open("%s-%d" % (RESULT, number), "w") as file:
            file.write("x")


def many_empty_files() -> None:
    """Write millions of empty files."""
    for number in range(10**7):
        os.close(os.open("/dev/shm/%d" % number, os.O_CREAT | os.O_WRONLY))


# --- animals that do not end ----------------------------------------------------------------------


def infinite_loop() -> None:
    """Compute forever."""
    while True:
        pass


def deaf() -> None:
    """Ignore every signal that can be ignored, and hang."""
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(FOREVER)


def stops_its_parent() -> None:
    """Stop the launcher, which watches the time."""
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(FOREVER)


# --- invalid results ------------------------------------------------------------------------------


def result_too_large() -> None:
    """Write a valid result that is too large."""
    write_number("1.5" + " " * MIB)


def result_of_a_terabyte() -> None:
    """Write a sparse result of 1 TB."""
    with open(RESULT, "wb") as file:
        file.truncate(10**12)


def result_is_a_link() -> None:
    """Try to make the launcher read another file."""
    os.symlink("/etc/passwd", RESULT)


def result_is_a_hard_link() -> None:
    """Try the same with a hard link."""
    os.link("/etc/passwd", RESULT)


def result_is_a_pipe() -> None:
    """Try to make the launcher wait for a writer."""
    os.mkfifo(RESULT)


def result_is_a_device() -> None:
    """Try to make the launcher read zeros without end."""
    os.mknod(RESULT, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def result_is_a_socket() -> None:
    """Try to make the launcher open a socket."""
    socket.socket(socket.AF_UNIX).bind(RESULT)


def result_is_a_folder() -> None:
    """Try to make the launcher read a folder."""
    os.mkdir(RESULT)


def result_is_locked() -> None:
    """Write a result that nobody may read."""
    write_number()
    os.chmod(RESULT, 0)


def result_is_half() -> None:
    """Write half a result."""
    write('{"format": 1, "values": {"x": 1.')


def result_is_empty() -> None:
    """Write an empty result."""
    write("")


def result_lacks_its_metric() -> None:
    """Write no promised metric."""
    write('{"format": 1, "values": {"y": 1}}')


def result_is_not_a_number() -> None:
    """Write NaN, as Python's json module does."""
    write(json.dumps({"format": 1, "values": {"x": float("nan")}}))


def result_is_infinite() -> None:
    """Write a number that is too large for a float."""
    write_number("1e999")


def result_is_a_huge_integer() -> None:
    """Write 200,000 digits, which take quadratic time to read as an integer."""
    write_number("9" * 200000)


def result_is_deep() -> None:
    """Nest 100,000 lists."""
    write_number("[" * 100000 + "]" * 100000)


def result_is_not_text() -> None:
    """Write bytes that are not UTF-8."""
    with open(RESULT, "wb") as file:
        file.write(b'{"format": 1, "values": {"x": 1}, "adapted": "\xff\xfe"}')


def result_says_it_twice() -> None:
    """Write the same name twice."""
    write('{"format": 1, "values": {"x": 1, "x": 2}}')


# --- animals that try to get out ------------------------------------------------------------------


def tries_the_network() -> None:
    """Resolve a name, then connect to an address."""
    try:
        say(str(socket.getaddrinfo("example.org", 80)))
    except OSError as error:
        say("no names: %s" % error)
    socket.create_connection(("192.0.2.1", 80), 5)


def tries_the_doors() -> None:
    """Try to read the host, write to the system and gain rights; fail if anything works."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: Any) -> None:
        if getattr(libc, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), name)

    doors: dict[str, Callable[[], object]] = {
        "the passwords": lambda: open("/etc/shadow").close(),
        "the engine": lambda: socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock"),
        "the engine's files": lambda: os.listdir(os.path.join("/proc/1/root", "var/lib/docker")),
        "the kernel's log": lambda: open("/dev/kmsg").close(),
        "the memory of the machine": lambda: open("/dev/mem").close(),
        "a disk": lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)),
        "the magic key": lambda: open("/proc/sysrq-trigger", "w").close(),
        "a setting of the kernel": lambda: open("/proc/sys/kernel/core_pattern", "w").close(),
        "the control groups": lambda: os.mkdir("/sys/fs/cgroup/memory/mine"),
        "the root": lambda: open("/mine", "w").close(),
        "the system": lambda: open("/etc/mine", "w").close(),
        "the interpreter": lambda: open(os.__file__, "a").close(),
        "the inputs": lambda: open(__file__, "a").close(),
        "another user": lambda: os.setuid(0),
        "another root": lambda: os.chroot("/tmp"),
        "another core": lambda: os.sched_setaffinity(0, set(range(999)) - os.sched_getaffinity(0)),
        "priority": lambda: os.nice(-5),
        "a dump of memory": lambda: resource.setrlimit(resource.RLIMIT_CORE, (9, 9)),
        "a file system": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "a namespace": lambda: call("unshare", 0x10000000),
        "the host's name": lambda: call("sethostname", b"mine", 4),
        "the clock": lambda: call("settimeofday", (ctypes.c_long * 2)(1, 1), None),
        "a program of the file system": lambda: run_from("/tmp"),
    }
    opened = []
    for name, knock in doors.items():
        try:
            knock()
        except (OSError, ValueError) as error:  # setrlimit raises ValueError
            say("%s: %s" % (name, error))
        else:
            opened.append(name)
    if opened:
        raise SystemExit("opened: " + ", ".join(opened))
    write_number()


def run_from(folder: str) -> None:
    """Write a program into a folder and run it."""
    path = os.path.join(folder, "program")
    with open(path, "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(path, 0o700)
    if os.fork() == 0:
        with contextlib.suppress(OSError):
            os.execv(path, [path])  # noqa: S606 (no shell on purpose)
        os._exit(1)
    if os.wait()[1]:
        raise OSError("%s runs no programs" % folder)


def prints_all_environments() -> None:
    """Print the environment of every visible process, and files that may contain secrets."""
    say(repr(dict(os.environ)))
    for name in os.listdir("/proc"):
        for kind in ("environ", "cmdline", "mountinfo", "cgroup"):
            with contextlib.suppress(OSError), open("/proc/%s/%s" % (name, kind), "rb") as file:
                os.write(1, file.read(8192) + b"\n")
    write_number()


def deletes_its_inputs() -> None:
    """Delete the inputs and the parameters; fail if an input is gone."""
    inputs = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    gone = []
    for where, _, names in os.walk(inputs):
        for name in names:
            with contextlib.suppress(OSError):
                os.remove(os.path.join(where, name))
                gone.append(name)
    os.remove(PARAMS)
    if gone:
        raise SystemExit("deleted: " + ", ".join(gone))
    write_number()


# --- animals that attack the launcher -------------------------------------------------------------


def kills_its_parent() -> None:
    """Kill the launcher."""
    write_number()
    os.kill(os.getppid(), signal.SIGKILL)


def kills_everybody() -> None:
    """Kill every visible process."""
    write_number()
    os.kill(-1, signal.SIGKILL)


def terminates_the_container() -> None:
    """Terminate the first process of the container."""
    write_number()
    os.kill(1, signal.SIGTERM)
    time.sleep(FOREVER)


def traces_its_parent() -> None:
    """Attach to the launcher like a debugger."""
    write_number()
    ptrace_attach = 16
    if ctypes.CDLL(None, use_errno=True).ptrace(ptrace_attach, os.getppid(), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def leaves_many_orphans() -> None:
    """Leave more zombies than the process limit allows."""
    for _ in range(500):
        if os.fork() == 0:
            os.fork()
            os._exit(0)
        os.wait()
    write_number()


def forges_its_document() -> None:
    """Send a forged document about a valid result, and fail."""
    zero = (
        "wall_s waited_s cpu_s user_s system_s major_faults largest_process_bytes "
        "memory_peak_bytes log_left_out_bytes oom_kills cgroup"
    )
    absent = "foreign_share_before throttled_s core_busy_s core_steal_s swapped_in_pages"
    reading = {"cpus": [0], **dict.fromkeys(zero.split(), 0), **dict.fromkeys(absent.split())}
    document = {
        "format": 1,
        "exit_code": 0,
        "timed_out": False,
        "result": '{"format": 1, "values": {"x": 666}}',
        "result_problem": None,
        "reading": reading,
    }
    body = json.dumps(document).encode()
    with open("/proc/%d/fd/1" % os.getppid(), "wb", 0) as stream:
        stream.write(b"MATRIX-DOCUMENT %d\n" % len(body) + body)
    raise SystemExit(1)


def prints_a_document() -> None:
    """Print a forged document into the log."""
    say('MATRIX-DOCUMENT 2\n{}\nMATRIX-DOCUMENT 99\n{"format": 1, "exit_code": 0}')
    write_number()


# --- animals that end abnormally ------------------------------------------------------------------


def segfaults() -> None:
    """Read an invalid address."""
    ctypes.string_at(0)


def aborts() -> None:
    """Abort like a failed assertion in C."""
    os.abort()


def leaves_without_a_word() -> None:
    """Exit with 0 and write nothing."""
    raise SystemExit(0)


def fails_with_a_result() -> None:
    """Write a valid result and fail."""
    write_number()
    raise SystemExit(1)


def leaves_daemons() -> None:
    """Leave grandchildren that keep the streams open, and write a valid result."""
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(FOREVER)
            os._exit(0)
        os.wait()
    write_number()


def closes_its_streams() -> None:
    """Close all open files, and write a valid result."""
    os.closerange(0, 1024)
    write_number()


def main() -> None:
    """Run the animal that the parameters name."""
    with open(PARAMS) as file:
        name = json.load(file)["cell"]["animal"]
    globals()[name.replace("-", "_")]()


if __name__ == "__main__":
    main()
