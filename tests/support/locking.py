"""Resolving a request with the real uv and the index that the environment names."""

from runner.lock.solver import resolve_all
from runner.python import uv
from runner.python.index import Index
from runner.records.environment import Environment, EnvironmentRequest, Unsupported


def resolved(request: EnvironmentRequest) -> Environment | Unsupported:
    """Resolve one request alone."""
    (entry,) = resolve_all([request], (), uv.call, Index().files)
    assert isinstance(entry, Environment | Unsupported)
    return entry
