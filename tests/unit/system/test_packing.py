"""Tars that are made while they are read."""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from runner.system.packing import PIECE_BYTES, Entry, Tar, below, of_folder, of_tar


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one of everything that packages have."""
    found = tmp_path / "folder"
    (found / "lib" / ("deep" * 50)).mkdir(parents=True)
    (found / "lib" / ("deep" * 50) / "module.py").write_text("x = 1\n")
    (found / "lib" / "large.so").write_bytes(os.urandom(2 * PIECE_BYTES + 7))
    (found / "lib" / "empty").touch()
    (found / "lib.py").write_text("between folders\n")
    (found / "tool").write_text("#!/bin/sh\n")
    (found / "tool").chmod(0o4751)
    (found / "python").symlink_to("/usr/local/bin/python3")
    return found


def packed(entries: Iterable[Entry]) -> bytes:
    """Return the bytes of a tar, whose size was known before."""
    tar = Tar(entries)
    found = b"".join(tar.pieces())
    assert len(found) == tar.size
    return found


def test_everything_in_a_folder_is_packed(folder: Path) -> None:
    """Of owners, modes and dates, only whether a file can be executed is left."""
    with tarfile.open(fileobj=io.BytesIO(packed(of_folder(folder)))) as tar:
        entries = {entry.name: entry for entry in tar}
        content = {name: tar.extractfile(name) for name, one in entries.items() if one.isreg()}
        for name, file in content.items():
            assert file is not None
            assert file.read() == (folder / name).read_bytes()
    assert set(entries) == {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert entries["python"].linkname == "/usr/local/bin/python3"
    modes = {name: entries[name].mode for name in ("lib", "lib.py", "tool")}
    assert modes == {"lib": 0o755, "lib.py": 0o644, "tool": 0o755}
    assert {(one.uid, one.gid, one.uname, one.mtime) for one in entries.values()} == {(0, 0, "", 0)}


def test_equal_files_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    """A tar of a tar is the same, and pieces are not too large."""
    before = packed(of_folder(folder))
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert packed(of_folder(folder)) == before
    (tmp_path / "one.tar").write_bytes(before)
    assert packed(of_tar(tmp_path / "one.tar")) == before
    assert max(map(len, Tar(of_folder(folder)).pieces())) <= 2 * PIECE_BYTES + 4096


def test_entries_can_be_in_a_folder_of_the_tar(folder: Path) -> None:
    """The folders above them come first."""
    with tarfile.open(fileobj=io.BytesIO(packed(below("opt/it", of_folder(folder))))) as tar:
        names = tar.getnames()
        assert tar.getmember("opt").isdir()
    assert names[:3] == ["opt", "opt/it", "opt/it/lib"]
    assert "opt/it/lib/large.so" in names


def test_a_file_that_is_cut_off_is_noticed(folder: Path) -> None:
    """Its size was promised already."""
    tar = Tar(of_folder(folder))
    (folder / "tool").write_text("")
    with pytest.raises(OSError, match="tool was cut off while it was packed"):
        list(tar.pieces())


def test_only_files_folders_and_links_are_packed(folder: Path) -> None:
    """Packages have nothing else."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="pipe is neither a file, a folder nor a link"):
        Tar(of_folder(folder))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../up", tarfile.REGTYPE),
        ("/etc/passwd", tarfile.REGTYPE),
        ("a/../../b", tarfile.SYMTYPE),
        (".", tarfile.DIRTYPE),
        ("device", tarfile.CHRTYPE),
        ("pipe", tarfile.FIFOTYPE),
        ("hard", tarfile.LNKTYPE),
        ("sparse", tarfile.GNUTYPE_SPARSE),
    ],
)
def test_a_hostile_tar_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    """It may come with a bundle."""
    path = tmp_path / "hostile.tar"
    entry = tarfile.TarInfo(name)
    entry.type = kind
    with tarfile.open(path, "w") as tar:
        tar.addfile(entry)
    with pytest.raises((ValueError, tarfile.TarError)):
        list(of_tar(path))
