"""Keep what source builds made, for the same environment only.

A build runs code of strangers, and gets its tools from package indexes. So what it made may only
come back in the environment that it was built for, with the same interpreter and the same indexes:
whoever can choose one of these could have chosen what is built as well. A build itself reaches
nothing of this: the runner stores a plain copy when the build is over.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from runner.python import addresses, uv
from runner.python.interpreters import Interpreter
from runner.records.environment import Environment
from runner.system import archive, atomic, digest, packing, safe, tempdir

LAYOUT = 1
"""The version of what is kept; raise it when builds, bytecode or the file change."""
INDEXES = (uv.KEPT_PREFIX, "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL")
"""The start of variables that choose indexes; the lock entry has those of the matrix."""
CHECK_BYTES = 64
"""A file begins with the SHA-256 of the tar behind it, in hex."""


def place(environment: Environment, interpreter: Interpreter) -> Path | None:
    """Return the file with what was built for an environment, whether it exists or not.

    None if nothing may be kept: what a compiler makes also depends on the libraries of the machine.
    """
    if environment.request.compile:
        return None
    program = interpreter.path.resolve()
    about = program.stat()
    content = [
        LAYOUT,
        environment,
        [interpreter.name, interpreter.version, program, about.st_size, about.st_mtime_ns],
        {name: value for name, value in os.environ.items() if name.startswith(INDEXES)},
        list(addresses.settings()),
    ]
    return uv.builds_folder() / digest.of_content(content)


def keep(path: Path, built: Path) -> None:
    """Keep the files of a folder, in which nobody else can write; do nothing if that fails."""
    with suppress(OSError):
        tar = packing.Tar(packing.of_folder(built))
        if tar.size > safe.LARGEST_BYTES - CHECK_BYTES:
            return
        content = b"".join(tar.pieces())
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with safe.own_folder(path.parent):
            atomic.write(path, _check(content) + content)


def restore(path: Path, folder: Path) -> bool:
    """Put what was kept into an empty folder; False if there is nothing or it was changed.

    OSError if the files cannot be written.
    """
    try:
        with safe.own_folder(path.parent):  # others may fill a shared cache
            stored = safe.read(path)
    except OSError:
        return False
    content = stored[CHECK_BYTES:]
    if stored[:CHECK_BYTES] != _check(content):
        return False
    with tempdir.folder() as work:
        copy = work / "kept.tar"
        copy.write_bytes(content)
        with archive.opened(copy) as tar:
            archive.unpack(tar, folder, lambda entry: entry.name)
    return True


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
