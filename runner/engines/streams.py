"""The output of a trial: the launcher's document and the experiment's log, both of limited size.

Whatever an experiment prints, the runner never holds more than a few times its limits.
"""

import re
from collections.abc import Callable

from runner.engines.protocol import ENVELOPE_BYTES
from runner.records.study import Limits

LINE_BYTES = 4096  # a longer line is shown in parts while the trial runs
WAITING = re.compile(rb"MATRIX-WAITING (\d{1,6}) (\d{1,6})\n")
"""What the launcher writes before its document, while it waits for a quiet core."""
WAITING_FOR_A_CORE = "waiting for a quiet core"


class TrialOutput:
    """Collects both streams of one trial; ``watch`` gets each line of the log as it comes."""

    def __init__(
        self, limits: Limits, watch: Callable[[str], None], document_bytes: int = ENVELOPE_BYTES
    ) -> None:
        # The launcher keeps to the log's limit. Take twice as much, in case it was tampered with.
        self._log_bytes = 2 * limits.log_bytes
        self._document_bytes = document_bytes
        self._log = bytearray()
        self._document = bytearray()
        self._line = bytearray()
        self._watch = watch

    def add(self, document: bytes | None, log: bytes | None) -> None:
        """Add what came on the two streams."""
        if document:
            self._document += document[: self._document_bytes - len(self._document)]
            self._show_waiting()
        if log:
            log = log[: self._log_bytes - len(self._log)]
            self._log += log
            self._show(log)

    def _show_waiting(self) -> None:
        while waiting := WAITING.match(self._document):
            waited, patience = map(int, waiting.groups())
            del self._document[: waiting.end()]
            self._watch(f"{WAITING_FOR_A_CORE}, {waited} of {patience} s")

    def _show(self, log: bytes) -> None:
        self._line += log
        *lines, rest = bytes(self._line).split(b"\n")
        if len(rest) >= LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._line = bytearray(rest)
        for line in lines:
            self._watch(line.decode(errors="replace"))

    def document(self) -> bytes | None:
        """Return what came on stdout, or None."""
        return bytes(self._document) or None

    def log(self) -> str:
        """Return what came on stderr, with bytes that are not UTF-8 replaced."""
        return self._log.decode(errors="replace")
