"""Take screenshots of reports: ``python -m tests.support.screenshots OUT RUN_FOLDER...``.

Of each report there are eight PNG files: the first screen and the full page, on a wide and on a
narrow screen, light and dark.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser

from tests.support.browser import NoBrowserError, launched, opened, screenshot

WIDTHS = (1280, 400)
COLOURS = ("light", "dark")


def main(arguments: Sequence[str] | None = None) -> None:
    """Take the screenshots of all given run folders."""
    out, folders = _parsed(arguments)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with launched() as chromium:
            for folder in folders:
                take(chromium, folder / "report.html", out / folder.name)
    except NoBrowserError as error:
        sys.exit(str(error))


def _parsed(arguments: Sequence[str] | None) -> tuple[Path, list[Path]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.screenshots", description="Take screenshots of reports."
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder for the PNG files")
    parser.add_argument("folders", metavar="RUN_FOLDER", type=Path, nargs="+")
    given = parser.parse_args(arguments)
    folders = [folder.resolve() for folder in given.folders]
    for folder in folders:
        if not (folder / "report.html").is_file():
            parser.error(f"{folder} has no report.html")
    if len({folder.name for folder in folders}) < len(folders):
        parser.error("the files are named after the run folders, so these need different names")
    return given.out, folders


def take(chromium: Browser, report: Path, start: Path) -> None:
    """Write ``START-1280-light-first.png`` and its seven siblings."""
    for width, colour in product(WIDTHS, COLOURS):
        with opened(chromium, report, width=width, dark=colour == "dark") as page:
            screenshot(page, Path(f"{start}-{width}-{colour}-first.png"))
            screenshot(page, Path(f"{start}-{width}-{colour}-full.png"), full=True)


if __name__ == "__main__":
    main()
