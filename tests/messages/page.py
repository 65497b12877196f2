"""The list as a page for users: ``docs/messages.md``."""

import re
from collections.abc import Iterator

from tests.messages.axes import AXES
from tests.messages.bundles import BUNDLES
from tests.messages.command_line import COMMAND_LINE
from tests.messages.elsewhere import TEMPLATES
from tests.messages.engines import ENGINES
from tests.messages.experiment import EXPERIMENT
from tests.messages.locks import LOCKS
from tests.messages.matrix import MATRIX
from tests.messages.message import Message
from tests.messages.runs import RUNS
from tests.messages.scale import SCALE
from tests.messages.selection import SELECTION
from tests.messages.services import SERVICES
from tests.messages.studies import STUDIES
from tests.messages.trials import TRIALS
from tests.messages.warnings import WARNINGS

SECTIONS = (
    *(COMMAND_LINE, SELECTION, STUDIES, MATRIX, AXES, EXPERIMENT, LOCKS),
    *(ENGINES, RUNS, TRIALS, BUNDLES, SCALE, SERVICES, WARNINGS),
)
HEAD = """\
# Messages

Search this page for the words of a message. Each one says where the problem is, what it is, and what to do. The number
is the [exit code](running.md#exit-codes). Names, numbers and paths are those of an example.
"""
REST = """\
## All others

These come from engines, the package index, git and the disk. Words in `{braces}` stand for names, paths and reasons.
"""


def page() -> str:
    """Return the page."""
    lines = [HEAD]
    for section in SECTIONS:
        lines += [f"## {section.title}", "", *dict.fromkeys(map(_entry, section.messages)), ""]
    return "\n".join([*lines, REST, *_others(), ""])


def _entry(message: Message) -> str:
    return f"- {int(message.code)}: {_code(message.says)}"


def _others() -> Iterator[str]:
    """Yield the messages that other tests provoke, with short names in braces."""
    for template in TEMPLATES:
        yield f"- {_code(re.sub(r'{([^{}]*)}', lambda one: f'{{{_word(one[1])}}}', template))}"


def _word(expression: str) -> str:
    """Return what an expression in the code stands for: its last name."""
    words: list[str] = re.findall(r"[a-z]+", expression.partition(":")[0])
    return words[-1] if words else "number"


def _code(text: str) -> str:
    """Return a text as code in Markdown, whatever it contains."""
    first = text.replace("python -m runner", "matrix-runner").partition("\n")[0]
    return f"`` {first} ``" if "`" in first else f"`{first}`"
