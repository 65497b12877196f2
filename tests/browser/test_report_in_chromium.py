"""The HTML report in a real browser."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from runner.report.render import html_page
from runner.report.view import view
from tests.support.browser import opened, printed, serious_findings
from tests.support.samples import (
    AS_PUBLISHED,
    founding_matrix,
    founding_results,
    founding_stored,
)

OWNED = "document.body.setAttribute('data-owned','yes')"
HOSTILE = f'<script>{OWNED}</script><img src=x onerror="{OWNED}"></script><svg onload="{OWNED}">'

WIDE, NARROW = 1280, 400
SIZES = [
    pytest.param(WIDE, id="wide"),
    pytest.param(
        NARROW,
        id="narrow",
        marks=pytest.mark.xfail(
            raises=AssertionError, reason="a table that scrolls cannot be focused"
        ),
    ),
]


@pytest.fixture(scope="module")
def founding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of the founding study."""
    path = tmp_path_factory.mktemp("founding") / "report.html"
    path.write_text(html_page(view(founding_stored())), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_quiet_and_needs_no_other_file(
    chromium: Browser, founding: Path, dark: bool
) -> None:
    """The page requests nothing, and the browser has nothing to complain about."""
    with opened(chromium, founding, dark=dark) as page:
        page.unfold()
        assert page.document.count('<svg class="figure"') == 3
    assert page.fetched == page.inline == []
    assert page.console == page.errors == []


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_accessible(chromium: Browser, founding: Path, width: int, dark: bool) -> None:
    """Axe finds no serious problem, neither in the page as it opens nor in folded parts."""
    with opened(chromium, founding, width=width, dark=dark) as page:
        assert serious_findings(page) == []
        page.unfold()
        assert serious_findings(page) == []


@pytest.mark.xfail(raises=AssertionError, reason="a cell id in a heading does not wrap")
def test_the_page_fits_a_phone(chromium: Browser, founding: Path) -> None:
    """Wide tables and logs scroll within the page; the page itself does not scroll sideways."""
    with opened(chromium, founding, width=NARROW) as page:
        page.unfold()
        assert page.scroll_width <= NARROW


def test_the_page_works_without_javascript(chromium: Browser, founding: Path) -> None:
    """All sections and figures are visible, and folded tables can be opened."""
    with opened(chromium, founding, javascript=False) as page:
        headings = page.tab.locator("h1, h2").all()
        assert len(headings) > 5
        assert all(heading.is_visible() for heading in headings)
        assert all(figure.is_visible() for figure in page.tab.locator("svg.figure").all())
        folded = page.tab.locator("details:not([open])").first
        content = folded.locator("table").element_handle()
        assert not content.is_visible()
        folded.locator("summary").click()
        assert content.is_visible()
    assert page.fetched == page.console == page.errors == []


def test_the_page_can_be_printed(chromium: Browser, founding: Path, tmp_path: Path) -> None:
    """It fills several sheets of paper."""
    with opened(chromium, founding) as page:
        assert printed(page, tmp_path / "report.pdf") > 1
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_hostile_texts_stay_texts(chromium: Browser, tmp_path: Path) -> None:
    """Titles, reasons and logs that contain scripts are shown as text."""
    matrix = replace(founding_matrix(), title=HOSTILE)
    results = tuple(
        replace(one, reason=HOSTILE) if one.trial.cell == AS_PUBLISHED else one
        for one in founding_results()
    )
    logs = {f"{AS_PUBLISHED}@b1.1": HOSTILE}
    path = tmp_path / "report.html"
    path.write_text(html_page(view(founding_stored(results, matrix, logs))), encoding="utf-8")
    with opened(chromium, path) as page:
        page.unfold()
        assert page.tab.title() == HOSTILE
        assert page.document.count('<svg class="figure"') == 3
        assert "data-owned=" not in page.document
        assert "&lt;script&gt;document.body.setAttribute" in page.document
    assert page.fetched == page.inline == page.console == page.errors == []
