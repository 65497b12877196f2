"""What an entry of the list of messages holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.errors import Exit
from tests.messages.world import State, nothing


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message, and how a user gets it."""

    line: str
    """The command line, without the name of the program."""
    says: str
    """The whole of stderr, or with ``note`` one line of stdout. ``...`` stands for anything."""
    place: str
    """The part of it that says where the mistake is: a place in a file, an option, a path."""
    given: State = nothing
    code: Exit = Exit.CONFIG
    note: bool = False
    reason: bool = False
    """Whether it only says why a trial failed or why a result does not count."""

    def matches(self, text: str) -> bool:
        """Whether a text is this message."""
        parts = map(re.escape, self.says.split("..."))
        return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the list: what its messages are about."""

    title: str
    messages: Sequence[Message]


REMEDIES = (
    *("add", "begin", "change", "check", "choose", "close", "compare", "copy", "correct", "create"),
    *("do", "end", "export", "fix", "free", "get", "give", "go", "include", "install", "keep"),
    *(
        "leave",
        "list",
        "lock",
        "lower",
        "make",
        "mend",
        "merge",
        "move",
        "name",
        "open",
        "push",
        "put",
    ),
    *("quote", "raise", "reinstall", "remove", "rename", "repeat", "replace", "restart", "restore"),
    *("run", "save", "set", "shorten", "split", "start", "stop", "try", "undo", "upgrade", "use"),
    *("wait", "write", "allow", "narrow", "need", "pack"),
)
"""The verbs of sentences that say what to do."""

REMEDY = re.compile(
    rf"(^|[;:.,(] |\n|, or |, and |\b(and|or|then|to) )`?({'|'.join(REMEDIES)})\b"
    r"|the newest versions are|(axes|metrics) are|did you mean|expected .|the cells are:|`[^`]+` (lists|prints|list|may|takes)\b"
    r"|has \w+(, \w+)+$|will run again|Trying again",
    re.IGNORECASE,
)
"""What a message contains that says what to do."""
