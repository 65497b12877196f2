"""One list holds every message that a user can get. Each entry is provoked and checked here."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from runner.cli import main
from runner.cli.arguments import VERBS, parsers
from tests.messages.elsewhere import PARTS, TEMPLATES
from tests.messages.message import REMEDY, Message
from tests.messages.page import SECTIONS, page
from tests.messages.sites import Site, sites
from tests.messages.world import World
from tests.support.whole_runs import WatchedEngine, reachable

ROOT = Path(__file__).parents[2]
MESSAGES = [message for section in SECTIONS for message in section.messages]
MOST_LINES = 8
RUN = "20260101-000000"
INTERNAL = re.compile(
    r"Traceback|File \"/|\w+(Error|Exception)\b|\[Errno|<class|object at 0x|\bNone\b|PosixPath"
)
"""What only a programmer understands."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WatchedEngine:
    """Return the engine that every command reaches, in a folder that has another one around it."""
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    return reachable(monkeypatch)


@pytest.mark.parametrize(
    "message", MESSAGES, ids=[f"{n}-{one.line}" for n, one in enumerate(MESSAGES)]
)
def test_a_user_gets_each_message(
    message: Message,
    engine: WatchedEngine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command gives exactly this text on the right stream, and the right exit code."""
    message.given(World(engine, monkeypatch))
    capsys.readouterr()
    try:
        code = main(shlex.split(message.line))
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = map(_usual, capsys.readouterr())
    if message.note:
        assert any(message.matches(line.strip()) for line in out.splitlines()), out + err
    else:
        assert message.matches(err.rstrip("\n")), err
        assert message.code != 0
        assert message.says not in out
    assert code == message.code, out + err


def _usual(text: str) -> str:
    """Return the text with this folder as ``{here}``, and with a fixed date in ids of runs."""
    return re.sub(r"\d{8}-\d{6}", RUN, text.replace(str(Path.cwd()), "{here}"))


@pytest.mark.parametrize(
    "message", MESSAGES, ids=[f"{n}-{one.line}" for n, one in enumerate(MESSAGES)]
)
def test_each_message_has_place_problem_and_remedy(message: Message) -> None:
    """It is short, in words for users, and begins with its place or names it."""
    assert message.place in message.says
    assert message.reason or REMEDY.search(message.says.replace(message.place, "", 1)), message.says
    assert INTERNAL.search(message.says) is None
    assert message.says.count("\n") < MOST_LINES
    assert len(message.says.replace(message.place, "")) > 10


def test_commands_and_options_in_messages_exist() -> None:
    """A remedy that does not work is worse than none."""
    options = {
        option
        for parser in parsers().values()
        for option in re.findall(r"--?[a-z][a-z-]*", parser.format_help())
    }
    of_pip = {"--hash", "--global-option"}
    of_systemctl = {"--user"}
    of_git = {"--all", "--unshallow", "--ref-format", "--refetch"}
    texts = [*(one.says for one in MESSAGES if not one.note), *TEMPLATES]
    for text in (re.sub(r"found \".*?\"", "", one) for one in texts):  # what a user wrote
        for verb in re.findall(r"`(?:python -m runner|\{program\.name\(\)\}) ([a-z]+)", text):
            assert verb in VERBS, text
        mistyped = re.search(r"unrecognized arguments: ([^\s;]+)", text)
        given = re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
        wrong = {mistyped[1]} if mistyped else set()
        assert set(given) - wrong - of_pip - of_git - of_systemctl <= options, text


@cache
def unprovoked() -> tuple[Site, ...]:
    """Return the texts in the code that no entry of the list provokes."""
    said = "\n".join(message.says for message in MESSAGES)
    return tuple(one for one in sites() if not re.search(one.pattern, said))


def test_every_message_in_the_code_is_in_the_list() -> None:
    """A new message needs an entry that provokes it; only if that is too slow, one in ``elsewhere``."""
    known = {*TEMPLATES, *PARTS}
    assert [f"{one.place}: {one.text}" for one in unprovoked() if one.text not in known] == []


def test_elsewhere_lists_only_messages_that_exist() -> None:
    """An entry whose message has changed, or is provoked here now, is removed."""
    assert {*TEMPLATES, *PARTS} - {one.text for one in unprovoked()} == set()


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_message_that_others_provoke_has_problem_and_remedy(template: str) -> None:
    """The places are in its braces, as they are in the code."""
    assert REMEDY.search(template) or "could not be built:" in template  # a log follows
    assert INTERNAL.search(re.sub(r"\{.*?\}", "", template)) is None


def test_the_page_shows_the_list(pytestconfig: pytest.Config) -> None:
    """``docs/messages.md`` is made from the list; ``--accept-gold`` writes it again."""
    path = ROOT / "docs" / "messages.md"
    if pytestconfig.getoption("--accept-gold", default=False):
        path.write_text(page(), encoding="utf-8")
    assert page() == path.read_text(encoding="utf-8"), "see --accept-gold"
