"""The HTML report in a real browser."""

from dataclasses import replace
from pathlib import Path

from runner.report.render import html_page
from tests.support.browser import rendered
from tests.support.reports import view_of
from tests.support.samples import (
    AS_PUBLISHED,
    founding_matrix,
    founding_results,
    founding_stored,
)

OWNED = "document.body.setAttribute('data-owned','yes')"
HOSTILE = f'<script>{OWNED}</script><img src=x onerror="{OWNED}"></script><svg onload="{OWNED}">'


def test_figures_are_shown_and_hostile_texts_stay_texts(chromium: str, tmp_path: Path) -> None:
    """Titles, reasons and logs that contain scripts are shown as text."""
    matrix = replace(founding_matrix(), title=HOSTILE)
    results = tuple(
        replace(one, reason=HOSTILE) if one.trial.cell == AS_PUBLISHED else one
        for one in founding_results()
    )
    logs = {f"{AS_PUBLISHED}@b1.1": HOSTILE}
    page = html_page(view_of(founding_stored(results, matrix, logs)))
    document = rendered(chromium, page, tmp_path)
    assert document.count('<svg class="figure"') == 3
    assert "data-owned=" not in document
    assert "&lt;script&gt;document.body.setAttribute" in document
