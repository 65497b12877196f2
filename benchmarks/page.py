"""Measure the page of a report of 1,000 cells with 10 blocks in Chromium, next to a bare table.

Usage::

    python -m benchmarks.page [ROUNDS]

A page is usable as soon as its selection works. A selection is done when the browser has drawn the
next frame. The peer is a page with nothing but a table of 1,000 rows, opened in the same rounds.
The exit code is 1 if the page is over one of its limits.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from playwright.sync_api import Browser

from runner.report import contents
from tests.support.browser import launched
from tests.support.large import large_run

ROUNDS = 5
CELLS, BLOCKS = 1000, 10
LARGEST_MB, LONGEST_S, LONGEST_SELECTION_MS = 8.0, 2.0, 100.0
SELECT = """async name => {
    const choice = document.querySelector(`.tools select[name="${name}"]`), times = [];
    for (const option of [...choice.options].slice(1, 6)) {
        const began = performance.now();
        choice.value = option.value;
        choice.onchange();
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        times.push(performance.now() - began);
    }
    choice.value = "";
    choice.onchange();
    return times;
}"""


def main() -> int:
    """Measure, print, and return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="matrix-runner-") as place, launched() as chromium:
        page, bare = Path(place) / "report.html", Path(place) / "bare.html"
        folder = large_run(Path(place) / "run", cells=CELLS, blocks=BLOCKS)
        page.write_text(contents(folder.stored())["report.html"], encoding="utf-8")
        row = f"<tr>{'<td>a number</td>' * 8}</tr>\n"
        bare.write_text(f"<!doctype html><table>{row * CELLS}</table>", encoding="utf-8")
        size = page.stat().st_size / 1e6
        usable, peer, selections = [], [], []
        for _ in range(rounds):
            seconds, times = _opened(chromium, page)
            usable.append(seconds)
            selections += times
            peer.append(_bare(chromium, bare))
    _print("usable (s)", usable, LONGEST_S, median(usable) / median(peer))
    _print("selection (ms)", selections, LONGEST_SELECTION_MS, None)
    print(f"size: {size:.1f} MB (limit {LARGEST_MB:g})")
    print(f"a bare table of {CELLS:,} rows opens in {median(peer):.2f} s; {rounds} rounds")
    over = size > LARGEST_MB or median(usable) > LONGEST_S
    return int(over or median(selections) > LONGEST_SELECTION_MS)


def _opened(chromium: Browser, path: Path) -> tuple[float, list[float]]:
    """Return after how many seconds a page is usable, and how many ms each selection takes."""
    with chromium.new_page() as tab:
        began = perf_counter()
        tab.goto(path.as_uri(), wait_until="commit")
        tab.locator(".tools select").first.wait_for()
        seconds = perf_counter() - began
        names = tab.eval_on_selector_all(".tools select", "found => found.map((one) => one.name)")
        return seconds, [time for name in names for time in tab.evaluate(SELECT, name)]


def _bare(chromium: Browser, path: Path) -> float:
    with chromium.new_page() as tab:
        began = perf_counter()
        tab.goto(path.as_uri(), wait_until="load")
        tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        return perf_counter() - began


def _print(name: str, values: Sequence[float], limit: float, ratio: float | None) -> None:
    against = "" if ratio is None else f", {ratio:.1f} times the peer"
    print(
        f"{name}: median {median(values):.3g}, largest {max(values):.3g} (limit {limit:g}){against}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
