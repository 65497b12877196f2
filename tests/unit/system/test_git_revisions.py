"""Files of commits are read without obeying anything in the repository."""

import os
import shutil
import zlib
from pathlib import Path

import pytest

from runner.system import git, git_objects
from tests.support.repositories import ask, commit, set_traps


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return a folder of a repository with two commits; the second has a tag with a message."""
    top = tmp_path / "repository"
    ask(tmp_path, "init", "--quiet", "--initial-branch=main", str(top))
    commit(top, {"pins.txt": "six==1.12.0\n", "study/matrix.yaml": "one"})
    ask(top, "branch", "feature/old")
    commit(top, {"pins.txt": "six==1.13.0\n", "study/matrix.yaml": "two"})
    ask(top, "tag", "-a", "-m", "x", "v1.2")
    return top / "study"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("HEAD", "two"),
        ("main", "two"),
        ("v1.2", "two"),
        ("refs/tags/v1.2", "two"),
        ("refs/heads/main", "two"),
        ("feature/old", "one"),
        ("HEAD~1", "one"),
        ("HEAD^", "one"),
        ("v1.2^0~", "one"),
        ("main~0^1", "one"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_revision_is_named_as_in_git(study: Path, name: str, content: str, packed: bool) -> None:
    """Branches, tags and HEAD, with steps back, stored alone or together."""
    if packed:
        ask(study, "pack-refs", "--all")
        ask(study, "gc", "--quiet")
    found = git.revision(study, name)
    assert found.content("matrix.yaml").decode() == content
    assert found.commit == ask(study, "rev-parse", f"{name}^{{commit}}")


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_a_hash_may_be_abbreviated(tmp_path: Path, form: str) -> None:
    """Seven digits are enough."""
    ask(tmp_path, "init", "--quiet", f"--object-format={form}")
    whole = commit(tmp_path, {"a": "1"})
    for length in (7, 12, len(whole)):
        found = git.revision(tmp_path, whole[:length])
        assert (found.commit, found.reference) == (whole, None)
        assert found.content("a") == b"1"
    with pytest.raises(git.RevisionError, match=f'no branch, tag or commit "{whole[:6]}"'):
        git.revision(tmp_path, whole[:6])


def test_the_reference_of_a_revision_is_known(study: Path) -> None:
    """Where a tag leads can be told from where a branch of the same name leads."""
    assert git.revision(study, "v1.2").reference == "refs/tags/v1.2"
    assert git.revision(study, "main").reference == "refs/heads/main"
    assert git.revision(study, "v1.2~1").reference is None


def test_a_branch_of_a_remote_is_found(study: Path, tmp_path: Path) -> None:
    """Also in a clone, where all references are stored together, and for the HEAD of the remote."""
    ask(tmp_path, "clone", "--quiet", str(study.parent), str(tmp_path / "clone"))
    whole = ask(study, "rev-parse", "main")
    for name in ("origin/main", "origin", "refs/remotes/origin/main"):
        assert git.revision(tmp_path / "clone", name).commit == whole


def test_paths_are_relative_to_the_folder(study: Path) -> None:
    """A study may lie in a folder of the project that it is about."""
    found = git.revision(study, "main")
    assert found.content("../pins.txt") == b"six==1.13.0\n"
    assert found.content("./nothing/../matrix.yaml") == b"two"
    assert set(found.files("..")) == {"pins.txt", "study/matrix.yaml"}
    assert set(found.files(".")) == {"matrix.yaml"}
    for path in ("../../pins.txt", "/etc/passwd", "..//../x", "a\0"):
        with pytest.raises(git.RevisionError, match="leads out of the repository"):
            found.content(path)
    for path in ("missing.txt", "matrix.yaml/x", "../study/nothing/x"):
        with pytest.raises(FileNotFoundError, match="main has no file"):
            found.content(path)


@pytest.mark.parametrize(
    "name",
    [
        *("", "-v", "--help", "a..b", "main:x", "main@{1}", "a b", ".git/x", "a/../b", "a//b"),
        *("/a", "main^{tree}", "main~99999999", "x" * 300, "a\n", "main~-1", "*", "main\0"),
    ],
)
def test_nothing_else_is_a_revision(study: Path, name: str) -> None:
    """The message says what a revision is."""
    with pytest.raises(git.RevisionError, match="is no revision: write a branch, a tag or a com"):
        git.revision(study, name)


def test_a_similar_name_is_suggested(study: Path) -> None:
    """Among branches and tags, wherever they are stored."""
    with pytest.raises(git.RevisionError, match=r'"mian"; did you mean `main`\?'):
        git.revision(study, "mian")
    ask(study, "pack-refs", "--all")
    with pytest.raises(git.RevisionError, match=r'"v1\.3"; did you mean `v1\.2`\?'):
        git.revision(study, "v1.3")


def test_without_a_repository_or_git_there_is_no_revision(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which one is missing."""
    with pytest.raises(git.RevisionError, match=f"{tmp_path} is in no git repository"):
        git.revision(tmp_path, "main")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(git.RevisionError, match="git is needed to read main: install it"):
        git.revision(study, "main")


def test_a_worktree_and_a_submodule_have_their_own_head(study: Path, tmp_path: Path) -> None:
    """Their git folders lie in that of another folder, which knows them."""
    tree = tmp_path / "tree"
    ask(study, "worktree", "add", "--quiet", "--detach", str(tree), "feature/old")
    assert git.revision(tree / "study", "HEAD").content("matrix.yaml") == b"one"
    assert git.revision(tree, "main").content("study/matrix.yaml") == b"two"
    other = tmp_path / "other"
    ask(tmp_path, "init", "--quiet", str(other))
    ask(other, "submodule", "--quiet", "add", str(study.parent), "sub")
    commit(other, {"own": "x"})
    assert git.revision(other / "sub", "HEAD").content("pins.txt") == b"six==1.13.0\n"
    with pytest.raises(git.RevisionError, match='"sub" is a submodule in HEAD: name a file'):
        git.revision(other, "HEAD").content("sub")
    assert set(git.revision(other, "HEAD").files(".")) == {".gitmodules", "own"}
    inner = tmp_path / "inner"
    ask(other, "worktree", "add", "--quiet", "--detach", str(inner))
    ask(inner, "submodule", "--quiet", "update", "--init")
    assert git.revision(inner / "sub", "HEAD").content("pins.txt") == b"six==1.13.0\n"


@pytest.mark.parametrize("way", ["file", "worktree", "commondir", "references"])
def test_a_folder_does_not_show_the_files_of_another_repository(
    study: Path, tmp_path: Path, way: str
) -> None:
    """A stranger's folder may lead to any repository that the user can read."""
    private, strange = study.parent / ".git", tmp_path / "strange"
    ask(tmp_path, "init", "--quiet", "--initial-branch=main", str(strange))
    commit(strange, {"a": "1"})
    own = strange / ".git"
    if way == "commondir":
        (own / "commondir").write_text(str(private))
    elif way == "references":
        shutil.rmtree(own / "refs")
        (own / "refs").symlink_to(private / "refs")
        (own / "objects" / "info" / "alternates").write_text(f"{private}/objects\n")
    else:
        fake = strange / "x" / "worktrees" / "y"
        shutil.move(own, strange / "x")
        fake.mkdir(parents=True)
        (fake / "HEAD").write_text("ref: refs/heads/main")
        (fake / "gitdir").write_text(str(own))
        (fake / "commondir").write_text(str(private))
        own.write_text(f"gitdir: {private if way == 'file' else fake}")
    with pytest.raises(
        git.RevisionError, match=r"belongs to another folder|leads out of the folder"
    ):
        git.revision(strange, "main")


def test_only_regular_files_of_bounded_size_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link has no content, and a small object may hold a large file."""
    ask(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "link").symlink_to("/etc/passwd")
    commit(tmp_path, {"large": "x" * 1000, "tool": "#!/bin/sh\n", "näme": "1"}, executable="tool")
    found = git.revision(tmp_path, "main")
    with pytest.raises(git.RevisionError, match='"link" is a link in main: name a file'):
        found.content("link")
    with pytest.raises(git.RevisionError, match=r'"\." is a folder in main: name a file'):
        found.content(".")
    assert {name: one.kind for name, one in found.files(".").items()} == {
        "large": "file", "link": "link", "näme": "file", "tool": "executable",
    }  # fmt: skip
    monkeypatch.setattr(git_objects, "LARGEST_OBJECT", 999)
    with pytest.raises(git.RevisionError, match=r'"large" of main is not readable: .* more than'):
        found.content("large")
    monkeypatch.setattr(git_objects, "LARGEST_OBJECT", 1000)
    monkeypatch.setattr(git_objects, "LARGEST_FOLDER", 1001)
    with pytest.raises(git.RevisionError, match="of files are more than"):
        found.files(".")
    monkeypatch.setattr(git_objects, "MOST_FILES", 3)
    with pytest.raises(git.RevisionError, match="there are more than 3 files"):
        found.files(".")


@pytest.mark.parametrize("entry", ["..", ".", "a"])
def test_a_prepared_folder_has_no_strange_names(tmp_path: Path, entry: str) -> None:
    """Git itself does not make such folders: with a way out, or with one name twice."""
    ask(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, {"a": "1"})
    blob = bytes.fromhex(ask(tmp_path, "rev-parse", "HEAD:a"))
    tree = b"".join(b"100644 %s\0%s" % (name.encode(), blob) for name in ("a", entry))
    whole = put(tmp_path, "tree", tree)
    lines = f"tree {whole}\nauthor x <x> 1 +0000\ncommitter x <x> 1 +0000\n\nx\n"
    found = git.revision(tmp_path, put(tmp_path, "commit", lines.encode()))
    with pytest.raises(git.RevisionError, match=f'has a strange entry "{entry}"'):
        found.files(".")


def test_content_is_that_of_its_hash(study: Path) -> None:
    """A store of objects cannot show other content under the name of a known commit."""
    blob = ask(study, "rev-parse", "main:pins.txt")
    put(study.parent, "blob", b"evil==1.13.0\n"[:12], name=blob)
    with pytest.raises(git.RevisionError, match=f"the blob {blob} is damaged"):
        git.revision(study, "main").content("../pins.txt")


def put(top: Path, kind: str, content: bytes, name: str | None = None) -> str:
    """Store an object as it is, under its own or another hash; return its hash."""
    name = name or git_objects.hash_of(content, kind, 40)
    path = top / ".git" / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(zlib.compress(f"{kind} {len(content)}\0".encode() + content))
    return name


def test_a_partial_or_shallow_clone_fetches_nothing(study: Path, tmp_path: Path) -> None:
    """What is missing is reported, with what gets it."""
    ask(study, "config", "uploadpack.allowFilter", "true")
    url, top = f"file://{study.parent}", tmp_path / "part"
    ask(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", url, str(top))
    with pytest.raises(git.RevisionError, match=r"is missing, as in a partial .* --refetch"):
        git.revision(top, "origin/main").content("pins.txt")
    shallow = tmp_path / "shallow"
    ask(tmp_path, "clone", "--quiet", "--depth=1", url, str(shallow))
    assert git.revision(shallow, "HEAD").content("pins.txt") == b"six==1.13.0\n"
    with pytest.raises(git.RevisionError, match="has no commit HEAD~1: if it is a shallow clone"):
        git.revision(shallow, "HEAD~1")


def test_objects_may_be_borrowed(study: Path, tmp_path: Path) -> None:
    """A clone with ``--shared`` has none of its own."""
    ask(tmp_path, "clone", "--quiet", "--shared", str(study.parent), str(tmp_path / "shared"))
    assert git.revision(tmp_path / "shared", "HEAD~1").content("pins.txt") == b"six==1.12.0\n"


def test_nothing_in_the_repository_has_an_effect(study: Path, tmp_path: Path) -> None:
    """Neither its settings nor its attributes, hooks, replacements and files."""
    top = study.parent
    commit(top, {".gitattributes": "* filter=evil text eol=crlf ident\n", "new": "$Id$\n"})
    ask(top, "replace", "HEAD", "feature/old")
    set_traps(top, tmp_path / "started")
    for name in ("HEAD", "HEAD~1", "main", "v1.2"):
        found = git.revision(study, name)
        assert found.content("matrix.yaml") == b"two"
        assert found.files("..")["pins.txt"].content == b"six==1.13.0\n"
    assert git.revision(study, "main").content("../new") == b"$Id$\n"
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "loop"])
def test_a_planted_reference_is_refused(study: Path, kind: str) -> None:
    """Nothing waits for the other end of a FIFO, and no loop is followed for ever."""
    path = study.parent / ".git" / "refs" / "heads" / "planted"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("ref: refs/heads/planted\n")
    with pytest.raises(git.RevisionError, match="planted"):
        git.revision(study, "planted")
