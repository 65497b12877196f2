"""A cluster in this process: its workers execute orders with engines of the tests."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from runner.cluster.orders import read_order
from runner.cluster.parts import FindPart, Parts, chunks
from runner.cluster.protocol import BlockLostError, Submitted
from runner.cluster.worker import STOPPING, answer_to
from runner.engines.protocol import Engine
from runner.errors import RunnerError
from runner.observer import Observer

Change = Callable[[bytes], object]


class FakeCluster:
    """Gives each order to the next worker, which executes it as soon as somebody waits."""

    def __init__(self, folder: Path, engines: Mapping[str, Engine], observer: Observer) -> None:
        STOPPING.clear()  # a worker of another test in this process may have been stopped
        self._folder = folder
        self._engines = dict(engines)
        self._observer = observer
        self._find: FindPart | None = None
        self._turn = 0
        self.blocks: list[tuple[str, int]] = []
        """Which worker executed which block."""
        self.sent: list[str] = []
        """The keys of the parts that were sent."""
        self.dismissed: list[str] = []
        self.kills: set[int] = set()
        """The blocks that end their workers."""
        self.changes: dict[str, Change] = {}
        """What a worker does to its answers."""
        self.closed = False

    def workers(self) -> Collection[str]:
        return tuple(self._engines)

    def submit(self, order: bytes) -> "FakeSubmitted":
        self._turn += 1
        names = list(self._engines)
        return FakeSubmitted(self, names[self._turn % len(names)], order)

    def wait(self, submitted: Collection[Submitted], timeout_s: float) -> None:
        for one in submitted:
            if isinstance(one, FakeSubmitted) and not one.done():
                one.execute()
                return

    def serve(self, find: FindPart) -> None:
        self._find = find

    def dismiss(self, worker: str) -> None:
        self.dismissed.append(worker)
        self._engines.pop(worker, None)

    def close(self) -> None:
        self.closed = True

    def executed(self, worker: str, content: bytes) -> object:
        """Execute an order."""
        order, engine = read_order(content), self._engines[worker]
        parts = Parts(self._folder / worker)

        def fetch(keys: Collection[str]) -> Mapping[str, str]:
            refused = {}
            for key in keys:
                assert self._find is not None
                try:
                    for offset, chunk, whole in chunks(self._find(key)):
                        parts.receive(key, offset, chunk, whole)
                    self.sent.append(key)
                    assert parts.accept(key)
                except RunnerError as error:
                    refused[key] = str(error)
            return refused

        answer = answer_to(content, lambda: engine, parts, fetch, self._observer)
        self.blocks.append((worker, order.block))
        return self.changes[worker](answer) if worker in self.changes else answer


class FakeSubmitted:
    """An order of the fake cluster."""

    def __init__(self, cluster: FakeCluster, worker: str, order: bytes) -> None:
        self._cluster = cluster
        self._worker = worker
        self._order = order
        self._answer: object = None
        self._done = False

    def execute(self) -> None:
        """Execute it now."""
        if read_order(self._order).block not in self._cluster.kills:
            self._answer = self._cluster.executed(self._worker, self._order)
        self._done = True

    def done(self) -> bool:
        return self._done

    def answer(self) -> tuple[str, object]:
        if self._answer is None:
            raise BlockLostError("it ended 4 workers")
        return self._worker, self._answer

    def cancel(self) -> None:
        self._done = True
