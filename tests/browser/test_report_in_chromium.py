"""The HTML report in a real browser: plots are interactive, hostile texts stay texts."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runner.report.render import html_page
from runner.report.view import view
from tests.support.samples import (
    AS_PUBLISHED,
    founding_matrix,
    founding_results,
    founding_stored,
)

REQUIRE = "MATRIX_RUNNER_REQUIRE_BROWSER"
"""Set in CI: without a browser, these tests fail instead of being skipped."""

OWNED = "document.body.setAttribute('data-owned','yes')"
HOSTILE = f'<script>{OWNED}</script><img src=x onerror="{OWNED}"></script><svg onload="{OWNED}">'


@pytest.fixture
def chromium() -> str:
    """Return the browser, or skip the test if there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None and not os.environ.get(REQUIRE):
        pytest.skip("there is no chromium on PATH")
    assert found is not None, "CI needs a chromium on PATH"
    return found


def rendered(chromium: str, page: str, folder: Path) -> str:
    """Return the document after its scripts have run."""
    (folder / "report.html").write_text(page, encoding="utf-8")
    done = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            (folder / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def test_plots_are_interactive_and_hostile_texts_stay_texts(chromium: str, tmp_path: Path) -> None:
    """Titles, reasons and logs that contain scripts are shown as texts."""
    matrix = replace(founding_matrix(), title=HOSTILE)
    results = tuple(
        replace(one, reason=HOSTILE) if one.trial.cell == AS_PUBLISHED else one
        for one in founding_results()
    )
    logs = {f"{AS_PUBLISHED}@b1.1": HOSTILE}
    page = html_page(view(founding_stored(results, matrix, logs)))
    document = rendered(chromium, page, tmp_path)
    assert document.count('class="vega-embed') == 3
    assert "data-owned=" not in document
    assert "&lt;script&gt;document.body.setAttribute" in document
