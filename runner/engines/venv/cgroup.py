"""A control group of a trial's own, where the kernel lets us make one: its limits and counters.

Version 1 has a tree for each controller, version 2 one tree for all. A group is found again by its
name, so that what a killed process left can be removed.
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
_ENTER = """
while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs" || exit 125; shift; done
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Where groups can be made: a folder for each controller, of version 2 one for all."""

    version: int
    parents: Mapping[str, Path]

    def named(self, name: str) -> "ControlGroup":
        """Return the group of that name, made or not."""
        folders = {controller: parent / name for controller, parent in self.parents.items()}
        return ControlGroup(version=self.version, folders=folders)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """One group: its folder in each tree."""

    version: int
    folders: Mapping[str, Path]

    def make(self, limits: Limits) -> None:
        """Make the group with its limits; OSError where that is not permitted."""
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

    def entering(self) -> list[str]:
        """Return the words before a program that let it begin in the group."""
        folders = dict.fromkeys(map(str, self.folders.values()))
        return ["sh", "-c", _ENTER, "sh", *folders, "--"]

    def show(self, folder: Path) -> None:
        """Link the group's counters to where the launcher looks, laid out as in a container."""
        if self.version == 1:
            folder.mkdir()
            for controller, path in self.folders.items():
                (folder / controller).symlink_to(path)
        else:
            folder.symlink_to(self.folders["memory"])

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the group for its memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        with contextlib.suppress(OSError, KeyError, ValueError):
            lines = (self.folders["memory"] / name).read_text().splitlines()
            return int(dict(line.split() for line in lines)["oom_kill"]) > 0
        return False

    def remove(self) -> None:
        """Kill what is in the group and remove it; the kernel may take a moment for that."""
        for wait_s in REMOVAL_WAITS_S:
            time.sleep(wait_s)
            left = [folder for folder in self.folders.values() if folder.is_dir()]
            if not left:
                return
            for folder in left:
                _kill_all(folder)
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def _write(self, controller: str, name: str, value: str, *, optional: bool = False) -> None:
        folder = self.folders.get(controller)
        if folder is not None and not (optional and not (folder / name).exists()):
            (folder / name).write_text(value)


def trees(root: Path = Path("/")) -> Trees | None:
    """Return where groups can be made here, which is tried; ``None`` where it is not permitted."""
    for found in _candidates(root):
        group = found.named(f"matrix-runner-try-{os.getpid()}")
        try:
            group.make(Limits())
            done = subprocess.run(
                [*group.entering(), "true"],
                capture_output=True,
                timeout=TRY_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        finally:
            group.remove()
        if done.returncode == 0:
            return found
    return None


def _candidates(root: Path) -> Iterator[Trees]:
    """Yield where groups may be made: beside our own, in it, at the top of what we see."""
    own = _own(root)
    mounts = [line.split() for line in _lines(root / "proc/self/mounts")]
    controlled = {
        controller: Path(where)
        for _, where, kind, options, *_ in mounts
        for controller in options.split(",")
        if kind == "cgroup" and controller in CONTROLLERS
    }
    if "memory" in controlled:
        found = {name: _below(tree, own.get(name, "/")) for name, tree in controlled.items()}
        yield Trees(version=1, parents=found)
        return
    for _, where, kind, *_ in mounts:
        if kind == "cgroup2":
            here = _below(Path(where), own.get("", "/"))
            beside = [here.parent] if here != Path(where) else []
            for parent in (*beside, here):
                yield Trees(version=2, parents={"memory": parent, "pids": parent})
            if beside:
                yield Trees(version=2, parents={"memory": Path(where), "pids": Path(where)})


def _own(root: Path) -> dict[str, str]:
    """Return the group this process is in, by controller; that of version 2 by no name."""
    parts = (line.split(":", 2) for line in _lines(root / "proc/self/cgroup"))
    return {name: path for _, names, path in parts for name in names.split(",")}


def _below(tree: Path, path: str) -> Path:
    """Return a group's folder; in a container the tree may begin at our own group."""
    folder = tree / path.lstrip("/")
    return folder if folder.is_dir() else tree


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _kill_all(folder: Path) -> None:
    for number in _lines(folder / "cgroup.procs"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(number), signal.SIGKILL)
