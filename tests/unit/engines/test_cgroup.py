"""Where control groups can be made, and what is written into them; on trees of files."""

from pathlib import Path

import pytest

from runner.engines.venv.cgroup import ControlGroup, Trees, _candidates, trees
from runner.records.study import Limits

LIMITS = Limits(memory_bytes=1000, pids=7)


def machine(root: Path, mounts: str, own: str) -> Path:
    """Write what the kernel tells about its trees."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mounts").write_text(mounts)
    (root / "proc/self/cgroup").write_text(own)
    return root


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """Groups are made in our own of each tree; in a container the tree begins there."""
    memory, other = tmp_path / "memory", tmp_path / "other"
    (memory / "ours").mkdir(parents=True)
    other.mkdir()
    root = machine(
        tmp_path,
        f"cgroup {memory} cgroup rw,memory 0 0\ncgroup {other} cgroup rw,cpuacct,pids 0 0\n"
        "cgroup2 /unified cgroup2 rw 0 0\n",
        "4:memory:/ours\n2:cpuacct,pids:/out/of/sight\n0::/\n",
    )
    (found,) = _candidates(root)
    assert found.version == 1
    assert found.parents == {"memory": memory / "ours", "cpuacct": other, "pids": other}
    group = found.named("one")
    group.make(LIMITS)
    assert (memory / "ours/one/memory.limit_in_bytes").read_text() == "1000"
    assert not (memory / "ours/one/memory.memsw.limit_in_bytes").exists()  # no such file here
    assert (other / "one/pids.max").read_text() == "7"
    assert group.entering()[-3:] == [str(memory / "ours/one"), str(other / "one"), "--"]
    group.show(tmp_path / "shown")
    assert (tmp_path / "shown/memory/memory.limit_in_bytes").read_text() == "1000"


def test_version_2_has_one_tree(tmp_path: Path) -> None:
    """Beside our own group, in it, or at the top: where controllers can be had is tried."""
    top = tmp_path / "tree"
    (top / "user/ours").mkdir(parents=True)
    root = machine(tmp_path, f"cgroup2 {top} cgroup2 rw 0 0\n", "0::/user/ours\n")
    found = list(_candidates(root))
    assert [one.parents["memory"] for one in found] == [top / "user", top / "user/ours", top]
    group = found[0].named("one")
    group.make(LIMITS)
    assert (top / "user/one/memory.max").read_text() == "1000"
    assert group.entering()[-2:] == [str(top / "user/one"), "--"]
    group.show(tmp_path / "shown")
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
def test_the_kernel_tells_that_memory_ran_out(
    tmp_path: Path, version: int, name: str, text: str, ran_out: bool
) -> None:
    """It counts the processes that it killed."""
    (tmp_path / name).write_text(text)
    group = ControlGroup(version=version, folders={"memory": tmp_path})
    assert group.ran_out_of_memory() is ran_out


def test_where_nothing_is_permitted_there_is_none(tmp_path: Path) -> None:
    """No tree, or one in which no file is the kernel's, is no place."""
    assert trees(tmp_path) is None
    root = machine(tmp_path, "cgroup2 /nonexistent cgroup2 rw 0 0\n", "0::/\n")
    assert trees(root) is None


def test_what_is_gone_is_removed() -> None:
    """To remove a group that was never made is nothing."""
    Trees(version=2, parents={"memory": Path("/nonexistent")}).named("one").remove()
