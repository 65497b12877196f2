"""The words that put a trial behind its walls, and the sentence about them."""

import os
from pathlib import Path

import pytest

from runner.engines.venv.sandbox import Isolation, View, find, seen, wrapper
from runner.errors import EngineError
from runner.records.run import isolation as isolation_of
from runner.records.run import sandboxed
from runner.records.study import Limits

LIMITS = Limits(temporary_bytes=1000, output_bytes=2000)
VIEW = View(
    shown=(Path("/usr/environment"), Path("/run/a/b")),
    inputs=Path("/cache/inputs"),
    temporary=Path("/cache/tmp"),
    output=Path("/cache/out"),
)


def isolation(kind: str, *, as_root: bool = False) -> Isolation:
    """Return an isolation of that kind."""
    return Isolation(kind=kind, version=kind, as_root=as_root)


def test_bubblewrap_shows_little() -> None:
    """The root is read-only, what can be written lies in memory and has a size."""
    words = " ".join(wrapper(isolation("bwrap"), VIEW, LIMITS))
    assert words.startswith("bwrap --die-with-parent --new-session ")
    assert "--unshare-net --unshare-uts --unshare-user --ro-bind / / " in words
    assert "--size 1000 --tmpfs /tmp --perms 1777 --size 2000 --tmpfs /run/out " in words
    assert "--tmpfs /run " in words
    assert "--dir /run/a --ro-bind /run/a/b /run/a/b --ro-bind /cache/inputs /run/inputs" in words
    assert "/usr/environment" not in words  # it is in view
    assert words.endswith("--chdir /tmp -- setpriv --no-new-privs --pdeathsig KILL --")
    inside = seen(isolation("bwrap"), VIEW)
    assert (str(inside.inputs), str(inside.output)) == ("/run/inputs", "/run/out")


def test_what_lies_in_a_covered_folder_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders that lead to it are open to the trial's user, who may be another one."""
    monkeypatch.setenv("HOME", "/usr")
    view = View(shown=(Path("/usr/a/b"),), inputs=VIEW.inputs, temporary=Path(), output=Path())
    words = " ".join(wrapper(isolation("bwrap"), view, LIMITS))
    assert "--tmpfs /usr " in words
    assert "--perms 755 --dir /usr/a --ro-bind /usr/a/b /usr/a/b" in words
    assert "--remount-ro /usr" in words


@pytest.mark.parametrize("home", ["/", "/tmp", "/nonexistent", "/tmp/somebody"])  # noqa: S108
def test_a_strange_home_does_no_harm(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """Neither the root nor what a trial has of its own is covered."""
    monkeypatch.setenv("HOME", home)
    words = wrapper(isolation("bwrap"), VIEW, LIMITS)
    remounted = {words[index + 1] for index, word in enumerate(words) if word == "--remount-ro"}
    assert "/dev" in remounted
    assert home not in remounted


def test_only_root_becomes_nobody() -> None:
    """Root makes the namespaces itself and gives all rights away; others need one of their own."""
    ours = " ".join(wrapper(isolation("unshare"), VIEW, LIMITS))
    roots = " ".join(wrapper(isolation("unshare", as_root=True), VIEW, LIMITS))
    assert "--user --map-current-user -- setpriv --no-new-privs" in ours
    assert "--user" not in roots
    assert "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all" in roots
    assert wrapper(isolation("plain"), VIEW, LIMITS)[:2] == ["setpriv", "--no-new-privs"]
    assert seen(isolation("plain"), VIEW) == VIEW


@pytest.mark.parametrize(
    ("version", "cgroup", "words"),
    [
        ("bwrap 0.8.0", 2, "bubblewrap (read-only root, own /tmp, no network, own processes;"),
        ("unshare", 0, "unshare (no network, own processes, but the disk of the host;"),
        ("plain", 0, "none (plain processes on the network and the disk of the host;"),
    ],
)
def test_the_sentence_says_what_was_in_force(version: str, cgroup: int, words: str) -> None:
    """It is made from what a run recorded."""
    limited = "is limited" if cgroup else "is not limited"
    end = "venv does not contain a hostile script."
    assert isolation_of(version, cgroup) == f"{words} memory {limited}). {end}"
    assert sandboxed(version) == (version != "plain")


def test_without_util_linux_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that is missing is named."""
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(EngineError, match="needs `setpriv` of util-linux"):
        find()
