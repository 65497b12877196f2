"""Skip these tests if the package index does not answer."""

import pytest

from tests.support.public_index import index_or_skip


@pytest.fixture(scope="session", autouse=True)
def _index() -> None:
    """Skip if the package index does not answer, or fail if it must."""
    index_or_skip()
