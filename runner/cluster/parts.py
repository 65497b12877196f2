"""The files that workers need, each under a digest: they are sent only where they are missing.

The key of an input and of a base is the digest of its content. The key of the packages of an
environment is the digest of the environment, so nothing is packed that every worker has.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from runner.errors import EngineError
from runner.system import digest, safe

CHUNK_BYTES = 8 << 20
MOST_BYTES = 256 << 30
KEY = re.compile(r"[0-9a-f]{64}")

FindPart = Callable[[str], Path]
"""Returns the file of a part, which it may have to make first; RunnerError if it cannot."""


def chunks(path: Path) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield a file in chunks with their offsets; the last one comes with the digest of all."""
    whole, offset = hashlib.sha256(), 0
    with safe.opened(path, follow=True) as file:
        while chunk := file.read(CHUNK_BYTES):
            whole.update(chunk)
            yield offset, chunk, None
            offset += len(chunk)
    yield offset, b"", whole.hexdigest()


class Parts:
    """The parts that a worker has, in its cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return where a part is or will be; EngineError if the key is not one."""
        if not KEY.fullmatch(key):
            raise EngineError(
                "the run names a file without a valid digest; install the same matrix-runner on "
                "all machines."
            )
        return self._folder / key

    def has(self, key: str) -> bool:
        """Whether the part is here."""
        return self.path(key).is_file()

    def receive(self, key: str, offset: int, chunk: bytes, whole: str | None) -> int:
        """Append a chunk to a part that arrives; with ``whole``, its digest, the part is complete.

        Return how many bytes there are now. A part that starts again replaces the one so far.
        """
        path = self._incoming(key)
        if offset == 0:
            path.unlink(missing_ok=True)
        with path.open("ab") as file:
            if file.tell() == offset and offset + len(chunk) <= MOST_BYTES:
                file.write(chunk)
            size = file.tell()
        if whole is not None and size == offset:
            path.replace(self._arrived(key, whole))
        return size

    def last_sign(self, key: str) -> int | None:
        """Return when something of a part came last; None if nothing did yet."""
        with suppress(OSError):
            return self._incoming(key).stat().st_mtime_ns
        return None

    def accept(self, key: str) -> bool:
        """Take in a part that is complete, after checking its digest; return whether it is here."""
        for path in self._folder.glob(f"{key}.arrived-*"):
            if path.name == self._arrived(key, digest.of_file(path)).name:
                path.replace(self.path(key))
            else:
                path.unlink()
        return self.has(key)

    def refuse(self, key: str, reason: str) -> None:
        """Remember why a part does not come."""
        self._refused(key).write_text(reason, encoding="utf-8")

    def refusal(self, key: str) -> str | None:
        """Return why a part does not come, if the run said so."""
        with suppress(OSError):
            return self._refused(key).read_text(encoding="utf-8")
        return None

    def forget_refusal(self, key: str) -> None:
        """Forget why a part did not come."""
        self._refused(key).unlink(missing_ok=True)

    def _incoming(self, key: str) -> Path:
        return self.path(key).with_suffix(".incoming")

    def _refused(self, key: str) -> Path:
        return self.path(key).with_suffix(".refused")

    def _arrived(self, key: str, whole: str) -> Path:
        return self.path(key).with_name(f"{key}.arrived-{whole}")
