"""Work for an engine that need not be done between two trials.

The next container is created and the last one is removed while the engine starts the one between
them. That takes longer, and its launcher still looks for a quiet core before it starts the script.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from docker.models.containers import Container

WORKERS = 4


class Ahead:
    """Containers that are created before they are needed, and removed after they were used."""

    def __init__(self, remove: Callable[[Container], None]) -> None:
        self._remove = remove
        self._workers: ThreadPoolExecutor | None = None
        self._created: dict[str, tuple[object, Future[Container]]] = {}
        self._removals: set[Future[None]] = set()

    def prepare(self, trial: str, kind: object, create: Callable[[], Container]) -> None:
        """Begin to create the container of a trial, unless that has begun already."""
        if trial not in self._created:
            self._created[trial] = kind, self._pool().submit(create)

    def take(self, trial: str, kind: object) -> Container | None:
        """Return the container of a trial once it is there.

        None if nobody asked for it, if that failed, or if it is of another kind, and removed.
        """
        if trial not in self._created:
            return None
        known, created = self._created.pop(trial)
        container = _result(created)
        if container is None or known == kind:
            return container
        self.remove(container)
        return None

    def remove(self, container: Container) -> None:
        """Remove a container soon. If that fails, the end of the run removes it."""
        removal = self._pool().submit(self._remove, container)
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    def settle(self) -> None:
        """Wait until nothing is being created or removed, and forget what was created."""
        created, self._created = list(self._created.values()), {}
        wait([container for _, container in created])
        wait(tuple(self._removals))

    def close(self) -> None:
        """Settle, and end."""
        self.settle()
        if self._workers is not None:
            self._workers.shutdown()

    def _pool(self) -> ThreadPoolExecutor:
        if self._workers is None:
            self._workers = ThreadPoolExecutor(WORKERS)
        return self._workers


def _result(created: Future[Container]) -> Container | None:
    """Return the container; None if it could not be created, which the caller then tries again."""
    return None if created.exception() else created.result()
