"""HTML pages in a real browser."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import required


def chromium_or_skip() -> str:
    """Return the path of Chromium; skip the test if there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and not os.environ.get(required.BROWSER):
        pytest.skip("there is no chromium on PATH")
    assert found is not None, "CI needs a chromium on PATH"
    return found


def rendered(chromium: str, page: str, folder: Path) -> str:
    """Return the document of a page after its scripts have run."""
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
