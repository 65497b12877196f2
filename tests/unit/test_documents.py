"""The documents name only files, functions and options that exist."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cli.arguments import VERBS, parse
from tests.support.documented import FOLLOWED, GUIDES, blocks, marks, our_arguments
from tests.support.studies import ROOT

FOLDERS = (ROOT, ROOT / "runner")
"""A path in a document starts at one of these."""


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(guide: Path) -> None:
    """A relative link names an existing file, and its anchor an existing heading."""
    for target, _, heading in links(guide):
        path = (guide.parent / target).resolve() if target else guide
        assert path.exists(), target
        assert not heading or heading in headings(path), f"{target}#{heading}"


def links(guide: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the path, the separator and the anchor of each relative link."""
    for target in re.findall(r"\]\(([^)\s]+)\)", guide.read_text(encoding="utf-8")):
        if "://" not in target:
            yield target.partition("#")


def headings(path: Path) -> set[str]:
    """Return the anchors that GitHub makes for the headings of a document."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_command_is_run_or_says_why_not(guide: Path) -> None:
    """``<!-- not run: ... -->`` stands before a block of commands that no test runs."""
    is_followed = guide.relative_to(ROOT).as_posix() in FOLLOWED
    found = list(blocks(guide))
    for block in found:
        assert not block.commands or block.language == "console", block.text
        assert not block.commands or is_followed or len(block.reason.split()) >= 3, block.text
        assert block.commands or not block.reason, block.text
    assert marks(guide) == sum(bool(block.reason) for block in found)
    assert not is_followed or any(block.commands and not block.reason for block in found)


def test_every_command_of_ours_can_be_parsed(capsys: pytest.CaptureFixture[str]) -> None:
    """Its verb and its options exist, in a block, in a sentence and in a workflow."""
    mistaken = "messages.md"  # its commands show what happens to mistakes
    guides = [guide for guide in GUIDES if guide.name != mistaken]
    lines = [arguments for guide in guides for arguments in our_arguments(guide)]
    assert len(lines) > 50
    refused = []
    for arguments in lines:
        try:
            parse(arguments)
        except SystemExit as end:
            if end.code:
                refused.append((arguments, capsys.readouterr().err))
    assert refused == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_paths_in_the_guides_for_developers_exist(name: str) -> None:
    """Each path in backticks exists, counted from the root or from runner/."""
    named = [one for one in quoted(ROOT / name) if re.fullmatch(r"[\w.-]+(/[\w.-]*)*", one)]
    paths = [one for one in named if "/" in one or one.endswith((".py", ".md", ".yaml", ".json"))]
    paths = [one for one in paths if not re.search(r"\.[A-Z]\w+$", one)]  # a class in a module
    assert len(paths) > 10
    assert [one for one in paths if not any((top / one).exists() for top in FOLDERS)] == []


def test_the_architecture_shows_the_real_tree() -> None:
    """It lists each file and folder of runner/ once."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^[├└]── (\S+)", text, re.MULTILINE)
    hidden = {"__init__.py", "__pycache__"}
    real = [one for one in (ROOT / "runner").iterdir() if one.name not in hidden]
    assert sorted(listed) == sorted(f"{one.name}/" if one.is_dir() else one.name for one in real)


def test_functions_in_the_architecture_exist() -> None:
    """``judge/compare.measure()`` names a function that can be imported from that module."""
    names = [
        match.groups()
        for one in quoted(ROOT / "docs" / "architecture.md")
        if (match := re.fullmatch(r"([a-z_/]+)\.((?!py$)[A-Za-z_.]+)(?:\(\))?", one))
    ]
    assert len(names) > 20
    for module, attribute in names:
        found: object = importlib.import_module(f"runner.{module.replace('/', '.')}")
        for part in attribute.split("."):
            assert hasattr(found, part), f"{module}.{attribute}"
            found = getattr(found, part)


def test_options_in_the_guide_to_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """The guide lists every command, and only options that some command has."""
    help_texts = []
    for verb in VERBS:
        with pytest.raises(SystemExit):
            parse([verb, "--help"])
        help_texts.append(capsys.readouterr().out)
    guide = ROOT / "docs" / "running.md"
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(quoted(guide))))
    assert {"--gate", "-s"} <= options
    assert {one for one in options if one not in "".join(help_texts)} == set()
    listed = re.findall(r"^\| `(\w+)", guide.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(VERBS) <= set(listed)


def quoted(guide: Path) -> list[str]:
    """Return the texts in backticks, without those in blocks of code."""
    text = re.sub(
        r"^```.*?^```", "", guide.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    return re.findall(r"`([^`]+)`", text)


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Every page is in it, also those that are made from the code."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"commands", "report-json"}
    assert pages <= {path.stem for path in tmp_path.glob("*.html")}
    assert "--matrix FILE" in (tmp_path / "commands.html").read_text(encoding="utf-8")
