"""The commit of a study is read without obeying anything in its folder."""

import os
import shutil
import time
from pathlib import Path

import pytest

from runner.system import git
from tests.support.repositories import ask, set_traps


def study(folder: Path, *options: str) -> tuple[Path, Path]:
    """Commit a matrix and a script; return both."""
    folder.mkdir(exist_ok=True)
    ask(folder, "init", "--quiet", "--initial-branch", "päth/of.branch", *options)
    files = (folder / "matrix.yaml", folder / "parts" / "script.py")
    files[1].parent.mkdir()
    for path in files:
        path.write_text(f"content of {path.name}")
    ask(folder, "add", ".")
    ask(folder, "commit", "--quiet", "-m", "x")
    return files


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_a_commit_is_the_full_hash(tmp_path: Path, form: str) -> None:
    """Tags and other files play no role; ``-dirty`` says that a file of the study differs."""
    assert git.commit(tmp_path, []) is None
    files = study(tmp_path, f"--object-format={form}")
    ask(tmp_path, "tag", "-a", "-m", "x", "v1")
    (tmp_path / "untracked").touch()
    commit = ask(tmp_path, "rev-parse", "HEAD")
    assert git.commit(tmp_path, files) == commit
    assert git.commit(tmp_path / "parts", files) == commit
    assert git.commit(tmp_path, [*files, tmp_path / "missing"]) == commit
    assert git.commit(tmp_path, [*files, tmp_path / "untracked"]) == f"{commit}-dirty"
    files[1].write_text("edited")
    assert git.commit(tmp_path, files) == f"{commit}-dirty"
    files[1].unlink()
    assert git.commit(tmp_path, files) == f"{commit}-dirty"


def test_every_way_to_store_a_commit_is_read(tmp_path: Path) -> None:
    """Packed references and objects, a detached HEAD, a worktree and a submodule."""
    files = study(tmp_path / "one")
    commit = ask(tmp_path / "one", "rev-parse", "HEAD")
    ask(tmp_path / "one", "worktree", "add", "--quiet", str(tmp_path / "tree"))
    assert git.commit(tmp_path / "tree", [tmp_path / "tree" / "matrix.yaml"]) == commit
    ask(tmp_path / "one", "gc", "--quiet")
    ask(tmp_path / "one", "pack-refs", "--all")
    assert git.commit(tmp_path / "one", files) == commit
    ask(tmp_path / "one", "checkout", "--quiet", "--detach")
    assert git.commit(tmp_path / "one", files) == commit
    study(tmp_path / "whole")
    ask(tmp_path / "whole", "submodule", "--quiet", "add", str(tmp_path / "one"), "sub")
    assert git.commit(tmp_path / "whole/sub", [tmp_path / "whole/sub/matrix.yaml"]) == commit


def test_a_link_and_its_target_both_count(tmp_path: Path) -> None:
    """A study may name a link to another file in its folder."""
    link = tmp_path / "link.py"
    link.symlink_to("parts/script.py")
    files = study(tmp_path)
    commit = ask(tmp_path, "rev-parse", "HEAD")
    assert git.commit(tmp_path, [link]) == commit
    files[1].write_text("edited")
    assert git.commit(tmp_path, [link]) == f"{commit}-dirty"
    link.unlink()
    link.symlink_to("matrix.yaml")
    assert git.commit(tmp_path, [link]) == f"{commit}-dirty"


def test_no_configuration_of_the_folder_has_an_effect(tmp_path: Path) -> None:
    """Each of these settings makes an ordinary git command start a program."""
    files = study(tmp_path / "study")
    folder = tmp_path / "study"
    commit = ask(folder, "rev-parse", "HEAD")
    set_traps(folder, tmp_path / "started")
    (folder / ".gitattributes").write_text("* filter=evil diff=evil\n")
    os.utime(files[1], (1, 1))
    assert git.commit(folder, files) == commit
    files[1].write_text("edited")
    assert git.commit(folder, files) == f"{commit}-dirty"
    assert not (tmp_path / "started").exists()


def test_a_bare_repository_in_the_folder_is_not_looked_at(tmp_path: Path) -> None:
    """A clone can contain one, with its own configuration."""
    study(tmp_path / "one")
    ask(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / "one"), str(tmp_path / "bare"))
    (tmp_path / "bare" / "matrix.yaml").touch()
    assert git.commit(tmp_path / "bare", [tmp_path / "bare" / "matrix.yaml"]) is None


@pytest.mark.parametrize(
    "head",
    [
        "",
        "ref: refs/heads/../../../secret",
        "ref: /etc/passwd",
        "ref: refs/heads/.hidden",
        "ref: refs/heads/gone",
        "--help",
        "0" * 39,
        "0" * 40,
        "ref: refs/heads/loop",
    ],
)
def test_a_strange_head_leads_to_no_commit(tmp_path: Path, head: str) -> None:
    """It is not an error."""
    files = study(tmp_path)
    (tmp_path / ".git" / "refs" / "heads" / "loop").write_text("ref: refs/heads/loop\n")
    (tmp_path / ".git" / "HEAD").write_text(f"{head}\n")
    assert git.commit(tmp_path, files) is None


@pytest.mark.parametrize("name", [".git", ".git/HEAD", ".git/commondir", ".git/packed-refs"])
@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_what_is_planted_in_a_repository_is_not_opened(
    tmp_path: Path, name: str, kind: str
) -> None:
    """Nothing waits for the other end of a FIFO."""
    files = study(tmp_path / "study")
    path = tmp_path / "study" / name
    shutil.rmtree(tmp_path / "study/.git/refs/heads")  # so that all of these files are needed
    if path.is_dir():
        path.rename(tmp_path / "moved")
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "moved")
    began = time.monotonic()
    assert git.commit(tmp_path / "study", files) is None
    assert time.monotonic() - began < 5


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit alone would not say whether the study was edited."""
    files = study(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.commit(tmp_path, files) is None
