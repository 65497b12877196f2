"""The commands that sandbox a trial, and the sentence about each sandbox."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runner.engines.venv.sandbox import Folders, Sandbox, find
from runner.errors import EngineError
from runner.records.run import sandboxed
from runner.records.study import Limits
from tests.support.samples import founding_run

LIMITS = Limits(temporary_bytes=1000, output_bytes=2000)
FOLDERS = Folders(
    visible=(Path("/usr/environment"), Path("/run/a/b")),
    inputs=Path("/cache/inputs"),
    temporary=Path("/cache/tmp"),
    output=Path("/cache/out"),
)
SETPRIV = shutil.which("setpriv")
"""Its full path: an environment, which comes first on the PATH of trials, may have its own."""


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run trials as an ordinary user."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def sandbox(kind: str) -> Sandbox:
    """Return a sandbox of that kind."""
    return Sandbox(kind=kind, version=kind)


def command(kind: str, folders: Folders = FOLDERS) -> str:
    """Return the command that runs a program in a sandbox of that kind."""
    return " ".join(sandbox(kind).wrapper(folders, LIMITS))


def test_bubblewrap_protects_the_file_system() -> None:
    """The root is read-only, and folders that can be written are in memory, with a size."""
    words = command("bwrap")
    assert words.startswith("bwrap --die-with-parent --new-session ")
    assert "--unshare-net --unshare-uts --unshare-user --ro-bind / / " in words
    assert "--size 1000 --tmpfs /tmp --perms 1777 --size 2000 --tmpfs /run/out " in words
    assert "--tmpfs /run " in words
    assert "--dir /run/a --ro-bind /run/a/b /run/a/b --ro-bind /cache/inputs /run/inputs" in words
    assert "/usr/environment" not in words  # it is not hidden
    assert words.endswith(f"--chdir /tmp -- {SETPRIV} --no-new-privs --pdeathsig KILL --")
    inside = sandbox("bwrap").inside(FOLDERS)
    assert (str(inside.inputs), str(inside.output)) == ("/run/inputs", "/run/out")


def test_an_environment_in_a_hidden_folder_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of trials, who may be another one, can enter the folders above it."""
    monkeypatch.setenv("HOME", "/usr")
    words = command("bwrap", replace(FOLDERS, visible=(Path("/usr/a/b"),)))
    assert "--tmpfs /usr " in words
    assert "--perms 755 --dir /usr/a --ro-bind /usr/a/b /usr/a/b" in words
    assert "--remount-ro /usr" in words


@pytest.mark.parametrize("home", ["/", "/tmp", "/nonexistent", "/tmp/somebody"])  # noqa: S108
def test_a_strange_home_does_no_harm(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """Neither the root nor the private /tmp is hidden, and other private folders still are."""
    monkeypatch.setenv("HOME", home)
    words = command("bwrap").split()
    remounted = {words[index + 1] for index, word in enumerate(words) if word == "--remount-ro"}
    assert {"/dev", "/run"} <= remounted
    assert home not in remounted


def test_trials_of_root_run_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root needs no user namespace for the others, and gives all privileges up."""
    assert command("plain").startswith(f"{SETPRIV} --no-new-privs")
    assert sandbox("plain").inside(FOLDERS) == FOLDERS
    ours = command("unshare")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    roots = command("unshare")
    assert f"--user --map-current-user -- {SETPRIV} --no-new-privs" in ours
    assert "--user" not in roots
    assert f"{SETPRIV} --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all" in roots


@pytest.mark.parametrize(
    ("version", "cgroup", "words"),
    [
        ("bwrap 0.8.0", 2, "bubblewrap (read-only root, own /tmp, no network, own processes;"),
        ("unshare", 0, "unshare (no network, own processes, but the disk of the host;"),
        ("plain", 0, "none (plain processes on the network and the disk of the host;"),
    ],
)
def test_a_sentence_describes_the_sandbox(version: str, cgroup: int, words: str) -> None:
    """It depends on the facts that a run recorded."""
    limited = "is limited" if cgroup else "is not limited"
    end = "venv does not contain a hostile script."
    assert (
        replace(founding_run().engine, version=version, cgroup=cgroup).isolation
        == f"{words} memory {limited}). {end}"
    )
    assert sandboxed(version) == (version != "plain")


def test_without_util_linux_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the missing program."""
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(EngineError, match="needs `setpriv` of util-linux"):
        find()
