"""Control groups, where the kernel lets us make them: the limits and counters of a trial.

Version 1 has one tree for each controller, version 2 has a single tree. Groups are found again by
their names, so the next start can remove those that a killed process left.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.inside.launcher import number_in, text_in
from runner.records.study import Limits
from runner.system import child

CONTROLLERS = ("memory", "pids", "cpuacct")
SWAP = {"memory.memsw.limit_in_bytes", "memory.swap.max"}
"""The files that a kernel without limits on swap does not have."""
KILLS = ("memory.oom_control", "memory.events")
REMOVAL_WAITS_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TRY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """A control group, which need not exist: its folder for each controller.

    Where no group can be made, the version is 0 and there is no folder.
    """

    version: int = 0
    folders: Mapping[str, Path] = field(default_factory=dict)

    def child(self, name: str) -> "ControlGroup":
        """Return the group of this name in this one."""
        folders = {controller: folder / name for controller, folder in self.folders.items()}
        return ControlGroup(version=self.version, folders=folders)

    def make(self, limits: Limits) -> None:
        """Make the group with its limits; OSError if that is not permitted."""
        most = str(limits.memory_bytes)
        memory = {"memory.max": most, "memory.swap.max": "0"}
        if self.version == 1:
            memory = {"memory.limit_in_bytes": most, "memory.memsw.limit_in_bytes": most}
        files = {"memory": memory, "pids": {"pids.max": str(limits.pids)}}
        for controller, folder in self.folders.items():
            folder.mkdir(exist_ok=True)
            for name, value in files.get(controller, {}).items():
                if name not in SWAP or (folder / name).exists():
                    (folder / name).write_text(value, encoding="ascii")

    def link(self, target: Path) -> None:
        """Link the group's counters to ``target``, arranged as in a container."""
        if self.version == 2:  # noqa: PLR2004
            target.symlink_to(self.folders["memory"])
            return
        target.mkdir()  # without groups it stays empty, so that nobody reads the machine's counters
        for controller, folder in self.folders.items():
            (target / controller).symlink_to(folder)

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the group because its memory ran out."""
        files = [folder / name for folder in self.folders.values() for name in KILLS]
        return any(number_in(str(file), "oom_kill") for file in files)

    def remove(self) -> None:
        """Kill the group's processes and remove it, which may take the kernel a moment."""
        for wait_s in REMOVAL_WAITS_S:
            time.sleep(wait_s)
            folders = [folder for folder in self.folders.values() if folder.is_dir()]
            if not folders:
                return
            for folder in folders:
                for pid in text_in(str(folder / "cgroup.procs")).split():
                    with contextlib.suppress(OSError, ValueError):
                        os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    folder.rmdir()


def parent(root: Path = Path("/")) -> ControlGroup:
    """Return a group in which groups can be made; the only way to find one is to try."""
    return next((group for group in candidates(root) if _works(group)), ControlGroup())


def candidates(root: Path) -> Iterator[ControlGroup]:
    """Yield groups in which groups may be made: our own one and those around it."""
    ours = text_in(str(root / "proc/self/cgroup")).splitlines()
    parts = (line.split(":", 2) for line in ours)  # a number, controllers (none in version 2), path
    own = {controller: path for _, names, path in parts for controller in names.split(",")}
    mounts = [line.split() for line in text_in(str(root / "proc/self/mounts")).splitlines()]
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
        command = ["sh", "-c", enter, "sh", *map(str, group.folders.values())]
        return child.output(command, timeout_s=TRY_TIMEOUT_S) is not None
    except OSError:
        return False
    finally:
        group.remove()
