"""The files of a working tree are listed without obeying the settings of its repository."""

from pathlib import Path

import pytest

from runner.system import git
from tests.support.repositories import ask, commit, set_traps


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_tracked_and_new_files_are_listed(tmp_path: Path, form: str) -> None:
    """Ignored files are not, unless they are tracked."""
    ask(tmp_path, "init", "--quiet", f"--object-format={form}")
    (tmp_path / "new").mkdir()
    assert git.working_files(tmp_path) == ()  # there is no index yet
    commit(tmp_path, {"kept.log": "x", "sub/näme": "x"})
    for name in (".gitignore", "other.log", "new/file", "new/secret", "sub/x"):
        (tmp_path / name).write_text("*.log\n")
    (tmp_path / ".git" / "info" / "exclude").write_text("secret\n")
    assert git.working_files(tmp_path) == (
        ".gitignore", "kept.log", "new/file", "sub/näme", "sub/x",
    )  # fmt: skip
    assert git.working_files(tmp_path / "sub") == ("näme", "x")


def test_each_worktree_has_its_own_index(tmp_path: Path) -> None:
    """A file may be tracked in one and missing in another."""
    top = tmp_path / "top"
    ask(tmp_path, "init", "--quiet", str(top))
    commit(top, {"a": "1"})
    ask(top, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    commit(tmp_path / "tree", {"b": "1"})
    (tmp_path / "tree" / ".gitignore").write_text("b")
    ask(tmp_path / "tree", "rm", "--quiet", "--cached", "a")
    (tmp_path / "tree" / "a").unlink()
    assert git.working_files(tmp_path / "tree") == (".gitignore", "b")
    assert git.working_files(top) == ("a",)


def test_nothing_in_the_repository_has_an_effect(tmp_path: Path) -> None:
    """Neither its settings and hooks, nor those of a repository inside."""
    top = tmp_path / "top"
    ask(tmp_path, "init", "--quiet", str(top))
    commit(top, {"a": "1", ".gitattributes": "* filter=evil\n"})
    ask(tmp_path, "init", "--quiet", str(top / "inner"))
    commit(top / "inner", {"b": "1"})
    for folder in (top, top / "inner"):
        set_traps(folder, tmp_path / "started")
    ask(top, "config", "core.worktree", "/")
    ask(top, "config", "core.excludesFile", str(top / "a"))
    before = (top / ".git" / "index").read_bytes()
    assert git.working_files(top) == (".gitattributes", "a", "git", "inner/")
    assert (top / ".git" / "index").read_bytes() == before
    assert not (tmp_path / "started").exists()


def test_without_a_repository_or_git_nothing_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says why."""
    assert git.top(tmp_path) is None
    with pytest.raises(git.RevisionError, match=r"the git repository of .* cannot be read"):
        git.working_files(tmp_path)
    ask(tmp_path, "init", "--quiet")
    assert git.top(tmp_path) == tmp_path
    (tmp_path / ".git" / "index").write_text("damaged")
    with pytest.raises(git.RevisionError, match="git cannot list the files of"):
        git.working_files(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(git.RevisionError, match="check that it is installed"):
        git.working_files(tmp_path)
