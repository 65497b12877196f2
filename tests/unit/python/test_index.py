"""How the pages of a package index are read, from a server of this machine."""

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.errors import PackagesError
from runner.python import index as module
from runner.python.addresses import Address, address
from runner.python.index import Index, Quality
from runner.python.interpreters import Interpreter
from tests.support.pages import serving

JSON = "application/vnd.pypi.simple.v1+json"
FILES = (
    ("lib-1.0.tar.gz", None),
    ("lib-1.0-py3-none-any.whl", ">=3.7"),
    ("lib-1.0-cp37-cp37m-manylinux1_x86_64.whl", None),
    ("lib-2.0-py3-none-any.whl", "nonsense"),
    ("lib-2.0.exe", None),
)
PAGE = json.dumps(
    {
        "meta": {"api-version": "1.1"},
        "name": "lib",
        "versions": ["1.0", "2.0"],
        "files": [
            {
                "filename": name,
                "url": f"/files/{name}",
                "hashes": {"sha256": hashlib.sha256(name.encode()).hexdigest()},
                "requires-python": pythons,
                "upload-time": "2020-01-31T12:00:00.5Z",
                "size": 1,
                "yanked": False,
            }
            for name, pythons in FILES
        ],
    }
)
OLD_PAGE = "".join(
    f'<a href="/{name}"{f""" data-requires-python="{pythons}" """ if pythons else ""}>{name}</a>'
    for name, pythons in FILES
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat no request."""
    monkeypatch.setattr(module, "RETRIES", 0)


def test_a_page_lists_versions_tags_pythons_and_times() -> None:
    """Names of files that nothing installs are left out. Each page is read once."""
    with serving({"/simple/lib/": (200, JSON, PAGE)}) as (url, asked):
        index = Index((Address(url=f"{url}/simple"),))
        files = index.files("Lib")
        assert index.files("lib") == files
    assert asked == ["/simple/lib/"]
    assert [one.quality for one in files] == [Quality.SOURCE, Quality.PURE, Quality.COMPILED]
    assert {str(one.version) for one in files} == {"1.0"}
    assert {one.uploaded_at for one in files} == {
        datetime(2020, 1, 31, 12, 0, 0, 500_000, tzinfo=timezone.utc)
    }


def test_a_page_may_be_html_without_times() -> None:
    """This is what simple indexes of companies serve."""
    with serving({"/lib/": (200, "text/html", OLD_PAGE)}) as (url, _):
        files = Index((Address(url=url),)).files("lib")
    assert [str(one.requires_python) for one in files] == ["", ">=3.7", ""]
    assert {one.uploaded_at for one in files} == {None}


def test_files_fit_interpreters() -> None:
    """Tags and ``Requires-Python`` both count; everybody may try to build source."""
    pythons = [
        Interpreter(path=Path("python"), version=version)
        for version in ("3.6.15", "3.7.16", "3.12.1")
    ]
    with serving({"/lib/": (200, JSON, PAGE)}) as (url, _):
        files = Index((Address(url=url),)).files("lib")
    fitting = [[one.minor for one in pythons if file.fits(one)] for file in files]
    assert fitting == [["3.6", "3.7", "3.12"], ["3.7", "3.12"], ["3.7"]]


def test_the_first_index_that_has_a_package_is_used() -> None:
    """As uv does, so that nobody can replace a private package on a public index."""
    with serving({"/b/lib/": (200, JSON, PAGE)}) as (url, asked):
        addresses = tuple(Address(url=f"{url}/{name}") for name in "abc")
        assert len(Index(addresses).files("lib")) == 3
        assert Index(addresses).files("other") == ()
    assert asked[:2] == ["/a/lib/", "/b/lib/"]
    assert asked[2:] == ["/a/other/", "/b/other/", "/c/other/"]


@pytest.mark.parametrize(
    ("code", "kind", "text", "says"),
    [
        (403, JSON, "", "it answered with 403 Forbidden"),
        (500, JSON, "", "it answered with 500 Internal Server Error"),
        (200, JSON, "{", "its answer cannot be read"),
        (200, JSON, "[" * 100_000, "its answer cannot be read"),
        (200, JSON, '{"meta": {"api-version": "9.0"}, "files": []}', "its answer cannot be read"),
        (200, JSON, "[]", "its answer cannot be read"),
        (200, JSON, '{"meta": {"api-version": "1.0"}, "files": [1]}', "its answer cannot be read"),
    ],
)
def test_a_failure_is_never_an_answer(code: int, kind: str, text: str, says: str) -> None:
    """An index that fails says nothing about packages. Messages contain no credentials."""
    with serving({"/lib/": (code, kind, text)}) as (url, _):
        written = url.replace("http://", "http://me:s3cret@")
        with pytest.raises(PackagesError, match=says) as caught:
            Index((address(written),)).files("lib")
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_an_index_that_is_not_there_is_named() -> None:
    """Nothing listens at this address."""
    with pytest.raises(PackagesError, match=r"the package index at 127\.0\.0\.1:9 cannot be asked"):
        Index((Address(url="http://127.0.0.1:9/simple"),)).files("lib")


def test_an_endless_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fill the memory."""
    monkeypatch.setattr(module, "LARGEST_BYTES", 1000)
    with (
        serving({"/lib/": (200, JSON, PAGE)}) as (url, _),
        pytest.raises(PackagesError, match="it is larger than 0 MB"),
    ):
        Index((Address(url=url),)).files("lib")


def test_credentials_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come from the address, or from variables that belong to its name."""
    monkeypatch.setenv("UV_INDEX_MY_COMPANY_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_MY_COMPANY_PASSWORD", "s3cret")
    with serving({}) as (url, asked):
        Index((address(f"my-company={url}"),)).files("lib")
        Index((address(url.replace("http://", "http://me:s3cret@")),)).files("lib")
        Index((address(url),)).files("lib")
    assert asked == ["/lib/ Basic bWU6czNjcmV0"] * 2 + ["/lib/"]


def test_netrc_is_read_only_where_the_index_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its passwords are not sent to indexes that everybody may read."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving({"/open/lib/": (200, JSON, PAGE), "/closed/lib/": (401, JSON, "")}) as (
        url,
        asked,
    ):
        assert len(Index((address(f"{url}/open"),)).files("lib")) == 3
        with pytest.raises(PackagesError, match="401"):
            Index((address(f"{url}/closed"),)).files("lib")
    assert asked == ["/open/lib/", "/closed/lib/", "/closed/lib/ Basic bWU6czNjcmV0"]
