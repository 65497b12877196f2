"""Trials in containers of Docker, or of podman, which understands the same requests.

Every container is hardened in the same way (``hardening``). Input files reach it through a volume
that is filled once in a run, and its result comes back over the attached stream. Nothing of the
host is mounted, so a remote engine works as well as a local one.
"""

import contextlib
import signal
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container
from docker.types import Mount

from runner.engines.docker import labels
from runner.engines.docker.client import engine_at_work, interrupt
from runner.engines.docker.hardening import hardening
from runner.engines.docker.images import DockerImages
from runner.engines.docker.ssh import Tunnel
from runner.engines.protocol import GRACE_S, Launch, Outcome, Owned
from runner.engines.streams import TrialOutput
from runner.inside import ISOLATED
from runner.system import digest, signals

KILLED = {128 + signal.SIGKILL, 255}
"""The exit codes of a launcher that was killed, and of a container that the engine lost track of.

The launcher is the first process of its container, so no process in there can kill it."""


class DockerEngine(DockerImages):
    """Builds images and executes trials on a Docker engine."""

    def __init__(
        self,
        client: docker.DockerClient,
        machine: str,
        tunnel: Tunnel | None = None,
        *,
        local: bool = True,
    ) -> None:
        super().__init__(client, machine, local=local)
        self._machine = machine
        self._tunnel = tunnel
        self._volumes: dict[str, str] = {}

    def close(self) -> None:
        self._client.close()
        if self._tunnel is not None:
            self._tunnel.close()

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        """Fill a volume with the inputs of a run; its name depends on the inputs and the run."""
        content = {name: digest.of_file(path) for name, path in inputs.items()}
        name = f"{labels.REPOSITORY}-{digest.of_content([self._machine, run, content])[:16]}"
        with tempfile.TemporaryFile() as file, engine_at_work("stage the inputs"):
            with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
                for target, path in sorted(inputs.items()):
                    tar.add(path, target, recursive=False, filter=_readable)
            size = file.tell()
            file.seek(0)
            with signals.deferred():
                self._client.volumes.create(
                    name, labels={**self._labels(run), labels.BYTES: str(size)}
                )
                carrier = self._client.containers.create(
                    image,
                    command=["true"],
                    labels=self._labels(run),
                    network_mode="none",
                    use_config_proxy=False,
                    mounts=[Mount("/inputs", name, type="volume")],
                )
            try:
                carrier.put_archive("/inputs", file)
            finally:
                carrier.remove(v=True, force=True)
        self._volumes[run] = name

    # --- trials --------------------------------------------------------------------------------

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        """Execute one trial to its end in its own container, and remove the container."""
        started_at = datetime.now(timezone.utc)
        began = time.monotonic()
        with engine_at_work(f"execute {launch.trial}"):
            with signals.deferred():
                container = self._create(launch)
            try:
                output = TrialOutput(launch.limits, watch)
                overdue = self._run(container, launch, output)
                exit_code, out_of_memory, trouble = _ending(container, overdue)
            finally:
                with _may_be_gone():
                    container.remove(v=True, force=True)
        return Outcome(
            exit_code=exit_code,
            out_of_memory=out_of_memory,
            timed_out=overdue,
            document=output.document(),
            log=output.log(),
            started_at=started_at,
            duration_s=time.monotonic() - began,
            trouble=trouble,
        )

    def _create(self, launch: Launch) -> Container:
        folders = {"inputs": "/inputs", "temporary": "/tmp", "output": "/out"}  # noqa: S108
        return self._client.containers.create(
            launch.image,
            # Nothing that a base image starts or checks by itself may disturb the measurement.
            entrypoint=["python", *ISOLATED, "/inputs/launcher.py"],
            command=[launch.trial_spec(own_pid_namespace=True, **folders)],
            healthcheck={"test": ["NONE"]},
            labels={**self._labels(launch.run), labels.TRIAL: launch.trial},
            mounts=[Mount("/inputs", self._volumes[launch.run], type="volume", read_only=True)],
            environment={"HOME": "/tmp", "TMPDIR": "/tmp", "KERAS_HOME": "/tmp/keras"},  # noqa: S108
            **hardening(launch.limits, launch.cores, podman=self._is_podman()),
        )

    def _labels(self, run: str) -> dict[str, str]:
        return {labels.MACHINE: self._machine, labels.RUN: run}

    def _run(self, container: Container, launch: Launch, output: TrialOutput) -> bool:
        """Start the container, collect its output, and return whether it had to be killed."""
        stream = self._client.api.attach(
            str(container.id), stdout=True, stderr=True, stream=True, demux=True
        )
        # The stream's own ``close`` leaves the socket open, and fails on ssh.
        response = stream._response  # type: ignore[attr-defined]  # noqa: SLF001
        overdue, ended = threading.Event(), threading.Event()

        def stop() -> None:
            overdue.set()
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                container.kill()
            if not ended.wait(GRACE_S):  # the engine hangs
                interrupt(response)

        timer = threading.Timer(launch.longest_s, stop)
        timer.daemon = True
        timer.start()
        try:
            with engine_at_work(f"start {launch.trial}", passing=True):
                container.start()
            for document, log in stream:
                output.add(document, log)
        finally:
            timer.cancel()
            ended.set()
            response.close()
        return overdue.is_set()

    # --- what the program left on the engine ---------------------------------------------------

    def owned(self) -> tuple[Owned, ...]:
        mine = {"label": f"{labels.MACHINE}={self._machine}"}
        api = self._client.api
        with engine_at_work("list what belongs to this program"):
            containers = api.containers(all=True, filters=mine)
            volumes = api.volumes(filters=mine)["Volumes"] or []
            bundled = tuple(self._bundled_bases())
            images = {  # by id, because the image of an environment has its base's label, too
                image["Id"]: image
                for label in ("environment", "base")
                for image in api.images(filters={"label": labels.LABEL + label})
                if labels.is_ours(image["RepoTags"])
            }
        return (
            *(_owned("container", one, one["Labels"][labels.RUN]) for one in containers),
            *(
                _owned("volume", one, one["Name"], one["Labels"].get(labels.BYTES))
                for one in volumes
            ),
            *(
                _owned("image", one, (one["RepoTags"] or [one["Id"]])[0], one["Size"])
                for one in (*images.values(), *bundled)
            ),
        )

    def discard(self, thing: Owned) -> None:
        api = self._client.api
        with engine_at_work(f"remove {thing.label}"), _may_be_gone():
            match thing.kind:
                case "container":
                    api.remove_container(thing.id, v=True, force=True)
                case "volume":
                    api.remove_volume(thing.id, force=True)
                case _:
                    api.remove_image(thing.id, force=True)


def _readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make root the owner of a staged file that everybody can read."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o444
    return entry


def _ending(container: Container, overdue: bool) -> tuple[int | None, bool, str | None]:
    """Return the exit code, whether memory ran out, and how the machine failed if it did."""
    state: Mapping[str, Any] = {"Status": "dead"}  # the engine's word for a removed container
    with _may_be_gone():
        container.wait(timeout=GRACE_S)
        container.reload()
        state = container.attrs["State"]
    if state["Status"] in {"removing", "dead"}:
        return None, False, "the container was removed from outside while the trial ran"
    exit_code, out_of_memory = state["ExitCode"], state["OOMKilled"]
    trouble = None
    if exit_code in KILLED and not out_of_memory:
        trouble = "the container was killed from outside while the trial ran"
        if overdue:
            trouble = "the container was killed because its launcher did not stop in time"
    return exit_code, out_of_memory, trouble


def _owned(kind: str, entry: Mapping[str, Any], label: str, size: str | int | None = None) -> Owned:
    return Owned(
        kind=kind,
        id=entry.get("Id") or entry["Name"],
        label=label,
        size_bytes=None if size is None else int(size),
        run=entry["Labels"].get(labels.RUN),
    )


@contextlib.contextmanager
def _may_be_gone() -> Iterator[None]:
    """Ignore that something is gone, is being removed, or cannot be removed while it is used."""
    try:
        yield
    except docker.errors.APIError as error:
        gone = error.status_code in {requests.codes.not_found, requests.codes.conflict}
        # podman says so with a 500 while it removes a container.
        if not gone and "no such container" not in str(error.explanation):
            raise
