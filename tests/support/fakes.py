"""A small engine for tests: the same protocol and the same launcher, but plain processes."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from runner.engines.protocol import PACKED, BuildContext, Launch, Outcome, Owned
from runner.engines.streams import Log
from runner.errors import EngineError, EngineLostError, ImageBuildError
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind, Image
from runner.records.run import EngineFacts


class FakeEngine:
    """Executes trials as processes; remembers what was built, staged and executed."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.executed: list[str] = []
        self.loaded: list[str] = []
        self.refuses_to_build: set[str] = set()
        self.dies_at_trial: int | None = None
        self.dies_so_often = 99
        self.troubles: list[str | None] = []
        """What the machine does wrong in each of the next trials."""
        self._images: dict[str, Image] = {}
        self._staged: dict[str, Path] = {}

    def close(self) -> None:
        self._staged.clear()

    def describe(self) -> EngineFacts:
        return EngineFacts(
            name="fake",
            version="1",
            api="1",
            storage="memory",
            cgroup=1,
            cpus=len(os.sched_getaffinity(0)),
            memory_bytes=2**36,
            architecture="x86_64",
            kernel=platform.release(),
            system="none",
        )

    def images(self) -> Mapping[str, Image]:
        return self._images

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        return Base(kind=BaseKind.ASSEMBLED, name=f"base:{interpreter.minor}", digest="sha256:0")

    def save_base(self, base: Base, interpreter: Interpreter, file: Path) -> Base:
        file.write_text(base.digest)
        return base

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        if file.read_text() != base.digest:
            raise EngineError(f"{file} is another base")
        self.loaded.append(python)
        return base

    def build(self, context: BuildContext) -> Image:
        if context.label in self.refuses_to_build:
            raise ImageBuildError(f"the image of {context.label} could not be built: no", "a log")
        image = Image(
            environment=context.environment,
            label=context.label,
            id=f"sha256:{context.environment}",
            size_bytes=(context.folder / PACKED).stat().st_size,
            base=context.base,
        )
        self.built.append(context.label)
        self._images[context.environment] = image
        return image

    def command(self, context: BuildContext) -> str:
        return f"build {context.folder}"

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="fake-engine-"))
        for name, path in inputs.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        self._staged[run] = folder

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        if self.dies_at_trial == len(self.executed) and self.dies_so_often:
            self.dies_so_often -= 1
            raise EngineLostError("the engine went away")
        if launch.image not in {image.id for image in self._images.values()}:
            raise EngineError("an image is gone that was there before")
        self.executed.append(launch.trial)
        started_at, began = datetime.now(timezone.utc), time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            inputs = str(self._staged[launch.run])
            spec = launch.trial_spec(
                inputs=inputs, temporary=place, output=place, own_pid_namespace=False
            )
            done = subprocess.run(
                [sys.executable, f"{inputs}/launcher.py", spec],
                capture_output=True,
                check=False,
            )
        log = Log(launch.limits, watch)
        log.add(done.stdout, done.stderr)
        return Outcome(
            exit_code=done.returncode,
            out_of_memory=False,
            timed_out=False,
            document=log.document(),
            log=log.text(),
            started_at=started_at,
            duration_s=time.monotonic() - began,
            trouble=self.troubles.pop(0) if self.troubles else None,
        )

    def owned(self) -> tuple[Owned, ...]:
        volumes = (Owned(kind="volume", id=run, label=run, run=run) for run in sorted(self._staged))
        images = (
            Owned(kind="image", id=key, label=image.label, size_bytes=image.size_bytes)
            for key, image in self._images.items()
        )
        return (*volumes, *images)

    def discard(self, thing: Owned) -> None:
        if thing.kind == "volume":
            shutil.rmtree(self._staged.pop(thing.id))
        else:
            self._images.pop(thing.id, None)


class Holding(FakeEngine):
    """Holds what earlier runs left."""

    def __init__(self, *things: Owned) -> None:
        super().__init__()
        self.things = list(things)

    def owned(self) -> tuple[Owned, ...]:
        return tuple(self.things)

    def discard(self, thing: Owned) -> None:
        self.things.remove(thing)
