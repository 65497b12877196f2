"""What a program and its children opened, changed, executed and connected to, as strace saw it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REASON = "tracing needs strace, and permission to trace"
CALLS = (
    "open,openat,openat2,creat,execve,execveat,mkdir,mkdirat,rename,renameat,renameat2,unlink,"
    "unlinkat,rmdir,symlink,symlinkat,link,linkat,chmod,fchmodat,chown,lchown,fchownat,truncate,"
    "mknod,mknodat,connect"
)
_LINE = re.compile(r"^\d+ +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<at>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")


@dataclass(frozen=True)
class Access:
    """One call that succeeded: ``read``, ``written``, ``executed`` or ``connected``, and where."""

    kind: str
    path: str
    is_folder: bool = False
    """Whether a folder was opened, which only lists it."""


def possible() -> bool:
    """Whether this machine lets us trace our own processes."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    tried = subprocess.run([strace, "-qq", "-o", os.devnull, "true"], check=False)
    return tried.returncode == 0


def traced(
    command: Sequence[str], log: Path, folder: Path, environment: Mapping[str, str]
) -> tuple[subprocess.CompletedProcess[str], set[Access]]:
    """Run a command with its children in a folder; return how it ended and what it accessed."""
    strace = ["strace", "-f", "-qq", "-y", "-s", "4096", "-e", f"trace={CALLS}"]
    done = subprocess.run(
        [*strace, "-e", "signal=none", "-o", str(log), "--", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines = log.read_text(errors="replace").splitlines()
    return done, {one for line in _whole(lines) for one in _accesses(line, folder)}


def _whole(lines: Sequence[str]) -> Iterator[str]:
    """Yield each call in one line: strace splits those during which another process ran."""
    begun: dict[str, str] = {}
    for line in lines:
        pid = line.partition(" ")[0]
        if line.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>").rstrip()
        elif resumed := re.match(r"^\d+ +<\.\.\. \w+ resumed>(.*)$", line):
            yield begun.pop(pid, "") + resumed[1]
        else:
            yield line


def _accesses(line: str, folder: Path) -> Iterator[Access]:
    found = _LINE.match(line)
    if found is None or found["result"].startswith("-"):
        return
    call, arguments = found["call"], found["arguments"]
    if call == "connect":
        for path in re.findall(r'sun_path="([^"]*)"', arguments):
            yield Access("connected", path)
        return
    kind = "written"
    if call.startswith("exec"):
        kind = "executed"
    elif call.startswith("open") and not _WRITING.search(arguments):
        kind = "read"
    paths = list(_PATH.finditer(arguments))
    if call.startswith("symlink"):  # the first path is only the text of the link
        paths = paths[1:]
    elif not call.startswith(("rename", "link")):
        paths = paths[:1]
    for place in paths:
        where = os.path.join(place["at"] or folder, place["path"])  # noqa: PTH118 (stays a text)
        yield Access(kind, os.path.normpath(where), "O_DIRECTORY" in arguments)
