"""The sandboxes that this machine permits."""

import os

import pytest

from runner.engines.venv import sandbox
from runner.errors import EngineError
from tests.support import required


def bubblewrap_or_skip() -> None:
    """Skip the test if bubblewrap is missing or forbidden here, or fail if it must work."""
    try:
        sandbox.find(("bwrap",))
    except EngineError:
        assert not os.environ.get(required.SANDBOX), "CI needs bubblewrap"
        pytest.skip("bubblewrap is not installed, or this machine forbids it")
