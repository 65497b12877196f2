"""Files that anybody may have planted are opened without waiting and without following links."""

import os
import stat
from pathlib import Path

import pytest

from runner.system import atomic, safe


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """Return a regular file."""
    path = tmp_path / "content"
    path.write_bytes(b"0123456789")
    return path


def test_a_regular_file_is_read(content: Path) -> None:
    """All of it, or its end."""
    assert safe.read(content) == b"0123456789"
    assert safe.tail(content, 3) == b"789"
    assert safe.tail(content, 99) == b"0123456789"


def test_a_link_is_followed_only_on_request(content: Path) -> None:
    """The error says what it is."""
    link = content.with_name("link")
    link.symlink_to(content)
    assert safe.read(link, follow=True) == b"0123456789"
    with pytest.raises(OSError, match="is a link"):
        safe.read(link)


@pytest.mark.parametrize("follow", [True, False])
def test_nothing_else_is_opened(tmp_path: Path, follow: bool) -> None:
    """A FIFO would wait for its other end."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path(os.devnull)):
        with pytest.raises(OSError, match="is not a regular file"):
            safe.read(path, follow=follow)
    with pytest.raises(IsADirectoryError):
        safe.read(tmp_path, follow=follow)


def test_a_file_that_is_too_large_is_refused(content: Path) -> None:
    """The limit itself is allowed."""
    assert len(safe.read(content, limit=10)) == 10
    with pytest.raises(OSError, match="larger than the limit of 9 bytes"):
        safe.read(content, limit=9)


def test_a_lock_is_never_made_behind_a_link(tmp_path: Path) -> None:
    """Otherwise anybody could have root create files."""
    (tmp_path / "lock").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="is a link"), safe.lock_file(tmp_path / "lock", make=True):
        pass
    assert not (tmp_path / "made").exists()


def test_an_input_stays_in_its_folder(tmp_path: Path) -> None:
    """Links inside the folder are allowed."""
    folder = tmp_path / "study"
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "own").write_text("x")
    (tmp_path / "secret").write_text("x")
    for name, target in {
        "link": "parts/own",
        "through": "parts",
        "out": "../secret",
        "absolute": str(tmp_path / "secret"),
        "up": "..",
        "loop": "loop",
    }.items():
        (folder / name).symlink_to(target)
    own = folder / "parts" / "own"
    assert [safe.inside(folder, one) for one in ("parts/own", "link", "through/own")] == [own] * 3
    for name in ("out", "absolute", "up/secret", "loop", "parts", "missing"):
        with pytest.raises(OSError, match=r"leads out|symbolic links|directory"):
            safe.inside(folder, name)


def test_a_planted_temporary_file_is_never_written(tmp_path: Path) -> None:
    """Its name cannot be guessed; a file keeps the usual mode."""
    (tmp_path / "target").write_text("old")
    for number in (os.getpid(), 0):
        (tmp_path / f".file.{number}").symlink_to("target")
    atomic.write(tmp_path / "file", b"new")
    assert (tmp_path / "target").read_text() == "old"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_ISREG((tmp_path / "file").lstat().st_mode)
    assert len(list(atomic.unfinished(tmp_path))) == 2
