"""Exported environments can be read by other installers."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from packaging.pylock import Pylock
from packaging.requirements import Requirement

from runner.errors import PackagesError
from runner.lock.export import as_pylock, as_requirements
from runner.python import toml
from runner.records.environment import Environment, EnvironmentRequest, Package
from tests.support.index_files import index, source, wheel

HASHES = ("a" * 64, "b" * 64, "c" * 64)
ENVIRONMENT = Environment(
    request=EnvironmentRequest(requirements=()),
    python="3.7",
    platform="linux-x86_64",
    as_of=datetime(2019, 10, 17, tzinfo=timezone.utc),
    packages=(
        Package(name="six", version="1.12.0", hashes=tuple(f"sha256:{one}" for one in HASHES[:2])),
        Package(name="wrapt", version="1.11.2", hashes=(f"sha256:{HASHES[2]}",), source=True),
    ),
)
SIX = [
    replace(
        wheel("1.12.0", tags),
        name=f"six-1.12.0-{tags}.whl",
        url=f"https://files.invalid/six-1.12.0-{tags}.whl",
        sha256=checksum,
    )
    for tags, checksum in zip(("py3-none-any", "py37-none-any"), HASHES[:2], strict=True)
]
WRAPT = replace(
    source("1.11.2"),
    name="wrapt-1.11.2.tar.gz",
    url="https://files.invalid/wrapt-1.11.2.tar.gz",
    sha256=HASHES[2],
)


def test_requirements_have_every_hash() -> None:
    """Pip refuses every other file with them."""
    text = as_requirements(ENVIRONMENT)
    comment, *lines = text.replace("\\\n", "").splitlines()
    assert comment == "# plain Python: Python 3.7 on linux-x86_64, as of 2019-10-17"
    assert [str(Requirement(line.partition(" ")[0])) for line in lines] == [
        "six==1.12.0",
        "wrapt==1.11.2",
    ]
    assert [line.count("--hash=sha256:") for line in lines] == [2, 1]


def test_a_pylock_names_the_files_of_the_hashes() -> None:
    """It follows the specification, and only files that were locked are in it."""
    other = replace(SIX[0], sha256="d" * 64)
    text = as_pylock(ENVIRONMENT, index({"six": [*SIX, other], "wrapt": [WRAPT]}))
    lock = Pylock.from_dict(toml.loads(text))
    six, wrapt = lock.packages
    assert six.wheels is not None
    assert [one.url for one in six.wheels] == [one.url for one in SIX]
    assert [dict(one.hashes) for one in six.wheels] == [{"sha256": one} for one in HASHES[:2]]
    assert wrapt.wheels is None
    assert wrapt.sdist is not None
    assert wrapt.sdist.url == WRAPT.url
    assert lock.requires_python is not None
    assert "3.7.16" in lock.requires_python
    assert "3.8.1" not in lock.requires_python


def test_a_file_that_is_gone_is_reported() -> None:
    """The other format does not need it."""
    with pytest.raises(PackagesError, match=r"no longer has a file of wrapt 1\.11\.2.*as req"):
        as_pylock(ENVIRONMENT, index({"six": SIX}))
