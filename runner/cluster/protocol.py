"""The protocol of a cluster: it takes orders, and sends files where workers ask for them."""

from collections.abc import Collection
from typing import Protocol

from runner.cluster.parts import FindPart
from runner.errors import EngineError


class BlockLostError(EngineError):
    """The block ended every worker that executed it."""


class Submitted(Protocol):
    """An order on its way."""

    def done(self) -> bool:
        """Whether there is an answer, or none will come."""

    def answer(self) -> tuple[str, object]:
        """Return the worker and its answer, which is untrusted.

        BlockLostError if the order ended too many workers, and EngineLostError if the cluster is
        gone. Only called when it is done.
        """

    def cancel(self) -> None:
        """Withdraw the order."""


class Cluster(Protocol):
    """Executes orders on workers. An order that lost its worker is executed by another one."""

    def workers(self) -> Collection[str]:
        """Return the workers that are connected; EngineLostError if the cluster is gone."""

    def submit(self, order: bytes) -> Submitted:
        """Let one of the workers execute an order. Each executes one at a time."""

    def wait(self, submitted: Collection[Submitted], timeout_s: float) -> None:
        """Return when one of the orders is done, or after a time."""

    def serve(self, find: FindPart) -> None:
        """Send parts to the workers that ask for them from now on."""

    def dismiss(self, worker: str) -> None:
        """Send a worker away that cannot execute anything."""

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
