"""Errors that may pass are retried a few times."""

import pytest

from runner.errors import EngineLostError, NoSpaceError
from runner.system.retry import WAITS_S, retry


def test_an_error_that_passes_is_retried() -> None:
    """Each wait is announced."""
    notes: list[str] = []
    troubles = [NoSpaceError("full.")] * 2

    def attempt() -> str:
        if troubles:
            raise troubles.pop()
        return "saved"

    assert retry(attempt, NoSpaceError, notes.append) == "saved"
    assert notes == ["full. Trying again in 0 s."] * 2


def test_an_error_that_stays_is_raised_after_the_last_retry() -> None:
    """Each wait is used once; other errors are raised immediately."""
    notes: list[str] = []

    def full() -> None:
        raise NoSpaceError("full.")

    with pytest.raises(NoSpaceError):
        retry(full, NoSpaceError, notes.append)
    assert len(notes) == len(WAITS_S)
    with pytest.raises(NoSpaceError):
        retry(full, EngineLostError, notes.append)
    assert len(notes) == len(WAITS_S)
