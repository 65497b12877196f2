"""Render a view as Markdown for GitHub, and as one HTML page that needs no network.

Every text of a view is untrusted, since most texts repeat what a script, a framework or a matrix
said. The templates escape everything they print, unless a filter returns markup on purpose.
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
from runner.report.records import Figure, ReportView, Table
from runner.runs.files import file_name
from runner.text import one_line

CHARACTERS_OF_A_LINE = 300

_SPECIAL = re.compile(
    r"[\\`*_\[\]~$&<>|]"  # syntax of Markdown, tables, HTML and formulas
    r"|:(?=//)|(?<=www)\."  # GitHub turns this into a link
    r"|@(?=\w)",  # GitHub notifies a person, or links a mail address
    re.IGNORECASE,
)
_OPENING = re.compile(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=#|[-+](?:\W|$)))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "@<!-- -->"}

# Columns must have the same width whether or not the package wcwidth is installed.
tabulate.WIDE_CHARS_MODE = False


class Raw(str):
    """Text that is already Markdown and is printed as it is."""

    __slots__ = ()


def markdown(view: ReportView) -> str:
    """Return the report as Markdown."""
    return _template("report.md.j2").render(view=view)


def html_page(view: ReportView) -> str:
    """Return the report as one HTML page with interactive plots; it fetches nothing."""
    script = Markup(figures.script()) if view.figures else ""  # noqa: S704 (Vega's own)
    return _template("report.html.j2").render(view=view, script=script)


def image_path(figure: Figure) -> str:
    """Return the path of the SVG of a figure, relative to the report."""
    return f"figures/{file_name(figure.name)}.svg"


def escape(text: str) -> Raw:
    """Return one line of Markdown that shows the text and does nothing else."""
    line = re.sub(" +", " ", one_line(text)).strip(" ")
    line = _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], "\\" + found[0]), line)
    return Raw(_OPENING.sub(r"\1\\", line))


@cache
def _template(name: str) -> Template:
    is_html = name == "report.html.j2"
    environment = Environment(
        loader=PackageLoader("runner.report"),
        autoescape=is_html,  # noqa: S701 (in Markdown, finalize escapes all but Raw)
        finalize=_html_text if is_html else _markdown_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "address": lambda path: Raw(quote(path, safe="/=,@")),
        "anchor": lambda figure: file_name(figure.name),
        "drawn": _drawn,
        "fenced": _fenced,
        "grid": _grid,
        "html": _html,
        "image_path": image_path,
        "json": _json,
        "lines": _lines,
        "log": _log,
    }
    return environment.get_template(name)


def _html_text(value: object) -> str:
    return value if isinstance(value, Markup) else one_line(str(value))


def _markdown_text(value: object) -> Raw:
    return value if isinstance(value, Raw) else escape(str(value))


# Filters for Markdown


def _fenced(lines: tuple[str, ...]) -> Raw:
    log = _cut(lines)
    longest = max(map(len, re.findall("`+", log)), default=0)
    fence = "`" * max(3, longest + 1)
    return Raw("\n".join([f"{fence}text", *([log] if lines else []), fence]))


def _cut(lines: tuple[str, ...]) -> str:
    return "\n".join(one_line(line).rstrip()[:CHARACTERS_OF_A_LINE] for line in lines)


def _grid(table: Table) -> Raw:
    return Raw(
        tabulate.tabulate(
            [["<br>".join(map(escape, text.split("\n"))) for text in row] for row in table.rows],
            headers=[escape(title) for title, _ in table.headers],
            colalign=[alignment for _, alignment in table.headers],
            tablefmt="pipe",
            disable_numparse=True,
        )
    )


def _html(text: str) -> Raw:
    """Escape for the inside of an HTML block, in which Markdown has no effect."""
    return Raw(html.escape(one_line(text)))


# Filters for HTML


def _drawn(figure: Figure) -> Markup:
    return Markup(figures.svg(figure.chart))  # noqa: S704 (vl-convert escapes texts)


def _json(content: object) -> Markup:
    """Return JSON for the inside of a script element: no text in it can end that element."""
    plain = json.dumps(content, ensure_ascii=True)
    for character in "<>&":
        plain = plain.replace(character, f"\\u{ord(character):04x}")
    return Markup(plain)  # noqa: S704 (it contains no markup)


def _lines(text: str) -> Markup:
    return Markup("<br>").join(map(one_line, text.split("\n")))


def _log(lines: tuple[str, ...]) -> Markup:
    return Markup(html.escape(_cut(lines)))  # noqa: S704 (escaped)
