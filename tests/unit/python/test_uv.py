"""How the output of uv is understood, and what uv may see."""

import sys
from pathlib import Path

import pytest

from runner.errors import PackagesError
from runner.python import uv
from runner.python.uv import understand, understand_build
from tests.support.pages import serving, source_package

NETWORK = """error: Request failed after 3 retries in 11.0s
  cause: Failed to fetch: http://index.invalid/simple/six/
  cause: client error (Connect)
  cause: failed to lookup address information: Name or service not known
"""
UNAUTHORISED = """error: No solution found when resolving dependencies
  cause: Because six was not found in the package registry and you require six, we can conclude.

hint: An index URL could not be queried due to a lack of valid authentication credentials.
"""
FORBIDDEN = UNAUTHORISED.replace(
    "An index URL could not be queried due to a lack of valid authentication credentials.",
    "An index (http://me:secret@index.invalid/simple) returned a 403 Forbidden error. Check it.",
)
WORKSPACE = """[project]
name = "x"
version = "1"
[tool.uv]
required-version = "==0.0.1"
[tool.uv.workspace]
members = ["*/*"]
"""
OFFLINE_BUILD = """error: Failed to download and build `old==1`
  cause: Failed to fetch: http://index.invalid/simple/setuptools/
"""


@pytest.mark.parametrize(
    ("code", "words", "says"),
    [
        (2, NETWORK, "uv could not resolve x: Request failed after 3 retries.*Name or service not"),
        (
            1,
            UNAUTHORISED,
            "not resolve x: An index URL could not be queried due to a lack of valid",
        ),
        (
            1,
            FORBIDDEN,
            r"x: An index \(http://index.invalid/simple\) returned a 403 Forbidden error",
        ),
        (1, OFFLINE_BUILD, "Failed to fetch"),
        (2, "", "exit code 2"),
    ],
)
def test_a_failure_is_never_an_answer(code: int, words: str, says: str) -> None:
    """An index that is unreachable or refuses says nothing about packages."""
    with pytest.raises(PackagesError, match=says):
        understand(code, "", words, "resolve x")


@pytest.mark.parametrize(
    ("wanted", "code"), [("lib", 401), ("lib", 403), ("lib", 500), ("lib", None), ("source", 500)]
)
def test_an_index_that_fails_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: str, code: int | None
) -> None:
    """It may be unreachable (None), refuse or break down, also while a source package is built."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pages = {f"/{name}/": (code or 200, "text/html", "") for name in ("lib", "setuptools")}
    with serving({**pages, **source_package("source")}) as (url, _):
        monkeypatch.setenv("UV_DEFAULT_INDEX", url if code else "http://127.0.0.1:9/simple")
        python = Path(sys.executable)
        with pytest.raises(PackagesError, match=r"resolve x: .*(127\.0\.0\.1|credentials)"):
            uv.call(
                ["pip", "compile", f"--python={python}", "wanted.txt"],
                purpose="resolve x",
                timeout_s=60,
                files={"wanted.txt": wanted},
            )


def test_messages_contain_no_password() -> None:
    """Reasons are stored in locks and reports."""
    said = "error: Failed to fetch: https://me:s3cret@index.invalid/simple/six/ via http://p@ss:1/"
    with pytest.raises(PackagesError, match=r"https://index\.invalid/simple/six/ via http://ss:1/"):
        understand(2, "", said, "resolve x")


def test_a_negative_answer_has_a_reason() -> None:
    """The reason is one line: the first sentence and the last cause."""
    no = "Using CPython\nerror: No solution found when resolving dependencies\n  cause: no"
    unsolvable = understand(1, "", no, "p")
    assert (unsolvable.found, unsolvable.reason) == (False, "no")
    no = "error: Failed to build `a==1`\n  cause: x\n  cause: y\n\nhint: z"
    unbuildable = understand(1, "", no, "p")
    assert (unbuildable.found, unbuildable.reason) == (False, "Failed to build `a==1`: y")
    found = understand(0, "six==1.12.0\n", "Resolved 1 package", "p")
    assert (found.found, found.text) == (True, "six==1.12.0\n")


BUILT = "Building wheel...\nrunning build\nx.c:1:2: error: what?\nerror: command failed\n"


@pytest.mark.parametrize(
    ("log", "error", "says"),
    [
        (BUILT, "The build backend returned an error", "x.c:1:2: error: what?"),
        (BUILT.replace(":1:2", ""), "The build backend returned an error", "command failed"),
        ("Building wheel...\n", "The build backend returned an error\n  cause: y\n  z", "y z"),
        (BUILT, "TOML parse error\n  at line 1\n\nhint: z", "TOML parse error at line 1"),
    ],
)
def test_a_failed_build_has_one_reason(log: str, error: str, says: str) -> None:
    """It is the error of a compiler, the last line of the build, or the last cause of uv."""
    answer = understand_build(2, f"{log}error: Failed to build `x`\n  cause: {error}\n", "p")
    assert (answer.found, answer.text) == (False, says)
    assert understand_build(0, log, "p").found


@pytest.mark.parametrize(
    "said", [f"{BUILT}error: Failed to build `x`\n  cause: Failed to fetch: y", "error: no space"]
)
def test_a_build_without_an_index_or_uv_is_no_answer(said: str) -> None:
    """It may succeed later."""
    with pytest.raises(PackagesError, match=r"^uv could not build x: .*(Failed to fetch|no space)"):
        understand_build(2, said, "build x")


def test_uv_sees_the_network_but_nothing_that_changes_a_resolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Proxy, certificates and index reach uv; virtual environments and resolver settings do not."""
    for name in ("HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "UV_INDEX_COMPANY_PASSWORD"):
        monkeypatch.setenv(name, "kept")
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "UV_RESOLUTION", "UV_PRERELEASE"):
        monkeypatch.setenv(name, "dropped")
    seen = uv.environment(Path("folder"))
    assert "dropped" not in seen.values()
    assert {"HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "UV_INDEX_COMPANY_PASSWORD"} <= set(seen)


def test_a_build_sees_no_place_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its home is empty, and nothing names the user's folders or agents."""
    for name in ("HOME", "XDG_DATA_HOME", "NETRC", "SSH_AUTH_SOCK", "AWS_TOKEN", "TMPDIR"):
        monkeypatch.setenv(name, "/secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    seen = uv.environment(Path("/folder"), uv.Build(interpreter=Path("python3")))
    assert "/secret" not in seen.values()
    assert seen["HOME"] == "/folder/home"
    more = uv.Build(interpreter=Path("python3"), variables={"NAME": "value"})
    assert uv.environment(Path("/folder"), more) == {**seen, "NAME": "value"}
    assert seen["HTTPS_PROXY"] == "http://proxy.invalid"


def test_compiler_is_in_reach_only_where_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without permission a build finds no programs; with it, it finds those of the system."""
    monkeypatch.setenv("PATH", "/somewhere/bin:relative:/usr/bin")
    python = Path("python3")
    allowed = uv.environment(Path("folder"), uv.Build(interpreter=python, compiler=True))
    assert allowed["PATH"] == "/usr/bin"
    without = uv.environment(Path("folder"), uv.Build(interpreter=python))
    assert without["PATH"] == "folder/empty"
    assert without["CC"] == without["CXX"] == uv.NO_COMPILER


def test_downloads_are_in_our_own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Packages and interpreters are below our cache folder, unless the user names another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("UV_PYTHON_INSTALL_DIR", raising=False)
    assert tmp_path / "matrix-runner" in uv.cache_folder().parents
    assert uv.wheels_folder() in uv.cache_folders()
    ours = uv.environment(Path("folder"))["UV_PYTHON_INSTALL_DIR"]
    assert ours == str(uv.python_folder()) == str(tmp_path / "matrix-runner" / "python")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", "/elsewhere")
    assert uv.environment(Path("folder"))["UV_PYTHON_INSTALL_DIR"] == "/elsewhere"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.toml", 'required-version = "==0.0.1"\n'),
        ("pyproject.toml", '[tool.uv]\nrequired-version = "==0.0.1"\n'),
        ("pyproject.toml", WORKSPACE),
    ],
)
def test_settings_that_anybody_put_into_a_shared_folder_are_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str
) -> None:
    """They could name another index for everybody who works below that folder."""
    (tmp_path / name).write_text(text)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    answer = uv.call(["cache", "dir"], purpose="say where its cache is", timeout_s=30)
    assert answer.text.strip() == str(uv.cache_folder())
