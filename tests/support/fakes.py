"""Small engines for tests. They follow the protocol, but run trials without containers."""

import io
import json
import os
import platform
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from unittest.mock import patch

from runner.engines.protocol import (
    BuildContext,
    Console,
    ImageRequest,
    Launch,
    Outcome,
    Owned,
)
from runner.engines.streams import TrialOutput
from runner.errors import EngineError, EngineLostError, ImageBuildError
from runner.inside import ISOLATED
from runner.inside.launcher import read_result, write_all
from runner.prepare.recipe import environment_digest
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind, Environment, Image
from runner.records.run import EngineFacts, Reading
from runner.system import digest
from runner.system.context import context_digest


class FakeEngine:
    """Runs the real launcher in a process; records what was built, loaded and executed."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.executed: list[str] = []
        self.expected: list[str] = []
        self.loaded: list[str] = []
        self.refuses_to_build: set[str] = set()
        self.registry: dict[str, list[str]] = {}
        """The digests of each image that can be pulled; the last one has the name now."""
        self.dies_at_trial: int | None = None
        self.dies_so_often = 99
        self.troubles: list[str | None] = []
        """How the machine fails in each of the next trials."""
        self.base_digest = "sha256:" + "0" * 64
        """The digest of every base; another one means that the bases were built again."""
        self._images: dict[str, Image] = {}
        self._lost = 0
        self._staged: dict[str, Path] = {}
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

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

    def cores(self) -> tuple[int, ...]:
        return tuple(sorted(os.sched_getaffinity(0)))

    def images(self) -> tuple[Image, ...]:
        return tuple(self._images.values())

    def add_image(self, environment: Environment) -> None:
        """Hold the image of an environment as if it had been built before."""
        base = self._base(environment.python)
        self._add(environment_digest(environment), environment.request.label, 1, base)

    def _add(
        self, environment: str, label: str, size_bytes: int, base: Base, bundle: str | None = None
    ) -> Image:
        image = Image(
            environment=environment,
            label=label,
            id=f"sha256:{digest.of_content([environment, base.digest, bundle, self._lost])}",
            size_bytes=size_bytes,
            base=base,
            bundle=bundle,
        )
        self._images[image.id] = image
        return image

    def forget_images(self) -> None:
        """Lose all images. Built again, they have other ids."""
        self._images.clear()
        self._lost += 1

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        return self._base(interpreter.minor)

    def _base(self, python: str) -> Base:
        return Base(kind=BaseKind.ASSEMBLED, name=f"base:{python}", digest=self.base_digest)

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
        size_bytes = context.packed().stat().st_size
        self.built.append(context.label)
        return self._add(
            context.environment, context.label, size_bytes, context.base, context.bundle
        )

    def command(self, context: BuildContext) -> str:
        return f"build {context.folder}"

    def image_digest(self, name: str) -> str:
        if name not in self.registry:
            raise ImageBuildError(f"the image {name} is not on the engine: correct its name.")
        return self.registry[name][-1]

    def pull(self, request: ImageRequest) -> Image:
        if request.digest not in self.registry.get(request.name, ()):
            raise ImageBuildError(
                f"the image {request.name} with the locked digest {request.digest} is gone."
            )
        return self._ready(request, BaseKind.PULLED)

    def build_own(self, request: ImageRequest, folder: Path) -> Image:
        if context_digest(folder) != request.digest:
            raise ImageBuildError(f"the files of {request.name} are not those that were locked.")
        if request.label in self.refuses_to_build:
            raise ImageBuildError(f"{request.name} could not be built: no", "a log")
        self.built.append(request.label)
        return self._ready(request, BaseKind.LOCAL)

    def _ready(self, request: ImageRequest, kind: BaseKind) -> Image:
        base = Base(kind=kind, name=request.name, digest=request.digest)
        return self._add(request.environment, request.label, 1, base)

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="fake-engine-"))
        for name, path in inputs.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        self._staged[run] = folder

    def expect(self, launch: Launch) -> None:
        self.expected.append(launch.trial)

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        if self.dies_at_trial == len(self.executed) and self.dies_so_often:
            self.dies_so_often -= 1
            raise EngineLostError("the engine went away")
        if launch.image not in self._images:
            raise EngineError("an image is gone that was there before")
        self.executed.append(launch.trial)
        started_at, began = datetime.now(timezone.utc), time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            exit_code, sent, printed = self.launched(launch, self._staged[launch.run], place)
        output = TrialOutput(launch.limits, watch, launch.document_bytes)
        output.add(sent, printed)
        return Outcome(
            exit_code=exit_code,
            out_of_memory=False,
            timed_out=False,
            document=output.document(),
            log=output.log(),
            started_at=started_at,
            duration_s=time.monotonic() - began,
            trouble=self.troubles.pop(0) if self.troubles else None,
        )

    def launched(self, launch: Launch, inputs: Path, place: str) -> tuple[int, bytes, bytes]:
        """Run the launcher; return its exit code, its document and the log."""
        spec = launch.trial_spec(
            inputs=str(inputs),
            temporary=place,
            output=place,
            own_pid_namespace=False,
            cgroup=place,  # where there is none
        )
        command = [sys.executable, *ISOLATED, f"{inputs}/launcher.py", spec]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as program:
            self._programs[launch.run] = program
            sent, printed = program.communicate()
        return program.returncode, sent, printed

    def open_shell(self, launch: Launch, console: Console) -> int:
        inputs = self._staged[launch.run]
        with tempfile.TemporaryDirectory() as place:
            spec = launch.trial_spec(
                inputs=str(inputs),
                temporary=place,
                output=place,
                own_pid_namespace=False,
                terminal=console.is_terminal,
            )
            with subprocess.Popen(
                [sys.executable, *ISOLATED, f"{inputs}/launcher.py", spec],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            ) as launcher:
                assert launcher.stdin is not None
                assert launcher.stdout is not None
                with console.typing(partial(write_all, launcher.stdin.fileno())):
                    while chunk := os.read(launcher.stdout.fileno(), 65536):
                        console.show(chunk, None)
                return launcher.wait()

    def owned(self) -> tuple[Owned, ...]:
        volumes = (Owned(kind="volume", id=run, label=run, run=run) for run in sorted(self._staged))
        images = (
            Owned(kind="image", id=key, label=image.label, size_bytes=image.size_bytes)
            for key, image in self._images.items()
        )
        return (*volumes, *images)

    def of_others(self) -> tuple[Owned, ...]:
        return ()

    def discard(self, thing: Owned) -> None:
        if thing.kind == "volume":
            if (program := self._programs.pop(thing.id, None)) is not None:
                program.kill()
            shutil.rmtree(self._staged.pop(thing.id))
        else:
            self._images.pop(thing.id, None)


QUIET = Reading(
    wall_s=1.0,
    cpus=(0,),
    cgroup=1,
    cpu_s=1.0,
    user_s=1.0,
    system_s=0.0,
    core_busy_s=1.0,
    core_steal_s=0.0,
    throttled_s=0.0,
    swapped_in_pages=0,
    major_faults=0,
    largest_process_bytes=2**20,
    memory_peak_bytes=None,
    oom_kills=0,
    log_left_out_bytes=0,
)
"""What a launcher measures on an idle machine."""


class QuickEngine(FakeEngine):
    """Runs the script inside this process, which is a hundred times faster."""

    def launched(self, launch: Launch, inputs: Path, place: str) -> tuple[int, bytes, bytes]:
        result, parameters = Path(place, "result.json"), Path(place, "params.json")
        spec = {"seed": launch.seed, "parameters": launch.parameters, "cell": launch.cell}
        parameters.write_text(json.dumps(spec))
        variables = {
            "PARAMS_PATH": str(parameters),
            "RESULT_PATH": str(result),
            "DATA_DIR": place,
        }
        for name in launch.data:
            Path(place, Path(name).name).symlink_to(inputs / "study" / name)
        with patch.dict(os.environ, variables), redirect_stdout(io.StringIO()) as printed:
            exit_code = _exit_code(inputs / "study" / launch.command[1])
        text, problem = read_result(str(result), launch.limits.result_bytes)
        return 0, document(text, exit_code, problem), printed.getvalue().encode()


def document(result: str | None, exit_code: int = 0, problem: str | None = None) -> bytes:
    """Return what the launcher sends for a trial with this result, on an idle machine."""
    content = {
        "format": 2,
        "exit_code": exit_code,
        "timed_out": False,
        "result": result,
        "result_problem": problem,
        "stdout": None,
        "files": {},
        "reading": asdict(QUIET),
    }
    body = json.dumps(content).encode()
    return b"MATRIX-DOCUMENT %d\n" % len(body) + body


def _exit_code(script: Path) -> int:
    """Run a script; print what ends it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a process closes its files
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code)  # noqa: T201
        return 1
    except Exception:  # noqa: BLE001 (any exception ends a script)
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


class Holding(FakeEngine):
    """An engine that holds things that earlier runs left."""

    def __init__(self, *things: Owned) -> None:
        super().__init__()
        self.things = list(things)

    def owned(self) -> tuple[Owned, ...]:
        return tuple(self.things)

    def discard(self, thing: Owned) -> None:
        self.things.remove(thing)
