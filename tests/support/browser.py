"""HTML pages in a real browser: the system's Chromium, driven by Playwright."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support import required

INLINE = ("data:", "blob:")
"""Addresses that contain their own content, or name content that the page made itself."""

GRAVE = ("serious", "critical")
"""The two worst impacts that axe knows."""

PDF_PAGE = re.compile(rb"/Type\s*/Page\b")


@dataclass(frozen=True)
class OpenedPage:
    """A page in its own tab, and everything noteworthy that has happened there so far."""

    tab: Page
    console: list[str] = field(default_factory=list)
    """The messages on the console, such as ``error: text``. Blocked scripts are among them."""
    errors: list[str] = field(default_factory=list)
    """The exceptions that no script of the page caught."""
    fetched: list[str] = field(default_factory=list)
    """The requested addresses besides the page itself, even if the request was blocked."""
    inline: list[str] = field(default_factory=list)
    """The requested ``data:`` and ``blob:`` addresses. Chromium does not report all images."""

    @property
    def document(self) -> str:
        """The document as HTML, after its scripts have run."""
        return self.tab.content()

    @property
    def scroll_width(self) -> int:
        """The width of the document. If it exceeds the tab, the reader must scroll sideways."""
        return int(self.tab.evaluate("document.documentElement.scrollWidth"))

    def unfold(self) -> None:
        """Open all ``<details>``: axe ignores folded content."""
        self.tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


class NoBrowserError(Exception):
    """The browser, or Playwright, does not start."""


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium; raise NoBrowserError if that is impossible here."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise NoBrowserError("there is no chromium on PATH")
    with ExitStack() as running:
        try:
            playwright = running.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Exception as error:  # Playwright does not always raise its own exceptions
            reason = str(error).partition("\n")[0]
            raise NoBrowserError(f"chromium cannot be started: {reason}") from error
        running.callback(browser.close)
        yield browser


@contextmanager
def launched_or_skip() -> Iterator[Browser]:
    """Run Chromium; skip the test if that is impossible here, or fail if CI requires it."""
    with ExitStack() as running:
        try:
            browser = running.enter_context(launched())
        except NoBrowserError as error:
            _give_up(str(error))
        yield browser


def _give_up(reason: str) -> NoReturn:
    if os.environ.get(required.BROWSER):
        pytest.fail(f"CI needs a browser, but {reason}", pytrace=False)
    pytest.skip(reason)


@contextmanager
def opened(
    chromium: Browser,
    path: Path,
    *,
    width: int = 1280,
    height: int = 900,
    dark: bool = False,
    javascript: bool = True,
) -> Iterator[OpenedPage]:
    """Open a file in a fresh tab without a network, and wait until it requests nothing more."""
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        java_script_enabled=javascript,
        offline=True,
    )
    try:
        page = OpenedPage(context.new_page())
        _watch(page, path.resolve().as_uri())
        page.tab.goto(path.resolve().as_uri(), wait_until="networkidle")
        yield page
    finally:
        context.close()


def _watch(page: OpenedPage, own: str) -> None:
    """Record everything that a page does from now on."""

    def note(address: str) -> None:
        noted = page.inline if address.startswith(INLINE) else page.fetched
        if address != own and address not in noted:
            noted.append(address)

    tab, context = page.tab, page.tab.context
    tab.on("console", lambda message: page.console.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: page.errors.append(str(error)))
    tab.on("websocket", lambda socket: note(socket.url))
    context.on("request", lambda request: note(request.url))  # also those of workers
    # Playwright reports no data: addresses, so ask the browser as well.
    protocol = context.new_cdp_session(tab)
    protocol.on("Network.requestWillBeSent", lambda event: note(event["request"]["url"]))
    protocol.send("Network.enable")


def serious_findings(page: OpenedPage) -> list[str]:
    """Check the page as it is now with axe; return its serious and critical findings.

    The content security policy of a page does not apply to what a debugger evaluates.
    """
    page.tab.evaluate(_axe())
    found = page.tab.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        _finding(violation, node)
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def _finding(violation: dict[str, Any], node: dict[str, Any]) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    reasons = "; ".join(check["message"] for check in checks)
    where = " ".join(map(str, node["target"]))
    return f"{violation['impact']} {violation['id']}: {where}: {reasons or violation['help']}"


def screenshot(page: OpenedPage, path: Path, *, full: bool = False) -> None:
    """Save what the tab shows, or the full page, as a PNG file."""
    page.tab.screenshot(path=path, full_page=full, animations="disabled")


def printed(page: OpenedPage, path: Path) -> int:
    """Print the page to a PDF file; return the number of its pages."""
    return len(PDF_PAGE.findall(page.tab.pdf(path=path, format="A4")))
