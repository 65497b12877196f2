"""The HTML report in a real browser."""

import math
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser

from runner.judge import judge
from runner.report import contents
from runner.runs.folder import StoredRun
from tests.support.browser import OpenedPage, opened, printed, serious_findings
from tests.support.grids import grid
from tests.support.judging import ACCURACY, SECONDS
from tests.support.samples import (
    AS_PUBLISHED,
    founding_matrix,
    founding_results,
    founding_stored,
)

OWNED = "document.body.setAttribute('data-owned','yes')"
HOSTILE = f'<script>{OWNED}</script><img src=x onerror="{OWNED}"></script><svg onload="{OWNED}">'

WIDE, NARROW = 1280, 400
PAPER = 718
"""The width of A4 between usual margins."""


@pytest.fixture(scope="module")
def founding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of the founding study."""
    path = tmp_path_factory.mktemp("founding") / "report.html"
    path.write_text(contents(founding_stored())["report.html"], encoding="utf-8")
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


@pytest.mark.parametrize("width", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_accessible(chromium: Browser, founding: Path, width: int, dark: bool) -> None:
    """Axe finds no serious problem, neither in the page as it opens nor in folded parts."""
    with opened(chromium, founding, width=width, dark=dark) as page:
        assert serious_findings(page) == []
        page.unfold()
        assert serious_findings(page) == []


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
        folded = page.tab.locator("details:has(table):not([open])").first
        content = folded.locator("table").first.element_handle()
        assert not content.is_visible()
        folded.locator("summary").click()
        assert content.is_visible()
    assert page.fetched == page.console == page.errors == []


def rows(page: OpenedPage, section: str) -> list[list[str]]:
    """Return the visible rows of the first table in a section, as texts."""
    found = page.tab.locator(f"#{section} table").first.locator("tbody tr:visible").all()
    return [[text.strip() for text in one.locator("td").all_inner_texts()] for one in found]


def test_a_selection_of_cells_and_a_metric_holds_for_all_sections(
    chromium: Browser, founding: Path
) -> None:
    """The address of the page keeps it, so that a link shows the same."""
    with opened(chromium, founding) as page:
        before = len(rows(page, "cells"))
        page.tab.locator(".tools [name=model]").select_option("sequential")
        page.tab.locator(".tools [name=metric]").select_option("peak_memory")
        page.tab.locator(".tools [name=metric]").select_option("epoch_seconds")
        assert len(rows(page, "answer")) == 1
        assert len(rows(page, "cells")) == 2 < before
        assert len(rows(page, "published")) == 2
        assert page.tab.locator("#explore [name=metric]").input_value() == "epoch_seconds"
        assert page.tab.locator("#changes figure:visible").count() == 1
        assert page.tab.locator("#cells th:visible").all_inner_texts()[-1] == "time per epoch (s)"
        address = page.tab.url
        page.tab.goto("about:blank")
        page.tab.goto(address)
        page.tab.locator("#answer tr[data-metric]:visible").wait_for()
        assert len(rows(page, "answer")) == 1
        page.tab.get_by_role("button", name="show all").click()
        assert len(rows(page, "cells")) == before
    assert page.console == page.errors == []


def test_a_table_is_sorted_by_its_numbers(chromium: Browser, founding: Path) -> None:
    """Once upwards, and once downwards; rows without a number stay last."""
    with opened(chromium, founding) as page:
        head = page.tab.locator("#cells th").filter(has_text="time per epoch (s)").first
        times = []
        for _ in range(2):
            head.get_by_role("button").click()
            texts = [one[4].split("\n")[0] for one in rows(page, "cells")]
            assert not texts[-1][:1].isdigit()
            times.append([float(one) for one in texts if one[:1].isdigit()])
        assert times[0] == sorted(times[0])
        assert times[1] == sorted(times[0], reverse=True)
        assert head.get_attribute("aria-sort") == "descending"
    assert page.errors == []


def test_a_number_shows_how_it_was_computed(chromium: Browser, founding: Path) -> None:
    """A change has its basis in words, a median the number of each block."""
    with opened(chromium, founding) as page:
        page.tab.locator("#answer .how summary").first.click()
        assert "7 blocks" in page.tab.locator("#answer .how").first.inner_text()
        page.tab.locator("#cells td button").first.click()
        dialog = page.tab.locator("dialog")
        assert dialog.locator("tbody tr").count() == 7
        assert "The median of 7 trials" in dialog.inner_text()
        assert serious_findings(page) == []
        dialog.get_by_role("button", name="Close").click()
        assert not dialog.is_visible()
    assert page.errors == []


def test_a_dot_lights_up_its_block_everywhere(chromium: Browser, founding: Path) -> None:
    """In all figures."""
    with opened(chromium, founding) as page:
        page.tab.locator('circle[data-block="3"]').first.dispatch_event("pointerover")
        lit = page.tab.locator("circle.lit")
        assert lit.count() == page.tab.locator('circle[data-block="3"]').count() > 1
        page.tab.locator('circle[data-block="3"]').first.dispatch_event("pointerout")
        assert lit.count() == 0


def test_a_row_and_a_section_have_addresses(chromium: Browser, founding: Path) -> None:
    """A link to a row opens the page there."""
    with opened(chromium, founding) as page:
        links = page.tab.locator("a.link").all()
        assert len(links) > 10
        for link in links:
            target = unquote((link.get_attribute("href") or "").removeprefix("#"))
            assert page.tab.evaluate("name => Boolean(document.getElementById(name))", target)
    assert page.errors == []


def test_another_baseline_gives_the_stored_numbers_without_a_verdict(
    chromium: Browser, founding: Path
) -> None:
    """The same interval as our own estimate, marked as exploratory."""
    stored = founding_stored()
    of, against = (f"tensorflow={one},model=subclassed" for one in ("2.0.0", "1.15.0"))
    with opened(chromium, founding) as page:
        section = page.tab.locator("#explore")
        section.scroll_into_view_if_needed()
        section.locator("[name=baseline]").select_option(against)
        section.locator("[name=metric]").select_option("epoch_seconds")
        section.get_by_label("margin").fill("30")
        shown = {one[0]: one[3:] for one in rows(page, "explore")}
        text = section.inner_text()
    judged = judge(stored.run.matrix, stored.plan, stored.results)
    [ours] = [
        one.estimate
        for one in judged.comparisons
        if (one.of, one.against, one.metric.name) == (of, against, "epoch_seconds")
    ]
    assert ours is not None
    expected = [percent(end) for end in (ours.mean, ours.low, ours.high)]
    assert shown[of] == [expected[0], f"{expected[1]} to {expected[2]}", "inside the margin"]
    assert "Exploratory" in text
    assert not {"slower", "faster", "hold", "adopt", "cannot tell"} & set(text.split())
    assert page.errors == []


@pytest.mark.parametrize("paired", [True, False], ids=["paired", "Welch"])
def test_another_baseline_of_a_difference_gives_the_stored_numbers(
    chromium: Browser, tmp_path: Path, paired: bool
) -> None:
    """Within blocks, or over all trials with Welch's interval."""
    accuracy = replace(ACCURACY, paired=paired)
    run = grid(
        {"lib": ["1", "2"]},
        lambda place, _: 90.0 + int(str(place["lib"])),
        metrics=[accuracy],
        noise=0.01,
    )
    with opened(chromium, written(run, tmp_path)) as page:
        page.tab.locator("#explore").scroll_into_view_if_needed()
        page.tab.locator("#explore tbody tr").wait_for()
        [shown] = rows(page, "explore")
    [judged] = judge(run.run.matrix, run.plan, run.results).comparisons
    assert judged.estimate is not None
    low, high = shown[4].removesuffix(" points").replace(" points", "").split(" to ")
    for text, end in zip((low, high), (judged.estimate.low, judged.estimate.high), strict=True):
        assert math.isclose(float(text.replace(chr(0x2212), "-")), end, rel_tol=0.006)


def written(run: StoredRun, folder: Path) -> Path:
    """Write the page of a run."""
    path = folder / "report.html"
    path.write_text(contents(run)["report.html"], encoding="utf-8")
    return path


def test_a_ratio_of_negative_numbers_is_not_explored(chromium: Browser, tmp_path: Path) -> None:
    """As in our own verdicts."""
    with opened(chromium, written(grid({"lib": ["1", "2"]}, lambda *_: -1.0), tmp_path)) as page:
        page.tab.locator("#explore").scroll_into_view_if_needed()
        page.tab.locator("#explore tbody tr").wait_for()
        assert rows(page, "explore")[0][4] == "needs numbers above zero"
    assert page.errors == []


@pytest.mark.parametrize("metrics", [1, 2])
def test_an_axis_may_be_called_metric(chromium: Browser, tmp_path: Path, metrics: int) -> None:
    """It is selected beside the metric, and its texts are not taken for an address."""
    axes = {"metric": ["1", "2"], "constructor": ['%41&b=c#"<', "x y"]}
    both = [SECONDS, ACCURACY][:metrics]
    with opened(chromium, written(grid(axes, lambda *_: 1.0, metrics=both), tmp_path)) as page:
        page.tab.locator('.tools [name="axis metric"]').select_option("2")
        page.tab.locator(".tools [name=constructor]").select_option('%41&b=c#"<')
        address = page.tab.url
        assert len(rows(page, "cells")) == 1
        page.tab.goto("about:blank")
        page.tab.goto(address)
        page.tab.locator(".tools").wait_for()
        assert [row[:2] for row in rows(page, "cells")] == [["2#", '%41&b=c#"<']]
    assert page.console == page.errors == []


@pytest.mark.parametrize("address", ["%", "%E0%A4%A", "nonsense", "model=nonsense&"])
def test_a_wrong_address_does_not_stop_the_script(
    chromium: Browser, founding: Path, address: str
) -> None:
    """Everything is shown, and can be sorted."""
    with opened(chromium, founding) as page:
        page.tab.goto("about:blank")
        page.tab.goto(f"{founding.resolve().as_uri()}#{address}")
        page.tab.locator("#cells th button").first.click()
        assert len(rows(page, "cells")) == 7
    assert page.errors == []


def test_a_link_to_a_hidden_row_shows_it(chromium: Browser, tmp_path: Path) -> None:
    """It is beyond the first rows of its table, or folded; the sticky tools do not cover it."""
    axes = {"lib": [str(one) for one in range(150)]}
    with opened(chromium, written(grid(axes, lambda *_: 1.0), tmp_path)) as page:
        for name in ("cells/lib=149", "answer/seconds/lib=149"):
            page.tab.evaluate("name => { location.hash = encodeURIComponent(name); }", name)
            row = page.tab.locator(f'[id="{name}"]')
            row.wait_for()
            tools = page.tab.locator(".tools").bounding_box()
            place = row.bounding_box()
            assert tools is not None
            assert place is not None
            assert 0 <= place["y"] < 900
            assert not tools["y"] <= place["y"] < tools["y"] + tools["height"]
        page.tab.go_back()
        assert page.tab.url.endswith("149")
    assert page.errors == []


def test_an_old_browser_shows_a_large_page_as_without_a_script(
    chromium: Browser, tmp_path: Path
) -> None:
    """One that cannot unpack the numbers in the page."""
    path = written(grid({"lib": [str(one) for one in range(150)]}, lambda *_: 1.0), tmp_path)
    with opened(chromium, path) as page:
        page.tab.add_init_script("delete window.DecompressionStream")
        page.tab.reload()
        assert page.tab.locator(".tools").count() == 0
        assert len(rows(page, "cells")) == 150
    assert page.console == page.errors == []


def percent(change: float) -> str:
    """Write a change as the page does."""
    number = float(f"{math.expm1(change) * 100:.3g}")
    return f"{'+' if number >= 0 else chr(0x2212)}{abs(number):g} %"


def test_two_environments_are_compared_package_by_package(
    chromium: Browser, founding: Path
) -> None:
    """Only what differs is listed, and the rest is counted."""
    with opened(chromium, founding) as page:
        found = page.tab.locator("#packages tbody tr").all_inner_texts()
        assert "numpy\t1.17.3\t1.17.2\tchanged" in found
        assert page.tab.locator("#packages .note").inner_text() == "The same: 7 of 10."
        page.tab.locator("#packages [name=new]").select_option("0")
        assert "No difference." in page.tab.locator("#packages").inner_text()
    assert page.errors == []


def test_the_files_in_the_page_can_be_saved(
    chromium: Browser, founding: Path, tmp_path: Path
) -> None:
    """Each is whole, also one that is compressed in the page."""
    files = contents(founding_stored())
    with opened(chromium, founding) as page:
        for link in page.tab.locator("a[download]").all():
            with page.tab.expect_download() as waiting:
                link.click()
            name = waiting.value.suggested_filename
            waiting.value.save_as(tmp_path / name)
            if name in files:
                assert (tmp_path / name).read_text(encoding="utf-8") == files[name]
    saved = {path.name for path in tmp_path.iterdir()}
    assert {"report.json", "results.csv", "matrix.json", "lock.json"} <= saved
    assert page.errors == []


def test_the_page_can_be_printed(chromium: Browser, founding: Path, tmp_path: Path) -> None:
    """It fills several sheets of paper."""
    with opened(chromium, founding) as page:
        assert printed(page, tmp_path / "report.pdf") > 1
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_the_tables_fit_on_paper(chromium: Browser, founding: Path) -> None:
    """Otherwise the browser shrinks everything. How a number was computed is not printed."""
    with opened(chromium, founding, width=PAPER) as page:
        page.tab.emulate_media(media="print")
        page.unfold()
        assert page.scroll_width <= PAPER
        assert not page.tab.locator("#answer .how").first.is_visible()
        assert page.tab.locator("#answer .bar").first.is_visible()


def test_hostile_texts_stay_texts(chromium: Browser, tmp_path: Path) -> None:
    """Titles, reasons and logs that contain scripts are shown as text."""
    matrix = replace(founding_matrix(), title=HOSTILE)
    results = tuple(
        replace(one, reason=HOSTILE) if one.trial.cell == AS_PUBLISHED else one
        for one in founding_results()
    )
    logs = {f"{AS_PUBLISHED}@b1.1": HOSTILE}
    path = tmp_path / "report.html"
    path.write_text(
        contents(founding_stored(results, matrix, logs))["report.html"], encoding="utf-8"
    )
    with opened(chromium, path) as page:
        page.unfold()
        assert page.tab.title() == HOSTILE
        assert page.document.count('<svg class="figure"') == 3
        assert "data-owned=" not in page.document
        assert "&lt;script&gt;document.body.setAttribute" in page.document
    assert page.fetched == page.inline == page.console == page.errors == []
