"""Nothing in a hostile tar gets out of the folder that it is unpacked to."""

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.python import interpreters
from runner.system import archive
from tests.support.studies import ROOT

KINDS = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE,
    "disk": tarfile.BLKTYPE,
    "sparse": tarfile.GNUTYPE_SPARSE,
}
Entry = tuple[str, str, str]
"""A kind, a name, and the target of a link."""


def unpacked(folder: Path, *entries: Entry, mode: int = 0o644) -> Path:
    """Unpack a tar with these entries; return the folder of its files."""
    target = folder / "target"
    target.mkdir()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for kind, name, to in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode, entry.mtime = KINDS[kind], to, mode, 86400
            entry.size = 7 if kind == "file" else 0
            entry.uid = entry.gid = 12345
            tar.addfile(entry, io.BytesIO(b"content"))
    content.seek(0)
    with tarfile.open(fileobj=content) as tar:
        archive.unpack(tar, target, lambda entry: None if entry.name == "left out" else entry.name)
    return target


def test_files_folders_and_inner_links_are_unpacked(tmp_path: Path) -> None:
    """Folders that have no entry are made; files keep their dates."""
    target = unpacked(
        tmp_path,
        ("folder", ".", ""),
        ("folder", "a", ""),
        ("file", "a/b/file", ""),
        ("folder", "a", ""),
        ("link", "a/b/up", "../../c/file"),
        ("link", "a/b/parent", ".."),
        ("link", "link", "a/b"),
        ("hard link", "c/same", "a/b/file"),
        ("file", "left out", ""),
    )
    assert (target / "link" / "file").read_bytes() == b"content"
    assert (target / "c" / "same").samefile(target / "a" / "b" / "file")
    assert (target / "a" / "b" / "up").readlink() == Path("../../c/file")
    assert (target / "a/b/file").stat().st_mtime == 86400
    assert not (target / "left out").exists()


@pytest.mark.parametrize(
    "entries",
    [
        [("file", "../out", "")],
        [("file", "a/../../out", "")],
        [("file", "/out", "")],
        [("folder", "../out", "")],
        [("link", "link", "/")],
        [("link", "link", "..")],
        [("link", "a/link", "../..")],
        [("link", "a/link", "b/../../..")],
        [("link", "here", "."), ("link", "link", "here/..")],
        [("link", "here", "."), ("file", "here/file", "")],
        [("link", "here", "."), ("folder", "here/folder", "")],
        [("link", "file", "elsewhere"), ("file", "file", "")],
        [("hard link", "out", "../secret")],
        [("hard link", "out", "/secret")],
        [("hard link", "out", "gone")],
        [("link", "here", "."), ("hard link", "out", "here/file")],
        [("link", "a/inside", "../b"), ("hard link", "out", "a/inside")],
        [("hard link", "out", ".")],
        [("file", "file", ""), ("file", "file", "")],
        [("file", "file", ""), ("file", "file/inner", "")],
        [("folder", "a", ""), ("file", "a", "")],
        [("file", ".", "")],
        [("fifo", "fifo", "")],
        [("device", "device", "")],
        [("disk", "disk", "")],
        [("sparse", "sparse", "")],
    ],
    ids=str,
)
def test_everything_else_is_refused(tmp_path: Path, entries: Sequence[Entry]) -> None:
    """Also what would only lead out together with an earlier entry."""
    (tmp_path / "secret").write_text("secret")
    with pytest.raises((ValueError, OSError)):
        unpacked(tmp_path, *entries)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "target"]
    assert (tmp_path / "secret").stat().st_nlink == 1
    special = [one for one in tmp_path.rglob("*") if stat.S_IFMT(one.lstat().st_mode) not in PLAIN]
    assert special == []


PLAIN = {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}


@pytest.mark.parametrize(("mode", "allowed"), [(0o7777, 0o755), (0o6644, 0o644), (0o000, 0o644)])
def test_modes_and_owners_are_ours(tmp_path: Path, mode: int, allowed: int) -> None:
    """No file runs as another user, and none can be changed by others."""
    target = unpacked(tmp_path, ("folder", "a", ""), ("file", "a/file", ""), mode=mode)
    found = (target / "a" / "file").stat()
    assert stat.S_IMODE(found.st_mode) == allowed
    assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
    assert stat.S_IMODE((target / "a").stat().st_mode) & ~0o755 == 0


PROGRAM = """
import io, sys, tarfile, pathlib
sys.path.insert(0, sys.argv[1])
from runner.system import archive
content = io.BytesIO()
with tarfile.open(fileobj=content, mode="w") as tar:
    entry = tarfile.TarInfo(sys.argv[3])
    entry.size = 7
    tar.addfile(entry, io.BytesIO(b"content"))
content.seek(0)
with tarfile.open(fileobj=content) as tar:
    archive.unpack(tar, pathlib.Path(sys.argv[2]), lambda entry: entry.name)
"""


def oldest() -> Sequence[Path]:
    """Return interpreters of this machine that can run the program, the system's own among them."""
    folders = [Path("/usr/bin"), *(one.path.parent for one in interpreters.available())]
    found = [folder / "python3" for folder in folders]
    return sorted({path.resolve() for path in found if path.exists() and _is_supported(path)})


def _is_supported(path: Path) -> bool:
    code = "import sys; sys.exit(sys.version_info < (3, 10))"
    return subprocess.run([path, "-I", "-S", "-c", code], check=False).returncode == 0


def test_patch_releases_without_filters_unpack(tmp_path: Path) -> None:
    """The filters of tarfile came with 3.10.12 and 3.11.4; Debian 12 has 3.11.2."""
    for number, python in enumerate(oldest()):
        target = tmp_path / str(number)
        target.mkdir()
        command = [str(python), "-I", "-S", "-c", PROGRAM, str(ROOT), str(target)]
        subprocess.run([*command, "a/file"], check=True)
        assert (target / "a" / "file").read_text() == "content", python
        refused = subprocess.run([*command, "../out"], check=False, capture_output=True, text=True)
        assert refused.returncode != 0, python
        assert not (tmp_path / "out").exists(), python
