"""The stored output of a trial has a limited size."""

from runner.engines.streams import LINE_BYTES, TrialOutput
from runner.records.study import Limits

LIMITS = Limits(log_bytes=1000, result_bytes=1000)
CHUNK = b"x" * 10_000


def test_both_streams_are_limited() -> None:
    """Twice the limit of the log is kept, and a document up to its limit."""
    output = TrialOutput(LIMITS, lambda _: None, 7000)
    for _ in range(100):
        output.add(CHUNK, CHUNK)
    assert len(output.log()) == 2 * LIMITS.log_bytes
    assert len(output.document() or b"") == 7000


def test_lines_are_shown_as_they_come() -> None:
    """A line that comes in pieces is shown once, and an endless line in parts."""
    seen: list[str] = []
    output = TrialOutput(Limits(), seen.append)
    for chunk in (b"first", b" line\nsec", b"ond\n", b"y" * LINE_BYTES):
        output.add(None, chunk)
    assert seen == ["first line", "second", "y" * LINE_BYTES]
    assert output.document() is None


def test_waiting_is_shown_and_not_part_of_the_document() -> None:
    """The launcher says how long it has waited before it sends its document."""
    seen: list[str] = []
    output = TrialOutput(Limits(), seen.append)
    for chunk in (b"MATRIX-WAIT", b"ING 12 30\nMATRIX-WAITING 13 30\nMATRIX-", b"DOCUMENT 2\n{}"):
        output.add(chunk, None)
    assert seen == [f"waiting for a quiet core, {waited} of 30 s" for waited in (12, 13)]
    assert output.document() == b"MATRIX-DOCUMENT 2\n{}"
