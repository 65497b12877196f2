"""Control groups, where the kernel lets us make them: the limits and counters of a trial.

Version 1 has one tree for each controller, version 2 has a single tree. Groups are found again by
their names, so the next start can remove those that a killed process left.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.records.study import Limits

CONTROLLERS = ("memory", "pids", "cpuacct")
REMOVAL_WAITS_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TRY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """A control group, which need not exist: its folder for each controller."""

    version: int
    folders: Mapping[str, Path]

    def child(self, name: str) -> "ControlGroup":
        """Return the group of this name in this one."""
        folders = {controller: folder / name for controller, folder in self.folders.items()}
        return ControlGroup(version=self.version, folders=folders)

    def make(self, limits: Limits) -> None:
        """Make the group with its limits; OSError if that is not permitted."""
        for folder in self.folders.values():
            folder.mkdir(exist_ok=True)
        memory = str(limits.memory_bytes)
        if self.version == 1:
            self._write("memory", "memory.limit_in_bytes", memory)
            self._write("memory", "memory.memsw.limit_in_bytes", memory, optional=True)
        else:
            self._write("memory", "memory.max", memory)
            self._write("memory", "memory.swap.max", "0", optional=True)
        self._write("pids", "pids.max", str(limits.pids))

    def _write(self, controller: str, name: str, value: str, *, optional: bool = False) -> None:
        folder = self.folders.get(controller)
        if folder is not None and not (optional and not (folder / name).exists()):
            (folder / name).write_text(value)

    def link(self, target: Path) -> None:
        """Link the group's counters to ``target``, arranged as in a container."""
        if self.version == 1:
            target.mkdir()
            for controller, folder in self.folders.items():
                (target / controller).symlink_to(folder)
        else:
            target.symlink_to(self.folders["memory"])

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the group because its memory ran out."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        counts = dict(line.split() for line in _lines(self.folders["memory"] / name))
        return int(counts.get("oom_kill", 0)) > 0

    def remove(self) -> None:
        """Kill the group's processes and remove it, which may take the kernel a moment."""
        for wait_s in REMOVAL_WAITS_S:
            time.sleep(wait_s)
            folders = [folder for folder in self.folders.values() if folder.is_dir()]
            if not folders:
                return
            for folder in folders:
                for pid in _lines(folder / "cgroup.procs"):
                    with contextlib.suppress(OSError, ValueError):
                        os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    folder.rmdir()


def parent(root: Path = Path("/")) -> ControlGroup | None:
    """Return a group in which groups can be made, or None; the only way to know is to try."""
    return next((group for group in candidates(root) if _works(group)), None)


def candidates(root: Path) -> Iterator[ControlGroup]:
    """Yield groups in which groups may be made: our own one and those around it."""
    own = _own(root)
    mounts = [line.split() for line in _lines(root / "proc/self/mounts")]
    trees = {
        controller: Path(folder)
        for _, folder, kind, options, *_ in mounts
        for controller in options.split(",")
        if kind == "cgroup" and controller in CONTROLLERS
    }
    if "memory" in trees:
        folders = {name: _below(tree, own.get(name, "/")) for name, tree in trees.items()}
        yield ControlGroup(version=1, folders=folders)
        return
    for tree in (Path(folder) for _, folder, kind, *_ in mounts if kind == "cgroup2"):
        here = _below(tree, own.get("", "/"))
        for folder in (tree,) if here == tree else (here.parent, here, tree):
            yield ControlGroup(version=2, folders={"memory": folder, "pids": folder})


def _own(root: Path) -> dict[str, str]:
    """Return the group of this process for each controller; that of version 2 has no name."""
    parts = (line.split(":", 2) for line in _lines(root / "proc/self/cgroup"))
    return {name: path for _, names, path in parts for name in names.split(",")}


def _below(tree: Path, path: str) -> Path:
    """Return a group's folder; in a container the tree may start at our own group."""
    folder = tree / path.lstrip("/")
    return folder if folder.is_dir() else tree


def _works(parent: ControlGroup) -> bool:
    """Try to make a group in another one, and to start a process in it."""
    group = parent.child(f"matrix-runner-try-{os.getpid()}")
    enter = 'for folder; do echo 0 > "$folder/cgroup.procs" || exit 1; done'
    try:
        group.make(Limits())
        folders = map(str, group.folders.values())
        command = ["sh", "-c", enter, "sh", *folders]
        done = subprocess.run(command, capture_output=True, timeout=TRY_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        group.remove()
    return done.returncode == 0


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
