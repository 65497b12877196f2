"""Read the objects of a git repository without its configuration.

git obeys the configuration, the attributes and the hooks of the repository that it works in. So it
works in an empty repository of ours, which borrows only the objects. They may lie elsewhere: git
follows ``objects/info/alternates``, as a clone with ``--shared`` needs it. That reveals nothing,
because an object is only found by the digest of its content, which is checked here once more:
a prepared store of objects cannot show other content under the name of a known commit.
"""

import hashlib
import os
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from runner.system import child, tempdir
from runner.text import quoted, size

TIMEOUT_S = 60.0
LARGEST_OBJECT = 1 << 26
LARGEST_FOLDER = 1 << 29
MOST_FILES = 100_000
DEEPEST = 100

_SHA1_LENGTH = 40
_ENTRY = re.compile(rb"(?P<mode>[0-7]{5,6}) (?P<name>[^/\0]+)\0", re.DOTALL)
_TREE = re.compile(rb"tree ([0-9a-f]+)\n")

Kind = Literal["file", "executable", "link", "folder", "submodule"]

_KINDS: Mapping[int, Kind] = {
    0o100644: "file",
    0o100664: "file",  # of very old commits
    0o100755: "executable",
    0o120000: "link",
    0o040000: "folder",
    0o160000: "submodule",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a project; the content of a link is its target."""

    content: bytes
    kind: Literal["file", "executable", "link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a folder of a commit: its kind, and the hash of its object."""

    name: str
    kind: Kind
    hash: str


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects in a folder; those of a repository have hashes of one length."""

    folder: Path
    length: int = _SHA1_LENGTH

    def commit(self, expression: str) -> str | None:
        """Return the hash of a commit, given as a hash with steps such as ``~2``; None without one.

        Tags are followed to their commit.
        """
        command = ["rev-parse", "--verify", "--quiet", "--end-of-options", expression + "^{commit}"]
        answer = self.ask(command)
        return None if answer is None else answer.decode("ascii").strip()

    def hashes(self, commit: str, names: Iterable[str]) -> Mapping[str, str]:
        """Return the hash of each of these files that a commit contains. ValueError without it."""
        answer = self.ask(["ls-tree", "-z", "--full-tree", commit, "--", *names])
        if answer is None:
            raise ValueError(f"git cannot list the files of {commit}")
        entries = (entry.partition("\t") for entry in _name(answer).split("\0") if entry)
        return {name: about.split()[-1] for about, _, name in entries}

    def entries(self, tree: str) -> tuple[Entry, ...]:
        """Return what a folder of a commit contains; ValueError if it cannot be read."""
        return self._parsed(self.read([tree], "tree")[tree])

    def root(self, commit: str) -> str:
        """Return the hash of the folder that contains all files of a commit."""
        found = _TREE.match(self.read([commit], "commit")[commit])
        if found is None:
            raise ValueError(f"the commit {commit} has no files")
        return found[1].decode("ascii")

    def below(self, tree: str) -> Iterator[tuple[PurePosixPath, Entry]]:
        """Yield everything below a folder, with the path from there, but not the folders.

        ValueError if there is more than anybody has in a project, or if it cannot be read.
        """
        level, found = [(PurePosixPath(), tree)], 0
        for _ in range(DEEPEST):
            contents = self.read({one for _, one in level}, "tree")
            below: list[tuple[PurePosixPath, str]] = []
            for path, folder in level:
                for entry in self._parsed(contents[folder]):
                    found += 1
                    if found > MOST_FILES:
                        raise ValueError(f"there are more than {MOST_FILES:,} files")
                    if entry.kind == "folder":
                        below.append((path / entry.name, entry.hash))
                    else:
                        yield path / entry.name, entry
            level = below
            if not level:
                return
        raise ValueError(f"its folders are nested more than {DEEPEST} deep")

    def read(self, hashes: Collection[str], kind: str) -> Mapping[str, bytes]:
        """Return the content of objects; ValueError if one is missing, too large or damaged."""
        wanted = sorted(set(hashes))
        if not wanted:
            return {}
        given = "".join(f"{one}\n" for one in wanted).encode("ascii")
        self._check_sizes(wanted, given, kind)
        answer = self.ask(["cat-file", "--batch", "--buffer"], given)
        if answer is None:
            raise ValueError("git cannot read its objects; `git fsck` may say why")
        return dict(self._split(wanted, answer, kind))

    def _check_sizes(self, wanted: Sequence[str], given: bytes, kind: str) -> None:
        answer = self.ask(["cat-file", "--batch-check", "--buffer"], given)
        total = 0
        for name, line in zip(wanted, (answer or b"").splitlines(), strict=True):
            about = line.decode("ascii", "replace").split()
            if about[:2] != [name, kind]:
                raise ValueError(
                    f"the {kind} {name} is missing, as in a partial or damaged clone; `git fetch "
                    "--refetch` may bring it"
                )
            if int(about[2]) > LARGEST_OBJECT:
                raise ValueError(f"{size(int(about[2]))} is more than {size(LARGEST_OBJECT)}")
            total += int(about[2])
        if total > LARGEST_FOLDER:
            raise ValueError(f"{size(total)} of files are more than {size(LARGEST_FOLDER)}")

    def _split(
        self, wanted: Sequence[str], answer: bytes, kind: str
    ) -> Iterator[tuple[str, bytes]]:
        """Yield each object of an answer of ``cat-file --batch``, checked against its hash."""
        at = 0
        for name in wanted:
            end = answer.index(b"\n", at)
            length = int(answer[at:end].rpartition(b" ")[2])
            content = answer[end + 1 : end + 1 + length]
            at = end + 2 + length
            if hash_of(content, kind, self.length) != name:
                raise ValueError(f"the {kind} {name} is damaged; `git fsck` says more")
            yield name, content

    def _parsed(self, tree: bytes) -> tuple[Entry, ...]:
        found: dict[str, Entry] = {}
        at = 0
        while at < len(tree):
            entry = _ENTRY.match(tree, at)
            kind = _KINDS.get(int(entry["mode"], 8)) if entry else None
            name = _name(entry["name"]) if entry else ""
            if entry is None or kind is None or name in {".", ".."} or name in found:
                raise ValueError(f"a folder of the commit has a strange entry {quoted(name)}")
            at = entry.end() + self.length // 2
            found[name] = Entry(name=name, kind=kind, hash=tree[entry.end() : at].hex())
        return tuple(found.values())

    def ask(self, arguments: Sequence[str], given: bytes = b"") -> bytes | None:
        """Return the answer of git about these objects; None if it has none."""
        with empty_repository(self.length) as ours:
            environment = variables(ours) | {"GIT_OBJECT_DIRECTORY": str(self.folder)}
            return answer_of(arguments, ours, environment, given)


def answer_of(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], given: bytes = b""
) -> bytes | None:
    """Return the output of a git command; None if it fails, or if there is no git."""
    try:
        done = child.run_bytes(
            ["git", *arguments],
            timeout_s=TIMEOUT_S,
            folder=folder,
            environment=environment,
            given=given,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


@contextmanager
def empty_repository(length: int) -> Iterator[Path]:
    """Make an empty repository of ours, for objects with hashes of this length."""
    with tempdir.folder() as ours:
        for name in ("objects", "refs"):
            (ours / name).mkdir()
        (ours / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        if length != _SHA1_LENGTH:
            settings = "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha256\n"
            (ours / "config").write_text(settings, encoding="ascii")
        yield ours


def variables(ours: Path) -> dict[str, str]:
    """Return the environment of a git that works in a repository of ours and asks nobody."""
    return {
        "PATH": os.pathsep.join(child.folders()),
        "LC_ALL": "C",
        "HOME": str(ours),
        "GIT_DIR": str(ours),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def hash_of(content: bytes, kind: str, length: int) -> str:
    """Return the hash that git gives to an object."""
    found = new_hash(length, kind, len(content))
    found.update(content)
    return found.hexdigest()


def new_hash(length: int, kind: str, count: int) -> "hashlib._Hash":
    """Return the hash of an object of ``count`` bytes, before its content is added."""
    new = hashlib.sha1 if length == _SHA1_LENGTH else hashlib.sha256
    return new(f"{kind} {count}\0".encode("ascii"))


def _name(written: bytes) -> str:
    """Return a name as the system does; names need not be UTF-8."""
    return written.decode("utf-8", "surrogateescape")
