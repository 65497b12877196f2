"""What comes out of a container: the launcher's document and the experiment's log, both bounded.

Nothing that an experiment does can make the runner hold more than a few times its limits.
"""

from collections.abc import Callable

from runner.records.study import Limits

LINE_BYTES = 4096  # a longer line is shown in parts while the trial runs
ENVELOPE_BYTES = 64 * 1024


class Log:
    """Collects both streams of one trial; ``watch`` gets each line of the log as it comes."""

    def __init__(self, limits: Limits, watch: Callable[[str], None]) -> None:
        # The launcher keeps to the limit; twice as much is taken in case it was tampered with.
        # JSON may write a byte of the result as six.
        self._log_left = 2 * limits.log_bytes
        self._document_left = 6 * limits.result_bytes + ENVELOPE_BYTES
        self._log = bytearray()
        self._document = bytearray()
        self._line = bytearray()
        self._watch = watch

    def add(self, document: bytes | None, log: bytes | None) -> None:
        """Take what came on the two streams."""
        if document:
            self._document += document[: self._document_left]
            self._document_left -= len(document[: self._document_left])
        if log:
            taken = log[: self._log_left]
            self._log += taken
            self._log_left -= len(taken)
            self._show(taken)

    def _show(self, taken: bytes) -> None:
        self._line += taken
        *lines, rest = bytes(self._line).split(b"\n")
        self._line = bytearray(rest if len(rest) < LINE_BYTES else b"")
        for line in lines if len(rest) < LINE_BYTES else [*lines, rest]:
            self._watch(line.decode(errors="replace"))

    def document(self) -> bytes | None:
        """Return what came on stdout, None if nothing did."""
        return bytes(self._document) or None

    def text(self) -> str:
        """Return the log; bytes that are not UTF-8 are replaced."""
        return self._log.decode(errors="replace")
