"""The HTML page has the content of the Markdown report, and untrusted text stays text."""

import re
from html.parser import HTMLParser

import pytest

from runner.report.drawing import Bar, Drawing, dot, text
from runner.report.records import Excerpt, Figure, ReportView, Row, Section, Statement, Table
from runner.report.render import Download, html_page, markdown, terminal
from tests.support.reports import view_of
from tests.support.samples import founding_stored

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m&amp;"


class Parsed(HTMLParser):
    """A page as a browser sees it: elements with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def founding() -> ReportView:
    """The content of the report of the founding study."""
    return view_of(founding_stored())


@pytest.fixture(scope="module")
def page(founding: ReportView) -> str:
    """The HTML page of the founding study."""
    return html_page(founding)


def test_the_page_has_the_content_of_the_markdown(founding: ReportView, page: str) -> None:
    """Every heading and every finding is in both."""
    shown, text = Parsed(page).text, markdown(founding)
    assert founding.sections
    for section in founding.sections:
        assert section.title in shown
        assert f"## {section.title}" in text
        for statement in section.statements:
            assert statement.head in shown


def test_the_answer_comes_first(founding: ReportView) -> None:
    """A reader who stops after the first section knows what to do."""
    titles = [section.title for section in founding.sections]
    assert titles[:3] == ["Answer", "Changes", "Published claims"]
    [decision, _] = founding.sections[0].statements
    assert decision.head.startswith("Do not upgrade to tensorflow 2.0.0 (hold): time per epoch ")


def test_every_figure_is_drawn(founding: ReportView, page: str) -> None:
    """The page has each figure, with a title and a description for those who cannot see it."""
    assert len(founding.figures) == 3
    assert page.count('<svg class="figure"') == 3
    for figure in founding.figures:
        assert f"{figure.drawing.title}</title>" in page
        assert re.search(r"-words\">[^<]", page)


def test_the_page_fetches_nothing(page: str) -> None:
    """No element loads anything, and the content security policy forbids scripts to do so."""
    elements = Parsed(page).elements
    loading = {"src", "srcset", "data", "action", "poster"}
    for tag, attributes in elements:
        assert tag not in {"link", "iframe", "object", "embed", "img"}
        assert not loading & attributes.keys()
    [policy] = [
        attributes["content"]
        for _, attributes in elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy
    assert policy.startswith("default-src 'none'")


def test_hostile_texts_stay_texts() -> None:
    """No text of a script, a framework or a matrix becomes an element or a script."""
    drawn = Drawing(HOSTILE, HOSTILE, 20, text(0, 10, HOSTILE) + dot(50, 10, 1, HOSTILE))
    row = Row((HOSTILE,), {0: 1.0}, HOSTILE, HOSTILE, basis=(HOSTILE,))
    section = Section(
        "cells",
        HOSTILE,
        (HOSTILE,),
        (Statement(HOSTILE, HOSTILE, (HOSTILE,)),),
        (Table(HOSTILE, (), (row,), (HOSTILE,), metrics=(HOSTILE,)),),
        (Figure(HOSTILE, HOSTILE, drawn, HOSTILE),),
        (HOSTILE,),
        (Excerpt(HOSTILE, (HOSTILE,), (HOSTILE,), HOSTILE, HOSTILE),),
    )
    file = Download.of("x.csv", HOSTILE, HOSTILE)
    page = html_page(ReportView(HOSTILE, HOSTILE, (HOSTILE,), (section,), (HOSTILE,)), [file])
    elements = Parsed(page).elements
    assert [tag for tag, _ in elements].count("script") == 1
    assert "img" not in [tag for tag, _ in elements]
    assert not any(name.startswith("on") for _, attributes in elements for name in attributes)
    assert "\x1b" not in page


def test_an_interval_beside_its_limit_is_drawn_in_both() -> None:
    """With shapes in the page, and with characters in Markdown; a row without one stays empty."""
    bar = Bar(low=-0.1, high=0.1, limits=(0.5,), extent=0.5, tone="bad")
    table = Table("t", ("a",), (Row(("x",), bar=bar), Row(("y",))), bars=0)
    shown = ReportView("r", "q", (), (Section("s", "s", tables=(table,)),))
    assert html_page(shown).count('<svg class="bar"') == 1
    [row] = [line for line in markdown(shown).splitlines() if line.startswith("| x")]
    drawn = row.split("`")[1]
    assert drawn == "\N{MIDDLE DOT}" * 8 + "\N{BLACK SQUARE}" * 5 + "\N{MIDDLE DOT}" * 7 + (
        "\N{BOX DRAWINGS HEAVY VERTICAL}"
    )


def test_a_decision_has_its_tone_and_its_numbers(founding: ReportView, page: str) -> None:
    """A hold is marked, and old and new numbers stand beside each change."""
    decision = founding.sections[0]
    assert [one.tone for one in decision.statements] == ["bad", ""]
    assert '<li class="bad">' in page
    [table] = decision.tables
    assert table.columns[1:5] == ("metric", "old", "new", "change")
    assert table.rows[0].texts[0] == "2.0.0, sequential"
    assert table.rows[0].texts[2].endswith("\N{NO-BREAK SPACE}s")
    assert all(row.bar for row in table.rows)


def test_a_terminal_gets_whole_lines_and_the_numbers_before_how_sure_they_are() -> None:
    """What could not be judged has no empty arrow, and a cell without numbers has its reason."""
    rows = (
        Row(("b, x", "time", "1 s", "2 s", "2x slower\n(1x to 3x)", "+5 %", "hold"), metric="t"),
        Row(("b, y", "time", "—", "—", "not judged", "+5 %", "cannot tell"), metric="t"),
        Row(("b, z", "does it run?", *["—"] * 4, "hold"), basis=("2 of 2 trials failed.",)),
    )
    columns = ("cell", "metric", "old", "new", "change", "limit", "verdict")
    statements = (Statement("Do not.", notes=("Because.",)), Statement("How sure?", "Quite " * 30))
    section = Section("answer", "Answer", (), statements, (Table("t", columns, rows),))
    assert terminal(ReportView("r", "q", (), (section,))).splitlines() == [
        "Do not.",
        "  Because.",
        "hold         time, b, x: 2x slower (1x to 3x), 1 s → 2 s, limit +5 %",
        "cannot tell  time, b, y: not judged, limit +5 %",
        "hold         b, z: 2 of 2 trials failed.",
        "How sure?",
        f"  {'Quite ' * 30}",
    ]
