"""Render a view as Markdown for GitHub, and as one HTML page that needs no network.

Every text of a view is untrusted, since most texts repeat what a script, a framework or a matrix
said. The templates escape everything they print, unless a filter returns markup on purpose.
"""

import base64
import gzip
import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

import tabulate
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from runner.report import drawing, words
from runner.report.records import Figure, ReportView, Row, Section, Statement, Table
from runner.runs.files import file_name
from runner.text import cut, one_line

CHARACTERS_OF_A_LINE = 300
MOST_ROWS = 200
MOST_ROWS_OF_A_SUMMARY = 40
LARGEST_SUMMARY = 60_000
"""Of a summary, in bytes: GitHub drops a larger one whole."""
LARGEST_PLAIN = 30_000
"""Of a file inside the page, in bytes."""
TERMINAL = ("failures", "answer")
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


@dataclass(frozen=True, slots=True)
class Download:
    """A file inside the page: its name, what it holds, and its address."""

    name: str
    says: str
    address: Raw

    @classmethod
    def of(cls, name: str, says: str, content: str) -> "Download":
        """Return a file with this content, compressed if it is large."""
        packed = content.encode(errors="replace")
        kind = "text/plain" if not name.endswith(".json") else "application/json"
        if len(packed) > LARGEST_PLAIN:
            packed, name, kind = gzip.compress(packed, mtime=0), f"{name}.gz", "application/gzip"
        return cls(name, says, Raw(f"data:{kind};base64,{base64.b64encode(packed).decode()}"))


def markdown(view: ReportView) -> str:
    """Return the report as Markdown."""
    return _template("report.md.j2").render(
        view=view, most=MOST_ROWS, pictures=True, rest="report.csv and results.csv"
    )


def summary(view: ReportView) -> str:
    """Return the key sections as Markdown that a job summary or a comment can hold.

    Rows and statements are left out until it is at most ``LARGEST_SUMMARY`` bytes long.
    """
    template, most = _template("summary.md.j2"), MOST_ROWS_OF_A_SUMMARY
    while True:
        text = template.render(view=view, most=most, pictures=False, rest="report.md")
        if len(text.encode()) <= LARGEST_SUMMARY or most == 0:
            return cut(text, LARGEST_SUMMARY // 4) if most == 0 else text
        most //= 2


def html_page(view: ReportView, downloads: Iterable[Download] = ()) -> str:
    """Return the report as one HTML page, which fetches nothing."""
    script = re.sub(r"^ +(//.*\n)?", "", _file("report.js"), flags=re.MULTILINE)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template("report.html.j2").render(
        view=view,
        cells={cell: at for at, cell in enumerate(view.cells)},
        style=Raw(drawing.colours() + _file("report.css")),
        script=Raw(script),
        script_digest=Raw(digest),
        downloads=downloads,
        most=MOST_ROWS,
    )


def terminal(view: ReportView) -> str:
    """Return what failed, the answer and its numbers as plain text: one line for each thought.

    Whoever shows it breaks the lines. The numbers come before what is said about all of them.
    """
    lines = [line for one in view.sections if one.name in TERMINAL for line in _lines(one)]
    return "\n".join(map(one_line, lines)) + "\n"


def _lines(section: Section) -> Iterator[str]:
    about_all = [one for one in section.statements if one.text]
    for statement in section.statements:
        if statement not in about_all or not section.tables:
            yield from _said(statement)
    for table in section.tables:
        if not table.folded:
            yield from map(_change, table.rows)
        elif table.rows:
            yield f"{table.caption}: see the report"
    for statement in about_all if section.tables else ():
        yield from _said(statement)
    yield from section.notes


def _said(statement: Statement) -> Iterator[str]:
    yield statement.head
    yield from (f"  {text}" for text in (statement.text, *statement.notes) if text)


def _change(row: Row) -> str:
    """Return a row of old and new as one line, the verdict first."""
    cell, metric, old, new, change, limit, verdict = row.texts
    if not row.metric:  # it has no numbers, because its trials did not end as they should
        return f"{verdict:12} {cell}: {' '.join(row.basis)}"
    effect = " ".join(change.split("\n"))
    allowed = "margin" if limit.startswith("\N{PLUS-MINUS SIGN}") else "limit"
    said = f"{verdict:12} {metric}, {cell}: {effect}"
    if {old, new} != {words.NOTHING}:
        said += f", {old} \N{RIGHTWARDS ARROW} {new}"
    return f"{said}, {allowed} {limit}"


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
        "fenced": _fenced,
        "grid": _grid,
        "rows": _rows,
        "html": _html,
        "image_path": image_path,
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


def _grid(table: Table, most: int = MOST_ROWS) -> Raw:
    """Return a table as Markdown; intervals are drawn with characters in a last column."""
    headers, rows = list(table.headers), table.rows[:most]
    texts = [["<br>".join(map(escape, text.split("\n"))) for text in row.texts] for row in rows]
    if any(row.bar for row in rows):
        headers.append((BAR_TITLE, "left"))
        for line, row in zip(texts, rows, strict=True):
            line.append(f"`{row.bar.characters()}`" if row.bar else "")
    return Raw(
        tabulate.tabulate(
            texts,
            headers=[escape(title) for title, _ in headers],
            colalign=[alignment for _, alignment in headers],
            tablefmt="pipe",
            disable_numparse=True,
        )
    )


def _rows(table: Table, places: Mapping[str, int], section: str) -> Raw:
    """Return a table as HTML. It may have thousands of rows, so it is written without a template.

    Rows and columns carry what they are about, so that the script of the page can select them.
    ``places`` numbers the cells. In its ``section``, a row with a name has an address.
    """
    titles = "".join(
        f'<th scope="col"{_attributes(alignment, table.metric_of(at))}>{_plain(title)}</th>'
        for at, (title, alignment) in enumerate(table.headers)
    )
    lines = [_row(table, row, places, section) for row in table.rows]
    caption = "" if table.folded else f"<caption>{_plain(table.caption)}</caption>"
    return Raw(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_plain(table.caption)}">'
        f"<table>{caption}<thead><tr>{titles}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def _attributes(alignment: str, metric: str = "") -> str:
    found = ' class="right"' if alignment == "right" else ""
    return found + (f' data-metric="{_plain(metric)}"' if metric else "")


def _row(table: Table, row: Row, places: Mapping[str, int], section: str) -> str:
    about = f' class="{row.tone}"' if row.tone else ""
    if row.cell in places:
        about += f' data-cell="{places[row.cell]}"'
    if row.metric:
        about += f' data-metric="{_plain(row.metric)}"'
    anchor = ""
    if row.name:
        name = quote(f"{section}/{row.name}", safe="=,/.-")
        about += f' id="{name}"'
        anchor = f'<a class="link" href="#{quote(name)}" aria-label="Link to this row">#</a>'
    cells = []
    for at, ((title, alignment), text) in enumerate(zip(table.headers, row.texts, strict=True)):
        shown = "<br>".join(map(_plain, text.split("\n")))
        if at == table.bars and row.bar is not None:
            shown += f"<br>{row.bar.inline()}"
        if at == len(row.texts) - 1 and row.basis:
            said = _plain(" ".join(row.basis))
            shown += f' <details class="how"><summary>how</summary>{said}</details>'
        number = f' data-v="{row.numbers[at]:.6g}"' if at in row.numbers else ""
        attributes = _attributes(alignment, table.metric_of(at))
        attributes += f' data-title="{_plain(title)}"' if table.bars >= 0 and row.name else ""
        cells.append(f"<td{attributes}{number}>{shown}{anchor if at == 0 else ''}</td>")
    return f"<tr{about}>{''.join(cells)}</tr>"


def _plain(text: str) -> str:
    """Return a text as one line of HTML."""
    return html.escape(one_line(text))


@cache
def _file(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
