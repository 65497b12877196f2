"""Fixtures that the zoo shares with other tests."""

from tests.browser.test_report_in_chromium import chromium
from tests.engine.conftest import readable

__all__ = ["chromium", "readable"]
