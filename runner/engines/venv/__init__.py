"""The venv engine: an environment is a folder, and a trial is a process in a sandbox.

It needs only Linux and util-linux, and does not contain a hostile script. Everything that a trial
starts ends with the trial, and with the runner.
"""

import json
import os
import platform
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from runner.engines.base import assemble, fingerprint
from runner.engines.protocol import (
    PACKED,
    BuildContext,
    Console,
    ImageRequest,
    Launch,
    Outcome,
    Owned,
)
from runner.engines.streams import TrialOutput
from runner.engines.venv import cgroup, process, sandbox
from runner.engines.venv.cache import Environments, cache, name_of, settings
from runner.engines.venv.cgroup import ControlGroup
from runner.engines.venv.sandbox import Folders, Sandbox, trial_user
from runner.errors import EngineError, EngineLostError
from runner.inside import ISOLATED
from runner.python.interpreters import Interpreter
from runner.records.environment import Base, BaseKind, Image
from runner.records.run import EngineFacts
from runner.system import digest, safe, tempdir
from runner.system.cores import ALLOWED
from runner.system.host import this_host
from runner.text import why

LABEL = "label.json"
NAME = "python "
"""How the name of a base begins; the version follows."""
NOT_STARTED = ("subreaper: ", "bwrap: ", "unshare: ", "setpriv: ")
"""How messages of the programs before the launcher begin."""


def _show_only_to_trials(path: Path) -> None:
    """Let the user of trials read a staged file or enter a staged folder, and no other user."""
    program = 0o110 if path.stat().st_mode & 0o100 else 0
    mode = 0o700 if path.is_dir() else 0o400 | program & 0o100
    if os.geteuid() == 0:  # the group reads, so that no trial can change the files
        os.chown(path, 0, trial_user())
        mode = 0o750 if path.is_dir() else 0o440 | program
    path.chmod(mode)


def _no_image(name: str) -> EngineError:
    return EngineError(
        f"the venv engine cannot run container images, so {name} cannot be used: use --engine "
        "docker or podman."
    )


def connect(machine: str, kinds: Sequence[str] = sandbox.KINDS) -> "VenvEngine":
    """Return the engine with the best sandbox that this machine permits; EngineError without any.

    ``machine`` labels the folders of this machine's runs in the cache, which may be shared.
    """
    if platform.system() != "Linux" or not hasattr(os, "pidfd_open"):
        raise EngineError("the venv engine needs Linux. Use a container engine.")
    found = sandbox.find(kinds)
    environments = Environments(cache(machine))
    environments.prepare()
    return VenvEngine(environments, machine, found, cgroup.parent())


class VenvEngine:
    """Builds environments in a cache and executes trials as processes."""

    def __init__(
        self,
        environments: Environments,
        machine: str,
        sandbox: Sandbox,
        cgroup: ControlGroup,
    ) -> None:
        self._environments = environments
        self._machine = machine
        self._sandbox = sandbox
        self._cgroup = cgroup
        self._lock = threading.Lock()
        self._interpreters: dict[str, Path] = {}
        self._endings: dict[Path, Callable[[], None]] = {}
        """How another thread ends the trial in a folder."""

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def describe(self) -> EngineFacts:
        """Return the facts of this machine; the version is that of the sandbox."""
        host = this_host()
        return EngineFacts(
            name="venv",
            version=self._sandbox.version,
            api="none",
            storage="folders",
            cgroup=self._cgroup.version,
            cpus=len(ALLOWED),
            memory_bytes=host.memory_bytes,
            architecture=platform.machine(),
            kernel=host.kernel,
            system=host.system,
        )

    def cores(self) -> tuple[int, ...]:
        """Return the cores that this process may use."""
        return tuple(sorted(ALLOWED))

    # --- images --------------------------------------------------------------------------------

    def images(self) -> tuple[Image, ...]:
        return self._environments.images()

    def base(self, wanted: str, interpreter: Interpreter) -> Base:
        """Provide the interpreter for trials; the base cannot be an image."""
        if wanted not in {"auto", "host"}:
            raise EngineError(
                f"the matrix wants the base {wanted}, which only a container engine can provide: "
                "set `environment: {base: auto}`, or start one."
            )
        with self._lock:  # several environments are built at once
            found = self._environments.interpreter(interpreter)
        return self._register(*found, interpreter.version)

    def save_base(self, base: Base, interpreter: Interpreter, file: Path) -> Base:
        """Assemble the base that a container engine would use."""
        assemble(interpreter, file)
        return Base(
            kind=BaseKind.ASSEMBLED, name=base.name, digest=f"sha256:{digest.of_file(file)}"
        )

    def load_base(self, base: Base, python: str, file: Path) -> Base:
        """Unpack the interpreter of an assembled base; an image cannot be used."""
        if base.kind != BaseKind.ASSEMBLED:
            raise EngineError(
                f"these environments are built on the image {base.name}, which only a container "
                "engine can use. Start one."
            )
        found = self._environments.unpacked(file, python, self._sandbox)
        return self._register(*found, python)

    def _register(self, interpreter: Path, content: str, version: str) -> Base:
        self._interpreters[content] = interpreter
        return Base(kind=BaseKind.INTERPRETER, name=f"{NAME}{version}", digest=content)

    def build(self, context: BuildContext) -> Image:
        """Unpack and return the image of an environment; ImageBuildError if that fails."""
        path = self._interpreters[context.base.digest]
        if not self._environments.is_copy(path):
            found = Interpreter(path=path, version=context.base.name.removeprefix(NAME))
            if f"sha256:{fingerprint(found)}" != context.base.digest:
                raise EngineError(
                    f"the interpreter {path} was replaced meanwhile; repeat the command to use the "
                    "new one."
                )
        return self._environments.add(context, path)

    def command(self, context: BuildContext) -> str:
        """Return the command line that makes the same environment."""
        interpreter = self._interpreters[context.base.digest]
        folder = shlex.quote(str(self._environments.path(name_of(context))))
        tar = shlex.quote(str(context.folder / PACKED))
        return (
            f"mkdir -p {folder} && tar -xf {tar} -C {folder} && "
            f"ln -sfn {shlex.quote(str(interpreter))} {folder}/bin/python && "
            f"printf %s {shlex.quote(settings(interpreter))} > {folder}/pyvenv.cfg"
        )

    def image_digest(self, name: str) -> str:
        raise _no_image(name)

    def pull(self, request: ImageRequest) -> Image:
        raise _no_image(request.name)

    def build_own(self, request: ImageRequest, folder: Path) -> Image:  # noqa: ARG002
        raise _no_image(request.name)

    # --- trials --------------------------------------------------------------------------------

    def stage(self, run: str, image: str, inputs: Mapping[str, Path]) -> None:  # noqa: ARG002
        """Copy the inputs of a run to a folder of the cache, with a label."""
        staged = self._staged(run)
        with tempdir.folder(self._environments.runs) as folder:
            for name, path in sorted(inputs.items()):
                target = folder / "inputs" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            (folder / "trials").mkdir()
            size = sum(path.stat().st_size for path in folder.rglob("*"))
            label = {"machine": self._machine, "run": run, "bytes": size}
            (folder / LABEL).write_text(json.dumps(label), encoding="utf-8")
            for path in (folder, *folder.rglob("*")):
                _show_only_to_trials(path)
            self._environments.remove(staged)
            folder.rename(staged)

    def _staged(self, run: str) -> Path:
        return self._environments.runs / digest.of_content([self._machine, run])[:16]

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        """Execute one trial to its end, and remove everything that it leaves."""
        started_at = datetime.now(timezone.utc)
        began = time.monotonic()
        output = TrialOutput(launch.limits, watch, launch.document_bytes)
        try:
            needed = self._needed(launch)
            with self._trial_folder(launch) as folder:
                code, in_time = self._run(launch, folder, output.add)
                out_of_memory = self._group(folder).ran_out_of_memory()
            if self._needed(launch) != needed:
                raise FileNotFoundError("the environment or the inputs were replaced")
        except OSError as error:
            raise EngineLostError(
                f"the trial {launch.trial} could not be executed ({why(error)}). Fix this and run "
                "the same command to resume (finished trials are kept)."
            ) from error
        failed = code != 0 and in_time and not out_of_memory
        return Outcome(
            exit_code=128 - code if code < 0 else code,
            out_of_memory=out_of_memory,
            timed_out=not in_time,
            document=output.document(),
            log=output.log(),
            started_at=started_at,
            duration_s=time.monotonic() - began,
            trouble=self._trouble(code, output) if failed else None,
            launcher_exposed=True,
        )

    def open_shell(self, launch: Launch, console: Console) -> int:
        """Run a shell in the sandbox that the trial would have, and remove its folders."""
        try:
            self._needed(launch)
            with self._trial_folder(launch) as folder:
                code, _ = self._run(launch, folder, console.show, console)
        except OSError as error:
            raise EngineLostError(
                f"the shell could not run ({why(error)}). Fix this and open another one."
            ) from error
        return 128 - code if code < 0 else code

    def _needed(self, launch: Launch) -> list[int]:
        """Return the inodes of the folders that a trial reads; EngineLostError if one is gone.

        Whatever a script did while they were gone says nothing about its cell.
        """
        python = self._environments.path(launch.image) / "bin" / "python"
        inputs = self._staged(launch.run) / "inputs"
        for path, kind in ((python, "environment"), (inputs, "inputs")):
            if not path.exists():
                raise EngineLostError(
                    f"the {kind} of {launch.trial} vanished from {self._environments.folder}; run "
                    "the same command to have everything there again (finished trials are kept)."
                )
        return [path.stat().st_ino for path in (python.parent, inputs)]

    @contextmanager
    def _trial_folder(self, launch: Launch) -> Iterator[Path]:
        """Make the folder and the control group of a trial; remove both at the end."""
        trials = self._staged(launch.run) / "trials"
        folder = Path(tempfile.mkdtemp(prefix="trial-", dir=trials))
        try:
            folder.chmod(0o755)
            for name in ("tmp", "out"):
                (folder / name).mkdir(mode=0o700)
                os.chown(folder / name, trial_user(), -1)
            self._group(folder).make(launch.limits)
            self._group(folder).link(folder / "cgroup")
            yield folder
        finally:
            self._remove_trial(folder)

    def _group(self, folder: Path) -> ControlGroup:
        """Return the control group that belongs to the folder of a trial."""
        return self._cgroup.child(f"matrix-runner-{folder.parent.parent.name}-{folder.name}")

    def _remove_trial(self, folder: Path) -> None:
        """Remove the folder of a trial and its control group, with any process left in it."""
        if (end := self._endings.pop(folder, None)) is not None:
            end()
        self._group(folder).remove()
        self._environments.remove(folder)

    def _run(
        self,
        launch: Launch,
        folder: Path,
        add: Callable[[bytes | None, bytes | None], None],
        console: Console | None = None,
    ) -> tuple[int, bool]:
        """Run the launcher in the sandbox; return its exit code and whether it ended in time.

        ``add`` gets what it prints. With a ``console`` it runs a shell.
        """
        environment = self._environments.path(launch.image)
        python = environment / "bin" / "python"
        interpreter = python.readlink()
        prefix = interpreter.parent.parent
        folders = Folders(
            visible=(environment, prefix, folder / "cgroup"),
            inputs=self._staged(launch.run) / "inputs",
            temporary=folder / "tmp",
            output=folder / "out",
        )
        inside = self._sandbox.inside(folders)
        for_a_shell = {} if console is None else {"terminal": console.is_terminal}
        spec = launch.trial_spec(
            inputs=str(inside.inputs),
            temporary=str(inside.temporary),
            output=str(inside.output),
            own_pid_namespace=self._sandbox.own_pid_namespace,
            parent_on_stdin=console is None,
            cgroup=str(folder / "cgroup"),
            **for_a_shell,
        )
        variables = {  # the same ones as in a container
            "PATH": f"{environment}/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(inside.temporary),
            "TMPDIR": str(inside.temporary),
            "KERAS_HOME": f"{inside.temporary}/keras",
        }
        if self._environments.is_copy(interpreter):
            variables["LD_LIBRARY_PATH"] = str(prefix / "lib")
        processes = None
        if not self._cgroup.version:  # so limit the processes of the user
            processes = process.count(trial_user()) + launch.limits.pids
        wrapper = self._sandbox.wrapper(folders, launch.limits)
        return process.run(
            [*wrapper, str(python), *ISOLATED, f"{inside.inputs}/launcher.py", spec],
            variables,
            add,
            cores=launch.cores,
            cgroups=self._group(folder).folders.values(),
            processes=processes,
            timeout_s=launch.longest_s,
            console=console,
            started=partial(self._endings.__setitem__, folder),
        )

    def _trouble(self, code: int, output: TrialOutput) -> str | None:
        """Return how the machine failed, if it did; the launcher itself ends with 0."""
        if code < 0 and self._sandbox.own_pid_namespace:
            return "the trial's process was killed from outside while the trial ran"
        last = output.log().strip().rpartition("\n")[2]
        if output.document() is None and last.startswith(NOT_STARTED):
            return f"the trial could not be started: {last}"
        return None

    # --- what the program left on the engine ---------------------------------------------------

    def owned(self) -> tuple[Owned, ...]:
        """Return everything that this machine's runs left in the cache, and all environments."""
        return tuple(self._owned())

    def of_others(self) -> tuple[Owned, ...]:
        """Return nothing: every user has their own folder, and so has every machine."""
        return ()

    def _owned(self) -> Iterator[Owned]:
        yield from self._left_by_runs()
        for image in self.images():
            path, size = self._environments.path(image.id), image.size_bytes
            yield Owned(kind="image", id=str(path), label=image.label, size_bytes=size)
        for path in self._environments.interpreters():
            yield Owned(kind="image", id=str(path), label=f"python {path.name}")

    def _left_by_runs(self) -> Iterator[Owned]:
        """Yield the folders of trials and of inputs."""
        for folder in sorted(self._environments.runs.iterdir()):
            with suppress(OSError, ValueError, KeyError):
                label = json.loads(safe.read(folder / LABEL))
                if label["machine"] == self._machine:
                    run, size = str(label["run"]), int(label["bytes"])
                    for trial in sorted(folder.glob("trials/*")):
                        yield Owned(kind="container", id=str(trial), label=run, run=run)
                    yield Owned(
                        kind="volume", id=str(folder), label=folder.name, size_bytes=size, run=run
                    )

    def discard(self, thing: Owned) -> None:
        try:
            if thing.kind == "container":
                self._remove_trial(Path(thing.id))
            else:
                self._environments.remove(Path(thing.id))
        except OSError as error:
            raise EngineError(
                f"{thing.id} cannot be removed ({why(error)}). Fix this and run the command again."
            ) from error
