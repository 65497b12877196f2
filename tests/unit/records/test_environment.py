"""Lock entries that contradict their requests: a lock may come from anybody."""

from datetime import datetime, timezone

import pytest

from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    ReadyImage,
    Source,
    SourceKind,
)

ONE, OTHER = (f"sha256:{letter * 64}" for letter in "ab")
DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)


def _image(kind: SourceKind, digest: str | None) -> EnvironmentRequest:
    source = Source(kind=kind, written="app", digest=digest)
    return EnvironmentRequest(requirements=(), sources=(source,), chosen=(("app", "a"),))


def _packages(request: EnvironmentRequest, python: str = "3.11") -> Environment:
    return Environment(
        request=request, python=python, platform="linux-x86_64", as_of=DAY, packages=()
    )


def test_an_image_must_be_the_one_that_is_asked_for() -> None:
    """A Dockerfile's files are known when the matrix is read, an image's digest is not."""
    assert ReadyImage(request=_image(SourceKind.IMAGE, None), digest=ONE).source.written == "app"
    assert ReadyImage(request=_image(SourceKind.DOCKERFILE, ONE), digest=ONE).digest == ONE
    with pytest.raises(ValueError, match="app=a asks for another image"):
        ReadyImage(request=_image(SourceKind.DOCKERFILE, ONE), digest=OTHER)
    with pytest.raises(ValueError, match="plain Python asks for no image"):
        ReadyImage(request=EnvironmentRequest(requirements=()), digest=ONE)


def test_packages_must_be_asked_for_with_this_python() -> None:
    """Otherwise a cell would run in something else than it says."""
    assert _packages(EnvironmentRequest(requirements=(), python="3.11")).python == "3.11"
    assert _packages(EnvironmentRequest(requirements=())).base_key == "3.11"
    with pytest.raises(ValueError, match=r"asks for Python 3\.12"):
        _packages(EnvironmentRequest(requirements=(), python="3.12"))
    with pytest.raises(ValueError, match="asks for an image, not for packages"):
        _packages(_image(SourceKind.IMAGE, None))
