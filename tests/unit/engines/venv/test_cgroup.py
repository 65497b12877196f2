"""Where control groups can be made, and their limits, in trees of ordinary files."""

from pathlib import Path

import pytest

from runner.engines.venv.cgroup import ControlGroup, candidates, parent
from runner.records.study import Limits

LIMITS = Limits(memory_bytes=1000, pids=7)


def machine(root: Path, mounts: str, own: str) -> Path:
    """Write what the kernel reports about its trees."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mounts").write_text(mounts)
    (root / "proc/self/cgroup").write_text(own)
    return root


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """Groups are made in our own group; in a container the tree starts there."""
    memory, other = tmp_path / "memory", tmp_path / "other"
    (memory / "ours").mkdir(parents=True)
    other.mkdir()
    root = machine(
        tmp_path,
        f"cgroup {memory} cgroup rw,memory 0 0\ncgroup {other} cgroup rw,cpuacct,pids 0 0\n"
        "cgroup2 /unified cgroup2 rw 0 0\n",
        "4:memory:/ours\n2:cpuacct,pids:/out/of/sight\n0::/\n",
    )
    (found,) = candidates(root)
    assert found.version == 1
    assert found.folders == {"memory": memory / "ours", "cpuacct": other, "pids": other}
    group = found.child("one")
    group.make(LIMITS)
    assert (memory / "ours/one/memory.limit_in_bytes").read_text() == "1000"
    assert not (memory / "ours/one/memory.memsw.limit_in_bytes").exists()  # no such file here
    assert (other / "one/pids.max").read_text() == "7"
    assert set(group.folders.values()) == {memory / "ours/one", other / "one"}
    group.link(tmp_path / "shown")
    assert (tmp_path / "shown/memory/memory.limit_in_bytes").read_text() == "1000"


def test_version_2_has_one_tree(tmp_path: Path) -> None:
    """Groups may be made next to our own group, in it, or at the top."""
    top = tmp_path / "tree"
    (top / "user/ours").mkdir(parents=True)
    root = machine(tmp_path, f"cgroup2 {top} cgroup2 rw 0 0\n", "0::/user/ours\n")
    found = list(candidates(root))
    assert [one.folders["memory"] for one in found] == [top / "user", top / "user/ours", top]
    group = found[0].child("one")
    group.make(LIMITS)
    assert (top / "user/one/memory.max").read_text() == "1000"
    assert set(group.folders.values()) == {top / "user/one"}
    group.link(tmp_path / "shown")
    assert (tmp_path / "shown/pids.max").read_text() == "7"


@pytest.mark.parametrize(
    ("version", "name", "text", "ran_out"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", True),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", False),
        (2, "memory.events", "low 0\noom 1\noom_kill 1\n", True),
        (2, "memory.events", "", False),
    ],
)
def test_the_kernel_reports_that_memory_ran_out(
    tmp_path: Path, version: int, name: str, text: str, ran_out: bool
) -> None:
    """It counts the processes that it killed."""
    (tmp_path / name).write_text(text)
    group = ControlGroup(version=version, folders={"memory": tmp_path})
    assert group.ran_out_of_memory() is ran_out


def test_without_permission_there_is_no_parent_group(tmp_path: Path) -> None:
    """Nor is there one if a tree cannot be written."""
    assert parent(tmp_path) == ControlGroup(version=0, folders={})
    root = machine(tmp_path, "cgroup2 /nonexistent cgroup2 rw 0 0\n", "0::/\n")
    nowhere = parent(root)
    assert nowhere.version == 0
    group = nowhere.child("one")
    group.make(LIMITS)
    group.link(tmp_path / "shown")
    assert list((tmp_path / "shown").iterdir()) == []
    assert not group.ran_out_of_memory()
    group.remove()


def test_removing_a_missing_group_does_nothing() -> None:
    """A killed process may not have made it yet."""
    ControlGroup(version=2, folders={"memory": Path("/nonexistent")}).child("one").remove()
