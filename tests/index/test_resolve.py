"""Locking and installing with the real uv and the real package index.

The packages of the founding study are about 150 MB, downloaded once into the runner's cache.
"""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import PackagesError
from runner.python import interpreters, packages, uv
from runner.python.interpreters import Interpreter
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    Package,
    Requirement,
    Unsupported,
)
from tests.support.locking import resolved

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def python37() -> Interpreter:
    """Provide the interpreter of the founding study."""
    try:
        return interpreters.find("3.7")
    except PackagesError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def old(python37: Interpreter) -> Environment:
    """Resolve TensorFlow 1.15.0 as of its release."""
    entry = resolved(_request("1.15.0"))
    assert isinstance(entry, Environment)
    return entry


def _request(version: str, python: str = "auto") -> EnvironmentRequest:
    need = Requirement(
        axis="tensorflow", distributions=("tensorflow-cpu", "tensorflow"), version=version
    )
    return EnvironmentRequest(requirements=(need,), python=python)


def _pins(environment: Environment) -> dict[str, str]:
    return {package.name: package.version for package in environment.packages}


def _import_all(tree: Path, interpreter: Interpreter, statement: str) -> str:
    """Run a statement in a tree of packages, as in an image."""
    (tree / "pyvenv.cfg").write_text(f"home = {interpreter.path.parent}\n")
    (tree / "bin").mkdir()
    (tree / "bin" / "python").symlink_to(interpreter.path)
    command = [str(tree / "bin" / "python"), "-I", "-c", statement]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_release_day_gives_the_packages_of_that_day(old: Environment) -> None:
    """TensorFlow 1.15.0 gets the protobuf of its time without a manual pin."""
    pins = _pins(old)
    assert pins["tensorflow-cpu"] == "1.15.0"
    assert pins["protobuf"] == "3.10.0"
    assert old.python == "3.7"
    assert old.build_tools == ()


def test_second_distribution_serves_what_the_first_lacks(python37: Interpreter) -> None:
    """There is no tensorflow-cpu 2.0.0, so tensorflow 2.0.0 is used."""
    entry = resolved(_request("2.0.0"))
    assert isinstance(entry, Environment)
    assert _pins(entry)["tensorflow"] == "2.0.0"
    assert "tensorflow-cpu" not in _pins(entry)
    assert entry.python == "3.7"


@pytest.mark.parametrize("version", ["1.15.0", "1.4.1"])
def test_no_package_is_newer_than_its_lock(version: str) -> None:
    """Every locked file was uploaded before the date, even if build tools are exempt.

    Without a date, uv lists the upload time of each file.
    """
    entry = resolved(_request(version))
    if isinstance(entry, Unsupported):
        pytest.skip(entry.reason)
    pins = "\n".join(f"{name}=={version}" for name, version in _pins(entry).items())
    answer = uv.call(
        [
            *("pip", "compile", "wanted.txt", "--no-deps", "--format", "pylock.toml"),
            *("--python", str(interpreters.find(entry.python).path)),
        ],
        purpose="list files",
        timeout_s=120,
        files={"wanted.txt": pins},
    )
    allowed = {one for package in entry.packages for one in package.hashes}
    files = re.findall(r'upload-time = (\S+)Z, .*?sha256 = "(\w+)"', answer.text)
    uploaded = {f"sha256:{checksum}": instant for instant, checksum in files}
    assert allowed <= set(uploaded)
    latest = max(uploaded[one] for one in allowed)
    assert latest <= f"{entry.as_of:%Y-%m-%dT%H:%M:%S}"


def test_version_that_does_not_exist_is_unsupported() -> None:
    """The reason gives the names that were searched for and the newest version."""
    entry = resolved(_request("9.9.9"))
    assert isinstance(entry, Unsupported)
    assert re.fullmatch(
        r"tensorflow 9\.9\.9 is not on the package index as tensorflow-cpu or tensorflow; "
        r"the nearest versions are \S+ and \S+",
        entry.reason,
    )


def test_python_without_a_wheel_is_unsupported() -> None:
    """The reason lists the Pythons that have wheels."""
    newest = interpreters.available()[0].minor
    entry = resolved(_request("1.15.0", python=newest))
    assert isinstance(entry, Unsupported)
    assert f"has no wheel for Python {newest}, only for 3.5, 3.6, 3.7" in entry.reason


def test_package_for_other_platforms_is_unsupported() -> None:
    """The reason is that no wheel fits this platform."""
    need = Requirement(axis="tensorflow", distributions=("tensorflow-macos",), version="2.12.0")
    entry = resolved(EnvironmentRequest(requirements=(need,)))
    assert isinstance(entry, Unsupported)
    assert entry.reason.startswith("tensorflow 2.12.0 has wheels only for macosx_12_0_arm64 and")


def test_old_release_is_resolved_with_newer_build_tools() -> None:
    """TensorFlow 1.4.1 cannot be built with the tools of its day, but they are installed."""
    entry = resolved(_request("1.4.1"))
    if isinstance(entry, Unsupported):
        pytest.skip(entry.reason)
    assert {"setuptools", "wheel"} <= {tool.partition("==")[0] for tool in entry.build_tools}
    assert _pins(entry)["setuptools"] == "38.2.4"


def test_locked_packages_are_installed_and_work(
    old: Environment, python37: Interpreter, tmp_path: Path
) -> None:
    """TensorFlow can be imported, and packages are pure Python where possible."""
    packages.install(old, python37, tmp_path)
    site = tmp_path / "lib" / "python3.7" / "site-packages"
    assert not (site / "bin").exists()
    assert not list(site.glob("wrapt/*.so"))
    installed = {path.name.removesuffix(".dist-info") for path in site.glob("*.dist-info")}
    assert {name.lower().replace("_", "-") for name in installed} == {
        f"{name}-{version}" for name, version in _pins(old).items()
    }
    statement = (
        "import tensorflow as tf, google.protobuf as p; print(tf.__version__, p.__version__)"
    )
    assert _import_all(tmp_path, python37, statement) == "1.15.0 3.10.0"


def test_bytecode_needs_no_date(python37: Interpreter, old: Environment, tmp_path: Path) -> None:
    """Every module is compiled to bytecode that does not depend on the date of its source."""
    small = replace(old, packages=tuple(one for one in old.packages if one.name == "six"))
    packages.install(small, python37, tmp_path)
    site = tmp_path / "lib" / "python3.7" / "site-packages"
    (compiled,) = (site / "__pycache__").glob("six.*.pyc")
    assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00"  # PEP 552: a hash, never checked


def test_changed_file_is_not_installed(
    python37: Interpreter, old: Environment, tmp_path: Path
) -> None:
    """A download with another hash is refused."""
    wrong = (Package(name="six", version="1.12.0", hashes=("sha256:" + "0" * 64,)),)
    with pytest.raises(
        PackagesError, match=r"packages of tensorflow=1\.15\.0 cannot be.*`six==1\.12\.0`"
    ):
        packages.install(replace(old, packages=wrong), python37, tmp_path)
