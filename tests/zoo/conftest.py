"""What the zoo takes from other tests."""

from tests.browser.test_report_in_chromium import chromium

__all__ = ["chromium"]
