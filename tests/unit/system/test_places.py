"""Caches and memories of the program are never in the working folder."""

from pathlib import Path

import pytest

from runner.engines.venv.cache import CACHE, root
from runner.python import uv
from runner.runs import registry
from runner.system import places

VARIABLES = ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR")


@pytest.mark.parametrize("value", ["", ".", "folder"])
def test_relative_places_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A stranger's study could be in the working folder, and bring environments along."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv(CACHE, raising=False)
    for name in VARIABLES:
        monkeypatch.setenv(name, value)
    ours = home / ".cache" / "matrix-runner"
    assert (root(), uv.cache_folder().parents[1]) == (ours, ours)
    assert uv.python_folders() == (ours / "python", home / ".local" / "share" / "uv" / "python")
    label = registry.remember(tmp_path)
    assert (home / ".local" / "state" / "matrix-runner" / "runs" / label).readlink() == tmp_path


def test_absolute_places_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user named them."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setenv("XDG_STATE_HOME", "/states")
    assert places.cache() == Path("/caches/matrix-runner")
    assert places.state() == Path("/states/matrix-runner")
