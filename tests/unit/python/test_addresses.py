"""Where the user's package indexes are."""

from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from runner.python import addresses
from runner.python.addresses import address, configured, variables
from runner.records.environment import IndexSettings

VARIABLES = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
SETTINGS = """
extra-index-url = ["https://extra.invalid/simple"]

[[index]]
name = "company"
url = "https://company.invalid/simple/"

[[index]]
url = "https://pinned.invalid/simple"
explicit = true

[[index]]
url = "https://default.invalid/simple"
default = true
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin without settings of the user and of the machine."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(addresses, "OF_MACHINE", tmp_path / "machine.toml")


def urls() -> list[str]:
    """Return the URLs of the indexes in their order."""
    return [one.url for one in configured()]


def test_the_public_index_is_the_default() -> None:
    """Nothing has to be configured."""
    assert urls() == [PYPI_SIMPLE_ENDPOINT.rstrip("/")]


def test_variables_come_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in uv, the default index is searched last."""
    monkeypatch.setenv("UV_INDEX", "one=https://one.invalid/simple https://two.invalid/simple/")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://three.invalid/simple")
    monkeypatch.setenv("UV_INDEX_URL", "https://old.invalid/simple")
    hosts = ["one", "two", "three"]
    assert urls() == [f"https://{one}.invalid/simple" for one in (*hosts, "old")]
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://default.invalid/simple")
    assert urls()[-1] == "https://default.invalid/simple"


def test_the_settings_of_uv_are_read(tmp_path: Path) -> None:
    """Indexes for explicitly assigned packages are not searched."""
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text(SETTINGS)
    assert urls() == [f"https://{one}.invalid/simple" for one in ("company", "extra", "default")]
    (tmp_path / "uv" / "uv.toml").write_text("not TOML")
    assert urls() == [PYPI_SIMPLE_ENDPOINT.rstrip("/")]


def test_credentials_are_apart_from_the_url() -> None:
    """No message can contain them by accident."""
    found = address("https://me:p%40ss@index.invalid:8080/simple/?x=1")
    assert found.url == "https://index.invalid:8080/simple/?x=1"
    assert (found.user, found.password, found.host) == ("me", "p@ss", "index.invalid:8080")


def test_indexes_of_a_matrix_come_first_and_replace_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The user's own indexes are searched between them."""
    monkeypatch.setenv("UV_INDEX", "https://own.invalid/simple")
    named = IndexSettings(
        default="https://default.invalid/simple", extra=("https://extra.invalid/simple",)
    )
    hosts = ["extra", "own", "default"]
    assert [one.url for one in configured(named)] == [
        f"https://{one}.invalid/simple" for one in hosts
    ]
    assert variables(named) == {
        "UV_INDEX": "https://extra.invalid/simple https://own.invalid/simple",
        "UV_DEFAULT_INDEX": "https://default.invalid/simple",
    }
    assert variables(IndexSettings()) == {}


def test_credentials_go_only_to_their_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix may come from anybody: the same name, another port or scheme is another host."""
    monkeypatch.setenv("UV_INDEX", "corp=https://index.invalid/simple")
    monkeypatch.setenv("UV_INDEX_CORP_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", "p@ss")
    for url, user in {
        "https://index.invalid/other": "me",
        "http://index.invalid/simple": None,
        "https://index.invalid:444/simple": None,
        "https://index.invalid.evil.invalid/simple": None,
    }.items():
        named = IndexSettings(extra=(url,))
        assert configured(named)[0].user == user
        assert ("me:p%40ss@" in variables(named)["UV_INDEX"].split()[0]) is (user is not None)
