"""The HTML page: the same words as the Markdown, and no text in it that does anything."""

import json
import re
from html.parser import HTMLParser

import pytest

from runner.report.records import Excerpt, Figure, ReportView, Section, Statement, Table
from runner.report.render import html_page, markdown
from runner.report.view import view
from tests.support.samples import founding_stored

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m&amp;"


class Seen(HTMLParser):
    """What a browser would find: elements with their attributes, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def seen(page: str) -> Seen:
    """Read a page as a browser does."""
    found = Seen()
    found.feed(page)
    return found


@pytest.fixture(scope="module")
def founding() -> ReportView:
    """What the report of the founding study says."""
    return view(founding_stored())


def test_the_page_says_what_the_markdown_says(founding: ReportView) -> None:
    """Every heading and every finding is in both."""
    page, text = "".join(seen(html_page(founding)).text), markdown(founding)
    assert founding.sections
    for section in founding.sections:
        assert section.title in page
        assert f"## {section.title}" in text
        for statement in section.statements:
            assert statement.head in page


def test_the_decision_comes_first(founding: ReportView) -> None:
    """A reader who stops after the first section knows what to do."""
    titles = [section.title for section in founding.sections]
    assert titles[:3] == ["Decision", "Verdicts", "Published claims"]
    [decision] = founding.sections[0].statements
    assert decision.head == "Do not upgrade to tensorflow 2.0.0 (hold)"


def test_every_figure_is_drawn_and_alive(founding: ReportView) -> None:
    """It is there as SVG without any script, and the script has its definition."""
    page = html_page(founding)
    figures = [figure for section in founding.sections for figure in section.figures]
    assert len(figures) == 3
    assert page.count("<svg") >= len(figures)
    assert page.count("vegaEmbed(document.getElementById(") == len(figures)


def test_the_page_fetches_nothing(founding: ReportView) -> None:
    """No element loads anything, and the policy of the page forbids it to scripts."""
    found = seen(html_page(founding))
    loading = {"src", "srcset", "data", "action", "poster"}
    for tag, attributes in found.elements:
        assert tag not in {"link", "iframe", "object", "embed", "img"}
        assert not loading & {name for name, _ in attributes}
    [policy] = [
        dict(attributes)["content"]
        for tag, attributes in found.elements
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attributes
    ]
    assert policy
    assert policy.startswith("default-src 'none'")


def test_hostile_texts_stay_texts() -> None:
    """Whatever a script, a framework or a matrix says becomes neither element nor script."""
    chart = {"mark": "point", "data": {"values": [{"a": HOSTILE}]}, "encoding": {}}
    hostile = ReportView(
        title=HOSTILE,
        lead=(HOSTILE,),
        sections=(
            Section(
                title=HOSTILE,
                lead=(HOSTILE,),
                statements=(Statement(head=HOSTILE, text=HOSTILE, notes=(HOSTILE,)),),
                figures=(Figure(name=HOSTILE, caption=HOSTILE, chart=chart),),
                tables=(
                    Table(caption=HOSTILE, columns=(HOSTILE,), rows=((HOSTILE,),), folded=True),
                ),
                notes=(HOSTILE,),
                excerpts=(
                    Excerpt(title=HOSTILE, sentences=(HOSTILE,), lines=(HOSTILE,), path=HOSTILE),
                ),
            ),
        ),
    )
    page = html_page(hostile)
    found = seen(page)
    assert [tag for tag, _ in found.elements if tag == "script"] == ["script"] * 2
    assert "img" not in [tag for tag, _ in found.elements]
    assert not any(name.startswith("on") for _, attrs in found.elements for name, _ in attrs)
    assert "\x1b" not in page
    [drawn] = re.findall(r"vegaEmbed\(document\.getElementById\((.*)\), (\{.*\}), \{actions", page)
    [anchor] = [dict(attrs)["id"] for tag, attrs in found.elements if dict(attrs).get("id")]
    assert json.loads(drawn[0]) == anchor
    assert json.loads(drawn[1]) == chart
