"""Render a view as Markdown for GitHub, and as one HTML page that needs no network.

Every text of a view is untrusted, since most texts repeat what a script, a framework or a matrix
said. The templates escape everything they print, unless a filter returns markup on purpose.
"""

import html
import re
from collections.abc import Sequence
from functools import cache
from urllib.parse import quote

import tabulate
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from runner.report import drawing
from runner.report.records import Figure, ReportView, Table
from runner.runs.files import file_name
from runner.text import one_line

CHARACTERS_OF_A_LINE = 300
BAR_TITLE = "interval and limit"

_HASH = r"(?<!\w)(?=[0-9]*[a-f])[0-9a-f]{7,40}(?!\w)"  # GitHub links the commit of that name
_MENTION = r"@(?=\w)|#(?=[0-9])|(?<=\bGH)-(?=[0-9])"  # GitHub notifies a person, or links an issue
_SPECIAL = re.compile(
    rf"{_HASH}|{_MENTION}"
    r"|[\\`*_\[\]~$&<>|]"  # syntax of Markdown, tables, HTML and formulas
    r"|:(?=//)|(?<=www)\.",  # GitHub turns this into a link
    re.IGNORECASE,
)
_OPENING = re.compile(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=#|[-+](?:\W|$)))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_CUT = "<!-- -->"
"""Invisible; what it separates is not linked."""

# Columns must have the same width whether or not the package wcwidth is installed.
tabulate.WIDE_CHARS_MODE = False


class Raw(str):
    """Text that is already Markdown or HTML and is printed as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def markdown(view: ReportView) -> str:
    """Return the report as Markdown."""
    return _template("report.md.j2").render(view=view)


def html_page(view: ReportView) -> str:
    """Return the report as one HTML page, which fetches nothing."""
    return _template("report.html.j2").render(
        view=view, colours=Raw(drawing.colours()), bar_title=BAR_TITLE
    )


def issue(view: object) -> str:
    """Return the text of an issue as Markdown."""
    return _template("issue.md.j2").render(issue=view).rstrip() + "\n"


def image_path(figure: Figure) -> str:
    """Return the path of the SVG of a figure, relative to the report."""
    return f"figures/{file_name(figure.name)}.svg"


def escape(text: str) -> Raw:
    """Return one line of Markdown that shows the text and does nothing else."""
    line = re.sub(" +", " ", one_line(text)).strip(" ")
    return Raw(_OPENING.sub(r"\1\\", _SPECIAL.sub(_escaped, line)))


def _escaped(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) > 1:
        return f"`{text}`"  # nothing in code is linked
    if text in "@#-":
        return text + _CUT
    return _ENTITIES.get(text, f"\\{text}")


def _html(text: str) -> Raw:
    """Return one line of HTML in Markdown, where GitHub links the same things."""
    line = html.escape(one_line(text))
    line = re.sub(_MENTION, lambda found: found[0] + _CUT, line, flags=re.IGNORECASE)
    return Raw(re.sub(_HASH, r"<code>\g<0></code>", line, flags=re.IGNORECASE))


@cache
def _template(name: str) -> Template:
    is_html = name == "report.html.j2"
    write = one_line if is_html else escape
    environment = Environment(
        loader=PackageLoader("runner.report"),
        autoescape=is_html,  # noqa: S701 (in Markdown, finalize escapes all but Raw)
        finalize=lambda value: value if hasattr(value, "__html__") else write(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "address": lambda path: Raw(quote(path, safe="/=,@")),
        "code": _code,
        "drawn": lambda figure: Raw(figure.drawing.inline(file_name(figure.name))),
        "bar": lambda bar: Raw("" if bar is None else bar.inline()),
        "fenced": _fenced,
        "grid": _grid,
        "html": _html,
        "image_path": image_path,
        "lines": lambda text: Markup("<br>").join(map(one_line, text.split("\n"))),
        "log": lambda lines: Raw(html.escape(_cut(lines))),
    }
    return environment.get_template(name)


def _fenced(lines: tuple[str, ...]) -> Raw:
    return _code(_cut(lines).split("\n") if lines else (), "text")


def _code(lines: Sequence[str], language: str) -> Raw:
    text = "\n".join(map(one_line, lines))
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Raw("\n".join([f"{fence}{language}", *([text] if lines else []), fence]))


def _cut(lines: tuple[str, ...]) -> str:
    return "\n".join(one_line(line).rstrip()[:CHARACTERS_OF_A_LINE] for line in lines)


def _grid(table: Table) -> Raw:
    headers = list(table.headers)
    bars: list[list[str]] = [[] for _ in table.rows]
    if table.bars:
        headers.append((BAR_TITLE, "left"))
        bars = [[f"`{bar.characters()}`" if bar else ""] for bar in table.bars]
    return Raw(
        tabulate.tabulate(
            [
                ["<br>".join(map(escape, text.split("\n"))) for text in row] + bar
                for row, bar in zip(table.rows, bars, strict=True)
            ],
            headers=[escape(title) for title, _ in headers],
            colalign=[alignment for _, alignment in headers],
            tablefmt="pipe",
            disable_numparse=True,
        )
    )
