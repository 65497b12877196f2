"""Lock files of the user, for one interpreter at a time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.lock.pins import Pins, options_of, pinned, read_pins
from runner.lock.releases import Options
from runner.python import interpreters
from runner.python.index import File
from runner.python.interpreters import Interpreter
from runner.records.environment import Environment, EnvironmentRequest, Package
from tests.support.index_files import compiled, index, source, wheel

A, B, C = ("sha256:" + one * 64 for one in "abc")
DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
REQUEST = EnvironmentRequest(requirements=(), chosen=(("deps", "after"),))
PYTHON = Interpreter(path=Path("python3.11"), version="3.11.9")


def _file(name: str, hash_: str, more: str = "") -> str:
    return f'{{ name = "{name}", hashes = {{ sha256 = "{hash_[7:]}" }}{more} }}'


PYLOCK = f"""\
lock-version = "1.0"
created-by = "somebody"
requires-python = ">=3.10"

[[packages]]
name = "Six"
version = "1.16.0"
wheels = [{_file("six-1.16.0-py3-none-any.whl", A, ", upload-time = 2021-05-05T14:18:17Z")}]
sdist = {_file("six-1.16.0.tar.gz", B)}

[[packages]]
name = "lib"
version = "2.0"
wheels = [
  {_file("lib-2.0-cp310-cp310-manylinux2014_x86_64.whl", A)},
  {_file("lib-2.0-cp311-cp311-manylinux2014_x86_64.whl", B)},
]

[[packages]]
name = "colorama"
version = "0.4.6"
marker = "sys_platform == 'win32'"
wheels = [{_file("colorama-0.4.6-py3-none-any.whl", C)}]

[[packages]]
name = "tomli"
version = "2.0.1"
marker = "python_full_version < '3.11'"
wheels = [{_file("tomli-2.0.1-py3-none-any.whl", C)}]
"""


def _pins(text: str, name: str = "pylock.toml") -> Pins:
    return read_pins(name, {name: text.encode()})


def _environment(pins: Pins, python: Interpreter = PYTHON) -> Environment | str:
    return pinned(REQUEST, pins, python, DAY, index({}))


def test_an_interpreter_gets_its_packages_and_files() -> None:
    """Markers choose packages and tags choose files; a source counts only without a wheel."""
    environment = _environment(_pins(PYLOCK))
    assert isinstance(environment, Environment)
    assert environment.python == "3.11"
    assert environment.packages == (
        Package(name="lib", version="2.0", hashes=(B,)),
        Package(name="six", version="1.16.0", hashes=(A,)),
    )


def test_a_package_without_a_file_for_the_interpreter_is_a_reason() -> None:
    """Another interpreter is chosen then, if there is one."""
    python = Interpreter(path=Path("python3.12"), version="3.12.1")
    assert _environment(_pins(PYLOCK), python) == (
        "deps=after cannot be installed from pylock.toml: lib 2.0 has no file for Python 3.12 on "
        "this platform"
    )


def test_requirements_take_their_files_from_the_index() -> None:
    """Hashes limit the files; without hashes, all files of the version count."""
    text = f"""\
# made by a tool
Six==1.16.0 \\
    --hash={A} \\
    --hash={B}
lib[extra] == 2.0 ; python_version >= "3.8"  # via six
colorama==0.4.6 ; sys_platform == "win32"
"""
    pins = _pins(text, "requirements.txt")
    assert pins.every[0].hashes == {A[7:], B[7:]}
    files = index(
        {
            "six": [_hashed(wheel("1.16.0", "py3-none-any"), A), _hashed(source("1.16.0"), C)],
            "lib": [_hashed(one, B) for one in compiled("2.0", "3.11")],
        }
    )
    environment = pinned(REQUEST, pins, PYTHON, DAY, files)
    assert isinstance(environment, Environment)
    assert environment.packages == (
        Package(name="lib", version="2.0", hashes=(B,)),
        Package(name="six", version="1.16.0", hashes=(A,)),
    )
    absent = pinned(REQUEST, pins, PYTHON, DAY, index({}))
    assert isinstance(absent, str)
    assert absent.endswith("six 1.16.0 is not on the package index")


def _hashed(file: File, hash_: str) -> File:
    return replace(file, sha256=hash_[7:])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("requirements.txt", "numpy>=1", r'"numpy>=1" has no exact version; write one such as num'),
        ("requirements.txt", "-r other.txt", r'"-r" is not supported; write all packages into one'),
        ("requirements.txt", "a==1 --no-binary", r"keep only `--hash`"),
        ("requirements.txt", f"a==1 --hash=sha512:{'0' * 128}", "has no sha256 among its hashes"),
        (
            "requirements.txt",
            "--extra-index-url=https://me:s3cret@x/",
            "index-url=https://x/. is not",
        ),
        ("pylock.toml", "x = " + "[" * 5000, "cannot be read as a lock file"),
        ("requirements.txt", "a @ https://x/a.whl", r"has no exact version"),
        ("pylock.toml", "x = [", "cannot be read as a lock file"),
        ("pylock.toml", "[packages]", "cannot be read as a lock file"),
        ("pylock.toml", 'lock-version = "2.0"', "its format 2.0 is newer than PEP 751"),
        (
            "pylock.toml",
            'lock-version = "1.0"\n[[packages]]\nname = "x"\ndirectory = {path = "."}',
            "x comes from a folder, a repository or a URL; use only packages from an index",
        ),
    ],
)
def test_what_is_no_exact_lock_file_is_refused(name: str, text: str, said: str) -> None:
    """The message names the file and what to change."""
    with pytest.raises(ConfigError, match=f"^{name} .*{said}"):
        _pins(text, name)


def test_markers_of_groups_are_evaluated_without_any() -> None:
    """PEP 751 lets a marker ask for extras and groups; the defaults are in the file."""
    text = PYLOCK.replace("sys_platform == 'win32'", "'dev' in dependency_groups")
    environment = _environment(_pins(text))
    assert isinstance(environment, Environment)
    assert "colorama" not in {one.name for one in environment.packages}


def test_what_cannot_be_a_package_is_a_reason() -> None:
    """A hash could become an option of uv."""
    found = _environment(_pins(PYLOCK.replace(A[7:], "zz")))
    assert isinstance(found, str)
    assert "cannot be a package" in found


def test_a_name_with_two_versions_is_a_reason() -> None:
    """Markers that overlap leave open which one is installed."""
    pins = _pins(PYLOCK + PYLOCK[PYLOCK.index("[[packages]]") :].replace("1.16.0", "1.17.0"))
    assert _environment(pins) == "pylock.toml has two versions of six for Python 3.11"


def test_the_interpreters_are_those_that_the_project_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The day is that of the youngest package; a younger interpreter comes last."""
    here = tuple(
        Interpreter(path=Path(one), version=one) for one in ("3.13.1", "3.11.9", "3.10.1", "3.8.1")
    )
    monkeypatch.setattr(interpreters, "available", lambda *_: here)
    pins = _pins(PYLOCK.replace("2021-05-05", "2023-05-05"))
    options = options_of(REQUEST, pins, index({}))
    assert isinstance(options, Options)
    assert [one.minor for one in options.days] == ["3.11", "3.10", "3.13"]
    assert {one.date().isoformat() for one in options.days.values()} == {"2023-05-06"}
    narrow = _pins(PYLOCK.replace(">=3.10", ">=3.14"))
    assert options_of(REQUEST, narrow, index({})) == (
        "deps=after needs Python >=3.14, and this machine is not such a Python"
    )


def _uv_lock(folder: Path) -> Mapping[str, bytes]:
    """Return a uv.lock of a project without packages, as uv writes it."""
    project = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\n'
    lock = (
        'version = 1\nrevision = 3\nrequires-python = ">=3.9"\n\n[[package]]\nname = "app"\n'
        'version = "1"\nsource = { virtual = "." }\n'
    )
    return {"pyproject.toml": project.encode(), "uv.lock": lock.encode()}


def test_a_uv_lock_is_read_by_uv(tmp_path: Path) -> None:
    """The project itself is not installed."""
    pins = read_pins("git:main:uv.lock", _uv_lock(tmp_path))
    assert pins.every == ()
    assert str(pins.requires_python) == ">=3.9"
    with pytest.raises(ConfigError, match=r"^uv could not read uv\.lock: Failed to parse"):
        read_pins("uv.lock", {**_uv_lock(tmp_path), "uv.lock": b"version = 99"})
