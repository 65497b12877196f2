"""How a report looks: a view as Markdown for GitHub.

Every text of a view counts as untrusted, since most of them repeat what a script, a framework or a
matrix said. The template escapes whatever it prints, unless a filter made it Markdown on purpose.
"""

import html
import re
from functools import cache
from urllib.parse import quote

import tabulate
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from runner.report.page import ReportView, Table

LETTERS_OF_A_LINE = 300

_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_SPECIAL = re.compile(
    r"[\\`*_\[\]~$&<>|]"  # what Markdown, tables, HTML and formulas read as their own
    r"|:(?=//)|(?<=www)\."  # what becomes a link by itself
    r"|@(?=\w)",  # what calls a person, or becomes a mail address
    re.IGNORECASE,
)
_OPENING = re.compile(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=#|[-+](?:\W|$)))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "@<!-- -->"}

# Columns have the same width on every machine, whether or not it has the package wcwidth.
tabulate.WIDE_CHARS_MODE = False


class Raw(str):
    """Text that is Markdown already and is printed as it is."""

    __slots__ = ()


def markdown(view: ReportView) -> str:
    """Return the report as Markdown."""
    return _template().render(view=view)


def escape(text: str) -> Raw:
    """Return one line of Markdown that shows the text and does nothing else.

    Line breaks become spaces; colours of a terminal are dropped, other control characters shown.
    """
    line = re.sub(" +", " ", visible(text)).strip(" ")
    line = _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], "\\" + found[0]), line)
    return Raw(_OPENING.sub(r"\1\\", line))


def visible(text: str) -> str:
    r"""Return the text with white space as spaces and what cannot be printed as ``\x07``."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\N{NO-BREAK SPACE}"
        else " "
        if letter.isspace()
        else letter.encode("unicode_escape").decode()
        for letter in _TERMINAL.sub("", text).expandtabs()
    )


def _fenced(lines: tuple[str, ...]) -> Raw:
    shown = [visible(line).rstrip()[:LETTERS_OF_A_LINE] for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return Raw("\n".join([f"{fence}text", *shown, fence]))


def _grid(table: Table) -> Raw:
    return Raw(
        tabulate.tabulate(
            [["<br>".join(map(escape, text.split("\n"))) for text in row] for row in table.rows],
            headers=[escape(column.title) for column in table.columns],
            colalign=[column.align.value for column in table.columns],
            tablefmt="pipe",
            disable_numparse=True,
        )
    )


def _link(path: str) -> Raw:
    return Raw(f"[{escape(path)}]({quote(path, safe='/=,@')})")


def _html(text: str) -> Raw:
    """Escape for the inside of an HTML block, where Markdown is not read."""
    return Raw(html.escape(visible(text)))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("runner.report"),
        # Markdown is not HTML: everything is escaped below, and Raw is the only way around it.
        autoescape=False,  # noqa: S701
        finalize=lambda value: value if isinstance(value, Raw) else escape(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fenced": _fenced, "grid": _grid, "html": _html, "link": _link}
    return environment.get_template("report.md.j2")
