"""The kinds of faults, and the exit codes that the program may end with."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
from docker.models.containers import Container

from runner.engines.docker.labels import LABEL, REPOSITORY
from runner.errors import Exit
from runner.records.study import Status
from tests.faults.study import Ended, ended, start
from tests.support.daemons import Daemon

CONTINUES = frozenset({int(Exit.OK)})
WAITS = frozenset({int(Exit.OK), int(Exit.ENGINE)})
"""The program waits for an engine that it lost, but not for one that it never reached."""
REFUSED = frozenset({int(Exit.OK), int(Exit.RUN_FOLDER)})
STOPS = frozenset({int(Exit.INTERRUPTED), int(Exit.OK)})
KILLED = frozenset({-signal.SIGKILL, int(Exit.OK)})
DAY_S = 86400
SMALL = "size=256m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A running program that a fault strikes."""

    program: subprocess.Popen[str]
    folder: Path
    daemon: Daemon
    chance: random.Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fault."""

    name: str
    strike: Callable[[Scene], None]
    codes: frozenset[int] = CONTINUES
    """The allowed exit codes, including that of a program that ended before the fault."""
    cold: bool = False
    """Whether the image has to be built first."""
    live_restore: bool = False
    small_disk: str | None = None
    """The folder of the study that has its own small disk."""
    small_storage: bool = False
    """Whether the engine has its own small disk."""
    clock: bool = False
    fills: bool = False
    clears: bool = False
    """Whether the program leaves nothing on the engine, though no later one knows its run."""
    failing: Mapping[int, Status] = field(default_factory=dict)
    """The expected status of cells that fail, by size."""


def signalled(*numbers: signal.Signals) -> Callable[[Scene], None]:
    """Send signals to the program, a moment apart."""

    def strike(scene: Scene) -> None:
        for number in numbers:
            if scene.program.poll() is None:
                scene.program.send_signal(number)
            time.sleep(0.3)

    return strike


def restarted(number: signal.Signals | None) -> Callable[[Scene], None]:
    """End the daemon, or its whole machine for None, and restart it a little later."""

    def strike(scene: Scene) -> None:
        if number is None:
            scene.daemon.die()
        else:
            scene.daemon.stop(number)
        time.sleep(scene.chance.uniform(0, 3))
        scene.daemon.start()

    return strike


def to_the_container(act: Callable[[Container], object]) -> Callable[[Scene], None]:
    """Do something to the next running container of a trial."""

    def strike(scene: Scene) -> None:
        client = docker.DockerClient(scene.daemon.address)
        labels = {"label": LABEL + "trial", "status": "running"}
        try:
            while scene.program.poll() is None:
                if found := client.api.containers(filters=labels):
                    act(client.containers.get(found[0]["Id"]))
                    return
                time.sleep(0.01)
        except docker.errors.APIError:
            return  # it has just ended
        finally:
            client.close()

    return strike


def paused(container: Container) -> None:
    """Pause a container for a moment."""
    container.pause()
    time.sleep(1)
    container.unpause()


def suspended(scene: Scene) -> None:
    """Suspend the program for a while, as Ctrl-Z does."""
    if scene.program.poll() is None:
        scene.program.send_signal(signal.SIGSTOP)
        time.sleep(scene.chance.uniform(0, 6))
        scene.program.send_signal(signal.SIGCONT)


def process_killed(name: str) -> Callable[[Scene], None]:
    """Kill a process of the engine or of a container."""

    def strike(scene: Scene) -> None:
        while scene.program.poll() is None and not scene.daemon.kill(name):
            time.sleep(0.01)

    return strike


def without_image(scene: Scene) -> None:
    """Remove the image between two trials; the engine refuses that during a trial."""
    client = docker.DockerClient(scene.daemon.address)
    try:
        while scene.program.poll() is None:
            with suppress(docker.errors.APIError):
                for image in client.images.list(f"{REPOSITORY}/environment"):
                    client.images.remove(str(image.id), force=True)
                return
    finally:
        client.close()


def on_the_engine(act: Callable[[docker.DockerClient], object]) -> Callable[[Scene], None]:
    """Do something to the engine, again and again until it does not refuse it."""

    def strike(scene: Scene) -> None:
        client = docker.DockerClient(scene.daemon.address)
        try:
            while scene.program.poll() is None:
                with suppress(docker.errors.APIError):  # it is in use
                    act(client)
                    return
                time.sleep(0.005)
        finally:
            client.close()

    return strike


def without_volumes(client: docker.DockerClient) -> None:
    """Remove all volumes of runs."""
    for volume in client.volumes.list():
        volume.remove(force=True)


def without_images(client: docker.DockerClient) -> None:
    """Remove every image that no container uses, including bases and those without a name."""
    client.images.prune({"dangling": False})


def without_networks(client: docker.DockerClient) -> None:
    """Remove every network that no container uses."""
    client.networks.prune()


def without_run_folder(scene: Scene) -> None:
    """Remove the folder of the run, again and again until nothing of it is left."""
    while scene.program.poll() is None:
        for folder in scene.folder.glob("reports/2*"):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                return
        time.sleep(0.005)


def full(folder: str | None) -> Callable[[Scene], None]:
    """Fill the small disk of a folder, or that of the engine, for a shorter or longer time.

    The longest time is longer than the program waits.
    """

    def strike(scene: Scene) -> None:
        place = scene.daemon.storage if folder is None else scene.folder / folder
        filling = place / "filling"
        _fill(filling)
        time.sleep(scene.chance.choice((0.5, 2, 40)))
        filling.unlink()

    return strike


def _fill(filling: Path) -> None:
    """Write until no further byte fits."""
    with filling.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            while _write_one(file.fileno()):
                pass


def _write_one(file: int) -> bool:
    """Write one more byte; return whether it fitted."""
    try:
        return os.write(file, b"\0") == 1
    except OSError:
        return False


def second_runner(scene: Scene) -> None:
    """Start the program a second time: it is refused, or finds a complete run."""
    second = ended(start(scene.folder, scene.daemon.address))
    assert second.code in REFUSED, second.err
    assert ended_properly(second), second.err


def jumped(scene: Scene) -> None:
    """Move the program's clock by up to a day, forwards or backwards."""
    _set(scene.folder, scene.chance.uniform(-DAY_S, DAY_S))


def nothing(_: Scene) -> None:
    """Do nothing: the script of the study is the fault."""


KINDS = (
    Kind(name="runner killed", strike=signalled(signal.SIGKILL), codes=KILLED),
    Kind(name="runner killed, building", strike=signalled(signal.SIGKILL), codes=KILLED, cold=True),
    Kind(name="SIGINT", strike=signalled(signal.SIGINT), codes=STOPS),
    Kind(name="SIGINT, building", strike=signalled(signal.SIGINT), codes=STOPS, cold=True),
    Kind(name="SIGINT twice", strike=signalled(signal.SIGINT, signal.SIGINT), codes=STOPS),
    Kind(name="SIGTERM", strike=signalled(signal.SIGTERM), codes=STOPS),
    Kind(name="daemon SIGTERM", strike=restarted(signal.SIGTERM), codes=WAITS),
    Kind(name="daemon SIGKILL", strike=restarted(signal.SIGKILL), codes=WAITS),
    Kind(
        name="daemon SIGTERM, live",
        strike=restarted(signal.SIGTERM),
        codes=WAITS,
        live_restore=True,
    ),
    Kind(
        name="daemon SIGKILL, live",
        strike=restarted(signal.SIGKILL),
        codes=WAITS,
        live_restore=True,
    ),
    Kind(name="engine's machine dies", strike=restarted(None), codes=WAITS),
    Kind(
        name="container removed",
        strike=to_the_container(lambda one: one.remove(force=True)),
    ),
    Kind(name="container killed", strike=to_the_container(Container.kill)),
    Kind(name="container stopped", strike=to_the_container(Container.stop)),
    Kind(name="container paused", strike=to_the_container(paused)),
    Kind(name="first process killed", strike=process_killed("init")),
    Kind(name="shim killed", strike=process_killed("containerd-shim")),
    Kind(name="containerd killed", strike=process_killed("containerd"), codes=WAITS),
    Kind(
        name="engine hangs",
        strike=lambda scene: scene.daemon.suspend(scene.chance.uniform(0, 6)),
    ),
    Kind(name="runner suspended", strike=suspended),
    Kind(name="image removed", strike=without_image),
    Kind(name="volumes removed", strike=on_the_engine(without_volumes)),
    Kind(name="images pruned", strike=on_the_engine(without_images), cold=True),
    Kind(name="networks pruned", strike=on_the_engine(without_networks)),
    Kind(name="run folder removed", strike=without_run_folder, codes=REFUSED, clears=True),
    Kind(
        name="disk full at save",
        strike=full("reports"),
        codes=REFUSED,
        small_disk="reports",
    ),
    Kind(
        name="disk full, building",
        strike=full("temporary"),
        codes=WAITS | REFUSED | {int(Exit.CELL_FAILED)},
        small_disk="temporary",
        cold=True,
    ),
    Kind(
        name="disk full, engine's",
        strike=full(None),
        codes=WAITS | {int(Exit.CELL_FAILED)},
        small_storage=True,
        cold=True,
    ),
    Kind(
        name="disk full in container",
        strike=nothing,
        codes=frozenset({int(Exit.CELL_FAILED)}),
        fills=True,
        failing={2: Status.FAILED},
    ),
    Kind(name="clock jump", strike=jumped, clock=True),
    Kind(name="two runners", strike=second_runner, codes=REFUSED),
)


def variables(kind: Kind, folder: Path) -> dict[str, str]:
    """Return the environment variables that a kind of fault needs."""
    if not kind.clock:
        return {}
    _set(folder, 0)
    return {"CLOCK": str(folder / "clock")}


def _set(folder: Path, seconds: float) -> None:
    """Set the error of the program's clock, in one step."""
    fresh = folder / "clock.fresh"
    fresh.write_text(str(seconds))
    fresh.replace(folder / "clock")


def disk(kind: Kind, folder: Path) -> AbstractContextManager[None]:
    """Give a folder of the study a small disk if the kind of fault needs one."""
    return nullcontext() if kind.small_disk is None else small_disk(folder / kind.small_disk)


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Mount a small disk on a folder, and unmount it again even if it is in use."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "none", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def ended_properly(program: Ended) -> bool:
    """Whether the program printed at most one line of errors and no traceback."""
    return "Traceback" not in program.err and program.err.count("\n") <= 1
