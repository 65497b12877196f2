"""How a report looks: a view as Markdown for GitHub, and as one HTML page that needs no network.

Every text of a view counts as untrusted, since most of them repeat what a script, a framework or a
matrix said. The templates escape whatever they print, unless a filter made it on purpose.
"""

import html
import json
import re
from functools import cache
from urllib.parse import quote

import tabulate
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from runner.report import figures
from runner.report.page import Figure, ReportView, Table
from runner.runs.files import file_name

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
    return _markdown_template().render(view=view)


def html_page(view: ReportView) -> str:
    """Return the report as one HTML page: its plots are alive, and it fetches nothing."""
    drawn = figures_of(view)
    script = Markup(figures.script()) if drawn else ""  # noqa: S704 (Vega's own)
    return _html_template().render(view=view, figures=drawn, script=script)


def figures_of(view: ReportView) -> list[Figure]:
    """Return every figure of a report."""
    return [figure for section in view.sections for figure in section.figures]


def image_path(figure: Figure) -> str:
    """Return where the drawing of a figure lies, relative to the report."""
    return f"figures/{file_name(figure.name)}.svg"


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


def _image(figure: Figure) -> Raw:
    return Raw(f"![{escape(figure.caption)}]({quote(image_path(figure))})")


def _lines(text: str) -> Markup:
    return Markup("<br>").join(visible(line) for line in text.split("\n"))


def _log(lines: tuple[str, ...]) -> str:
    return "\n".join(visible(line).rstrip()[:LETTERS_OF_A_LINE] for line in lines)


def _json(content: object) -> Markup:
    """Return JSON for the inside of a script: no text in it can end the script."""
    plain = json.dumps(content, ensure_ascii=True)
    for letter in "<>&":
        plain = plain.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(plain)  # noqa: S704 (no markup is left in it)


def _drawn(figure: Figure) -> Markup:
    return Markup(figures.svg(figure.chart))  # noqa: S704 (vl-convert escapes texts)


@cache
def _html_template() -> Template:
    environment = Environment(
        loader=PackageLoader("runner.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else visible(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": lambda figure: file_name(figure.name),
        "address": lambda path: quote(path, safe="/=,@"),
        "drawn": _drawn,
        "json": _json,
        "lines": _lines,
        "log": lambda lines: Markup(html.escape(_log(lines))),  # noqa: S704 (escaped)
    }
    return environment.get_template("report.html.j2")


@cache
def _markdown_template() -> Template:
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
    environment.filters |= {
        "fenced": _fenced,
        "grid": _grid,
        "html": _html,
        "image": _image,
        "link": _link,
    }
    return environment.get_template("report.md.j2")
