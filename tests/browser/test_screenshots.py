"""The program that takes screenshots of reports."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support import screenshots


def test_each_report_gets_eight_screenshots(chromium: Browser, tmp_path: Path) -> None:
    """Two sizes, two colours, and the first screen or everything."""
    report = tmp_path / "report.html"
    report.write_text("<!doctype html><title>t</title><p style='height: 2000px'>text")
    screenshots.take(chromium, report, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.glob("*.png")) == sorted(
        f"run-{width}-{colour}-{part}.png"
        for width in (1280, 400)
        for colour in ("light", "dark")
        for part in ("first", "full")
    )


def test_folders_without_a_report_and_with_equal_names_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No browser is started for them."""
    for name in ("a/run", "b/run"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(SystemExit):
        screenshots.main([str(tmp_path / "out"), str(tmp_path / "a/run")])
    assert "has no report.html" in capsys.readouterr().err
    for name in ("a/run", "b/run"):
        (tmp_path / name / "report.html").touch()
    with pytest.raises(SystemExit):
        screenshots.main([str(tmp_path / "out"), str(tmp_path / "a/run"), str(tmp_path / "b/run")])
    assert "different names" in capsys.readouterr().err
