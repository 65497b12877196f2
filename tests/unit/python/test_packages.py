"""How the packages that uv locks are read and installed."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import PackagesError
from runner.python import packages
from runner.python.packages import parse_locked, refuse_overwritten
from runner.records.environment import Package
from runner.system.digest import of_file
from tests.support.index import serving, wheel
from tests.support.trials import INTERPRETER, plain_environment

HASH = "a" * 64
LOCKED = f"""lock-version = "1.0"

[[packages]]
name = "six"
version = "1.12.0"
sdist = {{ url = "x", hashes = {{ sha256 = "{"b" * 64}" }} }}
wheels = [{{ url = "y", upload-time = 2018-12-10T00:00:00Z, hashes = {{ sha256 = "{HASH}" }} }}]

[[packages]]
name = "wrapt"
version = "1.11.2"
sdist = {{ url = "z", hashes = {{ sha256 = "{"c" * 64}" }} }}
"""


def test_locked_hashes_are_those_of_the_wheels_or_of_the_source() -> None:
    """A package with wheels is never built from source; one without is checked as source."""
    six, wrapt = parse_locked(LOCKED)
    assert (six.name, six.version, six.hashes) == ("six", "1.12.0", (f"sha256:{HASH}",))
    assert (wrapt.name, wrapt.hashes) == ("wrapt", (f"sha256:{'c' * 64}",))
    assert (six.source, wrapt.source) == (False, True)


@pytest.mark.parametrize(
    ("good", "hostile"), [("six", "--index-url=http://a.invalid"), ("1.12.0", "1 --hash=x")]
)
def test_names_from_an_index_are_checked(good: str, hostile: str) -> None:
    """Neither an index nor a build can put an option into a lock."""
    with pytest.raises(PackagesError, match=r"names a package that cannot be: (name|version): exp"):
        parse_locked(LOCKED.replace(f'"{good}"', f'"{hostile}"'))


def test_package_from_elsewhere_cannot_be_locked() -> None:
    """A package without version or hash is refused by name."""
    text = '[[packages]]\nname = "mine"\ndirectory = { path = "." }\n'
    with pytest.raises(PackagesError, match="mine has no version and hash"):
        parse_locked(text)


def _installed(site: Path, package: str, *files: str) -> None:
    """Write the list of files of an installed package; each file has its own content."""
    record = site / f"{package}.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    lines = [f"{file},sha256={package if '=' not in file else 'same'},1" for file in files]
    record.write_text("\n".join([*lines, f"{package}.dist-info/RECORD,,"]))


def test_packages_that_overwrite_each_other_are_refused(tmp_path: Path) -> None:
    """The message names both and the file."""
    _installed(tmp_path, "tensorflow-2.16.1", "tensorflow/__init__.py")
    _installed(tmp_path, "tensorflow_cpu-2.16.1", "tensorflow/__init__.py")
    with pytest.raises(PackagesError, match=r"tensorflow and tensorflow_cpu both contain tensorf"):
        refuse_overwritten(tmp_path, "tensorflow=2.16.1")


@pytest.mark.parametrize("file", ["LICENSE", "tests/__init__.py", "shared/__init__=.py"])
def test_harmless_overwriting_is_accepted(tmp_path: Path, file: str) -> None:
    """Texts, stray tests, and the same content (such as of a namespace)."""
    _installed(tmp_path, "one-1.0", file)
    _installed(tmp_path, "two-1.0", file)
    refuse_overwritten(tmp_path, "x")


def test_what_is_in_the_cache_needs_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hashes of the lock say what may be installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = wheel(tmp_path, "small", "1.0")
    package = Package(name="small", version="1.0", hashes=(f"sha256:{of_file(made)}",))
    plain = plain_environment()
    request = replace(plain.request, as_of="today")
    environment = replace(plain, request=request, packages=(package,))
    with serving(tmp_path, {"small": [made]}) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        packages.install(environment, INTERPRETER, tmp_path / "first")
        assert f"/{made.name}" in index.requests
        asked = len(index.requests)
        packages.install(environment, INTERPRETER, tmp_path / "second")
        assert len(index.requests) == asked
    packages.install(environment, INTERPRETER, tmp_path / "third")
    assert len(list((tmp_path / "third").rglob("small-1.0.dist-info"))) == 1
    other = replace(environment, packages=(replace(package, hashes=(f"sha256:{'0' * 64}",)),))
    with pytest.raises(PackagesError):
        packages.install(other, INTERPRETER, tmp_path / "fourth")
