"""The machine that the runner runs on."""

import hashlib
import os
import platform
import re
from pathlib import Path

from runner.inside.launcher import processor, text_in
from runner.records.run import EngineFacts, Host


def this_host(root: Path = Path("/")) -> Host:
    """Describe this machine from the files below ``root``, or from ``platform`` without them."""
    cpu = processor(str(root / "proc/cpuinfo"))
    release = text_in(str(root / "etc/os-release"))
    system = re.search(r"^PRETTY_NAME=[\"']?(.+?)[\"']?$", release, re.MULTILINE)
    return Host(
        id=_id(root),
        cpu_model=cpu["processor"] or platform.machine(),
        cpu_flags=tuple(cpu["cpu_flags"]),
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        system=system.group(1) if system else platform.system(),
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


def cores_prefix(host: Host, engine: EngineFacts) -> str:
    """Return what distinguishes the cores of an engine elsewhere; nothing for this machine."""
    return "" if runs_here(host, engine) else f"{engine.machine or engine.kernel}/"


def _id(root: Path) -> str:
    """Return a digest of the machine id, which itself must not be published."""
    files = (str(root / name) for name in ("etc/machine-id", "var/lib/dbus/machine-id"))
    own = next(filter(None, (text_in(file).strip() for file in files)), platform.node())
    return hashlib.sha256(own.encode()).hexdigest()[:16]
