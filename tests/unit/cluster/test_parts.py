"""Parts: files that arrive in chunks, and count only if their digest is right."""

import hashlib
import time
from pathlib import Path

import pytest

from runner.cluster.parts import Parts, chunks
from runner.errors import EngineError

CONTENT = b"0123456789" * 1000
KEY = "a" * 64


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of three chunks."""
    monkeypatch.setattr("runner.cluster.parts.CHUNK_BYTES", 4000)
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """Return the empty parts of a worker."""
    return Parts(tmp_path / "parts")


def test_a_file_arrives_in_chunks(parts: Parts, file: Path) -> None:
    """Only the whole of it counts."""
    for offset, chunk, whole in chunks(file):
        assert not parts.accept(KEY)
        assert parts.receive(KEY, offset, chunk, whole) == offset + len(chunk)
    assert parts.accept(KEY)
    assert parts.has(KEY)
    assert parts.path(KEY).read_bytes() == CONTENT


def test_a_file_can_start_again(parts: Parts, file: Path) -> None:
    """The run that sent it may have ended in between."""
    parts.receive(KEY, 0, b"another beginning", None)
    for offset, chunk, whole in chunks(file):
        parts.receive(KEY, offset, chunk, whole)
    assert parts.accept(KEY)
    assert parts.path(KEY).read_bytes() == CONTENT


def test_a_gap_is_noticed(parts: Parts, file: Path) -> None:
    """The chunk that does not fit is left out, and the file never completes."""
    received = list(chunks(file))
    for offset, chunk, whole in (received[0], *received[2:]):
        parts.receive(KEY, offset, chunk, whole)
    assert not parts.accept(KEY)


def test_another_content_is_not_accepted(parts: Parts) -> None:
    """Its digest is wrong."""
    parts.receive(KEY, 0, b"some", None)
    parts.receive(KEY, 4, b"", hashlib.sha256(b"other").hexdigest())
    assert not parts.accept(KEY)
    assert not parts.has(KEY)


def test_a_sign_shows_that_a_part_will_come(parts: Parts) -> None:
    """An empty chunk is one, too: the part may still be packed."""
    assert parts.last_sign(KEY) is None
    parts.receive(KEY, 0, b"", None)
    first = parts.last_sign(KEY)
    assert first is not None
    time.sleep(0.02)
    parts.receive(KEY, 0, b"", None)
    assert parts.last_sign(KEY) != first


def test_a_refusal_is_kept_until_the_next_attempt(parts: Parts) -> None:
    """It says why a part does not come."""
    assert parts.refusal(KEY) is None
    parts.refuse(KEY, "no such package")
    assert parts.refusal(KEY) == "no such package"
    parts.forget_refusal(KEY)
    assert parts.refusal(KEY) is None


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_key_is_a_digest(parts: Parts, key: str) -> None:
    """It becomes the name of a file."""
    with pytest.raises(EngineError, match="without a valid digest"):
        parts.path(key)
