"""The browser tests notice the problems that they are meant to find."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support import required
from tests.support.browser import launched_or_skip, opened, screenshot, serious_findings
from tests.support.studies import ROOT

POLICY = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
IMAGE = '<img alt="" src="http://elsewhere.example/x.png">'
SCRIPT = """<script>
fetch(URL.createObjectURL(new Blob(["a"])));
navigator.sendBeacon("https://elsewhere.example/beacon");
new Worker(URL.createObjectURL(new Blob(["fetch('http://elsewhere.example/work')"])));
try { new WebSocket("ws://elsewhere.example/socket") } catch (error) {}
console.warn("careful");
document.title = "owned";
setTimeout(() => { throw new Error("uncaught") });
</script>"""


def written(folder: Path, body: str, head: str = "") -> Path:
    """Write a page."""
    path = folder / "page.html"
    path.write_text(f'<!doctype html><html lang="en"><head>{head}<title>t</title></head>{body}')
    return path


def test_everything_that_a_page_does_is_noticed(chromium: Browser, tmp_path: Path) -> None:
    """Requests of elements, scripts and workers, messages, and uncaught exceptions."""
    frame = '<iframe title="f" src="data:text/html,hi"></iframe><img alt="" src="beside.png">'
    with opened(chromium, written(tmp_path, IMAGE + frame + SCRIPT)) as page:
        assert page.tab.title() == "owned"
    assert sorted(page.fetched) == [
        (tmp_path / "beside.png").as_uri(),
        "http://elsewhere.example/work",
        "http://elsewhere.example/x.png",
        "https://elsewhere.example/beacon",
        "ws://elsewhere.example/socket",
    ]
    assert {address[:5] for address in page.inline} == {"data:", "blob:"}
    assert "warning: careful" in page.console
    assert "uncaught" in page.errors


def test_what_the_policy_of_a_page_blocks_is_noticed(chromium: Browser, tmp_path: Path) -> None:
    """A blocked request counts as a request, and a blocked script leaves a message."""
    with opened(chromium, written(tmp_path, IMAGE + SCRIPT, POLICY)) as page:
        assert page.tab.title() == "t"
    assert page.fetched == ["http://elsewhere.example/x.png"]
    assert any("inline script" in message for message in page.console)


def test_without_javascript_no_script_runs(chromium: Browser, tmp_path: Path) -> None:
    """The scripts of the page neither run nor complain."""
    with opened(chromium, written(tmp_path, SCRIPT), javascript=False) as page:
        assert page.tab.title() == "t"
    assert page.fetched == page.console == page.errors == []


def test_axe_checks_what_the_reader_sees(chromium: Browser, tmp_path: Path) -> None:
    """It depends on dark mode, on what is folded, and not on the policy of the page."""
    style = (
        "<style>:root { color-scheme: light dark }"
        "@media (prefers-color-scheme: dark) { body { background: #000 } #pale { color: #333 } }"
        "</style>"
    )
    policy = POLICY.replace("'none'", "'none'; style-src 'unsafe-inline'")
    body = "<main><h1>t</h1><p id=pale>pale</p><details><summary>s</summary><img src=x></details>"
    path = written(tmp_path, body, policy + style)
    with opened(chromium, path) as page:
        assert serious_findings(page) == []
        page.unfold()
        (image,) = serious_findings(page)
        assert image.startswith("critical image-alt: img: ")
    with opened(chromium, path, dark=True) as page:
        (pale,) = serious_findings(page)
        assert pale.startswith("serious color-contrast: #pale: ")


def test_the_size_of_a_tab_is_the_size_of_its_screenshot(chromium: Browser, tmp_path: Path) -> None:
    """A full screenshot is as long as the page; a wide page is noticed."""
    body = '<body style="margin: 0"><div style="width: 500px; height: 1234px">'
    with opened(chromium, written(tmp_path, body), width=400, height=300) as page:
        assert page.scroll_width == 500
        screenshot(page, tmp_path / "first.png")
        screenshot(page, tmp_path / "full.png", full=True)
    assert size(tmp_path / "first.png") == (400, 300)
    assert size(tmp_path / "full.png")[1] == 1234


def size(path: Path) -> tuple[int, int]:
    """Return the width and height that the header of a PNG file names."""
    header = path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


CI = pytest.mark.parametrize("ci", [False, True], ids=["elsewhere", "ci"])


@CI
def test_without_chromium_tests_are_skipped_or_fail(
    ci: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that needs the browser must not be skipped in CI."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(required.BROWSER, "1" if ci else "")
    ending = pytest.fail.Exception if ci else pytest.skip.Exception
    with pytest.raises(ending, match="there is no chromium on PATH"), launched_or_skip():
        pass


@CI
def test_without_a_driver_tests_are_skipped_or_fail(ci: bool) -> None:
    """The same if Playwright cannot run its driver, for example because of an old C library."""
    needy = "tests/browser/test_report_in_chromium.py::test_hostile_texts_stay_texts"
    variables = {"PLAYWRIGHT_NODEJS_PATH": "/bin/false", required.BROWSER: "1" if ci else ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", needy],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "chromium cannot be started" in done.stdout
    assert ("1 skipped" in done.stdout) != ci
    assert done.returncode == (1 if ci else 0)
