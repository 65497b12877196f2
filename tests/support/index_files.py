"""Files of a package index in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from runner.python.index import File, Files

DAY = datetime(2019, 10, 16, 17, 33, 59, tzinfo=timezone.utc)
LINUX = "manylinux2010_x86_64"


def wheel(
    version: str, tags: str, uploaded_at: datetime | None = DAY, *, requires: str = ""
) -> File:
    """Return a wheel with tags such as ``cp37-cp37m-manylinux2010_x86_64``."""
    found = parse_wheel_filename(f"x-1-{tags}.whl")[3]
    return File(
        version=Version(version),
        tags=found,
        requires_python=SpecifierSet(requires),
        uploaded_at=uploaded_at,
    )


def compiled(version: str, *minors: str, uploaded_at: datetime = DAY) -> list[File]:
    """Return a wheel for Linux for each minor version."""
    names = [f"cp{minor.replace('.', '')}" for minor in minors]
    return [
        wheel(version, f"{one}-{one}{'m' * (one in {'cp36', 'cp37'})}-{LINUX}", uploaded_at)
        for one in names
    ]


def source(version: str, uploaded_at: datetime = DAY, *, requires: str = "") -> File:
    """Return a source package."""
    return File(
        version=Version(version),
        tags=frozenset(),
        requires_python=SpecifierSet(requires),
        uploaded_at=uploaded_at,
    )


def index(pages: Mapping[str, Sequence[File]]) -> Files:
    """Return an index that has these files."""
    return lambda name: tuple(pages.get(name, ()))
