"""Living processes are visible to every user, and only while they live."""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from runner.system import alive
from tests.support.living import living


def test_a_name_is_shown_as_long_as_its_process_lives() -> None:
    """A name may be longer than an address."""
    name = "a-run" * 100
    assert not alive.is_shown(name)
    with living(name):
        assert alive.is_shown(name)
        assert not alive.is_shown("another-run")
        with alive.shown(name):  # a second one does not matter
            assert alive.is_shown(name)
    assert not alive.is_shown(name)


def test_nobody_can_hide_a_living_process() -> None:
    """Whoever holds the names of its earlier life, and lets go of them later, changes nothing."""
    with living("seen"):
        words = Path("/proc/net/unix").read_text(encoding="utf-8").split()
        names = [word[1:] for word in words if word.startswith(f"@{alive.PREFIX}")]
    with ExitStack() as planted:
        for name in names:
            planted.enter_context(socket.socket(socket.AF_UNIX)).bind(f"\0{name}")
        with living("seen"):
            planted.close()
            assert alive.is_shown("seen")


def test_only_other_processes_of_this_user_count() -> None:
    """This process does not keep itself from anything."""
    with alive.shown("mine"):
        assert alive.is_shown("mine")
        assert not alive.others_of_user()
    with living():
        assert alive.others_of_user()
    assert not alive.others_of_user()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_run_of_another_user_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """But its process keeps nobody else's images."""
    with living("theirs"):
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        assert alive.is_shown("theirs")
        assert not alive.others_of_user()
