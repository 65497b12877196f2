"""The machine that the runner runs on, and keeping the runner off the measured cores."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from runner.records.run import EngineFacts, Host

# These instruction sets decide which numeric kernels a framework chooses, and so its results.
_NUMERIC_FLAGS = re.compile(r"sse4_[12]|avx\w*|fma4?|f16c|amx\w*")


def this_host(root: Path = Path("/")) -> Host:
    """Describe this machine from the files below ``root``, or from ``platform`` without them."""
    processor = _fields(root / "proc/cpuinfo", ":")
    system = _fields(root / "etc/os-release", "=")
    flags = processor.get("flags", "").split()
    return Host(
        id=_id(root),
        cpu_model=processor.get("model name") or platform.machine(),
        cpu_flags=tuple(sorted(flag for flag in flags if _NUMERIC_FLAGS.fullmatch(flag))),
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        system=system.get("PRETTY_NAME", "").strip("\"'") or platform.system(),
        python=platform.python_version(),
    )


def check_cpu(host: Host) -> str | None:
    """Return a warning unless the processor is known to be an x86-64 with AVX."""
    if "avx" in host.cpu_flags:
        return None
    return (
        "TensorFlow's wheels need an x86-64 processor with AVX, which this processor "
        f'({host.cpu_model}) does not report. Trials may end with "Illegal instruction": use '
        "another machine."
    )


def runs_here(host: Host, engine: EngineFacts) -> bool:
    """Whether the engine runs its containers on this machine, as far as both report."""
    return engine.machine is None and engine.kernel == host.kernel


def git_commit(folder: Path) -> str | None:
    """Return the checked-out commit, with ``-dirty`` if tracked files were changed.

    Return None if git, the repository or a commit is missing.
    """
    git = shutil.which("git")
    if git is None:
        return None
    # Without tags git describes the commit by its full hash.
    naming = ["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    answer = subprocess.run(
        [git, "--no-optional-locks", "-C", str(folder), *naming],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


def avoid_cores(cpus: Collection[int]) -> None:
    """Keep this process and its children off the measured cores if other cores remain."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        others = os.sched_getaffinity(0).difference(cpus)
        for thread in Path("/proc/self/task").iterdir() if others else ():
            with suppress(ProcessLookupError):  # the thread has ended
                os.sched_setaffinity(int(thread.name), others)


def _id(root: Path) -> str:
    """Return a digest of the machine id, which itself must not be published."""
    texts = (_text(root / name).strip() for name in ("etc/machine-id", "var/lib/dbus/machine-id"))
    own = next(filter(None, texts), None) or platform.node()
    return hashlib.sha256(own.encode()).hexdigest()[:16]


def _fields(path: Path, separator: str) -> dict[str, str]:
    """Read the first value of each field from lines of ``name <separator> value``."""
    fields: dict[str, str] = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(separator)
        fields.setdefault(name.strip(), value.strip())
    return fields


def _text(path: Path) -> str:
    """Read a system file; return an empty text if that fails."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
