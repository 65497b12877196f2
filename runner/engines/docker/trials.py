"""Trials in containers of Docker, or of podman, which understands the same requests.

Every container is hardened in the same way (``hardening``). Input files reach it through a volume
that is filled once in a run, and its result comes back over the attached stream. Nothing of the
host is mounted, so a remote engine works as well as a local one.
"""

import signal
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container
from docker.types import Mount

from runner.engines.docker import labels
from runner.engines.docker.ahead import Ahead
from runner.engines.docker.belongings import KINDS_OF_IMAGES, OF_RUNS, belongings
from runner.engines.docker.client import engine_at_work
from runner.engines.docker.containers import (
    VARIABLES,
    create,
    may_be_gone,
    remove,
    run_to_end,
    stdin_of,
)
from runner.engines.docker.hardening import NOBODY, hardening
from runner.engines.docker.ready import ReadyImages
from runner.engines.docker.ssh import Tunnel
from runner.engines.protocol import GRACE_S, Console, Launch, Outcome, Owned
from runner.engines.streams import TrialOutput
from runner.errors import EngineLostError
from runner.inside import ISOLATED
from runner.system import digest, signals

KILLED = {128 + signal.SIGKILL, 255}
"""The exit codes of a launcher that was killed, and of a container that the engine lost track of.

The launcher is the first process of its container, so no process in there can kill it."""


class DockerEngine(ReadyImages):
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
        self._tunnel = tunnel
        self._volumes: dict[str, str] = {}
        self._ahead = Ahead(remove)

    def close(self) -> None:
        self._ahead.close()
        self._client.close()
        if self._tunnel is not None:
            self._tunnel.close()

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        """Fill a volume with the inputs of a run; its name depends on the inputs and the run."""
        content = {name: digest.of_file(path) for name, path in inputs.items()}
        name = f"{labels.REPOSITORY}-{digest.of_content([self._machine, run, content])[:16]}"
        with tempfile.TemporaryFile() as file, engine_at_work("stage the inputs"):
            with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
                folders = {str(one) for name in inputs for one in Path(name).parents} - {"."}
                for folder in sorted(folders):
                    tar.addfile(_for_trials(tarfile.TarInfo(folder), folder=True))
                for target, path in sorted(inputs.items()):
                    tar.add(path, target, recursive=False, filter=_for_trials)
            size = file.tell()
            file.seek(0)
            with signals.deferred():
                self._remove_volume(name)  # one that the engine has recreated would be kept
                marks = {labels.BYTES: str(size), labels.STAGED: "yes"}
                self._client.volumes.create(name, labels={**self._labels(run), **marks})
                carrier = self._client.containers.create(
                    image,
                    command=["true"],
                    labels=self._labels(run),
                    network_mode="none",
                    use_config_proxy=False,
                    mounts=[self._mount(run, name)],
                )
            try:
                carrier.put_archive("/inputs", file)
            finally:
                carrier.remove(v=True, force=True)
            self._check_staged(name)
        self._volumes[run] = name

    def _mount(self, run: str, volume: str, *, read_only: bool = False) -> Mount:
        """Return the mount of an input volume.

        An engine recreates a missing volume as an empty one. It then gets these labels, and
        ``_check_staged`` notices it.
        """
        marks = {**self._labels(run), labels.STAGED: "no"}
        return Mount("/inputs", volume, type="volume", read_only=read_only, labels=marks)

    def _check_staged(self, volume: str) -> None:
        """Remove a volume that ``stage`` did not fill, and raise EngineLostError."""
        try:
            found = self._client.api.inspect_volume(volume)["Labels"] or {}
        except docker.errors.NotFound:
            found = {}
        if found.get(labels.STAGED) != "yes":
            self._remove_volume(volume)
            raise EngineLostError(
                "the input volume was removed from the engine; run the same command to fill it "
                "again (finished trials are kept)."
            )

    def _remove_volume(self, volume: str) -> None:
        with may_be_gone():
            self._client.api.remove_volume(volume, force=True)

    # --- trials --------------------------------------------------------------------------------

    def expect(self, launch: Launch) -> None:
        """Create the container of a trial that will be executed soon, in the background."""
        self._ahead.prepare(launch.trial, _kind(launch), partial(self._created, launch))

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        """Execute one trial to its end in its own container, which is removed in the background."""
        started_at = datetime.now(timezone.utc)
        began = time.monotonic()
        output = TrialOutput(launch.limits, watch, launch.document_bytes)
        with engine_at_work(f"execute {launch.trial}"), self._container(launch) as container:
            overdue = run_to_end(
                self._client,
                container,
                output.add,
                step=f"start {launch.trial}",
                longest_s=launch.longest_s,
            )
            exit_code, out_of_memory, trouble = _ending(container, overdue)
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

    def open_shell(self, launch: Launch, console: Console) -> int:
        """Run a shell in the container that the trial would have, and remove the container."""
        with (
            engine_at_work("run a shell"),
            self._container(launch, terminal=console.is_terminal) as container,
            stdin_of(self._client, container) as send,
            console.typing(send),
        ):
            overdue = run_to_end(
                self._client,
                container,
                console.show,
                step="start a shell",
                longest_s=launch.longest_s,
            )
            exit_code, _, trouble = _ending(container, overdue)
        if exit_code is None or trouble is not None:
            raise EngineLostError(f"{trouble}; open another shell.")
        return exit_code

    @contextmanager
    def _container(self, launch: Launch, **for_a_shell: bool) -> Iterator[Container]:
        """Have the container of a trial, and let it be removed in the background."""
        with signals.deferred():
            expected = self._ahead.take(launch.trial, _kind(launch))
            container = expected or self._created(launch, **for_a_shell)
        try:
            yield container
        finally:
            self._ahead.remove(container)

    def _created(self, launch: Launch, **for_a_shell: bool) -> Container:
        """Create the container of a trial with its inputs, or of a shell, which reads its stdin."""
        folders = {"inputs": "/inputs", "temporary": "/tmp", "output": "/out"}  # noqa: S108
        inputs = self._mount(launch.run, self._volumes[launch.run], read_only=True)
        container = create(
            self._client,
            launch.image,
            # Nothing that a base image starts or checks by itself may disturb the measurement.
            entrypoint=[self._python_of(launch.image), *ISOLATED, "/inputs/launcher.py"],
            command=[launch.trial_spec(own_pid_namespace=True, **folders, **for_a_shell)],
            stdin_open=bool(for_a_shell),
            healthcheck={"test": ["NONE"]},
            labels={**self._labels(launch.run), labels.TRIAL: launch.trial},
            mounts=[inputs, *self._volumes_of(launch.image, launch.run)],
            environment=VARIABLES,
            **hardening(launch.limits, launch.cores, podman=self._is_podman()),
        )
        self._check_inputs(container, self._volumes[launch.run])
        return container

    def _check_inputs(self, container: Container, volume: str) -> None:
        """Check the volume that the container now holds; remove both if it is not filled."""
        try:
            self._check_staged(volume)
        except EngineLostError:
            container.remove(v=True, force=True)
            self._remove_volume(volume)
            raise

    # --- what the program left on the engine ---------------------------------------------------

    def owned(self) -> tuple[Owned, ...]:
        return self._listed(own=True)

    def of_others(self) -> tuple[Owned, ...]:
        return self._listed(own=False)

    def _listed(self, *, own: bool) -> tuple[Owned, ...]:
        """Return what the program created for this user, or for all other users and machines."""
        self._ahead.settle()
        api = self._client.api
        with engine_at_work("list what belongs to this program"):
            return belongings(
                api.containers(all=True, filters=OF_RUNS),
                api.volumes(filters=OF_RUNS)["Volumes"] or (),
                [
                    image
                    for kind in KINDS_OF_IMAGES
                    for image in api.images(filters={"label": labels.LABEL + kind})
                ],
                self._without_labels() if own else (),
                self._machine,
                own=own,
            )

    def discard(self, thing: Owned) -> None:
        api = self._client.api
        with engine_at_work(f"remove {thing.label}"), may_be_gone():
            match thing.kind:
                case "container":
                    api.remove_container(thing.id, v=True, force=True)
                case "volume":
                    api.remove_volume(thing.id, force=True)
                case _:
                    api.remove_image(thing.id, force=True)


def _kind(launch: Launch) -> object:
    """Return what a trial needs its container to have: it may have moved to other cores."""
    return launch.run, launch.image, launch.cores


def _for_trials(entry: tarfile.TarInfo, *, folder: bool = False) -> tarfile.TarInfo:
    """Let only the user of trials read a staged file, and execute a program."""
    entry.uid = entry.gid = int(NOBODY)
    entry.uname = entry.gname = ""
    entry.mode = 0o500 if folder or entry.mode & 0o100 else 0o400
    entry.type = tarfile.DIRTYPE if folder else entry.type
    return entry


def _ending(container: Container, overdue: bool) -> tuple[int | None, bool, str | None]:
    """Return the exit code, whether memory ran out, and how the machine failed if it did."""
    state: Mapping[str, Any] = {"Status": "dead"}  # the engine's word for a removed container
    with may_be_gone():
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
