"""The package index that tests use."""

import os
import sys

import pytest

from runner.errors import PackagesError
from runner.python import uv
from tests.support import required


def index_or_skip() -> None:
    """Skip the test if the package index does not answer, or fail if it must."""
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
