"""Which files a Dockerfile gets, and the digest of these files."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ImageBuildError
from runner.system.context import context_digest, write_context


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a Dockerfile, a file and a folder."""
    folder = tmp_path / "old"
    (folder / "src").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "src" / "a.py").write_text("a")
    return folder


def names(folder: Path) -> list[str]:
    """Return what a build gets."""
    with io.BytesIO() as file:
        write_context(folder, file)
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            return tar.getnames()


def test_two_checkouts_have_one_digest(folder: Path) -> None:
    """Dates, and permissions besides the executable bit, do not count."""
    before = context_digest(folder)
    assert before.startswith("sha256:")
    os.utime(folder / "Dockerfile", (1, 1))
    (folder / "src" / "a.py").chmod(0o600)
    assert context_digest(folder) == before


def test_each_change_gives_another_digest(folder: Path) -> None:
    """Of a content, an executable bit, a name or a link."""
    found = [context_digest(folder)]
    path = folder / "src" / "a.py"
    for change in (
        lambda: path.write_text("b"),
        lambda: path.chmod(0o755),
        lambda: path.rename(folder / "src" / "b.py"),
        lambda: path.symlink_to("b.py"),
        (folder / "empty").mkdir,
    ):
        change()
        found.append(context_digest(folder))
    assert len(set(found)) == len(found)


def test_links_inside_are_kept(folder: Path) -> None:
    """They are sent as links."""
    (folder / "src" / "link").symlink_to("../Dockerfile")
    assert "src/link" in names(folder)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "../.."])
def test_a_link_that_leads_out_is_refused(folder: Path, target: str) -> None:
    """Unless it is ignored."""
    (folder / "src" / "link").symlink_to(target)
    with pytest.raises(ImageBuildError, match=f"the link src/link leads out of it, to {target}"):
        context_digest(folder)
    (folder / ".dockerignore").write_text("src/link\n")
    assert "src/link" not in names(folder)


def test_special_files_are_refused(folder: Path) -> None:
    """Reading a FIFO would never end."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(ImageBuildError, match=r"the build context .*pipe.* name it in"):
        context_digest(folder)


def test_a_folder_without_a_dockerfile_is_one_sentence(tmp_path: Path) -> None:
    """The sentence names the folder."""
    with pytest.raises(ImageBuildError, match=f"{tmp_path} contains no Dockerfile: add one"):
        context_digest(tmp_path)


def test_an_unfinished_pattern_is_one_sentence(folder: Path) -> None:
    """It is not guessed what it means."""
    (folder / ".dockerignore").write_text("[a\n")
    with pytest.raises(ImageBuildError, match="`\\[` without its `]`"):
        context_digest(folder)


FILES = ("a", "b.py", "src/a", "src/b.py", "src/deep/a", "src/deep/c.txt", "x/src/a")
PATTERNS = st.lists(
    st.sampled_from(
        ["a", "*", "*.py", "**/*.py", "src", "src/", "/src", "**/a", "src/*", "src/**", "!src/a",
         "!**/a", "?", "[ab]", "# a", "!*.py", "src/deep", "!src/deep/c.txt", "./a", "**/deep"]
    ),
    max_size=5,
)  # fmt: skip


@given(patterns=PATTERNS)
def test_files_are_ignored_as_docker_does(
    tmp_path_factory: pytest.TempPathFactory, patterns: list[str]
) -> None:
    """The SDK implements the same patterns."""
    folder = tmp_path_factory.mktemp("context")
    for name in (*FILES, "Dockerfile"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / ".dockerignore").write_text("\n".join(patterns))
    given_ones = [one for one in patterns if not one.startswith("#")]
    expected = exclude_paths(str(folder), [*given_ones, "!.dockerignore"])
    assert {one for one in names(folder) if (folder / one).is_file()} == {
        one for one in expected if (folder / one).is_file()
    }
