"""What comes out of a container is bounded, whatever sends it."""

from runner.engines.streams import ENVELOPE_BYTES, LINE_BYTES, TrialOutput
from runner.records.study import Limits

LIMITS = Limits(log_bytes=1000, result_bytes=1000)
PIECE = b"x" * 10_000


def test_a_flood_is_bounded_on_both_streams() -> None:
    """Of the log twice its limit is kept, and of the document what a result can take in JSON."""
    output = TrialOutput(LIMITS, lambda _: None)
    for _ in range(100):
        output.add(PIECE, PIECE)
    assert len(output.log()) == 2 * LIMITS.log_bytes
    assert len(output.document() or b"") == 6 * LIMITS.result_bytes + ENVELOPE_BYTES


def test_lines_are_seen_as_they_come() -> None:
    """One that comes in pieces is one, and one without an end is shown in parts."""
    seen: list[str] = []
    output = TrialOutput(Limits(), seen.append)
    for piece in (b"first", b" line\nsec", b"ond\n", b"y" * LINE_BYTES):
        output.add(None, piece)
    assert seen == ["first line", "second", "y" * LINE_BYTES]
    assert output.document() is None
