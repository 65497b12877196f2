"""Skip these tests if the package index does not answer."""

import os
import sys

import pytest

from runner.errors import PackagesError
from runner.python import uv
from tests.support import required


@pytest.fixture(scope="session", autouse=True)
def _index() -> None:
    """Skip if the package index does not answer, or fail if it must."""
    try:
        uv.call(
            ["pip", "compile", "wanted.txt", "--no-deps", "--python", sys.executable],
            purpose="ask the package index",
            timeout_s=60,
            files={"wanted.txt": "six"},
        )
    except PackagesError as error:
        if os.environ.get(required.INDEX):
            raise
        pytest.skip(f"the package index does not answer: {error}")
