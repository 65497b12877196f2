"""Dask distributed as the cluster. Only this module imports it, and only ``--cluster`` needs it.

One Dask task is one order. A worker asks for parts with an event, and gets them in chunks beside
its task. Dask executes the order of a lost worker again. It sends functions and results as pickles,
so whoever reaches the scheduler controls all its machines: TLS with certificates on both sides is
required, except on loopback (``address``).
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import dask
import distributed

from runner.cluster.address import Address, Certificates, check, read_address
from runner.cluster.parts import FindPart, Parts, chunks
from runner.cluster.protocol import BlockLostError, Submitted
from runner.cluster.worker import STOPPING, answer_to, stop
from runner.engines.protocol import Engine
from runner.errors import EngineError, EngineLostError, RunnerError
from runner.observer import Observer
from runner.system import places
from runner.text import why

SLOT = "block"
"""The resource of which each worker has one and each order takes one."""
CONNECT_S = 20.0
RESULT_S = 600.0
"""How long the answer may take to come here, once there is one."""
PATIENCE_S = 120.0
"""How long a worker waits for a sign that a part will come."""
SIGN_S = 20.0
"""How often the run gives one while it packs the part."""
POLL_S = 0.2
CALM: dict[str, object] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.http.routes": [],  # nobody needs to see our memory and calls
}
"""Settings with which an idle worker takes 0.3 % of a core instead of 5 %."""

# --- on a worker ---------------------------------------------------------------------------------


class _Worker:
    """What this process needs to execute orders, if it was started as a worker."""

    connect: Callable[[], Engine] | None = None
    observer: Observer | None = None


def _parts() -> Parts:
    return Parts(places.cache() / "parts")


def _execute(content: bytes, topic: str) -> tuple[str, bytes]:
    """Execute an order on this worker; return its address and its answer."""
    worker = distributed.get_worker()
    if _Worker.connect is None or _Worker.observer is None:
        raise RuntimeError("this worker was not started by `matrix-runner worker`")
    parts = _parts()

    def fetch(keys: Collection[str]) -> Mapping[str, str]:
        for key in keys:
            parts.forget_refusal(key)
        worker.log_event(topic, {"worker": worker.address, "parts": list(keys)})
        return {key: why for key in keys if (why := _awaited(parts, key)) is not None}

    answer = answer_to(content, _Worker.connect, parts, fetch, _Worker.observer)
    return str(worker.address), answer


def _awaited(parts: Parts, key: str) -> str | None:
    """Wait until a part is here, or return why the run does not send it.

    EngineError if nothing comes any more.
    """
    last, since = None, time.monotonic()
    while not parts.accept(key):
        if (refusal := parts.refusal(key)) is not None:
            return refusal
        now = parts.last_sign(key)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE_S:
            raise EngineError(
                "the run does not send the files that its block needs; check the "
                "network between this host and the scheduler."
            )
        time.sleep(POLL_S)
    return None


def _receive(key: str, offset: int, chunk: bytes, whole: str | None) -> int:
    """Take a chunk of a part. It runs beside the task that waits for it."""
    return _parts().receive(key, offset, chunk, whole)


def _refuse(key: str, reason: str) -> None:
    """Take the reason why a part does not come."""
    _parts().refuse(key, reason)


def serve(url: str, name: str, connect: Callable[[], Engine], observer: Observer) -> None:
    """Be a worker until the scheduler goes away or dismisses it; EngineError if none answers."""
    address, security = _checked(url, "worker")
    _Worker.connect, _Worker.observer = connect, observer
    STOPPING.clear()
    with dask.config.set(CALM):
        asyncio.run(_served(address, security, name, observer))


class _Ending(distributed.WorkerPlugin):
    """Stops the block in progress when its worker closes, for whatever reason."""

    def teardown(self, worker: object) -> None:  # noqa: ARG002
        if _Worker.connect is not None:
            stop(_Worker.connect)


async def _served(
    address: Address, security: distributed.Security, name: str, observer: Observer
) -> None:
    try:
        worker = await distributed.Worker(
            address.url,
            nthreads=1,
            name=f"{name}-{os.urandom(4).hex()}",  # the former one may not be known as lost yet
            resources={SLOT: 1},
            dashboard=False,
            dashboard_address="127.0.0.1:0",  # Dask always listens; by default to everybody
            security=security,
            plugins=(_Ending(),),
            death_timeout=CONNECT_S,
            local_directory=str(places.cache() / "dask"),
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(f"the scheduler at {address.url} does not take us: {error}.") from error
    observer.note(f"{name} is a worker of {address.url}")
    try:
        await worker.finished()
    finally:
        with contextlib.suppress(Exception):
            await worker.close(timeout=5, executor_wait=False)


# --- on the machine of the run -------------------------------------------------------------------


class DaskCluster:
    """A connection to a scheduler."""

    def __init__(self, url: str) -> None:
        """Connect; EngineError if the scheduler does not answer."""
        address, security = _checked(url, "client")
        self._url = address.url
        self._topic = f"matrix-runner/{uuid.uuid4().hex}"
        try:
            self._client = distributed.Client(
                address.url,
                security=security,
                timeout=CONNECT_S,
                set_as_default=False,
                name="matrix-runner",
            )
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            raise EngineError(
                f"the scheduler at {address.url} does not answer like Dask ({error}); check the "
                "address and that all machines have the same version of distributed."
            ) from error

    def workers(self) -> Collection[str]:
        self._check()
        found: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return [url for url, one in found.items() if one["resources"].get(SLOT)]

    def _check(self) -> None:
        if self._client.status != "running":
            raise _gone(self._url)

    def submit(self, order: bytes) -> Submitted:
        self._check()
        # pure=False: equal orders would be executed once.
        future = self._client.submit(_execute, order, self._topic, pure=False, resources={SLOT: 1})
        return _Task(future, self._url)

    def wait(self, submitted: Collection[Submitted], timeout_s: float) -> None:
        futures = [one.future for one in submitted if isinstance(one, _Task)]
        if not futures:
            time.sleep(timeout_s)
            return
        # A scheduler that is gone cancels everything, which ``answer`` says then.
        gone = distributed.client.FuturesCancelledError
        late = (TimeoutError, asyncio.TimeoutError)
        with contextlib.suppress(*late, gone, OSError), self._client.as_current():
            distributed.wait(futures, timeout=timeout_s, return_when="FIRST_COMPLETED")

    def serve(self, find: FindPart) -> None:
        sending = _Sending(self._client, find)
        self._client.subscribe_topic(self._topic, sending.asked)

    def dismiss(self, worker: str) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            self._client.retire_workers([worker], close_workers=True)

    def close(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            self._client.close(timeout=5)


class _Task:
    """An order as a Dask task."""

    def __init__(self, future: Any, url: str) -> None:
        self.future = future
        self._url = url

    def done(self) -> bool:
        return bool(self.future.done())

    def answer(self) -> tuple[str, object]:
        try:
            worker, answer = self.future.result(timeout=RESULT_S)
        except distributed.KilledWorker as error:
            raise BlockLostError(
                f"it ended {error.allowed_failures + 1} workers, the last one on "
                f"{error.last_worker.address}"
            ) from error
        except (asyncio.CancelledError, distributed.client.FutureCancelledError) as error:
            raise _gone(self._url) from error
        except (OSError, TimeoutError) as error:  # also a connection that broke off
            raise _gone(self._url) from error
        except Exception as error:  # whatever Dask or a worker that is none of ours raises
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise EngineError(
                f"Dask could not execute a block ({first}): install the same versions of "
                "matrix-runner and distributed for the scheduler, its workers and the run, and "
                "start workers with `matrix-runner worker`."
            ) from error
        return str(worker), answer

    def cancel(self) -> None:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self.future.cancel(force=True)


class _Sending:
    """Sends parts to workers, to each of them in a thread of its own."""

    def __init__(self, client: Any, find: FindPart) -> None:
        self._client = client
        self._find = find
        self._making = threading.Lock()

    async def asked(self, event: tuple[float, object]) -> None:
        """Handle the event of a worker, which is untrusted."""
        match event[1]:
            case {"worker": str(worker), "parts": [*keys]}:
                keys = [key for key in keys if isinstance(key, str)]
                threading.Thread(target=self._send, args=(worker, keys), daemon=True).start()
            case _:
                pass

    def _send(self, worker: str, keys: list[str]) -> None:
        """Send parts. A worker that is lost, or that gets none, gives up by itself."""
        with contextlib.suppress(Exception):  # whatever Dask raises then
            for key in keys:
                try:
                    with self._giving_signs(worker, key), self._making:
                        path = self._find(key)
                    for offset, chunk, whole in chunks(path):
                        self._client.run(_receive, key, offset, chunk, whole, workers=[worker])
                except (RunnerError, OSError) as error:
                    self._client.run(_refuse, key, why(error), workers=[worker])

    @contextlib.contextmanager
    def _giving_signs(self, worker: str, key: str) -> Iterator[None]:
        """Let the worker know now and then that a part will come: packing may take minutes."""
        ready = threading.Event()

        def give() -> None:
            with contextlib.suppress(Exception):
                while not ready.wait(SIGN_S):
                    self._client.run(_receive, key, 0, b"", None, workers=[worker])

        thread = threading.Thread(target=give, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ready.set()
            thread.join()


def _checked(url: str, role: str) -> tuple[Address, distributed.Security]:
    """Return an address and our certificates, after a first look at the scheduler."""
    _quiet()
    address, security = read_address(url), distributed.Security()
    found = security.get_tls_config_for_role(role)
    authority, own = found.get("ca_file"), found.get("cert")
    certificates = None
    if authority and own:
        certificates = Certificates(authority=authority, own=own, key=found.get("key"))
    check(address, certificates, role)
    if address.encrypted:
        security = distributed.Security(require_encryption=True)
    return address, security


def _gone(url: str) -> EngineLostError:
    return EngineLostError(
        f"the scheduler at {url} is gone; start it and run the same command to resume (finished "
        "blocks are kept)."
    )


def _quiet() -> None:
    """Keep Dask's own log off the terminal: whatever matters becomes a sentence of ours."""
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith(("distributed", "tornado", "asyncio")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
